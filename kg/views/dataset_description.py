"""What the graph holds, counted, and its description for harvesters (VoID, DCAT 3)."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from kg.engine.counting import count, counts_from_json
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import DatasetStatistics, Engine, PropertyStatistics
from kg.rdf.formats import GZIP, RDF_FORMATS, RdfFormat
from kg.rdf.io import RDF_TYPE, BlankNode, Literal, NamedNode, Resource, Term, Triple
from kg.rdf.namespaces import DCAT, DCTERMS, FOAF, ID, PREFIXES, SPARQL_PREFIXES, VOID, graph_name
from kg.resources import project_version
from kg.workers.pool_engine import PoolEngine

_VERSION: Final = SPARQL_PREFIXES + "SELECT ?version { <IRI> owl:versionIRI ?version }"

_LICENCE: Final = "https://creativecommons.org/licenses/by/4.0/"
_MEDIA_TYPES: Final = "https://www.iana.org/assignments/media-types/"
_PUBLISHER: Final = ID + "org/hpez-project"
_PROTOCOL: Final = "https://www.w3.org/TR/sparql11-protocol/"
_LANGUAGES: Final = "http://publications.europa.eu/resource/authority/language/"

__all__ = ["Census", "DatasetStatistics", "Dump", "Site", "Texts", "catalogue", "current_version", "graph_title"]

T = TypeVar("T")

Texts = Mapping[str, str]
"""A text by language."""

_TITLE: Final[Texts] = {
    "en": "Knowledge graph of Hải Phòng's economic zones",
    "vi": "Đồ thị tri thức về các khu kinh tế Hải Phòng",
}
_DESCRIPTION: Final[Texts] = {
    "en": "What sources say about the economic zones and industrial parks of Hải Phòng, Vietnam: who manages, who "
    "invests, which figures are given, and what remains open. Every claim cites its place in the source.",
    "vi": "Những gì các nguồn nói về các khu kinh tế và khu công nghiệp của Hải Phòng: ai quản lý, ai đầu tư, con số "
    "nào được nêu và điều gì còn bỏ ngỏ. Mỗi nhận định đều dẫn vị trí của nó trong nguồn.",
}
_GRAPHS: Final[Mapping[str, Texts]] = {
    "asserted": {"en": "Plain statements generated from the claims", "vi": "Các mệnh đề sinh ra từ nhận định"},
    "derived": {"en": "Figures worked out from other figures", "vi": "Các số liệu tính ra từ số liệu khác"},
    "entities": {"en": "Entities: names, kinds and places", "vi": "Các thực thể: tên, loại và địa điểm"},
    "issues": {"en": "What is unclear about the claims", "vi": "Những điều chưa rõ về các nhận định"},
    "ontology": {"en": "The ontology", "vi": "Bản thể học"},
    "shapes": {"en": "The shapes that facts must fit", "vi": "Các ràng buộc mà dữ kiện phải thỏa mãn"},
    "source": {"en": "What one source claims, with evidence", "vi": "Nhận định của một nguồn, kèm bằng chứng"},
    "vocabulary": {"en": "Vocabularies and indicators", "vi": "Các bộ từ vựng và chỉ tiêu"},
}


def graph_title(iri: str) -> Texts:
    """What a named graph holds, by language; empty for a graph that is none of the project's."""
    return _GRAPHS.get((graph_name(iri) or "").partition("/")[0], {})


def current_version(engine: Engine, iri: str) -> str | None:
    """The version IRI of the ontology or the shapes as they are held, None where they state none."""
    rows = engine.select(_VERSION.replace("<IRI>", f"<{iri}>"))
    return next((row["version"].value for row in rows), None)


class _Kept(Generic[T]):
    """A value that depends on nothing but the dataset, made once for each version of it; thread-safe."""

    def __init__(self, engine: Engine, make: Callable[[], T]) -> None:
        self._engine = engine
        self._make = make
        self._making = threading.Lock()
        self._kept: tuple[str, T] | None = None

    def now(self) -> T:
        """The value for the dataset as it is."""
        with self._making:
            version = self._engine.version
            if self._kept is None or self._kept[0] != version:
                self._kept = version, self._make()
            return self._kept[1]


class Census:
    """Knows how much an engine's dataset holds, and counts it where the engine does not, once for each version."""

    def __init__(self, engine: Engine) -> None:
        self._graphs = _Kept(engine, engine.graph_sizes)
        self._counts = _Kept(engine, lambda: _known(engine) or count(engine))

    def graphs(self) -> Mapping[str, int]:
        """The triples of each named graph, by IRI."""
        return self._graphs.now()

    def counts(self) -> DatasetStatistics:
        """All numbers."""
        return self._counts.now()


def _known(engine: Engine) -> DatasetStatistics | None:
    """What an engine says without counting, in this process or in a cell."""
    if isinstance(engine, EmbeddedEngine):
        return engine.statistics
    if not isinstance(engine, PoolEngine):
        return None
    header, body = engine.call({"op": "counts"})
    body.close()
    return None if header["counts"] is None else counts_from_json(header["counts"])


@dataclass(frozen=True)
class Dump:
    """A file that holds a graph, or everything."""

    url: str
    fmt: RdfFormat
    gzipped: bool = False


@dataclass(frozen=True)
class Site:
    """Where one copy of the graph is served: absolute URLs; `graphs` has the dumps of each named graph by IRI."""

    home: str
    description: str
    endpoint: str
    dumps: tuple[Dump, ...]
    graphs: Mapping[str, tuple[Dump, ...]]

    @property
    def dataset(self) -> str:
        """The IRI of the dataset that the copy is."""
        return self.description + "#dataset"


def catalogue(counts: DatasetStatistics, site: Site) -> list[Triple]:
    """Describe the dataset: whose it is, how much there is, in which graphs, and where to get it (VoID, DCAT 3).

    Blank nodes have the same names each time, so that equal descriptions are equal byte for byte.
    """
    dataset = NamedNode(site.dataset)
    return [
        *_document(dataset, site),
        *_identity(dataset, site),
        *_statistics(dataset, counts),
        *(triple for iri, size in counts.graphs.items() for triple in _subset(dataset, iri, size, site)),
        *_access(dataset, site),
    ]


def _document(dataset: NamedNode, site: Site) -> Iterator[Triple]:
    document = NamedNode(site.description)
    yield Triple(document, RDF_TYPE, _iri(VOID, "DatasetDescription"))
    yield Triple(document, _iri(FOAF, "primaryTopic"), dataset)


def _identity(dataset: NamedNode, site: Site) -> Iterator[Triple]:
    yield from _typed(dataset)
    yield from _texts(dataset, "title", _TITLE)
    yield from _texts(dataset, "description", _DESCRIPTION)
    yield Triple(dataset, _iri(DCTERMS, "license"), NamedNode(_LICENCE))
    yield Triple(dataset, _iri(DCTERMS, "publisher"), NamedNode(_PUBLISHER))
    yield Triple(NamedNode(_PUBLISHER), RDF_TYPE, _iri(FOAF, "Agent"))
    for language in ("ENG", "VIE"):
        yield Triple(dataset, _iri(DCTERMS, "language"), NamedNode(_LANGUAGES + language))
    yield Triple(dataset, _iri(DCAT, "version"), Literal(project_version()))
    yield Triple(dataset, _iri(DCAT, "landingPage"), NamedNode(site.home))
    yield Triple(dataset, _iri(FOAF, "homepage"), NamedNode(site.home))
    yield Triple(dataset, _iri(VOID, "uriSpace"), Literal(ID))
    for fmt in RDF_FORMATS:
        yield Triple(dataset, _iri(VOID, "feature"), NamedNode(fmt.iri))


def _statistics(dataset: NamedNode, counts: DatasetStatistics) -> Iterator[Triple]:
    numbers = {
        "triples": counts.triples,
        "entities": counts.entities,
        "distinctSubjects": counts.subjects,
        "distinctObjects": counts.objects,
        "properties": len(counts.properties) or None,
        "classes": len(counts.classes) or None,
    }
    for name, number in numbers.items():
        if number is not None:
            yield Triple(dataset, _iri(VOID, name), Literal(number))
    properties = {iri: _of_property(numbers) for iri, numbers in counts.properties.items()}
    yield from _partitions(dataset, "property", properties)
    yield from _partitions(dataset, "class", {iri: {"entities": size} for iri, size in counts.classes.items()})
    used = (*counts.properties, *counts.classes)
    for namespace in sorted(set(PREFIXES.values())):
        if any(iri.startswith(namespace) for iri in used):
            yield Triple(dataset, _iri(VOID, "vocabulary"), NamedNode(namespace))


def _of_property(counts: PropertyStatistics) -> dict[str, int]:
    """The numbers of a property by their names in VoID."""
    return {"triples": counts.triples, "distinctSubjects": counts.subjects, "distinctObjects": counts.objects}


def _partitions(dataset: NamedNode, kind: str, parts: Mapping[str, Mapping[str, int]]) -> Iterator[Triple]:
    for number, (iri, sizes) in enumerate(parts.items()):
        part = BlankNode(f"{kind}{number}")
        yield Triple(dataset, _iri(VOID, f"{kind}Partition"), part)
        yield Triple(part, _iri(VOID, kind), NamedNode(iri))
        for unit, size in sizes.items():
            yield Triple(part, _iri(VOID, unit), Literal(size))


def _subset(dataset: NamedNode, iri: str, size: int, site: Site) -> Iterator[Triple]:
    graph = NamedNode(iri)
    yield Triple(dataset, _iri(VOID, "subset"), graph)
    yield from _typed(graph)
    yield from _texts(graph, "title", graph_title(iri) or {"": iri})
    yield Triple(graph, _iri(VOID, "triples"), Literal(size))
    yield from _distributions(graph, site.graphs.get(iri, ()), site)


def _access(dataset: NamedNode, site: Site) -> Iterator[Triple]:
    """The dumps, and the endpoint as a data service."""
    endpoint = NamedNode(site.endpoint)
    service, distribution = NamedNode(site.description + "#service"), NamedNode(site.description + "#sparql")
    yield from _distributions(dataset, site.dumps, site)
    yield Triple(dataset, _iri(VOID, "sparqlEndpoint"), endpoint)
    yield Triple(dataset, _iri(DCAT, "distribution"), distribution)
    yield Triple(distribution, RDF_TYPE, _iri(DCAT, "Distribution"))
    yield Triple(distribution, _iri(DCTERMS, "license"), NamedNode(_LICENCE))
    yield Triple(distribution, _iri(DCAT, "accessURL"), endpoint)
    yield Triple(distribution, _iri(DCAT, "accessService"), service)
    yield Triple(service, RDF_TYPE, _iri(DCAT, "DataService"))
    yield from _texts(service, "title", {"en": "SPARQL endpoint", "vi": "Điểm truy vấn SPARQL"})
    yield Triple(service, _iri(DCAT, "endpointURL"), endpoint)
    yield Triple(service, _iri(DCAT, "endpointDescription"), endpoint)
    yield Triple(service, _iri(DCAT, "servesDataset"), dataset)
    yield Triple(service, _iri(DCTERMS, "conformsTo"), NamedNode(_PROTOCOL))


def _distributions(dataset: Resource, dumps: tuple[Dump, ...], site: Site) -> Iterator[Triple]:
    for dump in dumps:
        file = NamedNode(dump.url)
        distribution = NamedNode(f"{site.description}#{dump.url.removeprefix(site.home)}")
        yield Triple(dataset, _iri(VOID, "dataDump"), file)
        yield Triple(dataset, _iri(DCAT, "distribution"), distribution)
        yield Triple(distribution, RDF_TYPE, _iri(DCAT, "Distribution"))
        yield Triple(distribution, _iri(DCTERMS, "license"), NamedNode(_LICENCE))
        yield Triple(distribution, _iri(DCAT, "accessURL"), file)
        yield Triple(distribution, _iri(DCAT, "downloadURL"), file)
        yield Triple(distribution, _iri(DCAT, "mediaType"), NamedNode(_MEDIA_TYPES + dump.fmt.media_type))
        yield Triple(distribution, _iri(DCTERMS, "format"), NamedNode(dump.fmt.iri))
        if dump.gzipped:
            yield Triple(distribution, _iri(DCAT, "compressFormat"), NamedNode(_MEDIA_TYPES + GZIP))


def _typed(dataset: Resource) -> Iterator[Triple]:
    yield Triple(dataset, RDF_TYPE, _iri(VOID, "Dataset"))
    yield Triple(dataset, RDF_TYPE, _iri(DCAT, "Dataset"))


def _texts(subject: Resource, name: str, texts: Texts) -> Iterator[Triple]:
    for language, text in texts.items():
        literal: Term = Literal(text, language=language) if language else Literal(text)
        yield Triple(subject, _iri(DCTERMS, name), literal)


def _iri(namespace: str, name: str) -> NamedNode:
    return NamedNode(namespace + name)

"""The VoID and DCAT 3 description of the dataset for harvesters: contents, licence, dumps and endpoint."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.engine.statistics import DatasetStatistics, PropertyStatistics
from kg.rdf.formats import GZIP, RDF_FORMATS, RdfFormat
from kg.rdf.namespaces import DCAT, DCTERMS, FOAF, ID, PREFIXES, VOID, graph_name
from kg.rdf.terms import RDF_TYPE, BlankNode, Literal, NamedNode, Resource, Term, Triple
from kg.rdf.texts_by_language import TextsByLanguage
from kg.resources import project_version
from kg.sparql.templates import prefixed_template

_VERSION_QUERY: Final = prefixed_template("SELECT ?version { $iri owl:versionIRI ?version }")

_LICENCE: Final = "https://creativecommons.org/licenses/by/4.0/"
_MEDIA_TYPE_BASE: Final = "https://www.iana.org/assignments/media-types/"
_PUBLISHER: Final = ID + "org/hpez-project"
_SPARQL_PROTOCOL: Final = "https://www.w3.org/TR/sparql11-protocol/"
_LANGUAGE_BASE: Final = "http://publications.europa.eu/resource/authority/language/"

_TITLE: Final = TextsByLanguage(
    en="Knowledge graph of Hải Phòng's economic zones",
    vi="Đồ thị tri thức về các khu kinh tế Hải Phòng",
)
_DESCRIPTION: Final = TextsByLanguage(
    en="What sources say about the economic zones and industrial parks of Hải Phòng, Vietnam: who manages, who "
    "invests, which figures are given, and what remains open. Every claim cites its place in the source.",
    vi="Những gì các nguồn nói về các khu kinh tế và khu công nghiệp của Hải Phòng: ai quản lý, ai đầu tư, con số "
    "nào được nêu và điều gì còn bỏ ngỏ. Mỗi nhận định đều dẫn vị trí của nó trong nguồn.",
)
_GRAPH_TITLES: Final[Mapping[str, TextsByLanguage]] = {
    "asserted": TextsByLanguage(en="Plain statements generated from the claims", vi="Các mệnh đề sinh ra từ nhận định"),
    "derived": TextsByLanguage(en="Figures worked out from other figures", vi="Các số liệu tính ra từ số liệu khác"),
    "entities": TextsByLanguage(en="Entities: names, kinds and places", vi="Các thực thể: tên, loại và địa điểm"),
    "issues": TextsByLanguage(en="What is unclear about the claims", vi="Những điều chưa rõ về các nhận định"),
    "ontology": TextsByLanguage(en="The ontology", vi="Bản thể học"),
    "shapes": TextsByLanguage(en="The shapes that facts must fit", vi="Các ràng buộc mà dữ kiện phải thỏa mãn"),
    "source": TextsByLanguage(en="What one source claims, with evidence", vi="Nhận định của một nguồn, kèm bằng chứng"),
    "vocabulary": TextsByLanguage(en="Vocabularies and indicators", vi="Các bộ từ vựng và chỉ tiêu"),
}


def graph_title(iri: str) -> TextsByLanguage:
    """Return what a named graph holds, by language; empty for a graph outside the project."""
    return _GRAPH_TITLES.get((graph_name(iri) or "").partition("/")[0], TextsByLanguage())


def read_version_iri(engine: Engine, iri: str) -> str | None:
    """Return the stored owl:versionIRI of an ontology, such as the project's ontology or shapes, None without one."""
    rows = engine.select(_VERSION_QUERY.fill(iri=NamedNode(iri)))
    return next((row["version"].value for row in rows), None)


@dataclass(frozen=True)
class Dump:
    """A file that holds one graph or the whole dataset."""

    url: str
    fmt: RdfFormat
    gzipped: bool = False


@dataclass(frozen=True)
class Site:
    """The absolute URLs of one service of the dataset; `graph_dumps` are keyed by the IRI of the named graph."""

    home_url: str
    description_url: str
    endpoint_url: str
    dumps: tuple[Dump, ...]
    graph_dumps: Mapping[str, tuple[Dump, ...]]

    @property
    def dataset_iri(self) -> str:
        """The IRI of the dataset."""
        return self.description_url + "#dataset"


def describe_dataset(counts: DatasetStatistics, site: Site) -> list[Triple]:
    """Return the VoID and DCAT 3 description: metadata, statistics, named graphs, dumps and endpoint.

    Blank nodes have fixed labels, so that equal descriptions are equal byte for byte.
    """
    dataset = NamedNode(site.dataset_iri)
    return [
        *_document_triples(dataset, site),
        *_metadata_triples(dataset, site),
        *_statistics_triples(dataset, counts),
        *(triple for iri, size in counts.graphs.items() for triple in _named_graph_triples(dataset, iri, size, site)),
        *_access_triples(dataset, site),
    ]


def _document_triples(dataset: NamedNode, site: Site) -> Iterator[Triple]:
    document = NamedNode(site.description_url)
    yield Triple(document, RDF_TYPE, _term(VOID, "DatasetDescription"))
    yield Triple(document, _term(FOAF, "primaryTopic"), dataset)


def _metadata_triples(dataset: NamedNode, site: Site) -> Iterator[Triple]:
    yield from _dataset_type_triples(dataset)
    yield from _text_triples(dataset, "title", _TITLE)
    yield from _text_triples(dataset, "description", _DESCRIPTION)
    yield Triple(dataset, _term(DCTERMS, "license"), NamedNode(_LICENCE))
    yield Triple(dataset, _term(DCTERMS, "publisher"), NamedNode(_PUBLISHER))
    yield Triple(NamedNode(_PUBLISHER), RDF_TYPE, _term(FOAF, "Agent"))
    for language in ("ENG", "VIE"):
        yield Triple(dataset, _term(DCTERMS, "language"), NamedNode(_LANGUAGE_BASE + language))
    yield Triple(dataset, _term(DCAT, "version"), Literal(project_version()))
    yield Triple(dataset, _term(DCAT, "landingPage"), NamedNode(site.home_url))
    yield Triple(dataset, _term(FOAF, "homepage"), NamedNode(site.home_url))
    yield Triple(dataset, _term(VOID, "uriSpace"), Literal(ID))
    for fmt in RDF_FORMATS:
        yield Triple(dataset, _term(VOID, "feature"), NamedNode(fmt.iri))


def _statistics_triples(dataset: NamedNode, counts: DatasetStatistics) -> Iterator[Triple]:
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
            yield Triple(dataset, _term(VOID, name), Literal(number))
    properties = {iri: _property_numbers(numbers) for iri, numbers in counts.properties.items()}
    yield from _partition_triples(dataset, "property", properties)
    yield from _partition_triples(dataset, "class", {iri: {"entities": size} for iri, size in counts.classes.items()})
    used = (*counts.properties, *counts.classes)
    for namespace in sorted(set(PREFIXES.values())):
        if any(iri.startswith(namespace) for iri in used):
            yield Triple(dataset, _term(VOID, "vocabulary"), NamedNode(namespace))


def _property_numbers(counts: PropertyStatistics) -> dict[str, int]:
    """Return the statistics of a property by the local names of VoID properties."""
    return {"triples": counts.triples, "distinctSubjects": counts.subjects, "distinctObjects": counts.objects}


def _partition_triples(dataset: NamedNode, kind: str, parts: Mapping[str, Mapping[str, int]]) -> Iterator[Triple]:
    for number, (iri, sizes) in enumerate(parts.items()):
        part = BlankNode(f"{kind}{number}")
        yield Triple(dataset, _term(VOID, f"{kind}Partition"), part)
        yield Triple(part, _term(VOID, kind), NamedNode(iri))
        for unit, size in sizes.items():
            yield Triple(part, _term(VOID, unit), Literal(size))


def _named_graph_triples(dataset: NamedNode, iri: str, size: int, site: Site) -> Iterator[Triple]:
    graph = NamedNode(iri)
    yield Triple(dataset, _term(VOID, "subset"), graph)
    yield from _dataset_type_triples(graph)
    yield from _text_triples(graph, "title", graph_title(iri) or TextsByLanguage({"": iri}))
    yield Triple(graph, _term(VOID, "triples"), Literal(size))
    yield from _dump_triples(graph, site.graph_dumps.get(iri, ()), site)


def _access_triples(dataset: NamedNode, site: Site) -> Iterator[Triple]:
    """Yield the dumps, and the SPARQL endpoint as a dcat:DataService."""
    endpoint = NamedNode(site.endpoint_url)
    service, distribution = NamedNode(site.description_url + "#service"), NamedNode(site.description_url + "#sparql")
    yield from _dump_triples(dataset, site.dumps, site)
    yield Triple(dataset, _term(VOID, "sparqlEndpoint"), endpoint)
    yield from _distribution_triples(dataset, distribution, endpoint)
    yield Triple(distribution, _term(DCAT, "accessService"), service)
    yield Triple(service, RDF_TYPE, _term(DCAT, "DataService"))
    yield from _text_triples(service, "title", TextsByLanguage(en="SPARQL endpoint", vi="Điểm truy vấn SPARQL"))
    yield Triple(service, _term(DCAT, "endpointURL"), endpoint)
    yield Triple(service, _term(DCAT, "endpointDescription"), endpoint)
    yield Triple(service, _term(DCAT, "servesDataset"), dataset)
    yield Triple(service, _term(DCTERMS, "conformsTo"), NamedNode(_SPARQL_PROTOCOL))


def _distribution_triples(dataset: Resource, distribution: NamedNode, access_url: NamedNode) -> Iterator[Triple]:
    yield Triple(dataset, _term(DCAT, "distribution"), distribution)
    yield Triple(distribution, RDF_TYPE, _term(DCAT, "Distribution"))
    yield Triple(distribution, _term(DCTERMS, "license"), NamedNode(_LICENCE))
    yield Triple(distribution, _term(DCAT, "accessURL"), access_url)


def _dump_triples(dataset: Resource, dumps: tuple[Dump, ...], site: Site) -> Iterator[Triple]:
    for dump in dumps:
        file = NamedNode(dump.url)
        distribution = NamedNode(f"{site.description_url}#{dump.url.removeprefix(site.home_url)}")
        yield Triple(dataset, _term(VOID, "dataDump"), file)
        yield from _distribution_triples(dataset, distribution, file)
        yield Triple(distribution, _term(DCAT, "downloadURL"), file)
        yield Triple(distribution, _term(DCAT, "mediaType"), NamedNode(_MEDIA_TYPE_BASE + dump.fmt.media_type))
        yield Triple(distribution, _term(DCTERMS, "format"), NamedNode(dump.fmt.iri))
        if dump.gzipped:
            yield Triple(distribution, _term(DCAT, "compressFormat"), NamedNode(_MEDIA_TYPE_BASE + GZIP))


def _dataset_type_triples(dataset: Resource) -> Iterator[Triple]:
    yield Triple(dataset, RDF_TYPE, _term(VOID, "Dataset"))
    yield Triple(dataset, RDF_TYPE, _term(DCAT, "Dataset"))


def _text_triples(subject: Resource, name: str, texts: TextsByLanguage) -> Iterator[Triple]:
    for language, text in texts.items():
        literal: Term = Literal(text, language=language) if language else Literal(text)
        yield Triple(subject, _term(DCTERMS, name), literal)


def _term(namespace: str, name: str) -> NamedNode:
    return NamedNode(namespace + name)

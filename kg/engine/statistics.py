"""Statistics of a dataset: how many triples, by predicate, class and graph; kept up to date as quads change.

An update costs a few look-ups for each quad.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

from kg.rdf.namespaces import ID
from kg.rdf.terms import RDF_TYPE, DefaultGraph, NamedNode, Quad, Resource, Term, Triple

TripleLookup = Callable[[Resource | Triple | None, NamedNode | None, Term | Triple | None], bool]
"""Whether any graph has a triple with this subject, predicate and object; None matches any term."""

_TYPE_IRI: Final = RDF_TYPE.value


@dataclass(frozen=True)
class PropertyStatistics:
    """How many triples have a predicate, and how many distinct subjects and objects they have."""

    triples: int
    subjects: int
    objects: int


@dataclass(frozen=True)
class DatasetStatistics:
    """Numbers of the union of all graphs, where a triple counts once, and of each named graph.

    Properties, classes and graphs are keyed by IRI, sorted by it. A number is None, and a partition empty, where
    counting would take longer or more memory than a query may.
    """

    triples: int | None
    entities: int | None
    subjects: int | None
    objects: int | None
    properties: Mapping[str, PropertyStatistics]
    classes: Mapping[str, int]
    graphs: Mapping[str, int]
    unnamed: int
    """Triples of the unnamed graph."""

    @cached_property
    def quads(self) -> int:
        """Triples of all graphs, where a triple counts once for each graph that has it."""
        return self.unnamed + sum(self.graphs.values())

    @property
    def has_shared_triples(self) -> bool:
        """Whether some triple is, or may be, in several graphs."""
        return self.triples != self.quads

    def estimate_matches(
        self, predicate: str, object_iri: str, *, is_subject_bound: bool, is_object_bound: bool
    ) -> float:
        """Estimate how many matches a triple pattern has for each binding of its subject or object.

        `object_iri` is ignored unless it is the IRI of a class.
        """
        known = self.properties.get(predicate)
        if known is None or not known.triples:
            return 0.0
        instances = self.classes.get(object_iri) if predicate == _TYPE_IRI else None
        if instances is not None and not is_subject_bound:
            return float(instances)
        matches = float(known.triples)
        if is_subject_bound:
            matches /= known.subjects
        if is_object_bound:
            matches /= known.objects
        return min(matches, 1.0) if is_subject_bound and is_object_bound else matches


_NO_TRIPLES: Final = PropertyStatistics(0, 0, 0)


def statistics_to_json(statistics: DatasetStatistics) -> dict[str, Any]:
    """Convert statistics to plain JSON, for the data folder and for messages between processes."""
    return asdict(statistics)


def statistics_from_json(data: dict[str, Any]) -> DatasetStatistics:
    """Read the result of `statistics_to_json`; raises KeyError or TypeError for anything else."""
    properties = {iri: PropertyStatistics(**numbers) for iri, numbers in data["properties"].items()}
    return DatasetStatistics(**{**data, "properties": properties})


def update_statistics(
    statistics: DatasetStatistics | None, quads: Collection[Quad], has_triple: TripleLookup, sign: int
) -> DatasetStatistics | None:
    """Return the statistics with quads added (`sign` 1) or removed (-1); None if there were none.

    The quads are new to their graphs, or were in them. `has_triple` sees the dataset without these quads.

    Partitions that were not counted stay empty. Each node is looked up once: the store steps over all triples
    about it that were removed.
    """
    if statistics is None:
        return None
    fresh = {quad.triple for quad in quads if not has_triple(quad.subject, quad.predicate, quad.object)}
    subjects = {node for node in {triple.subject for triple in fresh} if not has_triple(node, None, None)}
    objects = {term for term in {triple.object for triple in fresh} if not has_triple(None, None, term)}
    graphs = Counter(quad.graph_name.value for quad in quads if not isinstance(quad.graph_name, DefaultGraph))
    classes = Counter(
        triple.object.value for triple in fresh if triple.predicate == RDF_TYPE and isinstance(triple.object, NamedNode)
    )
    has_partitions = bool(statistics.properties) or not (statistics.unnamed or statistics.graphs)
    return DatasetStatistics(
        triples=_add_if_known(statistics.triples, sign * len(fresh)),
        entities=_add_if_known(
            statistics.entities, sign * sum(isinstance(item, NamedNode) and is_entity(item) for item in subjects)
        ),
        subjects=_add_if_known(statistics.subjects, sign * len(subjects)),
        objects=_add_if_known(statistics.objects, sign * len(objects)),
        properties=_update_properties(statistics.properties, fresh, has_triple, sign) if has_partitions else {},
        classes=_merge_counts(statistics.classes, classes, sign) if has_partitions else {},
        graphs=_merge_counts(statistics.graphs, graphs, sign),
        unnamed=statistics.unnamed + sign * (len(quads) - graphs.total()),
    )


def is_entity(node: NamedNode) -> bool:
    """Whether an IRI is in the project's namespace of entities."""
    return node.value.startswith(ID)


def _update_properties(
    known: Mapping[str, PropertyStatistics], fresh: set[Triple], has_triple: TripleLookup, sign: int
) -> dict[str, PropertyStatistics]:
    subjects = {(triple.predicate, triple.subject) for triple in fresh}
    objects = {(triple.predicate, triple.object) for triple in fresh}
    new_subjects = Counter(predicate.value for predicate, node in subjects if not has_triple(node, predicate, None))
    new_objects = Counter(predicate.value for predicate, term in objects if not has_triple(None, predicate, term))
    merged = dict(known)
    for iri, triples in Counter(triple.predicate.value for triple in fresh).items():
        before = known.get(iri, _NO_TRIPLES)
        merged[iri] = PropertyStatistics(
            before.triples + sign * triples,
            before.subjects + sign * new_subjects[iri],
            before.objects + sign * new_objects[iri],
        )
    return {iri: numbers for iri, numbers in sorted(merged.items()) if numbers.triples}


def _merge_counts(known: Mapping[str, int], more: Mapping[str, int], sign: int) -> dict[str, int]:
    sums = {iri: known.get(iri, 0) + sign * more.get(iri, 0) for iri in sorted({*known, *more})}
    return {iri: number for iri, number in sums.items() if number}


def _add_if_known(known: int | None, more: int) -> int | None:
    return None if known is None else known + more

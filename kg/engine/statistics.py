"""Keep counts true while quads are added and removed, at the price of a few look-ups for each."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from kg.engine.protocol import DatasetStatistics, PropertyStatistics
from kg.rdf.namespaces import ID
from kg.rdf.terms import RDF_TYPE, DefaultGraph, NamedNode, Quad, Resource, Term, Triple

TripleLookup = Callable[[Resource | Triple | None, NamedNode | None, Term | Triple | None], bool]
"""Whether any graph holds a statement with this subject, predicate and object, of which None stands for any."""

_NO_TRIPLES: Final = PropertyStatistics(0, 0, 0)


def statistics_after_adding(
    statistics: DatasetStatistics, added: Iterable[Quad], has_triple: TripleLookup
) -> DatasetStatistics:
    """The counts of a dataset once quads are added that are new to their graphs; `held` looks into it as it was."""
    return _update_statistics(statistics, list(added), has_triple, 1)


def statistics_after_removing(
    statistics: DatasetStatistics, removed: Iterable[Quad], has_triple: TripleLookup
) -> DatasetStatistics:
    """The counts of a dataset from which quads were taken that their graphs held; `held` looks into it as it is now."""
    return _update_statistics(statistics, list(removed), has_triple, -1)


def _update_statistics(
    statistics: DatasetStatistics, quads: list[Quad], has_triple: TripleLookup, sign: int
) -> DatasetStatistics:
    """The counts with some quads more or less; `held` looks into the dataset as it is without them.

    Partitions that were not counted stay empty. Each node is looked up once: the engine steps over all statements
    about it that were taken away.
    """
    fresh = {quad.triple for quad in quads if not has_triple(quad.subject, quad.predicate, quad.object)}
    subjects = {node for node in {triple.subject for triple in fresh} if not has_triple(node, None, None)}
    objects = {term for term in {triple.object for triple in fresh} if not has_triple(None, None, term)}
    graphs = Counter(quad.graph_name.value for quad in quads if not isinstance(quad.graph_name, DefaultGraph))
    classes = Counter(
        triple.object.value for triple in fresh if triple.predicate == RDF_TYPE and isinstance(triple.object, NamedNode)
    )
    counted = bool(statistics.properties) or not (statistics.unnamed or statistics.graphs)
    return DatasetStatistics(
        triples=_add_if_known(statistics.triples, sign * len(fresh)),
        entities=_add_if_known(
            statistics.entities, sign * sum(isinstance(item, NamedNode) and is_entity(item) for item in subjects)
        ),
        subjects=_add_if_known(statistics.subjects, sign * len(subjects)),
        objects=_add_if_known(statistics.objects, sign * len(objects)),
        properties=_update_properties(statistics.properties, fresh, has_triple, sign) if counted else {},
        classes=_merge_counts(statistics.classes, classes, sign) if counted else {},
        graphs=_merge_counts(statistics.graphs, graphs, sign),
        unnamed=statistics.unnamed + sign * (len(quads) - graphs.total()),
    )


def is_entity(node: NamedNode) -> bool:
    """Whether an IRI names one of the project's own things."""
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

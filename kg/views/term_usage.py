"""How often the terms of a vocabulary are used, and one example of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.engine.statistics import DatasetStatistics
from kg.rdf.io import NamedNode, Term

_BATCH_SIZE: Final = 40
"""Terms that one query is asked about."""
_PROPERTY_PATTERN: Final = "{ SELECT ?term ?subject ?value { BIND (TERM AS ?term) ?subject TERM ?value } LIMIT 1 }"
_CLASS_PATTERN: Final = "{ SELECT ?term ?subject { BIND (TERM AS ?term) ?subject a TERM } LIMIT 1 }"


@dataclass(frozen=True)
class UsageExample:
    """One use of a term: what it is said of and, for a property, which value it has there."""

    subject: Term
    value: Term | None = None


def usage_count(counts: DatasetStatistics, iri: str) -> int:
    """How many statements have a term for their property, or how many things it has for their class."""
    found = counts.properties.get(iri)
    return counts.classes.get(iri, 0) if found is None else found.triples


def find_usage_examples(engine: Engine, terms: Iterable[str]) -> dict[str, UsageExample]:
    """One use of each term that is used, by IRI; as many queries as there are forty terms."""
    known, found = [NamedNode(term) for term in terms], dict[str, UsageExample]()
    for first in range(0, len(known), _BATCH_SIZE):
        for row in engine.select(_usage_query(known[first : first + _BATCH_SIZE])):
            if "subject" in row:
                found.setdefault(row["term"].value, UsageExample(row["subject"], row.get("value")))
    return found


def instance_usage(
    engine: Engine, counts: DatasetStatistics, targets: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[int, UsageExample]]:
    """For each key that some classes belong to: how many things are in them, and one of these, if there are any."""
    members = find_usage_examples(engine, dict.fromkeys(kind for kinds in targets.values() for kind in kinds))
    found = dict[str, tuple[int, UsageExample]]()
    for key, kinds in targets.items():
        some = next((members[kind] for kind in kinds if kind in members), None)
        if some is not None:
            found[key] = sum(counts.classes.get(kind, 0) for kind in kinds), some
    return found


def _usage_query(terms: list[NamedNode]) -> str:
    parts = [pattern.replace("TERM", str(term)) for term in terms for pattern in (_PROPERTY_PATTERN, _CLASS_PATTERN)]
    return "SELECT ?term ?subject ?value { " + " UNION ".join(parts) + " }"

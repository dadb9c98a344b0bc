"""How often the terms of a vocabulary are used, with an example of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.engine.statistics import DatasetStatistics
from kg.rdf.terms import NamedNode, Term
from kg.sparql.templates import Fragment, Template

_BATCH_SIZE: Final = 40
"""The number of terms in one query."""
_EXAMPLES_QUERY: Final = Template("SELECT ?term ?subject ?value { $patterns }")
_PATTERNS: Final = (
    Template("{ SELECT ?term ?subject ?value { BIND ($term AS ?term) ?subject $term ?value } LIMIT 1 }"),
    Template("{ SELECT ?term ?subject { BIND ($term AS ?term) ?subject a $term } LIMIT 1 }"),
)
"""Find an example of a term that is a property, and of a term that is a class."""


@dataclass(frozen=True)
class UsageExample:
    """One use of a term: an instance of a class, or a subject and value of a property."""

    subject: Term
    value: Term | None = None


def usage_count(counts: DatasetStatistics, iri: str) -> int:
    """Return the number of statements with a property, or of instances of a class."""
    statistics = counts.properties.get(iri)
    return counts.classes.get(iri, 0) if statistics is None else statistics.triples


def find_usage_examples(engine: Engine, terms: Iterable[str]) -> dict[str, UsageExample]:
    """Return an example of each term that is used, by IRI; runs one query per 40 terms."""
    nodes, examples = [NamedNode(term) for term in terms], dict[str, UsageExample]()
    for first in range(0, len(nodes), _BATCH_SIZE):
        for row in engine.select(_usage_query(nodes[first : first + _BATCH_SIZE])):
            if "subject" in row:
                examples.setdefault(row["term"].value, UsageExample(row["subject"], row.get("value")))
    return examples


def instance_usage(
    engine: Engine, counts: DatasetStatistics, targets: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[int, UsageExample]]:
    """Count instances per class key, and return an example instance of each key; keys without instances are left out.

    `targets` maps each key to the IRIs of its classes.
    """
    examples = find_usage_examples(engine, dict.fromkeys(iri for classes in targets.values() for iri in classes))
    usage = dict[str, tuple[int, UsageExample]]()
    for key, classes in targets.items():
        example = next((examples[iri] for iri in classes if iri in examples), None)
        if example is not None:
            usage[key] = sum(counts.classes.get(iri, 0) for iri in classes), example
    return usage


def _usage_query(terms: list[NamedNode]) -> str:
    patterns = " UNION ".join(pattern.fill(term=term) for term in terms for pattern in _PATTERNS)
    return _EXAMPLES_QUERY.fill(patterns=Fragment(patterns))

"""A bounded summary of one IRI for pages: a sample of the values of each property, with their total."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from kg.engine.protocol import Engine
from kg.errors import NotFoundError
from kg.rdf.namespaces import OA, RDF, SCHEMA
from kg.rdf.terms import RDF_TYPE, BlankNode, NamedNode, Term, iri_candidates
from kg.sparql.templates import Fragment, Template, prefixed_template
from kg.views.query_results import only_iris, select_iris

SAMPLE_SIZE: Final = 20
"""The number of values of each property in a summary."""
MAX_PROPERTIES: Final = 200
"""The number of properties in each direction of which a summary has values."""

_COUNTS_QUERY: Final = Template(
    """
SELECT ?way ?p (COUNT(DISTINCT ?o) AS ?n) {
  { $iri ?p ?o BIND ("out" AS ?way) } UNION { ?o ?p $iri FILTER (!ISBLANK(?o)) BIND ("in" AS ?way) }
} GROUP BY ?way ?p ORDER BY DESC(?way) ?p"""
)
_VALUES_QUERY: Final = Template("SELECT ?way ?p ?o { $subqueries }")
_VALUES_SUBQUERIES: Final[Mapping[str, Template]] = {
    "out": Template(
        '{ SELECT DISTINCT ("out" AS ?way) ($predicate AS ?p) ?o { $iri $predicate ?o } OFFSET $offset LIMIT $limit }'
    ),
    "in": Template(
        '{ SELECT DISTINCT ("in" AS ?way) ($predicate AS ?p) ?o { ?o $predicate $iri FILTER (!ISBLANK(?o)) } '
        "OFFSET $offset LIMIT $limit }"
    ),
}
_TEXT_ORDER_QUERY: Final = prefixed_template(
    """
SELECT ?claim (MIN(?start) AS ?first) {
  ?evidence oa:hasSource $source ; oa:hasSelector ?position . ?position oa:start ?start .
  ?claim hpez:evidence ?evidence
} GROUP BY ?claim ORDER BY ?first ?claim OFFSET $offset LIMIT $limit"""
)
_TEXT_COUNT_QUERY: Final = prefixed_template(
    "SELECT (COUNT(DISTINCT ?claim) AS ?n) { ?evidence oa:hasSource $source . ?claim hpez:evidence ?evidence }"
)

PropertyDirection = Literal["out", "in"]
_CLAIM_AND_ISSUE_PROPERTIES: Final = frozenset(
    {RDF + "subject", RDF + "predicate", RDF + "object", SCHEMA + "observationAbout", OA + "hasTarget"}
)
"""The properties by which claims and issues point at a node; pages show claims and issues in their own sections."""


@dataclass(frozen=True)
class PropertySummary:
    """Some values of a property, or for direction "in" some subjects that have the node as value.

    `total` is the number of all of them.
    """

    direction: PropertyDirection
    predicate: str
    total: int
    values: tuple[Term, ...]

    @property
    def named_nodes(self) -> tuple[NamedNode, ...]:
        """The values that are IRIs."""
        return tuple(only_iris(self.values))


@dataclass(frozen=True)
class ResourceSummary:
    """The properties of a node in both directions."""

    iri: NamedNode
    properties: tuple[PropertySummary, ...]

    def values_of(self, *predicates: str) -> tuple[Term, ...]:
        """Return the sampled values of some properties."""
        return tuple(value for group in self.outgoing if group.predicate in predicates for value in group.values)

    def inverse_count(self, predicate: str) -> int:
        """Return how many subjects have the node as a value of a property."""
        key = ("in", predicate)
        return next((group.total for group in self.properties if (group.direction, group.predicate) == key), 0)

    @property
    def outgoing(self) -> tuple[PropertySummary, ...]:
        """The properties that have the node as subject."""
        return tuple(group for group in self.properties if group.direction == "out")

    @property
    def incoming(self) -> tuple[PropertySummary, ...]:
        """The properties that have the node as object, without those of claims and issues."""
        return tuple(
            group
            for group in self.properties
            if group.direction == "in" and group.predicate not in _CLAIM_AND_ISSUE_PROPERTIES
        )

    @property
    def types(self) -> tuple[str, ...]:
        """The IRIs of its classes."""
        return tuple(node.value for node in only_iris(self.values_of(RDF_TYPE.value)))


def summarize(engine: Engine, iri: str) -> ResourceSummary:
    """Summarize an IRI, percent-encoded or not; raises NotFoundError if no statement has it as subject or object."""
    for node in iri_candidates(iri):
        counts = _count_values(engine, node)
        if counts:
            return ResourceSummary(node, _summarize_properties(engine, node, counts))
    raise NotFoundError(f"Nothing is said about <{iri}> here.")


def load_values_page(
    engine: Engine, node: NamedNode, whole: PropertySummary, offset: int, limit: int
) -> PropertySummary:
    """Return a property of a summary with another slice of its values."""
    query = _VALUES_QUERY.fill(
        subqueries=_values_subquery(node, whole.direction, whole.predicate, offset=offset, limit=limit)
    )
    return replace(whole, values=tuple(row["o"] for row in engine.select(query)))


def claims_in_text_order(engine: Engine, source: NamedNode, offset: int, limit: int) -> tuple[list[NamedNode], int]:
    """Return a slice of the claims that cite a source, by the position of their first evidence, and their number."""
    claims = select_iris(engine, _TEXT_ORDER_QUERY.fill(source=source, offset=offset, limit=limit), "claim")
    total = int(engine.select(_TEXT_COUNT_QUERY.fill(source=source))[0]["n"].value)
    return claims, total


def _count_values(engine: Engine, node: NamedNode) -> dict[tuple[PropertyDirection, str], int]:
    rows = engine.select(_COUNTS_QUERY.fill(iri=node))
    return {(_parse_direction(row["way"].value), row["p"].value): int(row["n"].value) for row in rows if "p" in row}


def _parse_direction(text: str) -> PropertyDirection:
    return "out" if text == "out" else "in"


def _summarize_properties(
    engine: Engine, node: NamedNode, counts: Mapping[tuple[PropertyDirection, str], int]
) -> tuple[PropertySummary, ...]:
    """Load the samples of all properties by one query."""
    shown = [key for key in counts if key[0] == "out" or key[1] not in _CLAIM_AND_ISSUE_PROPERTIES]
    subqueries = " UNION ".join(
        _values_subquery(node, direction, predicate, offset=0, limit=SAMPLE_SIZE)
        for direction, predicate in shown[: 2 * MAX_PROPERTIES]
    )
    values = dict[tuple[str, str], list[Term]]()
    for row in engine.select(_VALUES_QUERY.fill(subqueries=Fragment(subqueries))) if shown else ():
        values.setdefault((row["way"].value, row["p"].value), []).append(row["o"])
    return tuple(
        PropertySummary(
            direction, predicate, total, tuple(sorted(values.get((direction, predicate), ()), key=_sort_key))
        )
        for (direction, predicate), total in counts.items()
    )


def _values_subquery(
    node: NamedNode, direction: PropertyDirection, predicate: str, *, offset: int, limit: int
) -> Fragment:
    template = _VALUES_SUBQUERIES[direction]
    return Fragment(template.fill(iri=node, predicate=NamedNode(predicate), offset=offset, limit=limit))


def _sort_key(term: Term) -> tuple[bool, str]:
    return isinstance(term, BlankNode), "" if isinstance(term, BlankNode) else str(term)

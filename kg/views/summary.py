"""A bounded view of one IRI for people: of each property some values, and how many there are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from kg.engine.protocol import Engine
from kg.errors import NotFoundError
from kg.rdf.namespaces import OA, RDF, SCHEMA, SPARQL_PREFIXES
from kg.rdf.terms import RDF_TYPE, BlankNode, NamedNode, Term, iri_candidates

SAMPLE_SIZE: Final = 20
"""How many values of each property a portrait has."""
MAX_PROPERTIES: Final = 200
"""How many properties a portrait has in each direction."""

_COUNTS_QUERY: Final = """
SELECT ?way ?p (COUNT(DISTINCT ?o) AS ?n) {
  { <IRI> ?p ?o BIND ("out" AS ?way) } UNION { ?o ?p <IRI> FILTER (!ISBLANK(?o)) BIND ("in" AS ?way) }
} GROUP BY ?way ?p ORDER BY DESC(?way) ?p"""
_SAMPLE_SUBQUERIES: Final[Mapping[str, str]] = {
    "out": '{ SELECT DISTINCT ("out" AS ?way) (<PREDICATE> AS ?p) ?o { <IRI> <PREDICATE> ?o } '
    "OFFSET FIRST LIMIT MOST }",
    "in": '{ SELECT DISTINCT ("in" AS ?way) (<PREDICATE> AS ?p) ?o { ?o <PREDICATE> <IRI> FILTER (!ISBLANK(?o)) } '
    "OFFSET FIRST LIMIT MOST }",
}
_TEXT_ORDER_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?claim (MIN(?start) AS ?first) {
  ?evidence oa:hasSource <IRI> ; oa:hasSelector ?position . ?position oa:start ?start . ?claim hpez:evidence ?evidence
} GROUP BY ?claim ORDER BY ?first ?claim OFFSET FIRST LIMIT MOST"""
)
_TEXT_COUNT_QUERY: Final = (
    SPARQL_PREFIXES
    + "SELECT (COUNT(DISTINCT ?claim) AS ?n) { ?evidence oa:hasSource <IRI> . ?claim hpez:evidence ?evidence }"
)
_ANCHOR_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?source ?start ?end ?exact { <IRI> oa:hasSource ?source ; oa:hasSelector ?position , ?quote .
  ?position oa:start ?start ; oa:end ?end . ?quote oa:exact ?exact } LIMIT 1"""
)

PropertyDirection = Literal["out", "in"]
_CLAIM_AND_ISSUE_PROPERTIES: Final = frozenset(
    {RDF + "subject", RDF + "predicate", RDF + "object", SCHEMA + "observationAbout", OA + "hasTarget"}
)
"""What points at a node by way of claims and issues, which are told with it as such."""


@dataclass(frozen=True)
class PropertySummary:
    """Some values of a property, or some of the nodes that have the node as value (`way` is "in"); `size` is of all."""

    direction: PropertyDirection
    predicate: str
    total: int
    values: tuple[Term, ...]

    @property
    def named_nodes(self) -> tuple[NamedNode, ...]:
        """Those values that have a name."""
        return tuple(value for value in self.values if isinstance(value, NamedNode))


@dataclass(frozen=True)
class ResourceSummary:
    """What is said of a node, by property and direction."""

    iri: NamedNode
    properties: tuple[PropertySummary, ...]

    def values_of(self, *predicates: str) -> tuple[Term, ...]:
        """Its values of some properties."""
        return tuple(value for group in self.outgoing if group.predicate in predicates for value in group.values)

    def value_count(self, predicate: str, way: PropertyDirection = "in") -> int:
        """How many values, or nodes that point here, a property has."""
        return next(
            (group.total for group in self.properties if (group.direction, group.predicate) == (way, predicate)), 0
        )

    @property
    def outgoing(self) -> tuple[PropertySummary, ...]:
        """What it says itself."""
        return tuple(group for group in self.properties if group.direction == "out")

    @property
    def incoming(self) -> tuple[PropertySummary, ...]:
        """What points at it, but for what claims and issues say."""
        return tuple(
            group
            for group in self.properties
            if group.direction == "in" and group.predicate not in _CLAIM_AND_ISSUE_PROPERTIES
        )

    @property
    def types(self) -> tuple[str, ...]:
        """The classes that it is said to be in."""
        return tuple(term.value for term in self.values_of(RDF_TYPE.value) if isinstance(term, NamedNode))


@dataclass(frozen=True)
class EvidenceAnchor:
    """A place in a source that is evidence, with the words there."""

    source: NamedNode
    start: int
    end: int
    exact: str


def summarize(engine: Engine, iri: str) -> ResourceSummary:
    """View an IRI, percent-encoded or not; raises NotFoundError if nothing is said of it or with it."""
    for node in iri_candidates(iri):
        sizes = _count_values(engine, node)
        if sizes:
            return ResourceSummary(node, _summarize_properties(engine, node, sizes))
    raise NotFoundError(f"Nothing is said about <{iri}> here.")


def load_values_page(
    engine: Engine, node: NamedNode, whole: PropertySummary, offset: int, limit: int
) -> PropertySummary:
    """One page of the values of which a portrait has some."""
    text = f"SELECT ?way ?p ?o {{ {_sample_subquery(node, whole.direction, whole.predicate, offset, limit)} }}"
    return replace(whole, values=tuple(row["o"] for row in engine.select(text)))


def claims_in_text_order(engine: Engine, source: NamedNode, offset: int, limit: int) -> tuple[list[NamedNode], int]:
    """One page of the claims that cite a source, by the place of their first evidence; and how many there are."""
    text = _TEXT_ORDER_QUERY.replace("<IRI>", str(source)).replace("FIRST", str(offset)).replace("MOST", str(limit))
    claims = [row["claim"] for row in engine.select(text)]
    size = int(engine.select(_TEXT_COUNT_QUERY.replace("<IRI>", str(source)))[0]["n"].value)
    return [claim for claim in claims if isinstance(claim, NamedNode)], size


def load_evidence_anchor(engine: Engine, evidence: NamedNode) -> EvidenceAnchor | None:
    """Where evidence lies and what it quotes, if it says so."""
    for row in engine.select(_ANCHOR_QUERY.replace("<IRI>", str(evidence))):
        source = row["source"]
        if isinstance(source, NamedNode):
            return EvidenceAnchor(source, int(row["start"].value), int(row["end"].value), row["exact"].value)
    return None


def _count_values(engine: Engine, node: NamedNode) -> dict[tuple[PropertyDirection, str], int]:
    rows = engine.select(_COUNTS_QUERY.replace("<IRI>", str(node)))
    found = [("out" if row["way"].value == "out" else "in", row) for row in rows if "p" in row]
    return {(_parse_direction(way), row["p"].value): int(row["n"].value) for way, row in found}


def _parse_direction(text: str) -> PropertyDirection:
    return "out" if text == "out" else "in"


def _summarize_properties(
    engine: Engine, node: NamedNode, sizes: Mapping[tuple[PropertyDirection, str], int]
) -> tuple[PropertySummary, ...]:
    """All samples by one query."""
    shown = [key for key in sizes if key[0] == "out" or key[1] not in _CLAIM_AND_ISSUE_PROPERTIES][: 2 * MAX_PROPERTIES]
    text = " UNION ".join(_sample_subquery(node, way, predicate, 0, SAMPLE_SIZE) for way, predicate in shown)
    values = dict[tuple[str, str], list[Term]]()
    for row in engine.select(f"SELECT ?way ?p ?o {{ {text} }}") if shown else ():
        values.setdefault((row["way"].value, row["p"].value), []).append(row["o"])
    return tuple(
        PropertySummary(way, predicate, size, tuple(sorted(values.get((way, predicate), ()), key=_sort_key)))
        for (way, predicate), size in sizes.items()
    )


def _sample_subquery(node: NamedNode, way: PropertyDirection, predicate: str, offset: int, limit: int) -> str:
    text = _SAMPLE_SUBQUERIES[way].replace("<IRI>", str(node)).replace("<PREDICATE>", str(NamedNode(predicate)))
    return text.replace("FIRST", str(offset)).replace("MOST", str(limit))


def _sort_key(term: Term) -> tuple[bool, str]:
    return isinstance(term, BlankNode), "" if isinstance(term, BlankNode) else str(term)

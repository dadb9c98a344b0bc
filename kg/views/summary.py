"""A bounded view of one IRI for people: of each property some values, and how many there are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from kg.engine.protocol import Engine
from kg.errors import NotFoundError
from kg.rdf.io import RDF_TYPE, BlankNode, NamedNode, Term, iri_spellings
from kg.rdf.namespaces import OA, RDF, SCHEMA, SPARQL_PREFIXES

SAMPLE: Final = 20
"""How many values of each property a portrait has."""
MOST_PROPERTIES: Final = 200
"""How many properties a portrait has in each direction."""

_SIZES: Final = """
SELECT ?way ?p (COUNT(DISTINCT ?o) AS ?n) {
  { <IRI> ?p ?o BIND ("out" AS ?way) } UNION { ?o ?p <IRI> FILTER (!ISBLANK(?o)) BIND ("in" AS ?way) }
} GROUP BY ?way ?p ORDER BY DESC(?way) ?p"""
_SAMPLES: Final[Mapping[str, str]] = {
    "out": '{ SELECT DISTINCT ("out" AS ?way) (<PREDICATE> AS ?p) ?o { <IRI> <PREDICATE> ?o } '
    "OFFSET FIRST LIMIT MOST }",
    "in": '{ SELECT DISTINCT ("in" AS ?way) (<PREDICATE> AS ?p) ?o { ?o <PREDICATE> <IRI> FILTER (!ISBLANK(?o)) } '
    "OFFSET FIRST LIMIT MOST }",
}
_TEXT_ORDER: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?claim (MIN(?start) AS ?first) {
  ?evidence oa:hasSource <IRI> ; oa:hasSelector ?position . ?position oa:start ?start . ?claim hpez:evidence ?evidence
} GROUP BY ?claim ORDER BY ?first ?claim OFFSET FIRST LIMIT MOST"""
)
_TEXT_SIZE: Final = (
    SPARQL_PREFIXES
    + "SELECT (COUNT(DISTINCT ?claim) AS ?n) { ?evidence oa:hasSource <IRI> . ?claim hpez:evidence ?evidence }"
)
_PLACE: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?source ?start ?end ?exact { <IRI> oa:hasSource ?source ; oa:hasSelector ?position , ?quote .
  ?position oa:start ?start ; oa:end ?end . ?quote oa:exact ?exact } LIMIT 1"""
)

Way = Literal["out", "in"]
_TOLD_ELSEWHERE: Final = frozenset(
    {RDF + "subject", RDF + "predicate", RDF + "object", SCHEMA + "observationAbout", OA + "hasTarget"}
)
"""What points at a node by way of claims and issues, which are told with it as such."""


@dataclass(frozen=True)
class Group:
    """Some values of a property, or some of the nodes that have the node as value (`way` is "in"); `size` is of all."""

    way: Way
    predicate: str
    size: int
    values: tuple[Term, ...]

    @property
    def nodes(self) -> tuple[NamedNode, ...]:
        """Those values that have a name."""
        return tuple(value for value in self.values if isinstance(value, NamedNode))


@dataclass(frozen=True)
class Portrait:
    """What is said of a node, by property and direction."""

    iri: NamedNode
    groups: tuple[Group, ...]

    def values(self, *predicates: str) -> tuple[Term, ...]:
        """Its values of some properties."""
        return tuple(value for group in self.own if group.predicate in predicates for value in group.values)

    def size(self, predicate: str, way: Way = "in") -> int:
        """How many values, or nodes that point here, a property has."""
        return next((group.size for group in self.groups if (group.way, group.predicate) == (way, predicate)), 0)

    @property
    def own(self) -> tuple[Group, ...]:
        """What it says itself."""
        return tuple(group for group in self.groups if group.way == "out")

    @property
    def inverse(self) -> tuple[Group, ...]:
        """What points at it, but for what claims and issues say."""
        return tuple(group for group in self.groups if group.way == "in" and group.predicate not in _TOLD_ELSEWHERE)

    @property
    def types(self) -> tuple[str, ...]:
        """The classes that it is said to be in."""
        return tuple(term.value for term in self.values(RDF_TYPE.value) if isinstance(term, NamedNode))


@dataclass(frozen=True)
class Place:
    """A place in a source that is evidence, with the words there."""

    source: NamedNode
    start: int
    end: int
    exact: str


def portrait(engine: Engine, iri: str) -> Portrait:
    """View an IRI, percent-encoded or not; raises NotFoundError if nothing is said of it or with it."""
    for node in iri_spellings(iri):
        sizes = _sizes(engine, node)
        if sizes:
            return Portrait(node, _groups(engine, node, sizes))
    raise NotFoundError(f"Nothing is said about <{iri}> here.")


def slice_of(engine: Engine, node: NamedNode, whole: Group, offset: int, limit: int) -> Group:
    """One page of the values of which a portrait has some."""
    text = f"SELECT ?way ?p ?o {{ {_sample(node, whole.way, whole.predicate, offset, limit)} }}"
    return replace(whole, values=tuple(row["o"] for row in engine.select(text)))


def in_text_order(engine: Engine, source: NamedNode, offset: int, limit: int) -> tuple[list[NamedNode], int]:
    """One page of the claims that cite a source, by the place of their first evidence; and how many there are."""
    text = _TEXT_ORDER.replace("<IRI>", str(source)).replace("FIRST", str(offset)).replace("MOST", str(limit))
    claims = [row["claim"] for row in engine.select(text)]
    size = int(engine.select(_TEXT_SIZE.replace("<IRI>", str(source)))[0]["n"].value)
    return [claim for claim in claims if isinstance(claim, NamedNode)], size


def place(engine: Engine, evidence: NamedNode) -> Place | None:
    """Where evidence lies and what it quotes, if it says so."""
    for row in engine.select(_PLACE.replace("<IRI>", str(evidence))):
        source = row["source"]
        if isinstance(source, NamedNode):
            return Place(source, int(row["start"].value), int(row["end"].value), row["exact"].value)
    return None


def _sizes(engine: Engine, node: NamedNode) -> dict[tuple[Way, str], int]:
    rows = engine.select(_SIZES.replace("<IRI>", str(node)))
    found = [("out" if row["way"].value == "out" else "in", row) for row in rows if "p" in row]
    return {(_way(way), row["p"].value): int(row["n"].value) for way, row in found}


def _way(text: str) -> Way:
    return "out" if text == "out" else "in"


def _groups(engine: Engine, node: NamedNode, sizes: Mapping[tuple[Way, str], int]) -> tuple[Group, ...]:
    """All samples by one query."""
    shown = [key for key in sizes if key[0] == "out" or key[1] not in _TOLD_ELSEWHERE][: 2 * MOST_PROPERTIES]
    text = " UNION ".join(_sample(node, way, predicate, 0, SAMPLE) for way, predicate in shown)
    values = dict[tuple[str, str], list[Term]]()
    for row in engine.select(f"SELECT ?way ?p ?o {{ {text} }}") if shown else ():
        values.setdefault((row["way"].value, row["p"].value), []).append(row["o"])
    return tuple(
        Group(way, predicate, size, tuple(sorted(values.get((way, predicate), ()), key=_order)))
        for (way, predicate), size in sizes.items()
    )


def _sample(node: NamedNode, way: Way, predicate: str, offset: int, limit: int) -> str:
    text = _SAMPLES[way].replace("<IRI>", str(node)).replace("<PREDICATE>", str(NamedNode(predicate)))
    return text.replace("FIRST", str(offset)).replace("MOST", str(limit))


def _order(term: Term) -> tuple[bool, str]:
    return isinstance(term, BlankNode), "" if isinstance(term, BlankNode) else str(term)

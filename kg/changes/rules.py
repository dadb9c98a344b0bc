"""Run the CONSTRUCT rules: what follows from the claims is derived anew, never written by hand.

A rule file names, in comments `# restrict: ?about`, the variables by whose values it may be run for some claims
only. A change is expanded by running the rules before and after it, for the subjects of the figures that it touches.
What follows a comment `# ask first` only names and computes: most changes lead to nothing, and the engine takes ten
times as long to plan a rule as to see that its first part has no match.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from kg.engine.embedded import EmbeddedEngine
from kg.rdf.delta import Delta
from kg.rdf.io import place_in_graph
from kg.rdf.namespaces import OWL, SKOS, SPARQL_PREFIXES, graph_iri
from kg.rdf.terms import BlankNode, NamedNode, Quad, Resource, Triple
from kg.resources import TextFile, rule_files

RULE_GRAPHS: Final = ("asserted", "derived", "issues")
"""The graphs that rules fill, in the order in which they build on each other."""
MAX_RESTRICTION_VALUES: Final = 500
"""Values of the restriction from which on a rule is run for everything."""

_RESTRICTION_COMMENT: Final = re.compile(r"# restrict: (.+)")
_ASK_FIRST_COMMENT: Final = "# ask first"
_ANY_INDICATOR: Final = re.compile(r"variableMeasured \?")
_INDICATOR: Final = re.compile(r"variableMeasured indicator:([\w-]+)")
_AFFECTED_CLAIMS_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?claim ?about ?indicator {
  { VALUES ?claim { NODES } }
  UNION { VALUES ?node { NODES } ?claim hpez:evidence ?node }
  UNION { VALUES ?node { NODES } ?claim hpez:ratioOf|hpez:ratioTo ?node }
  UNION { VALUES ?node { NODES } ?node hpez:ratioOf|hpez:ratioTo ?claim }
  UNION { VALUES ?node { NODES } ?part hpez:ratioOf ?node ; hpez:ratioTo ?claim }
  UNION { VALUES ?node { NODES } ?claim schema:observationAbout ?node }
  OPTIONAL { ?claim schema:observationAbout ?about }
  OPTIONAL { ?claim schema:variableMeasured ?indicator }
}"""
)
_LABEL_DEPENDENTS_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?claim ?about ?indicator {
  VALUES ?node { NODES }
  ?claim dcterms:temporal|schema:variableMeasured|qudt:hasUnit ?node ; schema:observationAbout ?about .
  OPTIONAL { ?claim schema:variableMeasured ?indicator }
} LIMIT LIMITED"""
)
_LABEL_PROPERTIES: Final = frozenset({SKOS + "prefLabel", SKOS + "notation"})
_SYMMETRIC_PROPERTY: Final = NamedNode(OWL + "SymmetricProperty")


def target_graph(rule: TextFile) -> str:
    """The name of the graph that a rule fills: `derived` for `derived-trade-balance.rq`."""
    return rule.stem.partition("-")[0]


def materialise(engine: EmbeddedEngine, using: Iterable[TextFile] | None = None) -> None:
    """Run all rules over the union of the graphs and add what they construct."""
    chosen = tuple(rule_files() if using is None else using)
    for name in RULE_GRAPHS:
        made = [
            quad
            for rule in chosen
            if target_graph(rule) == name
            for quad in place_in_graph(engine.construct(rule.text), NamedNode(graph_iri(name)))
        ]
        engine.extend(made)


def materialised_engine(quads: Iterable[Quad]) -> EmbeddedEngine:
    """A new engine that holds the quads and all that the rules make of them."""
    engine = EmbeddedEngine(quads)
    materialise(engine)
    return engine


@dataclass(frozen=True)
class _AffectedClaims:
    """What of the claims a change touches: the claims themselves, and what they are about, with their indicators.

    `everything` says that it is too much to be listed.
    """

    claims: frozenset[NamedNode]
    measurements: frozenset[tuple[NamedNode, NamedNode]]
    everything: bool = False

    def __or__(self, other: "_AffectedClaims") -> "_AffectedClaims":
        return _AffectedClaims(
            self.claims | other.claims, self.measurements | other.measurements, self.everything or other.everything
        )

    @property
    def indicators(self) -> frozenset[str]:
        return frozenset(indicator.value for _, indicator in self.measurements)

    def values(self, variables: tuple[str, ...]) -> frozenset[tuple[NamedNode, ...]]:
        """What the variables of a restriction may be."""
        match variables:
            case ("?claim",):
                return frozenset((claim,) for claim in self.claims)
            case ("?about",):
                return frozenset((about,) for about, _ in self.measurements)
            case ("?about", "?indicator"):
                return self.measurements
        raise ValueError(f"a rule is restricted by {' '.join(variables)}, which is not known here")


def expand_delta(engine: EmbeddedEngine, delta: Delta, using: Iterable[TextFile] | None = None) -> Delta:
    """A change with all that follows from it by the rules; the engine is as it was before, and is so again."""
    chosen = tuple(rule_files() if using is None else using)
    for name in RULE_GRAPHS:
        followed = _derive_graph_delta(engine, delta, [rule for rule in chosen if target_graph(rule) == name], name)
        delta = delta.followed_by(followed)
    return delta


def _derive_graph_delta(engine: EmbeddedEngine, delta: Delta, using: list[TextFile], name: str) -> Delta:
    """What the rules of one graph make of a change, as against the state after it."""
    if not (delta.added or delta.removed) or not using:
        return Delta()
    before = _affected_claims(engine, delta)
    with engine.temporarily_applied(delta):
        touched = before | _affected_claims(engine, delta)
        texts = [text for rule in using if (text := _restrict_rule(rule, touched)) is not None]
        after = _construct_quads(engine, texts, name)
        held = {quad for quad in after if engine.holds(quad)}
    stale = _construct_quads(engine, texts, name) - after
    with engine.temporarily_applied(delta):
        removed = frozenset(quad for quad in stale if engine.holds(quad))
    return Delta(added=frozenset(after - held), removed=removed)


def _construct_quads(engine: EmbeddedEngine, texts: list[str], name: str) -> frozenset[Quad]:
    graph = NamedNode(graph_iri(name))
    matching = (text for text in texts if _may_match(engine, text))
    return frozenset(quad for text in matching for quad in place_in_graph(engine.construct(text), graph))


def _may_match(engine: EmbeddedEngine, text: str) -> bool:
    """Whether the first part of a rule has a match; true if it does not say what is asked first."""
    head, _, pattern = text.partition("\nWHERE {")
    first, marker, _ = pattern.partition(_ASK_FIRST_COMMENT)
    prefixes = head.partition("\nCONSTRUCT")[0]
    return not marker or bool(engine.select(f"{prefixes}\nSELECT (1 AS ?match) WHERE {{{first}}} LIMIT 1"))


def _affected_claims(engine: EmbeddedEngine, delta: Delta) -> _AffectedClaims:
    """What a change touches, in the state that the engine has: figures, their parts, and those that are named anew."""
    quads = delta.added | delta.removed
    nodes = {node for quad in quads for node in _owning_nodes(engine, quad.subject)}
    named = {
        quad.subject
        for quad in quads
        if quad.predicate.value in _LABEL_PROPERTIES and isinstance(quad.subject, NamedNode)
    }
    if len(nodes) > MAX_RESTRICTION_VALUES or any(quad.object == _SYMMETRIC_PROPERTY for quad in quads):
        return _AffectedClaims(frozenset(), frozenset(), everything=True)
    rows = list(engine.select(_AFFECTED_CLAIMS_QUERY.replace("NODES", _join_iris(nodes))))
    if named:
        rows += engine.select(
            _LABEL_DEPENDENTS_QUERY.replace("NODES", _join_iris(named)).replace(
                "LIMITED", str(MAX_RESTRICTION_VALUES + 1)
            )
        )
    return _AffectedClaims(
        claims=frozenset(row["claim"] for row in rows if isinstance(row["claim"], NamedNode)),
        measurements=frozenset(
            (about, indicator)
            for row in rows
            if isinstance(about := row.get("about"), NamedNode)
            and isinstance(indicator := row.get("indicator"), NamedNode)
        ),
        everything=len(rows) > MAX_RESTRICTION_VALUES,
    )


def _owning_nodes(engine: EmbeddedEngine, node: Resource | Triple) -> Iterator[NamedNode]:
    """A node, or what names a blank one."""
    if isinstance(node, NamedNode):
        yield node
    elif isinstance(node, BlankNode):
        rows = engine.select("SELECT DISTINCT ?owner ?node { ?owner ?property ?node }", {"node": node})
        yield from (row["owner"] for row in rows if isinstance(row["owner"], NamedNode))


def _join_iris(nodes: Iterable[NamedNode]) -> str:
    return " ".join(sorted(map(str, nodes)))


def _restrict_rule(rule: TextFile, touched: _AffectedClaims) -> str | None:
    """The text of a rule for what is touched; None if it has nothing to do with it."""
    if touched.everything:
        return rule.text
    wanted = _rule_indicators(rule)
    if wanted and not wanted & {indicator.rpartition("/")[2] for indicator in touched.indicators}:
        return None
    restrictions = {tuple(match.split()) for match in _RESTRICTION_COMMENT.findall(rule.text)}
    if not all(touched.values(variables) for variables in restrictions):
        return None
    return _RESTRICTION_COMMENT.sub(lambda match: _values_clause(tuple(match[1].split()), touched), rule.text)


def _rule_indicators(rule: TextFile) -> set[str]:
    """The indicators of which alone the pattern of a rule speaks; none if it speaks of any."""
    pattern = rule.text.partition("\nWHERE")[2]
    return set() if _ANY_INDICATOR.search(pattern) else set(_INDICATOR.findall(pattern))


def _values_clause(variables: tuple[str, ...], touched: _AffectedClaims) -> str:
    rows = sorted(f"({_join_row(row)})" for row in touched.values(variables))
    return f"VALUES ({' '.join(variables)}) {{ {' '.join(rows)} }}"


def _join_row(row: tuple[NamedNode, ...]) -> str:
    return " ".join(map(str, row))

"""Run the CONSTRUCT rules, which derive quads from claims; derived quads are never written by hand.

A rule file marks with comments `# restrict: ?about` the places where a VALUES clause may limit it to some claims. A
delta is expanded by running the rules that it affects before and after it, limited to the claims that it touches. The
part of a rule after a comment `# ask first` only looks up labels and computes. Most deltas match no rule, and the
engine takes ten times as long to plan a whole rule as to find out that its first part has no match.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from kg.engine.embedded import EmbeddedEngine
from kg.rdf.delta import Delta
from kg.rdf.io import place_in_graph
from kg.rdf.namespaces import OWL, SKOS, graph_iri
from kg.rdf.terms import BlankNode, NamedNode, Quad, Resource, Triple
from kg.resources import TextFile, rule_files
from kg.sparql.templates import Fragment, Template, prefixed_template

RULE_GRAPHS: Final = ("asserted", "derived", "issues")
"""The graphs that rules fill; the rules of a graph read the graphs before it."""
MAX_RESTRICTION_VALUES: Final = 500
"""A delta that touches more claims than this runs its rules without a restriction."""

_RESTRICTION_COMMENT: Final = re.compile(r"# restrict: (.+)")
_ASK_FIRST_COMMENT: Final = "# ask first"
_ANY_INDICATOR: Final = re.compile(r"variableMeasured \?")
_INDICATOR: Final = re.compile(r"variableMeasured indicator:([\w-]+)")
_VALUES_CLAUSE: Final = Template("VALUES ($variables) { $rows }")
_AFFECTED_CLAIMS_QUERY: Final = prefixed_template(
    """
SELECT DISTINCT ?claim ?about ?indicator {
  { VALUES ?claim { $nodes } }
  UNION { VALUES ?node { $nodes } ?claim hpez:evidence ?node }
  UNION { VALUES ?node { $nodes } ?claim hpez:ratioOf|hpez:ratioTo ?node }
  UNION { VALUES ?node { $nodes } ?node hpez:ratioOf|hpez:ratioTo ?claim }
  UNION { VALUES ?node { $nodes } ?part hpez:ratioOf ?node ; hpez:ratioTo ?claim }
  UNION { VALUES ?node { $nodes } ?claim schema:observationAbout ?node }
  OPTIONAL { ?claim schema:observationAbout ?about }
  OPTIONAL { ?claim schema:variableMeasured ?indicator }
}"""
)
_LABEL_DEPENDENTS_QUERY: Final = prefixed_template(
    """
SELECT DISTINCT ?claim ?about ?indicator {
  VALUES ?node { $nodes }
  ?claim dcterms:temporal|schema:variableMeasured|qudt:hasUnit ?node ; schema:observationAbout ?about .
  OPTIONAL { ?claim schema:variableMeasured ?indicator }
} LIMIT $limit"""
)
_LABEL_PROPERTIES: Final = frozenset({SKOS + "prefLabel", SKOS + "notation"})
_SYMMETRIC_PROPERTY: Final = NamedNode(OWL + "SymmetricProperty")


def target_graph(rule: TextFile) -> str:
    """Return the name of the graph that a rule fills: `derived` for `derived-trade-balance.rq`."""
    return rule.stem.partition("-")[0]


def derive_graph(engine: EmbeddedEngine, name: str) -> frozenset[Quad]:
    """Run the rules of a graph over the union of the graphs and return what they construct."""
    return construct_quads(engine, (rule.text for rule in _rules_of(name)), name)


def _rules_of(name: str) -> list[TextFile]:
    return [rule for rule in rule_files() if target_graph(rule) == name]


def materialised_engine(quads: Iterable[Quad]) -> EmbeddedEngine:
    """Return a new engine that holds quads and everything that the rules derive from them."""
    engine = EmbeddedEngine(quads)
    for name in RULE_GRAPHS:
        engine.extend(derive_graph(engine, name))
    return engine


def construct_quads(engine: EmbeddedEngine, texts: Iterable[str], name: str) -> frozenset[Quad]:
    """Run CONSTRUCT queries and return their results as quads of a graph, without adding them to the engine."""
    graph = NamedNode(graph_iri(name))
    matching = (text for text in texts if _may_match(engine, text))
    return frozenset(quad for text in matching for quad in place_in_graph(engine.construct(text), graph))


def _may_match(engine: EmbeddedEngine, text: str) -> bool:
    """Whether the part of a rule before the comment `# ask first` has a solution; true without the comment."""
    head, _, pattern = text.partition("\nWHERE {")
    first, marker, _ = pattern.partition(_ASK_FIRST_COMMENT)
    prefixes = head.partition("\nCONSTRUCT")[0]
    return not marker or bool(engine.select(f"{prefixes}\nSELECT (1 AS ?match) WHERE {{{first}}} LIMIT 1"))


@dataclass(frozen=True)
class _AffectedClaims:
    """The claims that a delta affects, and their pairs of subject and indicator.

    `everything` is set if there are too many to list.
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
        """Return the rows of a VALUES clause for the variables of a restriction."""
        match variables:
            case ("?claim",):
                return frozenset((claim,) for claim in self.claims)
            case ("?about",):
                return frozenset((about,) for about, _ in self.measurements)
            case ("?about", "?indicator"):
                return self.measurements
        raise ValueError(f"a rule is restricted by {' '.join(variables)}, which is not supported")


def expand_delta(engine: EmbeddedEngine, delta: Delta) -> Delta:
    """Return a delta together with everything that follows from it by the rules; the engine is unchanged afterwards."""
    for name in RULE_GRAPHS:
        delta = delta.followed_by(_derive_graph_delta(engine, delta, _rules_of(name), name))
    return delta


def _derive_graph_delta(engine: EmbeddedEngine, delta: Delta, rules: list[TextFile], name: str) -> Delta:
    """Return what the rules of one graph add and remove after a delta, relative to the state after the delta.

    The affected claims are looked up before and after the delta, since it may remove the links that lead to them. A
    quad that the restricted rules derive before but not after it is stale. It is removed only if the graph holds it.
    """
    if not (delta.added or delta.removed) or not rules:
        return Delta()
    before = _affected_claims(engine, delta)
    with engine.temporarily_applied(delta):
        affected = before | _affected_claims(engine, delta)
        texts = [text for rule in rules if (text := _restrict_rule(rule, affected)) is not None]
        after = construct_quads(engine, texts, name)
        present = {quad for quad in after if engine.holds(quad)}
    stale = construct_quads(engine, texts, name) - after
    with engine.temporarily_applied(delta):
        removed = frozenset(quad for quad in stale if engine.holds(quad))
    return Delta(added=after - present, removed=removed)


def _affected_claims(engine: EmbeddedEngine, delta: Delta) -> _AffectedClaims:
    """Return the claims that a delta affects in the engine's current state.

    These are the claims that it changes, claims linked to them, and claims in whose labels a changed label occurs.
    """
    quads = delta.added | delta.removed
    nodes = {node for quad in quads for node in _owning_nodes(engine, quad.subject)}
    relabelled = {
        quad.subject
        for quad in quads
        if quad.predicate.value in _LABEL_PROPERTIES and isinstance(quad.subject, NamedNode)
    }
    if len(nodes) > MAX_RESTRICTION_VALUES or any(quad.object == _SYMMETRIC_PROPERTY for quad in quads):
        return _AffectedClaims(frozenset(), frozenset(), everything=True)
    rows = list(engine.select(_AFFECTED_CLAIMS_QUERY.fill(nodes=nodes)))
    if relabelled:
        rows += engine.select(_LABEL_DEPENDENTS_QUERY.fill(nodes=relabelled, limit=MAX_RESTRICTION_VALUES + 1))
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
    """Yield an IRI itself; for a blank node, the IRIs of the nodes that link to it."""
    if isinstance(node, NamedNode):
        yield node
    elif isinstance(node, BlankNode):
        rows = engine.select("SELECT DISTINCT ?owner ?node { ?owner ?property ?node }", {"node": node})
        yield from (row["owner"] for row in rows if isinstance(row["owner"], NamedNode))


def _restrict_rule(rule: TextFile, affected: _AffectedClaims) -> str | None:
    """Return the text of a rule restricted to affected claims; None if it cannot derive anything from them."""
    if affected.everything:
        return rule.text
    indicators = _rule_indicators(rule)
    if indicators and not indicators & {indicator.rpartition("/")[2] for indicator in affected.indicators}:
        return None
    restrictions = {tuple(match.split()) for match in _RESTRICTION_COMMENT.findall(rule.text)}
    if not all(affected.values(variables) for variables in restrictions):
        return None
    return _RESTRICTION_COMMENT.sub(lambda match: _values_clause(match[1], affected), rule.text)


def _rule_indicators(rule: TextFile) -> set[str]:
    """Return the local names of the indicators that a rule's pattern names; empty if it matches any indicator."""
    pattern = rule.text.partition("\nWHERE")[2]
    return set() if _ANY_INDICATOR.search(pattern) else set(_INDICATOR.findall(pattern))


def _values_clause(variables: str, affected: _AffectedClaims) -> str:
    return _VALUES_CLAUSE.fill(variables=Fragment(variables), rows=affected.values(tuple(variables.split())))

"""Cached look-ups in the union of an engine's graphs, without the shapes graph."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from rdflib.namespace import RDFS

from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import Row
from kg.rdf.delta import Delta
from kg.rdf.terms import RDF_TYPE, BlankNode, DefaultGraph, NamedNode, Quad, Term, Triple
from kg.validation.dependency_graph import MAX_NODE_STATES, TooManyDependenciesError
from kg.validation.query_dependencies import THIS, QueryDependencies
from kg.validation.shapes import SHAPES_GRAPH

_SUBCLASS: Final = NamedNode(str(RDFS.subClassOf))

_TriplePattern = tuple[Term | None, NamedNode | None, Term | None]


class UnionView:
    """The union of the graphs of an engine, without the shapes graph, in the engine's current state.

    Every answer is cached, so a view must not be used after the engine has changed.
    """

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine
        self._triples = dict[_TriplePattern, tuple[Triple, ...]]()
        self._classes = dict[Term, frozenset[Term]]()
        self._focus_nodes = dict[tuple[str, str, Term], frozenset[Term]]()
        self._hazards = dict[tuple[str, bool], bool]()
        self._shapes_triples = dict[_TriplePattern, bool]()

    def match_triples(
        self, subject: Term | None, predicate: NamedNode | None, object_: Term | None
    ) -> tuple[Triple, ...]:
        """Return the triples with a subject, predicate and object; None matches any.

        Raise TooManyDependenciesError if there are MAX_NODE_STATES or more.
        """
        key = (subject, predicate, object_)
        if key not in self._triples:
            matches = itertools.islice(
                self._engine.triples_outside_graph(subject, predicate, object_, SHAPES_GRAPH), MAX_NODE_STATES
            )
            self._triples[key] = tuple(dict.fromkeys(matches))
            if len(self._triples[key]) == MAX_NODE_STATES:
                raise TooManyDependenciesError
        return self._triples[key]

    def holds(self, subject: Term | None, predicate: NamedNode | None, object_: Term | None) -> bool:
        """Whether there is such a triple."""
        key = (subject, predicate, object_)
        if key in self._triples:
            return bool(self._triples[key])
        return any(True for _ in self._engine.triples_outside_graph(subject, predicate, object_, SHAPES_GRAPH))

    def sample_triple(self, node: BlankNode) -> tuple[Triple, ...]:
        """Return one triple of a blank node, if any: pySHACL reports nothing about a node that is not in the data."""
        return self.match_triples(node, None, None)[:1] or self.match_triples(None, None, node)[:1]

    def classes_of(self, node: Term) -> frozenset[Term]:
        """Return the classes of a node, with their superclasses."""
        if node not in self._classes:
            classes = set[Term]()
            waiting = [triple.object for triple in self.match_triples(node, RDF_TYPE, None)]
            while waiting:
                kind = waiting.pop()
                if kind not in classes and not isinstance(kind, Triple):
                    classes.add(kind)
                    waiting += [triple.object for triple in self.match_triples(kind, _SUBCLASS, None)]
            self._classes[node] = frozenset(classes)
        return self._classes[node]

    def select_function(self, query: QueryDependencies, node: Term) -> Callable[[str, Mapping[str, Term]], list[Row]]:
        """Return the function that evaluates a query about a focus node.

        Querying all graphs at once is fast, but correct only if no triple of the shapes graph can match the query.
        """
        if self._has_hazard(query, near=False) or (self._has_hazard(query, near=True) and self._mentions_shapes(node)):
            return self._select_without_shapes
        return self._engine.select

    def focus_rows(self, query: QueryDependencies, node: Term) -> list[Row]:
        """Return the rows of a query in which ?this is a node."""
        return self.select_function(query, node)(*query.focus_query(THIS, node))

    def focus_nodes(self, query: QueryDependencies, variable: str, node: Term) -> frozenset[Term]:
        """Return the values of ?this in the rows in which a variable has a value."""
        key = (query.text, variable, node)
        if key not in self._focus_nodes:
            has_hazard = self._has_hazard(query, near=False) or self._has_hazard(query, near=True)
            select = self._select_without_shapes if has_hazard else self._engine.select
            rows = select(*query.focus_query(variable, node))
            self._focus_nodes[key] = frozenset(row[THIS] for row in rows if THIS in row)
        return self._focus_nodes[key]

    def _select_without_shapes(self, text: str, bindings: Mapping[str, Term]) -> list[Row]:
        """Evaluate a query over all graphs but the shapes graph, which the query can only reach by name."""
        named = sorted(self._engine.named_graphs(), key=str)
        default: list[NamedNode | DefaultGraph] = [*(graph for graph in named if graph != SHAPES_GRAPH), DefaultGraph()]
        return self._engine.select_in_graphs(text, default, named, bindings)

    def _has_hazard(self, query: QueryDependencies, *, near: bool) -> bool:
        """Whether the shapes graph has a triple that a query could match."""
        key = (query.text, near)
        if key not in self._hazards:
            self._hazards[key] = any(
                self._in_shapes(None, item.predicate, item.object) for item in query.hazards if item.near_focus == near
            )
        return self._hazards[key]

    def _mentions_shapes(self, node: Term) -> bool:
        """Whether the shapes graph describes a node or a term of its triples."""
        triples = self.match_triples(node, None, None)
        terms = {node, *(term for triple in triples for term in (triple.predicate, triple.object))}
        return any(self._in_shapes(term, None, None) for term in terms if not isinstance(term, Triple))

    def _in_shapes(self, subject: Term | None, predicate: NamedNode | None, object_: Term | None) -> bool:
        key = (subject, predicate, object_)
        if key not in self._shapes_triples:
            self._shapes_triples[key] = self._engine.graph_has_triple(subject, predicate, object_, SHAPES_GRAPH)
        return self._shapes_triples[key]


@dataclass(frozen=True)
class UnionChanges:
    """The triples that a change removes from the union of the graphs, and adds to it, without the shapes graph."""

    lost: frozenset[Triple]
    gained: frozenset[Triple]


def union_changes(engine: EmbeddedEngine, delta: Delta) -> UnionChanges:
    """Return what a change does to the union: another graph may hold what one graph gains or loses."""

    def holding(triple: Triple) -> set[Quad]:
        return {quad for quad in engine.quads_with_triple(triple) if quad.graph_name != SHAPES_GRAPH}

    added, removed = (
        {quad for quad in quads if quad.graph_name != SHAPES_GRAPH} for quads in (delta.added, delta.removed)
    )
    remaining = {quad.triple for quad in added}
    return UnionChanges(
        lost=frozenset(
            triple for triple in {quad.triple for quad in removed} - remaining if not holding(triple) - removed
        ),
        gained=frozenset(triple for triple in remaining if not holding(triple)),
    )

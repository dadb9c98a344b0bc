"""Deltas of the elementary changes: deleting and inserting quads, creating a graph."""

from collections.abc import Iterable

from kg.engine.embedded import EmbeddedEngine
from kg.rdf.delta import Delta
from kg.rdf.io import place_in_graph
from kg.rdf.terms import DefaultGraph, NamedNode, Quad

GraphName = NamedNode | DefaultGraph


def delete_and_insert(engine: EmbeddedEngine, deleted: Iterable[Quad], inserted: Iterable[Quad]) -> Delta:
    """Return the delta of deleting quads and then inserting others; a quad that is in both stays."""
    kept = frozenset(inserted)
    added = frozenset(quad for quad in kept if not engine.holds(quad))
    removed = frozenset(quad for quad in deleted if quad not in kept and engine.holds(quad))
    graphs = {quad.graph_name for quad in added}
    created = frozenset(graph for graph in graphs if isinstance(graph, NamedNode) and not engine.has_graph(graph))
    return Delta(added, removed, created)


def move_from_default_graph(quad: Quad, graph: NamedNode) -> Quad:
    """Return a quad of the default graph moved to another one; other quads unchanged."""
    return place_in_graph([quad], graph)[0] if isinstance(quad.graph_name, DefaultGraph) else quad


def create_graph(engine: EmbeddedEngine, graph: GraphName) -> Delta:
    """Return the delta that creates an empty graph if it does not exist."""
    if isinstance(graph, NamedNode) and not engine.has_graph(graph):
        return Delta(created=frozenset({graph}))
    return Delta()

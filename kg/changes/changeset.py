"""The kinds of change, and the delta that each makes to the quads of an engine."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field

from kg.changes.quad_changes import GraphName, create_graph, delete_and_insert
from kg.changes.update_delta import compute_update_delta
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryDataset
from kg.errors import InputError, NotFoundError
from kg.rdf.blank_nodes import reuse_blank_node_labels
from kg.rdf.delta import Delta
from kg.rdf.terms import BlankNode, NamedNode, Quad


@dataclass(frozen=True)
class SparqlUpdate:
    """A SPARQL 1.1 Update request; `using` holds the graphs that the protocol's parameters name."""

    text: str
    using: QueryDataset = field(default_factory=lambda: QueryDataset(union=False))


@dataclass(frozen=True)
class QuadAddition:
    """Quads to add if they are missing."""

    quads: tuple[Quad, ...]


@dataclass(frozen=True)
class GraphReplacement:
    """The new content of graphs: the quads, all of which are in those graphs.

    A graph without quads is emptied, or created empty.
    """

    graphs: tuple[GraphName, ...]
    quads: tuple[Quad, ...]


@dataclass(frozen=True)
class GraphRemoval:
    """A graph to drop; the default graph is emptied."""

    graph: GraphName


@dataclass(frozen=True)
class DeltaPatch:
    """A delta to apply as far as it has an effect."""

    delta: Delta


ChangeSet = SparqlUpdate | QuadAddition | GraphReplacement | GraphRemoval | DeltaPatch


def compute_delta(engine: EmbeddedEngine, change: ChangeSet) -> Delta:
    """Return the delta that a change makes to an engine's quads; the engine is unchanged afterwards, even after errors.

    Raises QuerySyntaxError and InputError for an update that is malformed or cannot be executed, NotFoundError if the
    graph to remove does not exist, and whatever evaluating a pattern raises.
    """
    match change:
        case SparqlUpdate(text, using):
            return compute_update_delta(engine, text, using)
        case QuadAddition(quads):
            _require_iri_graphs(quads)
            return delete_and_insert(engine, (), engine.normalize_quads(quads))
        case GraphReplacement(graphs, quads):
            _require_iri_graphs(quads)
            return _replace_graphs(engine, graphs, quads)
        case GraphRemoval(graph):
            return _remove_graph(engine, graph)
        case DeltaPatch(delta):
            return _effective_part(engine, delta)


def require_iri_graph(quad: Quad) -> GraphName:
    """Return the graph of a quad. Raises InputError if its name is a blank node."""
    if isinstance(quad.graph_name, BlankNode):
        raise InputError(f"A graph is named by an IRI here, not by a blank node as that of {quad.triple}.")
    return quad.graph_name


def _require_iri_graphs(quads: Iterable[Quad]) -> None:
    for quad in quads:
        require_iri_graph(quad)


def _replace_graphs(engine: EmbeddedEngine, graphs: Iterable[GraphName], quads: Iterable[Quad]) -> Delta:
    """Replace the content of graphs; stored blank nodes with identical content keep their labels."""
    content = {graph: frozenset(engine.quads(graph)) for graph in graphs}
    before = frozenset[Quad]().union(*content.values())
    after = reuse_blank_node_labels(engine.normalize_quads(quads), before)
    delta = delete_and_insert(engine, before - after, after)
    empty = (graph for graph in content if graph not in delta.created)
    return functools.reduce(Delta.followed_by, (create_graph(engine, graph) for graph in empty), delta)


def _remove_graph(engine: EmbeddedEngine, graph: GraphName) -> Delta:
    if not isinstance(graph, NamedNode):
        return Delta(removed=frozenset(engine.quads(graph)))
    if not engine.has_graph(graph):
        raise NotFoundError(f"There is no graph {graph} here.")
    return Delta(removed=frozenset(engine.quads(graph)), dropped=frozenset({graph}))


def _effective_part(engine: EmbeddedEngine, delta: Delta) -> Delta:
    """Return the part of a delta that has an effect; a graph is dropped only if the delta leaves it empty."""
    change = delete_and_insert(engine, engine.normalize_quads(delta.removed), engine.normalize_quads(delta.added))
    created = (graph for graph in delta.created if not engine.has_graph(graph))
    filled = {quad.graph_name for quad in change.added}
    dropped = (
        graph
        for graph in delta.dropped
        if graph not in filled
        and engine.has_graph(graph)
        and all(quad in change.removed for quad in engine.quads(graph))
    )
    return Delta(change.added, change.removed, change.created.union(created), frozenset(dropped))

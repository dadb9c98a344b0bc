"""A new release in a data folder that was changed since: what its curated dataset changes, beside local changes.

Only what differs between two releases is changed, so that what was added or removed locally stays so. Blank nodes
have no names that two releases share: they are told by all that is said with them.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from kg.changes.changeset import DeltaPatch, compute_delta
from kg.changes.rules import RULE_GRAPHS, target_graph
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import Delta
from kg.rdf.io import BlankNode, NamedNode, Quad, Triple, label_blank_nodes_by_content, place_in_graph
from kg.rdf.namespaces import graph_iri
from kg.resources import rule_files

_PARTLY_CURATED_GRAPH: Final = "issues"
"""The graph of which the rules make only a part."""


def align_release_blank_nodes(quads: Iterable[Quad], known: Iterable[Quad]) -> frozenset[Quad]:
    """Quads with blank nodes named as in `known` where the same is said with them, else by what is said with them."""
    names = {_canonical_content(part): part for part in _blank_node_components(known)}
    return frozenset(
        quad
        for part in _blank_node_components(quads)
        for quad in names.get(_canonical_content(part), _canonical_content(part))
    )


def upgrade_delta(engine: EmbeddedEngine, old: frozenset[Quad], new: frozenset[Quad]) -> Delta:
    """What an engine that held one release has to change for the next; it is as before, and is so again afterwards.

    `old` and `new` are all quads of the releases, with blank nodes named alike. What the rules make is made anew, by
    the rules of today, from the state after the change. An issue that a rule of the old release made from local facts,
    and no rule makes any more, stays: the graph of issues has curated ones too, which look the same.
    """
    before = {name: _construct_rule_graph(engine, name) for name in RULE_GRAPHS}
    gone = _named_graphs(old) - _named_graphs(new)
    done = Delta()
    try:
        done = _apply_step(engine, done, compute_delta(engine, DeltaPatch(Delta(new - old, old - new, dropped=gone))))
        for name in RULE_GRAPHS:
            done = _apply_step(engine, done, _rule_graph_delta(engine, name, before[name] - new))
    finally:
        engine.apply(done.inverse())
    return done


def _apply_step(engine: EmbeddedEngine, before: Delta, step: Delta) -> Delta:
    engine.apply(step)
    return before.followed_by(step)


def _rule_graph_delta(engine: EmbeddedEngine, name: str, stale: frozenset[Quad]) -> Delta:
    """What a graph lacks of what the rules make now, and has of what they do not make any more."""
    graph, made = NamedNode(graph_iri(name)), _construct_rule_graph(engine, name)
    former = stale if name == _PARTLY_CURATED_GRAPH else frozenset(engine.quads_in_graph(graph))
    return compute_delta(engine, DeltaPatch(Delta(made, former - made)))


def _construct_rule_graph(engine: EmbeddedEngine, name: str) -> frozenset[Quad]:
    texts = (rule.text for rule in rule_files() if target_graph(rule) == name)
    return frozenset(
        quad for text in texts for quad in place_in_graph(engine.construct(text), NamedNode(graph_iri(name)))
    )


def _named_graphs(quads: Iterable[Quad]) -> frozenset[NamedNode]:
    return frozenset(graph for quad in quads if isinstance(graph := quad.graph_name, NamedNode))


def _canonical_content(part: frozenset[Quad]) -> frozenset[Quad]:
    """What says the same of every part that does, whatever its blank nodes are called."""
    return (
        frozenset(label_blank_nodes_by_content(part))
        if any(True for quad in part for _ in _blank_nodes(quad))
        else part
    )


def _blank_node_components(quads: Iterable[Quad]) -> Iterator[frozenset[Quad]]:
    """Quads that share blank nodes, directly or through others, together; each other one by itself."""
    above = dict[BlankNode, BlankNode]()

    def top(node: BlankNode) -> BlankNode:
        while above.setdefault(node, node) != node:
            above[node] = above[above[node]]
            node = above[node]
        return node

    held = list[tuple[BlankNode, Quad]]()
    for quad in quads:
        nodes = list(_blank_nodes(quad))
        if not nodes:
            yield frozenset({quad})
            continue
        for node in nodes[1:]:
            above[top(node)] = top(nodes[0])
        held.append((nodes[0], quad))
    together = dict[BlankNode, set[Quad]]()
    for node, quad in held:
        together.setdefault(top(node), set()).add(quad)
    yield from map(frozenset, together.values())


def _blank_nodes(statement: Quad | Triple) -> Iterator[BlankNode]:
    for term in (statement.subject, statement.object):
        if isinstance(term, BlankNode):
            yield term
        elif isinstance(term, Triple):
            yield from _blank_nodes(term)

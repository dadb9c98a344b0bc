"""A new release in a data folder that was changed since: what its curated dataset changes, beside local changes.

Only what differs between two releases is changed, so that what was added or removed locally stays so. Blank nodes
have no names that two releases share: they are told by all that is said with them.
"""

from collections.abc import Iterable
from typing import Final

from kg.changes.changeset import DeltaPatch, compute_delta
from kg.changes.rules import RULE_GRAPHS, target_graph
from kg.engine.embedded import EmbeddedEngine
from kg.rdf.blank_nodes import blank_node_components, canonical_form
from kg.rdf.delta import Delta
from kg.rdf.io import label_blank_nodes_by_content, place_in_graph
from kg.rdf.namespaces import graph_iri
from kg.rdf.terms import NamedNode, Quad
from kg.resources import rule_files

_PARTLY_CURATED_GRAPH: Final = "issues"
"""The graph of which the rules make only a part."""


def align_release_blank_nodes(quads: Iterable[Quad], known: Iterable[Quad]) -> frozenset[Quad]:
    """Label blank nodes as in `known` where their component has the same content, else by that content.

    Components with the same content become one.
    """
    known_components = {canonical_form(component): component for component in blank_node_components(known)[1]}
    ground, components = blank_node_components(quads)
    aligned = (
        known_components.get(canonical_form(component)) or label_blank_nodes_by_content(component)
        for component in components
    )
    return ground.union(*aligned)


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

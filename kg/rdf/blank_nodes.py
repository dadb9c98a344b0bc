"""Let blank nodes that are to be written keep the names of those that are held and of which the same is said.

Blank nodes have no names of their own, so what is read anew would otherwise replace what is held by its like. Quads
that share blank nodes, directly or by others, belong together; two such knots are alike if their RDFC-1.0 forms are.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from kg.rdf.io import BlankNode, Quad, Triple, canonical_nquads

BlankNodeComponent = frozenset[Quad]


def reuse_blank_node_labels(quads: Iterable[Quad], held: Iterable[Quad]) -> frozenset[Quad]:
    """Give quads the blank nodes of their like among those that are held; what has no like stays as it is.

    A held node whose name the quads use for another one is nobody's like, so that two nodes never become one.
    """
    wanted = frozenset(quads)
    knots = set(_blank_node_components(wanted))
    known = set(_blank_node_components(held)) if knots else set[BlankNodeComponent]()
    if knots <= known or not known:
        return wanted
    fresh = knots - known
    used = set[BlankNode]().union(*map(_component_blank_nodes, knots))
    likes = _components_by_form(knot for knot in known - knots if used.isdisjoint(_component_blank_nodes(knot)))
    ground = {quad for quad in wanted if not any(_blank_nodes(quad))}
    found = (_stored_equivalent(knot, likes) if likes else knot for knot in fresh)
    return frozenset(ground).union(*(knots & known), *found)


def _stored_equivalent(knot: BlankNodeComponent, likes: dict[Hashable, list[BlankNodeComponent]]) -> BlankNodeComponent:
    left = likes.get(_canonical_form(knot))
    return left.pop() if left else knot


def _components_by_form(knots: Iterable[BlankNodeComponent]) -> dict[Hashable, list[BlankNodeComponent]]:
    found = defaultdict[Hashable, list[BlankNodeComponent]](list)
    for knot in knots:
        found[_canonical_form(knot)].append(knot)
    return found


def _canonical_form(knot: BlankNodeComponent) -> Hashable:
    """What is said in a knot, whatever its blank nodes are called; for a single one there is a short way."""
    if any(isinstance(quad.object, Triple) for quad in knot) or len(_component_blank_nodes(knot)) > 1:
        return canonical_nquads(knot)
    return frozenset(tuple(None if isinstance(part, BlankNode) else part for part in quad) for quad in knot)


def _blank_node_components(quads: Iterable[Quad]) -> Iterator[BlankNodeComponent]:
    """The sets of quads that hang together by blank nodes."""
    tied = [(quad, nodes) for quad in quads if (nodes := tuple(_blank_nodes(quad)))]
    leaders = dict[BlankNode, BlankNode]()
    for _, nodes in tied:
        for node in nodes:
            leaders[_find_root(leaders, node)] = _find_root(leaders, nodes[0])
    found = defaultdict[BlankNode, set[Quad]](set)
    for quad, nodes in tied:
        found[_find_root(leaders, nodes[0])].add(quad)
    yield from map(frozenset, found.values())


def _find_root(leaders: dict[BlankNode, BlankNode], node: BlankNode) -> BlankNode:
    """Who stands for all that hang together with a node; ways that were gone are shortened."""
    while (above := leaders.setdefault(node, node)) != node:
        leaders[node] = leaders[above]
        node = above
    return node


def _component_blank_nodes(knot: BlankNodeComponent) -> set[BlankNode]:
    return {node for quad in knot for node in _blank_nodes(quad)}


def _blank_nodes(statement: Quad | Triple) -> Iterator[BlankNode]:
    """The blank nodes of a statement, those within triple terms included."""
    parts: tuple[Any, ...] = (statement.subject, statement.object)
    for part in parts:
        if isinstance(part, BlankNode):
            yield part
        elif isinstance(part, Triple):
            yield from _blank_nodes(part)

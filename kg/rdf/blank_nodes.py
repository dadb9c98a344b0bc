"""Match blank nodes of two datasets by content.

Blank node labels have no meaning outside a document, so reparsed quads would otherwise replace stored ones with the
same content. Quads that share blank nodes, directly or through other quads, form a component. Two components match if
their canonical forms (RDFC-1.0) are equal.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from kg.rdf.io import canonical_nquads
from kg.rdf.terms import BlankNode, Quad, Triple

BlankNodeComponent = frozenset[Quad]


def reuse_blank_node_labels(quads: Iterable[Quad], stored: Iterable[Quad]) -> frozenset[Quad]:
    """Reuse the labels of stored blank nodes with identical content; other quads stay as they are.

    A stored component is not reused if the new quads use one of its labels for another node: two distinct nodes must
    never get the same label.
    """
    new_quads = frozenset(quads)
    ground, components = blank_node_components(new_quads)
    stored_components = set(blank_node_components(stored)[1]) if components else set[BlankNodeComponent]()
    unmatched = set(components) - stored_components
    if not unmatched or not stored_components:
        return new_quads
    used = set[BlankNode]().union(*map(_component_blank_nodes, components))
    candidates = _components_by_form(
        part for part in stored_components.difference(components) if used.isdisjoint(_component_blank_nodes(part))
    )
    matched = (_pop_equivalent(part, candidates) if candidates else part for part in unmatched)
    return ground.union(*stored_components.intersection(components), *matched)


def _pop_equivalent(
    component: BlankNodeComponent, candidates: dict[Hashable, list[BlankNodeComponent]]
) -> BlankNodeComponent:
    """Take a stored component with the same content from the candidates, or return the component itself."""
    equivalents = candidates.get(canonical_form(component))
    return equivalents.pop() if equivalents else component


def _components_by_form(components: Iterable[BlankNodeComponent]) -> dict[Hashable, list[BlankNodeComponent]]:
    by_form = defaultdict[Hashable, list[BlankNodeComponent]](list)
    for component in components:
        by_form[canonical_form(component)].append(component)
    return by_form


def canonical_form(component: BlankNodeComponent) -> Hashable:
    """Return a value that is equal for components with the same content, whatever their blank nodes are called.

    A component with a single blank node needs no RDFC-1.0, which is slower.
    """
    if any(isinstance(quad.object, Triple) for quad in component) or len(_component_blank_nodes(component)) > 1:
        return canonical_nquads(component)
    return frozenset(tuple(None if isinstance(part, BlankNode) else part for part in quad) for quad in component)


def blank_node_components(quads: Iterable[Quad]) -> tuple[frozenset[Quad], list[BlankNodeComponent]]:
    """Split quads into those without blank nodes and the components that share blank nodes."""
    ground, connected = set[Quad](), list[tuple[Quad, BlankNode]]()
    parents = dict[BlankNode, BlankNode]()
    for quad in quads:
        nodes = tuple(_blank_nodes(quad))
        if not nodes:
            ground.add(quad)
            continue
        connected.append((quad, nodes[0]))
        for node in nodes:
            parents[_find_root(parents, node)] = _find_root(parents, nodes[0])
    components = defaultdict[BlankNode, set[Quad]](set)
    for quad, node in connected:
        components[_find_root(parents, node)].add(quad)
    return frozenset(ground), list(map(frozenset, components.values()))


def _find_root(parents: dict[BlankNode, BlankNode], node: BlankNode) -> BlankNode:
    """Return the representative of a node's component in a union-find forest, halving the path to it."""
    while (parent := parents.setdefault(node, node)) != node:
        parents[node] = parents[parent]
        node = parent
    return node


def _component_blank_nodes(component: BlankNodeComponent) -> set[BlankNode]:
    return {node for quad in component for node in _blank_nodes(quad)}


def _blank_nodes(statement: Quad | Triple) -> Iterator[BlankNode]:
    """Yield the blank nodes of a statement, including those inside triple terms."""
    parts: tuple[Any, ...] = (statement.subject, statement.object)
    for part in parts:
        if isinstance(part, BlankNode):
            yield part
        elif isinstance(part, Triple):
            yield from _blank_nodes(part)

"""Translate property paths into transitions of the dependency graph."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

import rdflib
from rdflib.collection import Collection
from rdflib.namespace import RDF, SH
from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, SequencePath

from kg.rdf.rdflib_terms import term_from_rdflib
from kg.rdf.terms import NamedNode, Term
from kg.validation.constraint_patterns import ANY_FORWARD_STEP, RdflibPath, UnsupportedConstraintError
from kg.validation.dependency_graph import ChangeTrigger, DependencyGraph, Direction, State


@dataclass
class PathTransitions:
    """Adds paths to a dependency graph."""

    dependency_graph: DependencyGraph = field(default_factory=DependencyGraph)

    def add_path(
        self,
        path: RdflibPath,
        start: State,
        end: State,
        trigger: ChangeTrigger = ChangeTrigger.ALWAYS,
        required_end: Term | None = None,
        *,
        direction: Direction = Direction.FORWARD,
    ) -> None:
        """Add transitions for a path from `start` to `end`.

        `required_end` is the only node at which a path of one step may end; longer paths ignore it. Raise
        UnsupportedConstraintError for an unknown path or a predicate that is not an IRI.
        """
        step = functools.partial(self.dependency_graph.add_transition, trigger=trigger, required_end=required_end)
        match path:
            case rdflib.URIRef():
                step(start, direction, require_predicate(path), end)
            case NegatedPath() if path is ANY_FORWARD_STEP:  # a marker: the very object, not an equal path
                step(start, direction, None, end)
            case NegatedPath():  # the exclusions are ignored, so it reads more triples than needed, never fewer
                step(start, Direction.FORWARD, None, end)
                step(start, Direction.INVERSE, None, end)
            case InvPath():
                self.add_path(path.arg, start, end, trigger, required_end, direction=direction.opposite)
            case AlternativePath():
                for part in path.args:
                    self.add_path(part, start, end, trigger, required_end, direction=direction)
            case SequencePath():
                self._add_sequence(path.args, start, end, trigger, direction)
                # pySHACL walks the parts of an inverse sequence in their original order, SPARQL in reverse order.
                if direction is Direction.INVERSE:
                    self._add_sequence(path.args[::-1], start, end, trigger, direction)
            case MulPath():
                self._add_repeated_path(path, start, end, trigger, direction)
            case _:
                raise UnsupportedConstraintError("a path is not a SHACL property path")

    def _add_sequence(
        self, parts: Sequence[RdflibPath], start: State, end: State, trigger: ChangeTrigger, direction: Direction
    ) -> None:
        for part in parts[:-1]:
            following = self.dependency_graph.add_state()
            self.add_path(part, start, following, trigger, direction=direction)
            start = following
        self.add_path(parts[-1], start, end, trigger, direction=direction)

    def _add_repeated_path(
        self, path: MulPath, start: State, end: State, trigger: ChangeTrigger, direction: Direction
    ) -> None:
        """Add transitions for a path with a modifier `*`, `+` or `?`."""
        middle = self.dependency_graph.add_state()
        self.add_path(path.path, start, middle, trigger, direction=direction)
        if path.zero:
            self.dependency_graph.add_epsilon(start, middle)
        if path.more:
            self.add_path(path.path, middle, middle, trigger, direction=direction)
        self.dependency_graph.add_epsilon(middle, end)


def parse_path(graph: rdflib.Graph, node: rdflib.term.Node) -> RdflibPath:
    """Read a SHACL path (SHACL, section 2.3.1). Raise UnsupportedConstraintError for an unknown one."""
    if isinstance(node, rdflib.URIRef):
        return node
    if (node, RDF.first, None) in graph:
        return SequencePath(*(parse_path(graph, part) for part in Collection(graph, node)))
    inner = graph.value(node, SH.inversePath)
    if inner is not None:
        return InvPath(parse_path(graph, inner))
    head = graph.value(node, SH.alternativePath)
    if head is not None:
        return AlternativePath(*(parse_path(graph, part) for part in Collection(graph, head)))
    for predicate, modifier in ((SH.zeroOrMorePath, "*"), (SH.oneOrMorePath, "+"), (SH.zeroOrOnePath, "?")):
        inner = graph.value(node, predicate)
        if inner is not None:
            return MulPath(parse_path(graph, inner), modifier)  # type: ignore[arg-type] # rdflib declares literal types
    raise UnsupportedConstraintError("a path is not a SHACL property path")


def require_predicate(node: rdflib.term.Node) -> NamedNode:
    """Return a predicate. Raise UnsupportedConstraintError if it is not an IRI."""
    term: Term = term_from_rdflib(node)
    if not isinstance(term, NamedNode):
        raise UnsupportedConstraintError("a predicate is not an IRI")
    return term

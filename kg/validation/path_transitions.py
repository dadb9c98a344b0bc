"""Translate property paths into transitions of the dependency graph."""

import functools
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
    ) -> None:
        """Add transitions for a path from `start` to `end`.

        `required_end` is the only node at which a path of one step may end; longer paths ignore it. Raise
        UnsupportedConstraintError for an unknown path or a predicate that is not an IRI.
        """
        add_transition = functools.partial(
            self.dependency_graph.add_transition, trigger=trigger, required_end=required_end
        )
        match path:
            case rdflib.URIRef():
                add_transition(start, Direction.FORWARD, require_predicate(path), end)
            case NegatedPath() if path is ANY_FORWARD_STEP:  # a marker object, not an equal path of a shape
                add_transition(start, Direction.FORWARD, None, end)
            case InvPath():
                self._add_inverse_path(path.arg, start, end, trigger, required_end)
            case SequencePath():
                for part in path.args[:-1]:
                    following = self.dependency_graph.add_state()
                    self.add_path(part, start, following, trigger)
                    start = following
                self.add_path(path.args[-1], start, end, trigger)
            case AlternativePath():
                for part in path.args:
                    self.add_path(part, start, end, trigger, required_end)
            case MulPath():
                self._add_repeated_path(path, start, end, trigger)
            case NegatedPath():  # the excluded predicates are ignored: the transitions may read more than the path
                add_transition(start, Direction.FORWARD, None, end)
                add_transition(start, Direction.INVERSE, None, end)
            case _:
                raise UnsupportedConstraintError("a path is not a SHACL property path")

    def _add_inverse_path(
        self, path: RdflibPath, start: State, end: State, trigger: ChangeTrigger, required_end: Term | None
    ) -> None:
        """Add transitions for an inverse path.

        pySHACL walks the parts of an inverse sequence in their original order, SPARQL in reverse order: both are added.
        """
        match path:
            case rdflib.URIRef():
                self.dependency_graph.add_transition(
                    start, Direction.INVERSE, require_predicate(path), end, trigger=trigger, required_end=required_end
                )
            case NegatedPath() if path is ANY_FORWARD_STEP:
                self.dependency_graph.add_transition(
                    start, Direction.INVERSE, None, end, trigger=trigger, required_end=required_end
                )
            case InvPath():
                self.add_path(path.arg, start, end, trigger, required_end)
            case SequencePath():
                parts = [InvPath(part) for part in path.args]
                self.add_path(SequencePath(*reversed(parts)), start, end, trigger)
                self.add_path(SequencePath(*parts), start, end, trigger)
            case AlternativePath():
                self.add_path(
                    AlternativePath(*(InvPath(part) for part in path.args)), start, end, trigger, required_end
                )
            case MulPath():
                self._add_repeated_path(MulPath(InvPath(path.path), _path_modifier(path)), start, end, trigger)  # type: ignore[arg-type] # a str
            case _:  # a negated property set, which is added in both directions
                self.add_path(path, start, end, trigger, required_end)

    def _add_repeated_path(self, path: MulPath, start: State, end: State, trigger: ChangeTrigger) -> None:
        """Add transitions for a path with a modifier `*`, `+` or `?`."""
        middle = self.dependency_graph.add_state()
        self.add_path(path.path, start, middle, trigger)
        if path.zero:
            self.dependency_graph.add_epsilon(start, middle)
        if path.more:
            self.add_path(path.path, middle, middle, trigger)
        self.dependency_graph.add_epsilon(middle, end)


def _path_modifier(path: MulPath) -> str:
    return ("*" if path.zero else "+") if path.more else "?"


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

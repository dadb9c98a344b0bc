"""What shapes read of the data, as one automaton; where that cannot be told it is said, with the reason."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import rdflib
from rdflib.collection import Collection
from rdflib.namespace import OWL, RDF, RDFS, SH
from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, Path, SequencePath

from kg.automaton import Automaton, State, Way
from kg.rdf import NamedNode, Term, from_rdflib

Node = rdflib.term.Node
PathLike = rdflib.URIRef | Path

_TYPE: Final = NamedNode(str(RDF.type))
_SUBCLASS: Final = NamedNode(str(RDFS.subClassOf))
_TRUE: Final = rdflib.Literal(True)
_COMPARED: Final = (SH.equals, SH.disjoint, SH.lessThan, SH.lessThanOrEquals)
_LISTED: Final = (SH["and"], SH["or"], SH.xone)
_UNREADABLE: Final = (SH.js, SH.expression, SH.rule, SH.filterShape, SH.nodes)
_QUALIFIED_SIBLINGS: Final = SH.qualifiedValueShapesDisjoint


class UnreadableError(Exception):
    """What a shape reads cannot be told; the message says why."""


@dataclass
class Reader:
    """Builds the automaton of a shapes graph, shape by shape; `source` has the targets, `graph` what pySHACL judges."""

    graph: rdflib.Graph
    source: rdflib.Graph
    automaton: Automaton = field(default_factory=Automaton)
    _shapes: dict[Node, State] = field(default_factory=dict)
    _unreadable: dict[Node, str] = field(default_factory=dict)
    _classes: State | None = None

    def shape(self, shape: Node) -> State:
        """The state at the focus node of a shape, with all that is read from there. Raises UnreadableError."""
        if shape in self._unreadable:
            raise UnreadableError(self._unreadable[shape])
        if shape not in self._shapes:
            self._shapes[shape] = state = self.automaton.state()
            try:
                self._read(shape, state)
            except UnreadableError as error:
                self._unreadable[shape] = str(error)
                raise
        return self._shapes[shape]

    def targets(self, shape: Node) -> State:
        """The state at a node from which is read whether it is a target of a shape, but for SPARQL targets."""
        state = self.automaton.state()
        if any(classes(self.source, shape)):
            self.automaton.step(state, Way.FORWARD, _TYPE, self._class_state())
        for predicate in self.source.objects(shape, SH.targetSubjectsOf):
            self.automaton.step(state, Way.FORWARD, _named(predicate), self.automaton.state())
        for predicate in self.source.objects(shape, SH.targetObjectsOf):
            self.automaton.step(state, Way.INVERSE, _named(predicate), self.automaton.state())
        return state

    def _class_state(self) -> State:
        """The state at a class of a node, from which its superclasses are read."""
        if self._classes is None:
            self._classes = self.automaton.state()
            self.automaton.step(self._classes, Way.FORWARD, _SUBCLASS, self._classes)
        return self._classes

    def _read(self, shape: Node, focus: State) -> None:
        graph = self.graph
        if _TRUE in graph.objects(shape, SH.deactivated):
            return
        unreadable = [str(term) for term in _UNREADABLE if (shape, term, None) in graph]
        if unreadable or (shape, SH.sparql, None) in graph:
            name = unreadable[0].rpartition("#")[2] if unreadable else "sparql"
            raise UnreadableError(f"sh:{name} is left to the validator, which may read anything")
        values = focus
        path = graph.value(shape, SH.path)
        if path is not None:
            values = self.automaton.state()
            self._path(self._path_of(path), focus, values)
        self._read_values(shape, focus, values)

    def _read_values(self, shape: Node, focus: State, values: State) -> None:
        graph, automaton = self.graph, self.automaton
        for other in (*self._parts(shape), *self._siblings(shape)):
            automaton.silent(values, self.shape(other))
        if (shape, SH["class"], None) in graph:
            automaton.step(values, Way.FORWARD, _TYPE, self._class_state())
        for term in _COMPARED:
            for predicate in graph.objects(shape, term):
                automaton.step(focus, Way.FORWARD, _named(predicate), automaton.state())
        if _TRUE in graph.objects(shape, SH.closed):
            automaton.step(values, Way.FORWARD, None, automaton.state())

    def _parts(self, shape: Node) -> Iterator[Node]:
        """The shapes by which the values of a shape are judged too."""
        for term in (SH.property, SH.node, SH["not"], SH.qualifiedValueShape):
            yield from self.graph.objects(shape, term)
        for term in _LISTED:
            for head in self.graph.objects(shape, term):
                yield from Collection(self.graph, head)

    def _siblings(self, shape: Node) -> Iterator[Node]:
        """The qualified shapes of a property shape's siblings, which it reads if they are to be disjoint."""
        if (shape, _QUALIFIED_SIBLINGS, None) not in self.graph:
            return
        for parent in self.graph.subjects(SH.property, shape):
            for other in self.graph.objects(parent, SH.property):
                yield from self.graph.objects(other, SH.qualifiedValueShape)

    def _path_of(self, node: Node) -> PathLike:
        """A SHACL path as rdflib's (SHACL, section 2.3.1)."""
        graph = self.graph
        if isinstance(node, rdflib.URIRef):
            return node
        if (node, RDF.first, None) in graph:
            return SequencePath(*(self._path_of(part) for part in Collection(graph, node)))
        inner = graph.value(node, SH.inversePath)
        if inner is not None:
            return InvPath(self._path_of(inner))
        head = graph.value(node, SH.alternativePath)
        if head is not None:
            return AlternativePath(*(self._path_of(part) for part in Collection(graph, head)))
        for term, sign in ((SH.zeroOrMorePath, "*"), (SH.oneOrMorePath, "+"), (SH.zeroOrOnePath, "?")):
            inner = graph.value(node, term)
            if inner is not None:
                return MulPath(self._path_of(inner), sign)  # type: ignore[arg-type] # rdflib names the signs itself
        raise UnreadableError("a path is none that SHACL knows")

    def _path(self, path: PathLike, start: State, end: State) -> None:
        match path:
            case rdflib.URIRef():
                self.automaton.step(start, Way.FORWARD, _named(path), end)
            case InvPath():
                self._inverse(path.arg, start, end)
            case SequencePath():
                for part in path.args[:-1]:
                    following = self.automaton.state()
                    self._path(part, start, following)
                    start = following
                self._path(path.args[-1], start, end)
            case AlternativePath():
                for part in path.args:
                    self._path(part, start, end)
            case MulPath():
                self._repeated(path, start, end)
            case NegatedPath():
                self.automaton.step(start, Way.FORWARD, None, end)
                self.automaton.step(start, Way.INVERSE, None, end)
            case _:
                raise UnreadableError("a path is none that SHACL knows")

    def _inverse(self, path: PathLike, start: State, end: State) -> None:
        match path:
            case rdflib.URIRef():
                self.automaton.step(start, Way.INVERSE, _named(path), end)
            case InvPath():
                self._path(path.arg, start, end)
            case SequencePath():
                self._path(SequencePath(*(InvPath(part) for part in reversed(path.args))), start, end)
            case AlternativePath():
                self._path(AlternativePath(*(InvPath(part) for part in path.args)), start, end)
            case MulPath():
                self._repeated(MulPath(InvPath(path.path), _sign(path)), start, end)  # type: ignore[arg-type]
            case _:
                self._path(path, start, end)

    def _repeated(self, path: MulPath, start: State, end: State) -> None:
        """A path that may be walked none, one or many times."""
        middle = self.automaton.state()
        if path.zero:
            self.automaton.silent(start, middle)
        else:
            self._path(path.path, start, middle)
        if path.more:
            self._path(path.path, middle, middle)
        elif path.zero:
            self._path(path.path, start, middle)
        self.automaton.silent(middle, end)


def classes(graph: rdflib.Graph, shape: Node) -> Iterator[Node]:
    """The classes whose instances a shape targets (SHACL, sections 2.1.3.2 and 2.1.3.3)."""
    yield from graph.objects(shape, SH.targetClass)
    if {RDFS.Class, OWL.Class} & set(graph.objects(shape, RDF.type)):
        yield shape


def _sign(path: MulPath) -> str:
    return ("*" if path.zero else "+") if path.more else "?"


def _named(node: Node) -> NamedNode:
    term: Term = from_rdflib(node)
    if not isinstance(term, NamedNode):
        raise UnreadableError("a predicate is no IRI")
    return term

"""What shapes read of the data, as one automaton; where that cannot be told it is said, with the reason."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import rdflib
from rdflib.collection import Collection
from rdflib.namespace import OWL, RDF, RDFS, SH
from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, SequencePath

from kg.rdf.io import NamedNode, Term, from_rdflib
from kg.sparql.constraint_parser import STEP, PathLike, UnreadableError
from kg.validation.dependency_graph import Automaton, State, Way, When

Node = rdflib.term.Node

_TYPE: Final = NamedNode(str(RDF.type))
_SUBCLASS: Final = NamedNode(str(RDFS.subClassOf))
_COMPARED: Final = (SH.equals, SH.disjoint, SH.lessThan, SH.lessThanOrEquals)
_LISTED: Final = (SH["and"], SH["or"], SH.xone)
_UNREADABLE: Final = (SH.js, SH.expression, SH.filterShape, SH.nodes)
_QUALIFIED_SIBLINGS: Final = SH.qualifiedValueShapesDisjoint


@dataclass
class Reader:
    """Builds the automaton of a shapes graph, shape by shape; `source` has the targets, `graph` what pySHACL judges."""

    graph: rdflib.Graph
    source: rdflib.Graph
    automaton: Automaton = field(default_factory=Automaton)
    _shapes: dict[Node, State] = field(default_factory=dict)
    _own: dict[Node, State] = field(default_factory=dict)
    _classes: State | None = None

    def shape(self, shape: Node) -> State:
        """The state at the focus node of a shape, with all that is read from there. Raises UnreadableError."""
        self._refuse_what_is_global()
        waiting, seen = [shape], set[Node]()
        while waiting:
            part = waiting.pop()
            if part not in seen:
                seen.add(part)
                self._refuse_unreadable(part)
                waiting += [*self._parts(part), *self._siblings(part)]
        return self._state(shape)

    def parts(self, shape: Node) -> tuple[State, dict[Node, State]] | None:
        """Where a node shape reads for itself, and where its property shapes read.

        None if they cannot be told apart: what a recursive shape finds depends on the way to it.
        """
        graph = self.graph
        if (shape, SH.path, None) in graph or (shape, SH.deactivated, None) in graph or self._is_recursive(shape):
            return None
        return self._own[shape], {part: self._state(part) for part in graph.objects(shape, SH.property)}

    def strays(self, shape: Node) -> bool:
        """Whether what a shape finds may be about other nodes than its focus: property shapes of property shapes."""
        graph = self.graph
        own = [shape] if (shape, SH.path, None) in graph else graph.objects(shape, SH.property)
        return any((part, SH.property, None) in graph for part in own)

    def _is_recursive(self, shape: Node) -> bool:
        waiting, seen = [*self._parts(shape), *self._siblings(shape)], set[Node]()
        while waiting:
            part = waiting.pop()
            if part not in seen:
                seen.add(part)
                waiting += [*self._parts(part), *self._siblings(part)]
        return shape in seen

    def _state(self, shape: Node) -> State:
        """A recursive shape comes back to its own state."""
        if shape not in self._shapes:
            self._shapes[shape] = self.automaton.state()
            self._read(shape, self._shapes[shape])
        return self._shapes[shape]

    def _refuse_what_is_global(self) -> None:
        """Rules change the data, and components of the shapes' own look at whatever they want."""
        graph = self.graph
        if (None, SH.rule, None) in graph:
            raise UnreadableError("rules of the shapes graph add to the data")
        if {SH.ConstraintComponent, SH.SPARQLFunction, SH.TargetType} & set(graph.objects()):
            raise UnreadableError("the shapes graph defines constraint components, functions or targets of its own")

    def _refuse_unreadable(self, shape: Node) -> None:
        for term in (SH.sparql, *_UNREADABLE):
            if (shape, term, None) in self.graph:
                name = str(term).rpartition("#")[2]
                raise UnreadableError(f"sh:{name} is left to the validator, which may read anything")
        path = self.graph.value(shape, SH.path)
        if path is not None:
            self._path_of(path)

    def targets(self, shape: Node) -> State:
        """The state at a node from which is read whether it is a target of a shape, but for SPARQL targets."""
        state = self.automaton.state()
        if any(self.source.value(target, SH.select) is None for target in self.source.objects(shape, SH.target)):
            raise UnreadableError("a target is none that SHACL or SPARQL knows")
        if set(self.source.objects(shape, RDF.type)) & set(self.source.subjects(RDFS.subClassOf, RDFS.Class)):
            raise UnreadableError("the shape may be a class of a kind that the shapes graph defines")
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
        values = focus
        path = self.graph.value(shape, SH.path)
        if path is not None:
            values = self.automaton.state()
            self.path(self._path_of(path), focus, values)
        for part in self.graph.objects(shape, SH.property):
            self.automaton.silent(values, self._state(part))
        self._own[shape] = own = self.automaton.state()
        self.automaton.silent(values, own)
        self._read_values(shape, focus, own)

    def _read_values(self, shape: Node, focus: State, values: State) -> None:
        graph, automaton = self.graph, self.automaton
        for other in {*self._parts(shape), *self._siblings(shape)} - set(graph.objects(shape, SH.property)):
            automaton.silent(values, self._state(other))
        if (shape, SH["class"], None) in graph:
            automaton.step(values, Way.FORWARD, _TYPE, self._class_state())
        compared = focus if (shape, SH.path, None) in graph else values
        for term in _COMPARED:
            for predicate in graph.objects(shape, term):
                automaton.step(compared, Way.FORWARD, _named(predicate), automaton.state())
        if (shape, SH.closed, None) in graph:
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

    def path(
        self, path: PathLike, start: State, end: State, when: When = When.ALWAYS, other: Term | None = None
    ) -> None:
        """Lead from one state to another by a path; `other` is the node to which a single step must lead."""
        step = functools.partial(self.automaton.step, when=when, other=other)
        match path:
            case rdflib.URIRef():
                step(start, Way.FORWARD, _named(path), end)
            case NegatedPath() if path is STEP:
                step(start, Way.FORWARD, None, end)
            case InvPath():
                self._inverse(path.arg, start, end, when, other)
            case SequencePath():
                for part in path.args[:-1]:
                    following = self.automaton.state()
                    self.path(part, start, following, when)
                    start = following
                self.path(path.args[-1], start, end, when)
            case AlternativePath():
                for part in path.args:
                    self.path(part, start, end, when, other)
            case MulPath():
                self._repeated(path, start, end, when)
            case NegatedPath():
                step(start, Way.FORWARD, None, end)
                step(start, Way.INVERSE, None, end)
            case _:
                raise UnreadableError("a path is none that SHACL knows")

    def _inverse(self, path: PathLike, start: State, end: State, when: When, other: Term | None) -> None:
        """Lead by a path walked against its direction; pySHACL walks the parts of a sequence in their order then."""
        match path:
            case rdflib.URIRef():
                self.automaton.step(start, Way.INVERSE, _named(path), end, when=when, other=other)
            case NegatedPath() if path is STEP:
                self.automaton.step(start, Way.INVERSE, None, end, when=when, other=other)
            case InvPath():
                self.path(path.arg, start, end, when, other)
            case SequencePath():
                parts = [InvPath(part) for part in path.args]
                self.path(SequencePath(*reversed(parts)), start, end, when)
                self.path(SequencePath(*parts), start, end, when)
            case AlternativePath():
                self.path(AlternativePath(*(InvPath(part) for part in path.args)), start, end, when, other)
            case MulPath():
                self._repeated(MulPath(InvPath(path.path), _sign(path)), start, end, when)  # type: ignore[arg-type]
            case _:
                self.path(path, start, end, when, other)

    def _repeated(self, path: MulPath, start: State, end: State, when: When) -> None:
        """A path that may be walked none, one or many times."""
        middle = self.automaton.state()
        self.path(path.path, start, middle, when)
        if path.zero:
            self.automaton.silent(start, middle)
        if path.more:
            self.path(path.path, middle, middle, when)
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

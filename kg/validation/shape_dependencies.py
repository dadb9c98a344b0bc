"""What shapes read of the data, as one automaton; where that cannot be told it is said, with the reason."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import rdflib
from rdflib.collection import Collection
from rdflib.namespace import OWL, RDF, RDFS, SH
from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, SequencePath

from kg.rdf.rdflib_terms import term_from_rdflib
from kg.rdf.terms import NamedNode, Term
from kg.validation.constraint_patterns import ANY_FORWARD_STEP, PropertyPath, UnsupportedConstraintError
from kg.validation.dependency_graph import ChangeTrigger, DependencyGraph, Direction, State

RdflibNode = rdflib.term.Node

_TYPE: Final = NamedNode(str(RDF.type))
_SUBCLASS: Final = NamedNode(str(RDFS.subClassOf))
_COMPARISON_PROPERTIES: Final = (SH.equals, SH.disjoint, SH.lessThan, SH.lessThanOrEquals)
_SHAPE_LIST_PROPERTIES: Final = (SH["and"], SH["or"], SH.xone)
_UNSUPPORTED_PROPERTIES: Final = (SH.js, SH.expression, SH.filterShape, SH.nodes)
_QUALIFIED_SIBLINGS: Final = SH.qualifiedValueShapesDisjoint


@dataclass
class ShapeDependencyBuilder:
    """Builds the automaton of a shapes graph, shape by shape; `source` has the targets, `graph` what pySHACL judges."""

    graph: rdflib.Graph
    source: rdflib.Graph
    dependency_graph: DependencyGraph = field(default_factory=DependencyGraph)
    _shapes: dict[RdflibNode, State] = field(default_factory=dict)
    _own: dict[RdflibNode, State] = field(default_factory=dict)
    _classes: State | None = None

    def add_shape(self, shape: RdflibNode) -> State:
        """The state at the focus node of a shape, with all that is read from there. Raises UnreadableError."""
        self._refuse_global_features()
        waiting, seen = [shape], set[RdflibNode]()
        while waiting:
            part = waiting.pop()
            if part not in seen:
                seen.add(part)
                self._refuse_unsupported(part)
                waiting += [*self._referenced_shapes(part), *self._sibling_value_shapes(part)]
        return self._shape_state(shape)

    def shape_states(self, shape: RdflibNode) -> tuple[State, dict[RdflibNode, State]] | None:
        """Where a node shape reads for itself, and where its property shapes read.

        None if they cannot be told apart: what a recursive shape finds depends on the way to it.
        """
        graph = self.graph
        if (shape, SH.path, None) in graph or (shape, SH.deactivated, None) in graph or self._is_recursive(shape):
            return None
        return self._own[shape], {part: self._shape_state(part) for part in graph.objects(shape, SH.property)}

    def has_nested_property_shapes(self, shape: RdflibNode) -> bool:
        """Whether what a shape finds may be about other nodes than its focus: property shapes of property shapes."""
        graph = self.graph
        own = [shape] if (shape, SH.path, None) in graph else graph.objects(shape, SH.property)
        return any((part, SH.property, None) in graph for part in own)

    def _is_recursive(self, shape: RdflibNode) -> bool:
        waiting, seen = [*self._referenced_shapes(shape), *self._sibling_value_shapes(shape)], set[RdflibNode]()
        while waiting:
            part = waiting.pop()
            if part not in seen:
                seen.add(part)
                waiting += [*self._referenced_shapes(part), *self._sibling_value_shapes(part)]
        return shape in seen

    def _shape_state(self, shape: RdflibNode) -> State:
        """A recursive shape comes back to its own state."""
        if shape not in self._shapes:
            self._shapes[shape] = self.dependency_graph.add_state()
            self._add_shape_reads(shape, self._shapes[shape])
        return self._shapes[shape]

    def _refuse_global_features(self) -> None:
        """Rules change the data, and components of the shapes' own look at whatever they want."""
        graph = self.graph
        if (None, SH.rule, None) in graph:
            raise UnsupportedConstraintError("rules of the shapes graph add to the data")
        if {SH.ConstraintComponent, SH.SPARQLFunction, SH.TargetType} & set(graph.objects()):
            raise UnsupportedConstraintError(
                "the shapes graph defines constraint components, functions or targets of its own"
            )

    def _refuse_unsupported(self, shape: RdflibNode) -> None:
        for term in (SH.sparql, *_UNSUPPORTED_PROPERTIES):
            if (shape, term, None) in self.graph:
                name = str(term).rpartition("#")[2]
                raise UnsupportedConstraintError(f"sh:{name} is left to the validator, which may read anything")
        path = self.graph.value(shape, SH.path)
        if path is not None:
            self._parse_path(path)

    def add_targets(self, shape: RdflibNode) -> State:
        """The state at a node from which is read whether it is a target of a shape, but for SPARQL targets."""
        state = self.dependency_graph.add_state()
        if any(self.source.value(target, SH.select) is None for target in self.source.objects(shape, SH.target)):
            raise UnsupportedConstraintError("a target is none that SHACL or SPARQL knows")
        if set(self.source.objects(shape, RDF.type)) & set(self.source.subjects(RDFS.subClassOf, RDFS.Class)):
            raise UnsupportedConstraintError("the shape may be a class of a kind that the shapes graph defines")
        if any(target_classes(self.source, shape)):
            self.dependency_graph.add_transition(state, Direction.FORWARD, _TYPE, self._class_state())
        for predicate in self.source.objects(shape, SH.targetSubjectsOf):
            self.dependency_graph.add_transition(
                state, Direction.FORWARD, _require_iri(predicate), self.dependency_graph.add_state()
            )
        for predicate in self.source.objects(shape, SH.targetObjectsOf):
            self.dependency_graph.add_transition(
                state, Direction.INVERSE, _require_iri(predicate), self.dependency_graph.add_state()
            )
        return state

    def _class_state(self) -> State:
        """The state at a class of a node, from which its superclasses are read."""
        if self._classes is None:
            self._classes = self.dependency_graph.add_state()
            self.dependency_graph.add_transition(self._classes, Direction.FORWARD, _SUBCLASS, self._classes)
        return self._classes

    def _add_shape_reads(self, shape: RdflibNode, focus: State) -> None:
        values = focus
        path = self.graph.value(shape, SH.path)
        if path is not None:
            values = self.dependency_graph.add_state()
            self.add_path(self._parse_path(path), focus, values)
        for part in self.graph.objects(shape, SH.property):
            self.dependency_graph.add_epsilon(values, self._shape_state(part))
        self._own[shape] = own = self.dependency_graph.add_state()
        self.dependency_graph.add_epsilon(values, own)
        self._add_value_reads(shape, focus, own)

    def _add_value_reads(self, shape: RdflibNode, focus: State, values: State) -> None:
        graph, automaton = self.graph, self.dependency_graph
        for other in {*self._referenced_shapes(shape), *self._sibling_value_shapes(shape)} - set(
            graph.objects(shape, SH.property)
        ):
            automaton.add_epsilon(values, self._shape_state(other))
        if (shape, SH["class"], None) in graph:
            automaton.add_transition(values, Direction.FORWARD, _TYPE, self._class_state())
        compared = focus if (shape, SH.path, None) in graph else values
        for term in _COMPARISON_PROPERTIES:
            for predicate in graph.objects(shape, term):
                automaton.add_transition(compared, Direction.FORWARD, _require_iri(predicate), automaton.add_state())
        if (shape, SH.closed, None) in graph:
            automaton.add_transition(values, Direction.FORWARD, None, automaton.add_state())

    def _referenced_shapes(self, shape: RdflibNode) -> Iterator[RdflibNode]:
        """The shapes by which the values of a shape are judged too."""
        for term in (SH.property, SH.node, SH["not"], SH.qualifiedValueShape):
            yield from self.graph.objects(shape, term)
        for term in _SHAPE_LIST_PROPERTIES:
            for head in self.graph.objects(shape, term):
                yield from Collection(self.graph, head)

    def _sibling_value_shapes(self, shape: RdflibNode) -> Iterator[RdflibNode]:
        """The qualified shapes of a property shape's siblings, which it reads if they are to be disjoint."""
        if (shape, _QUALIFIED_SIBLINGS, None) not in self.graph:
            return
        for parent in self.graph.subjects(SH.property, shape):
            for other in self.graph.objects(parent, SH.property):
                yield from self.graph.objects(other, SH.qualifiedValueShape)

    def _parse_path(self, node: RdflibNode) -> PropertyPath:
        """A SHACL path as rdflib's (SHACL, section 2.3.1)."""
        graph = self.graph
        if isinstance(node, rdflib.URIRef):
            return node
        if (node, RDF.first, None) in graph:
            return SequencePath(*(self._parse_path(part) for part in Collection(graph, node)))
        inner = graph.value(node, SH.inversePath)
        if inner is not None:
            return InvPath(self._parse_path(inner))
        head = graph.value(node, SH.alternativePath)
        if head is not None:
            return AlternativePath(*(self._parse_path(part) for part in Collection(graph, head)))
        for term, sign in ((SH.zeroOrMorePath, "*"), (SH.oneOrMorePath, "+"), (SH.zeroOrOnePath, "?")):
            inner = graph.value(node, term)
            if inner is not None:
                return MulPath(self._parse_path(inner), sign)  # type: ignore[arg-type] # rdflib names the signs itself
        raise UnsupportedConstraintError("a path is none that SHACL knows")

    def add_path(
        self,
        path: PropertyPath,
        start: State,
        end: State,
        when: ChangeTrigger = ChangeTrigger.ALWAYS,
        other: Term | None = None,
    ) -> None:
        """Lead from one state to another by a path; `other` is the node to which a single step must lead."""
        step = functools.partial(self.dependency_graph.add_transition, when=when, other=other)
        match path:
            case rdflib.URIRef():
                step(start, Direction.FORWARD, _require_iri(path), end)
            case NegatedPath() if path is ANY_FORWARD_STEP:
                step(start, Direction.FORWARD, None, end)
            case InvPath():
                self._add_inverse_path(path.arg, start, end, when, other)
            case SequencePath():
                for part in path.args[:-1]:
                    following = self.dependency_graph.add_state()
                    self.add_path(part, start, following, when)
                    start = following
                self.add_path(path.args[-1], start, end, when)
            case AlternativePath():
                for part in path.args:
                    self.add_path(part, start, end, when, other)
            case MulPath():
                self._add_repeated_path(path, start, end, when)
            case NegatedPath():
                step(start, Direction.FORWARD, None, end)
                step(start, Direction.INVERSE, None, end)
            case _:
                raise UnsupportedConstraintError("a path is none that SHACL knows")

    def _add_inverse_path(
        self, path: PropertyPath, start: State, end: State, when: ChangeTrigger, other: Term | None
    ) -> None:
        """Lead by a path walked against its direction; pySHACL walks the parts of a sequence in their order then."""
        match path:
            case rdflib.URIRef():
                self.dependency_graph.add_transition(
                    start, Direction.INVERSE, _require_iri(path), end, when=when, other=other
                )
            case NegatedPath() if path is ANY_FORWARD_STEP:
                self.dependency_graph.add_transition(start, Direction.INVERSE, None, end, when=when, other=other)
            case InvPath():
                self.add_path(path.arg, start, end, when, other)
            case SequencePath():
                parts = [InvPath(part) for part in path.args]
                self.add_path(SequencePath(*reversed(parts)), start, end, when)
                self.add_path(SequencePath(*parts), start, end, when)
            case AlternativePath():
                self.add_path(AlternativePath(*(InvPath(part) for part in path.args)), start, end, when, other)
            case MulPath():
                self._add_repeated_path(MulPath(InvPath(path.path), _path_modifier(path)), start, end, when)  # type: ignore[arg-type]
            case _:
                self.add_path(path, start, end, when, other)

    def _add_repeated_path(self, path: MulPath, start: State, end: State, when: ChangeTrigger) -> None:
        """A path that may be walked none, one or many times."""
        middle = self.dependency_graph.add_state()
        self.add_path(path.path, start, middle, when)
        if path.zero:
            self.dependency_graph.add_epsilon(start, middle)
        if path.more:
            self.add_path(path.path, middle, middle, when)
        self.dependency_graph.add_epsilon(middle, end)


def target_classes(graph: rdflib.Graph, shape: RdflibNode) -> Iterator[RdflibNode]:
    """The classes whose instances a shape targets (SHACL, sections 2.1.3.2 and 2.1.3.3)."""
    yield from graph.objects(shape, SH.targetClass)
    if {RDFS.Class, OWL.Class} & set(graph.objects(shape, RDF.type)):
        yield shape


def _path_modifier(path: MulPath) -> str:
    return ("*" if path.zero else "+") if path.more else "?"


def _require_iri(node: RdflibNode) -> NamedNode:
    term: Term = term_from_rdflib(node)
    if not isinstance(term, NamedNode):
        raise UnsupportedConstraintError("a predicate is no IRI")
    return term

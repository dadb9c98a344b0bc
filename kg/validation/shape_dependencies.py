"""Build the dependency graph of a shapes graph: which triples each shape reads."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import rdflib
from rdflib.collection import Collection
from rdflib.namespace import RDF, RDFS, SH

from kg.rdf.terms import RDF_TYPE, NamedNode
from kg.validation.constraint_patterns import UnsupportedConstraintError
from kg.validation.dependency_graph import DependencyGraph, Direction, State
from kg.validation.path_transitions import PathTransitions, parse_path, require_predicate
from kg.validation.shape_targets import ShapeTargets
from kg.validation.shapes import SHAPE_LIST_REFERENCES, SHAPE_REFERENCES

RdflibNode = rdflib.term.Node

_SUBCLASS: Final = NamedNode(str(RDFS.subClassOf))
_COMPARISON_PROPERTIES: Final = (SH.equals, SH.disjoint, SH.lessThan, SH.lessThanOrEquals)
_UNSUPPORTED_PROPERTIES: Final = (SH.sparql, SH.js, SH.expression, SH.filterShape, SH.nodes)


@dataclass
class ShapeDependencyBuilder:
    """Adds shapes and targets to a dependency graph.

    `graph` is the part of the shapes graph that pySHACL evaluates; `source` is the whole one, with all targets.

    The focus state of a shape stands for its focus nodes. Its value state stands for its value nodes, the values of its
    path or else the focus node, and leads to all that the shape reads from them apart from its property shapes.
    """

    graph: rdflib.Graph
    source: rdflib.Graph
    paths: PathTransitions = field(default_factory=PathTransitions)
    _focus_states: dict[RdflibNode, State] = field(default_factory=dict)
    _value_states: dict[RdflibNode, State] = field(default_factory=dict)
    _shared_class_state: State | None = None

    @property
    def dependency_graph(self) -> DependencyGraph:
        """The dependency graph."""
        return self.paths.dependency_graph

    def add_shape(self, shape: RdflibNode) -> State:
        """Add a shape with the shapes that it refers to, and return the state of its focus node.

        Raise UnsupportedConstraintError if the graph cannot describe what the shape reads.
        """
        self._reject_global_features()
        for part in (shape, *self._reachable_shapes(shape)):
            self._reject_unsupported(part)
        return self._focus_state(shape)

    def shape_states(self, shape: RdflibNode) -> tuple[State, dict[RdflibNode, State]] | None:
        """Return the value state of a node shape, and the focus states of its property shapes.

        None if they cannot be separated: the findings of a recursive shape depend on the path to it.
        """
        graph = self.graph
        is_recursive = shape in self._reachable_shapes(shape)
        if (shape, SH.path, None) in graph or (shape, SH.deactivated, None) in graph or is_recursive:
            return None
        return self._value_states[shape], {part: self._focus_state(part) for part in graph.objects(shape, SH.property)}

    def has_nested_property_shapes(self, shape: RdflibNode) -> bool:
        """Whether a property shape has property shapes: findings may then concern nodes other than the focus node."""
        graph = self.graph
        own = [shape] if (shape, SH.path, None) in graph else graph.objects(shape, SH.property)
        return any((part, SH.property, None) in graph for part in own)

    def add_targets(self, shape: RdflibNode, targets: ShapeTargets) -> State:
        """Add the reads that decide whether a node is a target of a shape, and return the state of that node.

        SPARQL targets are not added. Raise UnsupportedConstraintError for targets that the graph cannot describe.
        """
        state = self.dependency_graph.add_state()
        if targets.has_unknown:
            raise UnsupportedConstraintError("a target is neither a SHACL Core target nor a SPARQL target")
        if set(self.source.objects(shape, RDF.type)) & set(self.source.subjects(RDFS.subClassOf, RDFS.Class)):
            raise UnsupportedConstraintError(
                "the shape may be an implicit class target: the shapes graph makes its type a subclass of rdfs:Class"
            )
        if targets.classes:
            self.dependency_graph.add_transition(state, Direction.FORWARD, RDF_TYPE, self._class_state())
        self._add_final_transitions(state, Direction.FORWARD, targets.subjects_of)
        self._add_final_transitions(state, Direction.INVERSE, targets.objects_of)
        return state

    def _reject_global_features(self) -> None:
        """Reject rules, which change the data, and custom components, which may read anything."""
        graph = self.graph
        if (None, SH.rule, None) in graph:
            raise UnsupportedConstraintError("rules of the shapes graph add triples to the data")
        if {SH.ConstraintComponent, SH.SPARQLFunction, SH.TargetType} & set(graph.objects()):
            raise UnsupportedConstraintError(
                "the shapes graph defines its own constraint components, functions or target types"
            )

    def _reject_unsupported(self, shape: RdflibNode) -> None:
        """Reject constraints and paths of a shape that may read any triple, or that are not known."""
        for parameter in _UNSUPPORTED_PROPERTIES:
            if (shape, parameter, None) in self.graph:
                name = str(parameter).rpartition("#")[2]
                raise UnsupportedConstraintError(f"pySHACL evaluates sh:{name}, which may read any triple")
        path = self.graph.value(shape, SH.path)
        if path is not None:
            parse_path(self.graph, path)

    def _focus_state(self, shape: RdflibNode) -> State:
        """Return the state of a shape's focus node; a recursive shape leads back to its own state."""
        if shape not in self._focus_states:
            self._focus_states[shape] = self.dependency_graph.add_state()
            self._add_shape_reads(shape, self._focus_states[shape])
        return self._focus_states[shape]

    def _class_state(self) -> State:
        """Return the state of a node's class, from which the superclasses are read."""
        if self._shared_class_state is None:
            state = self._shared_class_state = self.dependency_graph.add_state()
            self.dependency_graph.add_transition(state, Direction.FORWARD, _SUBCLASS, state)
        return self._shared_class_state

    def _add_shape_reads(self, shape: RdflibNode, focus: State) -> None:
        """Add what a shape reads: the values of its path, then its property shapes and its own constraints."""
        values = focus
        path = self.graph.value(shape, SH.path)
        if path is not None:
            values = self.dependency_graph.add_state()
            self.paths.add_path(parse_path(self.graph, path), focus, values)
        for part in self.graph.objects(shape, SH.property):
            self.dependency_graph.add_epsilon(values, self._focus_state(part))
        self._value_states[shape] = own = self.dependency_graph.add_state()
        self.dependency_graph.add_epsilon(values, own)
        self._add_value_reads(shape, focus, own)

    def _add_value_reads(self, shape: RdflibNode, focus: State, values: State) -> None:
        """Add what the constraints of a shape read, apart from its property shapes."""
        graph, automaton = self.graph, self.dependency_graph
        for other in set(self._referenced_shapes(shape)) - set(graph.objects(shape, SH.property)):
            automaton.add_epsilon(values, self._focus_state(other))
        if (shape, SH["class"], None) in graph:
            automaton.add_transition(values, Direction.FORWARD, RDF_TYPE, self._class_state())
        compared = focus if (shape, SH.path, None) in graph else values
        for parameter in _COMPARISON_PROPERTIES:
            self._add_final_transitions(compared, Direction.FORWARD, graph.objects(shape, parameter))
        if (shape, SH.closed, None) in graph:
            automaton.add_transition(values, Direction.FORWARD, None, automaton.add_state())

    def _add_final_transitions(self, state: State, direction: Direction, predicates: Iterable[RdflibNode]) -> None:
        """Add transitions to new states from which nothing else is read."""
        automaton = self.dependency_graph
        for predicate in predicates:
            automaton.add_transition(state, direction, require_predicate(predicate), automaton.add_state())

    def _reachable_shapes(self, shape: RdflibNode) -> list[RdflibNode]:
        """Return the shapes that a shape refers to, directly or not; a recursive shape is one of them."""
        waiting, reached = [shape], dict[RdflibNode, None]()
        while waiting:
            for part in self._referenced_shapes(waiting.pop()):
                if part not in reached:
                    reached[part] = None
                    waiting.append(part)
        return list(reached)

    def _referenced_shapes(self, shape: RdflibNode) -> Iterator[RdflibNode]:
        """Return the shapes that a shape's constraints refer to, which validate the same value nodes.

        They include the qualified value shapes of the siblings of a property shape with
        sh:qualifiedValueShapesDisjoint.
        """
        for parameter in SHAPE_REFERENCES:
            yield from self.graph.objects(shape, parameter)
        for parameter in SHAPE_LIST_REFERENCES:
            for head in self.graph.objects(shape, parameter):
                yield from Collection(self.graph, head)
        if (shape, SH.qualifiedValueShapesDisjoint, None) in self.graph:
            for parent in self.graph.subjects(SH.property, shape):
                for sibling in self.graph.objects(parent, SH.property):
                    yield from self.graph.objects(sibling, SH.qualifiedValueShape)

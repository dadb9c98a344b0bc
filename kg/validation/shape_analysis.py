"""Analyse shapes for incremental validation: what each shape targets and which triples it reads."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import rdflib

from kg.errors import EngineError, ShapesError
from kg.rdf.rdflib_terms import rdflib_graph, term_from_rdflib, term_to_rdflib
from kg.rdf.terms import Literal, NamedNode, Resource, Term
from kg.validation.constraint_patterns import UnsupportedConstraintError
from kg.validation.dependency_graph import DependencyGraph, State
from kg.validation.query_dependencies import THIS, QueryDependencies, ShapesGraphQueries, analyse_query
from kg.validation.shape_dependencies import ShapeDependencyBuilder
from kg.validation.shape_targets import read_targets
from kg.validation.shapes import Shapes, SparqlConstraint
from kg.validation.union_view import UnionView

ValidationUnit = tuple[int, Resource | None]
"""The index of an analysed shape, and one of its property shapes; None stands for the whole shape."""


@dataclass(frozen=True)
class ShapeExplanation:
    """How a shape or a constraint is validated: `reason` says why in full; None if incrementally."""

    shape: Resource
    constraint: Resource | None
    reason: str | None


@dataclass(frozen=True)
class AnalysedTargets:
    """The targets of a shape; `queries` are its SPARQL targets, `state` that of a possible target."""

    classes: frozenset[Term]
    nodes: frozenset[Term]
    subjects_of: tuple[NamedNode, ...]
    objects_of: tuple[NamedNode, ...]
    queries: tuple[QueryDependencies, ...]
    state: State

    def contains(self, node: Term, view: UnionView) -> bool:
        """Whether a node is a target."""
        return (
            node in self.nodes
            or (bool(self.classes) and not self.classes.isdisjoint(view.classes_of(node)))
            or any(view.holds(node, predicate, None) for predicate in self.subjects_of)
            or any(view.holds(None, predicate, node) for predicate in self.objects_of)
            or any(query.can_bind(THIS, node, view.holds) and view.focus_rows(query, node) for query in self.queries)
        )


@dataclass(frozen=True)
class AnalysedShape:
    """A shape that pySHACL evaluates, with `focus_state`, or one of its SPARQL constraints, with `query`."""

    shape: Resource
    targets: AnalysedTargets
    focus_state: State | None
    constraint: SparqlConstraint | None
    query: QueryDependencies | None
    has_nested_property_shapes: bool

    @property
    def queries(self) -> tuple[QueryDependencies, ...]:
        """The SPARQL queries that select its focus nodes or its findings."""
        return (*self.targets.queries, *(() if self.query is None else (self.query,)))


class ShapeAnalysis:
    """The shapes of a graph, split into those that can be validated incrementally and the others.

    The attributes are complete after `finish`. `remaining_shapes` are the shapes that can only be validated in full,
    None if there are none. `units_by_state` and `queries_by_state` say whose focus nodes, or values of which variable,
    are at a state of the dependency graph.
    """

    def __init__(self, shapes: Shapes) -> None:
        """Take the shapes; `steps` or `finish` analyses them."""
        self._shapes = shapes
        self.source = rdflib_graph(shapes.quads)
        self._builder = ShapeDependencyBuilder(shapes.core_graph, self.source)
        self._shapes_graph = ShapesGraphQueries(shapes.quads)
        self._targets = dict[Resource, AnalysedTargets]()
        self._is_complete = False
        self.steps = self._analyse_all()
        self.shapes = list[AnalysedShape]()
        self.explanations = list[ShapeExplanation]()
        self.remaining_shapes: Shapes | None = None
        self.units_by_state = defaultdict[State, list[ValidationUnit]](list)
        self.property_shape_states = dict[Resource, State]()
        self.queries_by_state = defaultdict[State, list[tuple[QueryDependencies, str, int]]](list)

    @property
    def dependency_graph(self) -> DependencyGraph:
        """What the analysed shapes read."""
        return self._builder.dependency_graph

    def finish(self) -> None:
        """Run the remaining steps. Raise EngineError if an earlier call failed: an incomplete analysis would admit all.

        Raise ShapesError if the shapes cannot be used.
        """
        for _ in self.steps:
            pass
        if not self._is_complete:
            raise EngineError("The shapes could not be analysed, so nothing is admitted.")

    def _analyse_all(self) -> Iterator[None]:
        shapes, constraints = list[Resource](), list[SparqlConstraint]()
        for shape in self._shapes.targeted_shapes:
            if not self._analyse(shape, None):
                shapes.append(shape)
            yield
        for item in self._shapes.constraints:
            if not self._analyse(item.shape, item):
                constraints.append(item)
            yield
        if shapes or constraints:
            self.remaining_shapes = self._shapes.restrict_targets(shapes, constraints)
        for number, analysed in enumerate(self.shapes):
            self._index_states(number, analysed)
        self._is_complete = True

    def _analyse(self, shape: Resource, constraint: SparqlConstraint | None) -> bool:
        """Analyse a shape or one of its SPARQL constraints; return whether it can be validated incrementally."""
        name, node = None if constraint is None else constraint.constraint, term_to_rdflib(shape)
        try:
            targets = self._analyse_targets(shape)
            if constraint is None:
                focus = self._builder.add_shape(node)
                nested = self._builder.has_nested_property_shapes(node)
                analysed = AnalysedShape(shape, targets, focus, None, None, nested)
            else:
                query = analyse_query(constraint.select, self._builder.paths, self._shapes_graph)
                constraint = replace(constraint, select=query.text)
                analysed = AnalysedShape(shape, targets, None, constraint, query, has_nested_property_shapes=False)
        except UnsupportedConstraintError as error:
            self.explanations.append(ShapeExplanation(shape, name, str(error)))
            return False
        self.shapes.append(analysed)
        self.explanations.append(ShapeExplanation(shape, name, None))
        return True

    def _analyse_targets(self, shape: Resource) -> AnalysedTargets:
        if shape not in self._targets:
            node = term_to_rdflib(shape)
            targets = read_targets(self.source, node)
            self._targets[shape] = AnalysedTargets(
                classes=frozenset(map(term_from_rdflib, targets.classes)),
                nodes=frozenset(map(term_from_rdflib, targets.nodes)),
                subjects_of=_predicates(targets.subjects_of),
                objects_of=_predicates(targets.objects_of),
                queries=tuple(analyse_query(text, self._builder.paths, self._shapes_graph) for text in targets.selects),
                state=self._builder.add_targets(node, targets),
            )
        return self._targets[shape]

    def _index_states(self, number: int, analysed: AnalysedShape) -> None:
        """Record at which states the focus nodes of an analysed shape, or the values of its variables, are."""
        self.units_by_state[analysed.targets.state].append((number, None))
        if analysed.focus_state is not None:
            parts = self._builder.shape_states(term_to_rdflib(analysed.shape))
            own, properties = (analysed.focus_state, {}) if parts is None else parts
            self.units_by_state[own].append((number, None))
            for part, state in properties.items():
                property_shape = _require_shape(term_from_rdflib(part))
                self.units_by_state[state].append((number, property_shape))
                self.property_shape_states[property_shape] = state
        for query in analysed.queries:
            for name, state in query.variables.items():
                if name == THIS:
                    self.units_by_state[state].append((number, None))
                else:
                    self.queries_by_state[state].append((query, name, number))


def _predicates(nodes: tuple[rdflib.term.Node, ...]) -> tuple[NamedNode, ...]:
    return tuple(term for term in map(term_from_rdflib, nodes) if isinstance(term, NamedNode))


def _require_shape(term: Term) -> Resource:
    if isinstance(term, Literal):
        raise ShapesError(f"A property shape cannot be a literal: {term}.")
    return term

"""The gate: what a change would bring about, judged without looking at what it does not touch.

The shapes are analysed once. From the triples that a change really adds to or takes from the union of the graphs, the
focus nodes are found that read them, before and after it; only these are judged, each over what its shape reads. What
cannot be analysed is judged in full, before and after. The verdict is that of full validation.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

import rdflib
from rdflib.namespace import RDF, RDFS, SH

from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import Row
from kg.errors import EngineError, ShapesError
from kg.rdf.delta import Delta
from kg.rdf.rdflib_terms import rdflib_graph, term_from_rdflib, term_to_rdflib
from kg.rdf.terms import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Resource, Term, Triple
from kg.validation.constraint_patterns import UnsupportedConstraintError
from kg.validation.dependency_graph import MAX_NODE_STATES, ChangeTrigger, NodeState, State, TooManyDependenciesError
from kg.validation.query_dependencies import THIS, QueryDependencies, ShapesGraphQueries, analyse_query
from kg.validation.report import Finding, ValidationReport, finding_key, sort_findings
from kg.validation.shacl import (
    SHAPES_GRAPH,
    CoreValidator,
    Shapes,
    SparqlConstraint,
    evaluate_constraint,
    target_selects,
    validate,
)
from kg.validation.shape_dependencies import ShapeDependencyBuilder, target_classes

_TYPE: Final = NamedNode(str(RDF.type))
_SUBCLASS: Final = NamedNode(str(RDFS.subClassOf))
_MAX_WALKED_STATES: Final = 200
"""Places that are walked through before a query is asked."""
_MAX_WALKED_FOCUS_NODES: Final = 3
"""Focus nodes that are judged rather than asked for."""


@dataclass(frozen=True)
class ShapeExplanation:
    """How a shape or a constraint is judged: `reason` says why it is judged in full, None if it is not."""

    shape: Resource
    constraint: Resource | None
    reason: str | None


@dataclass(frozen=True)
class _ShapeTargets:
    """What a shape targets; `queries` are its SPARQL targets."""

    classes: frozenset[Term]
    nodes: frozenset[Term]
    subjects_of: tuple[NamedNode, ...]
    objects_of: tuple[NamedNode, ...]
    queries: tuple[QueryDependencies, ...]
    state: State

    def contains(self, node: Term, view: "_UnionView") -> bool:
        """Whether a node is one of them."""
        return (
            node in self.nodes
            or (bool(self.classes) and not self.classes.isdisjoint(view.classes_of(node)))
            or any(view.holds(node, predicate, None) for predicate in self.subjects_of)
            or any(view.holds(None, predicate, node) for predicate in self.objects_of)
            or any(query.can_bind(THIS, node, view.holds) and view.focus_rows(query, node) for query in self.queries)
        )


@dataclass(frozen=True)
class _AnalysedShape:
    """A shape that pySHACL judges, or a SPARQL constraint of one, with what it reads."""

    shape: Resource
    targets: _ShapeTargets
    focus_state: State | None
    constraint: SparqlConstraint | None
    query: QueryDependencies | None
    has_nested_property_shapes: bool

    @property
    def queries(self) -> tuple[QueryDependencies, ...]:
        """The SPARQL texts that decide which nodes it is about, or what it finds."""
        return (*self.targets.queries, *(() if self.query is None else (self.query,)))


ValidationUnit = tuple[int, Resource | None]
"""A judged shape by its number, and the one of its property shapes that is meant, None for all of it."""
FocusNodesByUnit = dict[ValidationUnit, set[Term]]
FindingsByUnit = dict[ValidationUnit, list[Finding]]


class IncrementalValidator:
    """Shapes, analysed; judges changes of a dataset."""

    def __init__(self, shapes: Shapes) -> None:
        """Take shapes, which are analysed when first needed; which must be judged in full is told by `explain`."""
        self._shapes = shapes
        self._source = rdflib_graph(shapes.quads)
        self._reader = ShapeDependencyBuilder(shapes.core_graph, self._source)
        self._shapes_graph = ShapesGraphQueries(shapes.quads)
        self._core = CoreValidator(shapes.core_graph)
        self._targets = dict[Resource, _ShapeTargets]()
        self._analysed_shapes = list[_AnalysedShape]()
        self._explanations = list[ShapeExplanation]()
        self._unanalysed_shapes: Shapes | None = None
        self._units_by_state = defaultdict[State, list[ValidationUnit]](list)
        self._property_shape_states = dict[Resource, State]()
        self._queries_by_state = defaultdict[State, list[tuple[QueryDependencies, str, int]]](list)
        self._analysis_complete = False
        self._pending_analysis = self._analyse_all()

    def prepare(self) -> Iterator[None]:
        """Analyse the shapes, one with each step, so that whoever has little time at once can do it bit by bit."""
        yield from self._pending_analysis
        self._core.preload()

    @property
    def shapes(self) -> rdflib.Graph:
        """The shapes graph as it was given."""
        return self._source

    def explain(self) -> tuple[ShapeExplanation, ...]:
        """How each shape with targets, and each SPARQL constraint, is judged."""
        self._finish()
        return tuple(self._explanations)

    def _finish(self) -> None:
        """Analyse what is left; an analysis that once broke off would let everything pass."""
        for _ in self._pending_analysis:
            pass
        if not self._analysis_complete:
            raise EngineError("The shapes could not be analysed, so nothing is admitted.")

    def _analyse_all(self) -> Iterator[None]:
        in_full, constraints = list[Resource](), list[SparqlConstraint]()
        for shape in self._shapes.targeted_shapes:
            if not self._analyse(shape, None):
                in_full.append(shape)
            yield
        for item in self._shapes.constraints:
            if not self._analyse(item.shape, item):
                constraints.append(item)
            yield
        self._unanalysed_shapes = (
            self._shapes.restrict_targets(in_full, constraints) if in_full or constraints else None
        )
        for number, judged in enumerate(self._analysed_shapes):
            self._index_states(number, judged)
        self._analysis_complete = True

    def validate_change(self, engine: EmbeddedEngine, delta: Delta) -> ValidationReport:
        """What a change would add to the findings; the engine is as before the change, and is so again afterwards.

        Raises EngineError or ShapesError if it cannot be judged, so that a caller can only refuse.
        """
        self._finish()
        changes = _union_changes(engine, delta)
        if not changes.lost and not changes.gained:
            return ValidationReport(())
        try:
            found = self._find_new(engine, delta, changes)
        except TooManyDependenciesError:
            return ValidationReport(sort_findings(_validate_in_full(engine, delta, self._shapes)))
        if self._unanalysed_shapes is not None:
            found += _validate_in_full(engine, delta, self._unanalysed_shapes)
        return ValidationReport(sort_findings(found))

    def _find_new(self, engine: EmbeddedEngine, delta: Delta, changes: "_UnionChanges") -> list[Finding]:
        before = _UnionView(engine)
        lost = self._affected_states(before, changes.lost, ChangeTrigger.LOST)
        with engine.temporarily_applied(delta):
            after = _UnionView(engine)
            places = lost | self._affected_states(after, changes.gained, ChangeTrigger.GAINED)
            concerned = self._affected_focus_nodes(after, places)
            new = self._validate_units(after, concerned)
            if new and (
                any(map(_has_blank_focus, _flatten(new)))
                or any(self._analysed_shapes[number].has_nested_property_shapes for number, _ in concerned)
            ):
                return self._find_new_conservatively(engine, delta, changes)
        found = {unit: concerned[unit] & {item.focus for item in items} for unit, items in new.items()}
        return _new_findings(_flatten(new), _flatten(self._validate_units(before, found)))

    def _find_new_conservatively(self, engine: EmbeddedEngine, delta: Delta, changes: "_UnionChanges") -> list[Finding]:
        """The same where findings of one focus node may be taken for those of another, and no longer found count too.

        The engine is in the state after the change.
        """
        after = _UnionView(engine)
        places = self._affected_states(after, changes.gained, ChangeTrigger.ALWAYS)
        with engine.temporarily_applied(delta.inverse()):
            before = _UnionView(engine)
            places |= self._affected_states(before, changes.lost, ChangeTrigger.ALWAYS)
            concerned = self._affected_focus_nodes(before, places)
        for unit, nodes in self._affected_focus_nodes(after, places).items():
            concerned.setdefault(unit, set()).update(nodes)
        _drop_duplicate_checks(concerned)
        new = self._validate_units(after, concerned)
        with engine.temporarily_applied(delta.inverse()):
            return _new_findings(_flatten(new), _flatten(self._validate_units(_UnionView(engine), concerned)))

    def _analyse(self, shape: Resource, constraint: SparqlConstraint | None) -> bool:
        name = None if constraint is None else constraint.constraint
        try:
            targets = self._targets_of(shape)
            focus = self._reader.add_shape(term_to_rdflib(shape)) if constraint is None else None
            query = None if constraint is None else analyse_query(constraint.select, self._reader, self._shapes_graph)
        except UnsupportedConstraintError as error:
            self._explanations.append(ShapeExplanation(shape, name, str(error)))
            return False
        if constraint is not None and query is not None:
            constraint = replace(constraint, select=query.text)
        strays = constraint is None and self._reader.has_nested_property_shapes(term_to_rdflib(shape))
        self._analysed_shapes.append(_AnalysedShape(shape, targets, focus, constraint, query, strays))
        self._explanations.append(ShapeExplanation(shape, name, None))
        return True

    def _targets_of(self, shape: Resource) -> _ShapeTargets:
        if shape not in self._targets:
            node, graph = term_to_rdflib(shape), self._source
            self._targets[shape] = _ShapeTargets(
                classes=frozenset(map(term_from_rdflib, target_classes(graph, node))),
                nodes=frozenset(map(term_from_rdflib, graph.objects(node, SH.targetNode))),
                subjects_of=_target_predicates(graph, node, SH.targetSubjectsOf),
                objects_of=_target_predicates(graph, node, SH.targetObjectsOf),
                queries=tuple(
                    analyse_query(text, self._reader, self._shapes_graph) for text in target_selects(graph, shape)
                ),
                state=self._reader.add_targets(node),
            )
        return self._targets[shape]

    def _index_states(self, number: int, judged: _AnalysedShape) -> None:
        """Note at which states of the automaton stand focus nodes, or values of variables."""
        self._units_by_state[judged.targets.state].append((number, None))
        if judged.focus_state is not None:
            parts = self._reader.shape_states(term_to_rdflib(judged.shape))
            own, properties = (judged.focus_state, {}) if parts is None else parts
            self._units_by_state[own].append((number, None))
            for part, state in properties.items():
                known = _require_shape(term_from_rdflib(part))
                self._units_by_state[state].append((number, known))
                self._property_shape_states[known] = state
        for query in judged.queries:
            for name, state in query.variables.items():
                if name == THIS:
                    self._units_by_state[state].append((number, None))
                else:
                    self._queries_by_state[state].append((query, name, number))

    def _affected_states(self, view: "_UnionView", triples: frozenset[Triple], when: ChangeTrigger) -> set[NodeState]:
        """Where some triples are read in a state in which they are there."""
        return self._reader.dependency_graph.trace_back(triples, view.match_triples, when) if triples else set()

    def _affected_focus_nodes(self, view: "_UnionView", places: set[NodeState]) -> FocusNodesByUnit:
        """The focus nodes about which more may be found in a state because something was read at some places."""
        found = defaultdict[ValidationUnit, set[Term]](set)
        for node, state in places:
            for unit in self._units_by_state.get(state, ()):
                found[unit].add(node)
            for query, name, number in self._queries_by_state.get(state, ()):
                found[number, None] |= self._focus_nodes(view, query, name, node)
        _drop_duplicate_checks(found)
        return found

    def _focus_nodes(
        self, view: "_UnionView", query: QueryDependencies, variable: str, node: Term
    ) -> AbstractSet[Term]:
        """The values that ?this may have in the rows of a query in which another variable has a value."""
        if not query.can_bind(variable, node, view.holds):
            return frozenset()
        if variable in query.focus_paths:
            start, end = query.focus_paths[variable]
            near = self._reader.dependency_graph.find_origins(
                (node, end), start, view.match_triples, _MAX_WALKED_STATES
            )
            if near is not None and len(near) <= _MAX_WALKED_FOCUS_NODES:
                return near
        return view.focus_nodes(query, variable, node)

    def _validate_units(self, view: "_UnionView", concerned: FocusNodesByUnit) -> FindingsByUnit:
        """What the shapes find in a state about the focus nodes that are their targets; only units that find some."""
        pairs = dict[ValidationUnit, tuple[Resource, list[Term]]]()
        read, found = set[Triple](), dict[ValidationUnit, list[Finding]]()
        for (number, part), candidates in concerned.items():
            judged = self._analysed_shapes[number]
            nodes = [node for node in candidates if judged.targets.contains(node, view)]
            if judged.constraint is not None and judged.query is not None:
                found[number, part] = [
                    finding
                    for node in nodes
                    if judged.query.can_bind(THIS, node, view.holds)
                    for finding in evaluate_constraint(
                        judged.constraint, node, view.select_function(judged.query, node)
                    )
                ]
            elif nodes and judged.focus_state is not None:
                pairs[number, part] = (part or judged.shape, nodes)
                start = judged.focus_state if part is None else self._property_shape_states[part]
                read |= self._reader.dependency_graph.collect_triples(
                    [(node, start) for node in nodes], view.match_triples
                )
                read |= {triple for node in nodes if isinstance(node, BlankNode) for triple in view.sample_triple(node)}
        if pairs:
            found.update(zip(pairs, self._core.validate_pairs(read, pairs.values()), strict=True))
        return {unit: findings for unit, findings in found.items() if findings}


class _UnionView:
    """The union of the graphs, but for the shapes, in the state that an engine has at the moment; it remembers."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine
        self._matching = dict[tuple[Term | None, NamedNode | None, Term | None], tuple[Triple, ...]]()
        self._classes = dict[Term, frozenset[Term]]()
        self._nodes = dict[tuple[str, str, Term], frozenset[Term]]()
        self._hazardous = dict[tuple[str, bool], bool]()
        self._shapes = dict[tuple[Term | None, NamedNode | None, Term | None], bool]()

    def match_triples(
        self, subject: Term | None, predicate: NamedNode | None, object_: Term | None
    ) -> tuple[Triple, ...]:
        """The triples with a subject, predicate and object, of which None stands for any."""
        key = (subject, predicate, object_)
        if key not in self._matching:
            found = itertools.islice(
                self._engine.triples_outside_graph(subject, predicate, object_, SHAPES_GRAPH), MAX_NODE_STATES
            )
            self._matching[key] = tuple(dict.fromkeys(found))
            if len(self._matching[key]) == MAX_NODE_STATES:
                raise TooManyDependenciesError
        return self._matching[key]

    def holds(self, subject: Term | None, predicate: NamedNode | None, object_: Term | None) -> bool:
        """Whether there is such a triple."""
        key = (subject, predicate, object_)
        if key in self._matching:
            return bool(self._matching[key])
        return any(True for _ in self._engine.triples_outside_graph(subject, predicate, object_, SHAPES_GRAPH))

    def sample_triple(self, node: BlankNode) -> tuple[Triple, ...]:
        """One of the triples of a blank node, if any: the validator reports of none that it cannot find."""
        return self.match_triples(node, None, None)[:1] or self.match_triples(None, None, node)[:1]

    def select_function(self, query: QueryDependencies, node: Term) -> Callable[[str, Mapping[str, Term]], list[Row]]:
        """What answers a query about a focus node: over all graphs at once, if the shapes cannot be taken for data."""
        if self._has_hazard(query, near=False) or (self._has_hazard(query, near=True) and self._mentions_shapes(node)):
            return self._select_without_shapes
        return self._engine.select

    def focus_rows(self, query: QueryDependencies, node: Term) -> list[Row]:
        """The rows of a query in which ?this is a node."""
        return self.select_function(query, node)(*query.focus_query(THIS, node))

    def focus_nodes(self, query: QueryDependencies, variable: str, node: Term) -> frozenset[Term]:
        """The values of ?this in the rows in which a variable has a value."""
        key = (query.text, variable, node)
        if key not in self._nodes:
            hazardous = self._has_hazard(query, near=False) or self._has_hazard(query, near=True)
            ask = self._select_without_shapes if hazardous else self._engine.select
            rows = ask(*query.focus_query(variable, node))
            self._nodes[key] = frozenset(row[THIS] for row in rows if THIS in row)
        return self._nodes[key]

    def classes_of(self, node: Term) -> frozenset[Term]:
        """The classes of a node, with those above them."""
        if node not in self._classes:
            found = set[Term]()
            waiting = [triple.object for triple in self.match_triples(node, _TYPE, None)]
            while waiting:
                kind = waiting.pop()
                if kind not in found and not isinstance(kind, Triple):
                    found.add(kind)
                    waiting += [triple.object for triple in self.match_triples(kind, _SUBCLASS, None)]
            self._classes[node] = frozenset(found)
        return self._classes[node]

    def _select_without_shapes(self, text: str, bindings: Mapping[str, Term]) -> list[Row]:
        """Answer a query over all graphs but the shapes, which are read one by one."""
        named = sorted(self._engine.named_graphs(), key=str)
        default: list[NamedNode | DefaultGraph] = [*(graph for graph in named if graph != SHAPES_GRAPH), DefaultGraph()]
        return self._engine.select_in_graphs(text, default, named, bindings)

    def _has_hazard(self, query: QueryDependencies, *, near: bool) -> bool:
        """Whether the shapes graph has a triple that a query could take for data."""
        key = (query.text, near)
        if key not in self._hazardous:
            self._hazardous[key] = any(
                self._in_shapes(None, item.predicate, item.object) for item in query.hazards if item.near_focus == near
            )
        return self._hazardous[key]

    def _mentions_shapes(self, node: Term) -> bool:
        """Whether the shapes graph describes a node or what its triples name."""
        triples = self.match_triples(node, None, None)
        named = {node, *(term for triple in triples for term in (triple.predicate, triple.object))}
        return any(self._in_shapes(term, None, None) for term in named if not isinstance(term, Triple))

    def _in_shapes(self, subject: Term | None, predicate: NamedNode | None, object_: Term | None) -> bool:
        key = (subject, predicate, object_)
        if key not in self._shapes:
            self._shapes[key] = self._engine.graph_has_triple(subject, predicate, object_, SHAPES_GRAPH)
        return self._shapes[key]


@dataclass(frozen=True)
class _UnionChanges:
    """The triples that a change takes from the union of the graphs, and adds to it; the shapes do not count."""

    lost: frozenset[Triple]
    gained: frozenset[Triple]


def _union_changes(engine: EmbeddedEngine, delta: Delta) -> _UnionChanges:
    """What a change does to the union, where another graph may hold what one graph gains or loses."""

    def held(triple: Triple) -> set[Quad]:
        found = engine.quads_with_triple(triple)
        return {quad for quad in found if quad.graph_name != SHAPES_GRAPH}

    added, removed = (
        {quad for quad in quads if quad.graph_name != SHAPES_GRAPH} for quads in (delta.added, delta.removed)
    )
    still = {quad.triple for quad in added}
    return _UnionChanges(
        lost=frozenset(triple for triple in {quad.triple for quad in removed} - still if not held(triple) - removed),
        gained=frozenset(triple for triple in still if not held(triple)),
    )


def _validate_in_full(engine: EmbeddedEngine, delta: Delta, shapes: Shapes) -> list[Finding]:
    old = validate(engine.quads(), shapes)
    with engine.temporarily_applied(delta):
        new = validate(engine.quads(), shapes)
    return _new_findings(new.findings, old.findings)


def _flatten(found: FindingsByUnit) -> list[Finding]:
    return [item for items in found.values() for item in items]


def _new_findings(new: Iterable[Finding], old: Iterable[Finding]) -> list[Finding]:
    """The findings that were not there before; where there were some alike, those that are more now."""
    known, fresh = Counter(map(finding_key, old)), list[Finding]()
    for item in sort_findings(new):
        key = finding_key(item)
        if known[key] > 0:
            known[key] -= 1
        else:
            fresh.append(item)
    return fresh


def _target_predicates(graph: rdflib.Graph, shape: rdflib.term.Node, term: rdflib.URIRef) -> tuple[NamedNode, ...]:
    found = map(term_from_rdflib, graph.objects(shape, term))
    return tuple(predicate for predicate in found if isinstance(predicate, NamedNode))


def _drop_duplicate_checks(concerned: FocusNodesByUnit) -> None:
    """Judge no focus node by a property shape and by all of the shape too."""
    for number, part in concerned:
        if part is not None:
            concerned[number, part] -= concerned.get((number, None), set())


def _has_blank_focus(item: Finding) -> bool:
    """Whether a finding looks like those of other nodes."""
    return isinstance(item.focus, BlankNode)


def _require_shape(term: Term) -> Resource:
    if isinstance(term, Literal):
        raise ShapesError(f"A property shape cannot be a literal: {term}.")
    return term

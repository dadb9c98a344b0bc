"""Incremental validation: find what a change adds to the findings without validating the whole dataset.

The shapes are analysed once. For each triple that a change adds to the union of the graphs or removes from it, the
dependency graph yields the focus nodes that read it, before and after the change. Only these focus nodes are validated,
each over the triples that its shape reads. Shapes that cannot be analysed are validated in full, before and after. The
verdict equals that of full validation.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

import rdflib

from kg.engine.embedded import EmbeddedEngine
from kg.rdf.delta import Delta
from kg.rdf.terms import BlankNode, Resource, Term, Triple
from kg.validation.core_validator import CoreValidator
from kg.validation.dependency_graph import ChangeTrigger, NodeState, TooManyDependenciesError
from kg.validation.query_dependencies import THIS, QueryDependencies
from kg.validation.report import Finding, ValidationReport, finding_key, sort_findings
from kg.validation.shacl import evaluate_constraint, validate
from kg.validation.shape_analysis import ShapeAnalysis, ShapeExplanation, ValidationUnit
from kg.validation.shapes import Shapes
from kg.validation.union_view import UnionChanges, UnionView, union_changes

_MAX_WALKED_STATES: Final = 200
"""Node states that a search for focus nodes visits before the query itself is evaluated instead."""
_MAX_WALKED_FOCUS_NODES: Final = 3
"""Candidate focus nodes up to which validating them is cheaper than evaluating the query."""

_FocusNodesByUnit = dict[ValidationUnit, set[Term]]
_FindingsByUnit = dict[ValidationUnit, list[Finding]]


class IncrementalValidator:
    """Validates changes of a dataset against shapes."""

    def __init__(self, shapes: Shapes) -> None:
        """Take the shapes; they are analysed at first use."""
        self._shapes = shapes
        self._analysis = ShapeAnalysis(shapes)
        self._core = CoreValidator(shapes.core_graph)

    def prepare(self) -> Iterator[None]:
        """Analyse the shapes, one with each step, so that a caller can do other work in between."""
        yield from self._analysis.steps
        self._core.preload()

    @property
    def shapes(self) -> rdflib.Graph:
        """The shapes graph as it was given."""
        return self._analysis.source

    def explain(self) -> tuple[ShapeExplanation, ...]:
        """Return how each shape with targets, and each SPARQL constraint, is validated."""
        self._analysis.finish()
        return tuple(self._analysis.explanations)

    def validate_change(self, engine: EmbeddedEngine, delta: Delta) -> ValidationReport:
        """Return the findings that a change adds. The engine must be in the state before the change, and stays so.

        Raise EngineError or ShapesError if the change cannot be validated: the caller must then refuse it.
        """
        self._analysis.finish()
        changes = union_changes(engine, delta)
        if not changes.lost and not changes.gained:
            return ValidationReport(())
        try:
            findings = self._find_new(engine, delta, changes)
        except TooManyDependenciesError:
            return ValidationReport(sort_findings(_validate_in_full(engine, delta, self._shapes)))
        if self._analysis.remaining_shapes is not None:
            findings += _validate_in_full(engine, delta, self._analysis.remaining_shapes)
        return ValidationReport(sort_findings(findings))

    def _find_new(self, engine: EmbeddedEngine, delta: Delta, changes: UnionChanges) -> list[Finding]:
        """Validate the affected focus nodes after the change, and those with findings also before it.

        A new finding needs a gained triple that a pattern matches after the change, or a lost one that a negated
        pattern matched before it. So lost triples are traced in the old state and gained ones in the new state.
        """
        before = UnionView(engine)
        lost = self._affected_states(before, changes.lost, ChangeTrigger.LOST)
        with engine.temporarily_applied(delta):
            after = UnionView(engine)
            states = lost | self._affected_states(after, changes.gained, ChangeTrigger.GAINED)
            affected = self._affected_focus_nodes(after, states)
            new = self._validate_units(after, affected)
            if new and (
                any(isinstance(item.focus, BlankNode) for item in _flatten(new))
                or any(self._analysis.shapes[number].has_nested_property_shapes for number, _ in affected)
            ):
                return self._find_new_conservatively(engine, delta, changes)
        with_findings = {unit: affected[unit] & {item.focus for item in findings} for unit, findings in new.items()}
        return _new_findings(_flatten(new), _flatten(self._validate_units(before, with_findings)))

    def _find_new_conservatively(self, engine: EmbeddedEngine, delta: Delta, changes: UnionChanges) -> list[Finding]:
        """Validate all focus nodes that read a changed triple, in both states; the engine is in the new state.

        Findings are counted by key. Blank focus nodes have equal keys, and nested property shapes report on nodes other
        than the focus node. So a new finding may replace one that another focus node loses, and nodes that only lose
        findings must be validated too.
        """
        after = UnionView(engine)
        states = self._affected_states(after, changes.gained, ChangeTrigger.ALWAYS)
        with engine.temporarily_applied(delta.inverse()):
            before = UnionView(engine)
            states |= self._affected_states(before, changes.lost, ChangeTrigger.ALWAYS)
            affected = self._affected_focus_nodes(before, states)
        for unit, nodes in self._affected_focus_nodes(after, states).items():
            affected.setdefault(unit, set()).update(nodes)
        _drop_duplicate_checks(affected)
        new = self._validate_units(after, affected)
        with engine.temporarily_applied(delta.inverse()):
            return _new_findings(_flatten(new), _flatten(self._validate_units(UnionView(engine), affected)))

    def _affected_states(self, view: UnionView, triples: frozenset[Triple], change: ChangeTrigger) -> set[NodeState]:
        """Return the node states from which some triples are read, in a state that holds them."""
        return self._analysis.dependency_graph.trace_back(triples, view.match_triples, change) if triples else set()

    def _affected_focus_nodes(self, view: UnionView, states: set[NodeState]) -> _FocusNodesByUnit:
        """Return the focus nodes that may have new findings because of changes read from some node states."""
        affected = defaultdict[ValidationUnit, set[Term]](set)
        for node, state in states:
            for unit in self._analysis.units_by_state.get(state, ()):
                affected[unit].add(node)
            for query, name, number in self._analysis.queries_by_state.get(state, ()):
                affected[number, None] |= self._focus_nodes(view, query, name, node)
        _drop_duplicate_checks(affected)
        return affected

    def _focus_nodes(self, view: UnionView, query: QueryDependencies, variable: str, node: Term) -> AbstractSet[Term]:
        """Return candidates for ?this in the rows of a query in which another variable has a value."""
        if not query.can_bind(variable, node, view.holds):
            return frozenset()
        if variable in query.focus_paths:
            start, end = query.focus_paths[variable]
            origins = self._analysis.dependency_graph.find_origins(
                (node, end), start, view.match_triples, _MAX_WALKED_STATES
            )
            if origins is not None and len(origins) <= _MAX_WALKED_FOCUS_NODES:
                return origins
        return view.focus_nodes(query, variable, node)

    def _validate_units(self, view: UnionView, affected: _FocusNodesByUnit) -> _FindingsByUnit:
        """Validate the affected nodes that are targets; return the units with findings.

        All units of pySHACL share one data graph, so that pySHACL runs once.
        """
        pairs = dict[ValidationUnit, tuple[Resource, list[Term]]]()
        read, findings = set[Triple](), _FindingsByUnit()
        for (number, part), candidates in affected.items():
            analysed = self._analysis.shapes[number]
            nodes = [node for node in candidates if analysed.targets.contains(node, view)]
            if analysed.constraint is not None and analysed.query is not None:
                findings[number, part] = [
                    finding
                    for node in nodes
                    if analysed.query.can_bind(THIS, node, view.holds)
                    for finding in evaluate_constraint(
                        analysed.constraint, node, view.select_function(analysed.query, node)
                    )
                ]
            elif nodes and analysed.focus_state is not None:
                pairs[number, part] = (part or analysed.shape, nodes)
                start = analysed.focus_state if part is None else self._analysis.property_shape_states[part]
                read |= self._analysis.dependency_graph.collect_triples(
                    [(node, start) for node in nodes], view.match_triples
                )
                read |= {triple for node in nodes if isinstance(node, BlankNode) for triple in view.sample_triple(node)}
        if pairs:
            findings.update(zip(pairs, self._core.validate_pairs(read, pairs.values()), strict=True))
        return {unit: items for unit, items in findings.items() if items}


def _validate_in_full(engine: EmbeddedEngine, delta: Delta, shapes: Shapes) -> list[Finding]:
    old = validate(engine.quads(), shapes)
    with engine.temporarily_applied(delta):
        new = validate(engine.quads(), shapes)
    return _new_findings(new.findings, old.findings)


def _flatten(findings: _FindingsByUnit) -> list[Finding]:
    return [item for items in findings.values() for item in items]


def _new_findings(new: Iterable[Finding], old: Iterable[Finding]) -> list[Finding]:
    """Return the findings without counterpart before the change; findings with equal keys are counted."""
    known, fresh = Counter(map(finding_key, old)), list[Finding]()
    for item in sort_findings(new):
        key = finding_key(item)
        if known[key] > 0:
            known[key] -= 1
        else:
            fresh.append(item)
    return fresh


def _drop_duplicate_checks(affected: _FocusNodesByUnit) -> None:
    """Drop focus nodes from a property shape's unit that the unit of the whole shape also has."""
    for number, part in affected:
        if part is not None:
            affected[number, part] -= affected.get((number, None), set())

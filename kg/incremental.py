"""The gate: what a change would bring about, judged without looking at what it does not touch.

The shapes are analysed once. From the triples that a change really adds to or takes from the union of the graphs, the
focus nodes are found that read them, before and after it; only these are judged, each over what its shape reads. What
cannot be analysed is judged in full, before and after. The verdict is that of full validation.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import rdflib
from rdflib.namespace import RDF, RDFS, SH

from kg.automaton import State, TooManyError
from kg.constraint_reading import Pattern, Query, joined, read_query
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import Delta, Row
from kg.gate import (
    SHAPES_GRAPH,
    CoreJudge,
    Finding,
    Report,
    Shapes,
    SparqlConstraint,
    identity,
    judge_constraint,
    ranked,
    target_selects,
    validate,
)
from kg.rdf import (
    BlankNode,
    DefaultGraph,
    Literal,
    NamedNode,
    Quad,
    Resource,
    Term,
    Triple,
    from_rdflib,
    rdflib_graph,
    term_to_rdflib,
)
from kg.reading import Reader, UnreadableError, classes

_TYPE: Final = NamedNode(str(RDF.type))
_SUBCLASS: Final = NamedNode(str(RDFS.subClassOf))


@dataclass(frozen=True)
class Explanation:
    """How a shape or a constraint is judged: `reason` says why it is judged in full, None if it is not."""

    shape: Resource
    constraint: Resource | None
    reason: str | None


@dataclass(frozen=True)
class _Targets:
    """What a shape targets; `selects` are its SPARQL targets, `queries` what is read by them."""

    classes: frozenset[Term]
    nodes: frozenset[Term]
    subjects_of: tuple[NamedNode, ...]
    objects_of: tuple[NamedNode, ...]
    selects: tuple[str, ...]
    queries: tuple[Query, ...]
    state: State

    def have(self, node: Term, view: "_View") -> bool:
        """Whether a node is one of them."""
        return (
            node in self.nodes
            or (bool(self.classes) and not self.classes.isdisjoint(view.classes_of(node)))
            or (
                not isinstance(node, Literal)
                and any(view.holds(node, predicate, None) for predicate in self.subjects_of)
            )
            or any(view.holds(None, predicate, node) for predicate in self.objects_of)
            or any(view.rows(select, {"this": node}) for select in self.selects)
        )


@dataclass(frozen=True)
class _Judged:
    """A shape that pySHACL judges, or a SPARQL constraint of one, with what it reads."""

    shape: Resource
    targets: _Targets
    focus: State | None
    constraint: SparqlConstraint | None
    query: Query | None


class Gate:
    """Shapes, analysed; judges changes of a dataset."""

    def __init__(self, shapes: Shapes) -> None:
        """Take shapes, which are analysed when first needed; which must be judged in full is told by `explain`."""
        self._shapes = shapes
        self._source = rdflib_graph(shapes.quads)
        self._reader = Reader(shapes.core, self._source)
        self._core = CoreJudge(shapes.core)
        self._targets = dict[Resource, _Targets]()
        self._judged = list[_Judged]()
        self._explained = list[Explanation]()
        self._full: Shapes | None = None
        self._at = dict[State, list[_Judged]]()
        self._steps = self._analysis()

    def prepare(self) -> Iterator[None]:
        """Analyse the shapes, one with each step, so that whoever has little time at once can do it bit by bit."""
        yield from self._steps
        self._core.prepare()

    def explain(self) -> tuple[Explanation, ...]:
        """How each shape with targets, and each SPARQL constraint, is judged."""
        self._finish()
        return tuple(self._explained)

    def _finish(self) -> None:
        for _ in self._steps:
            pass

    def _analysis(self) -> Iterator[None]:
        in_full, constraints = list[Resource](), list[SparqlConstraint]()
        for shape in self._shapes.targeted:
            if not self._analysed(shape, None):
                in_full.append(shape)
            yield
        for item in self._shapes.constraints:
            if not self._analysed(item.shape, item):
                constraints.append(item)
            yield
        self._full = self._shapes.restricted(in_full, constraints) if in_full or constraints else None
        for judged in self._judged:
            for state in (judged.focus, judged.targets.state):
                if state is not None:
                    self._at.setdefault(state, []).append(judged)

    def judge(self, engine: EmbeddedEngine, delta: Delta) -> Report:
        """What a change would add to the findings; the engine is as before the change, and is so again afterwards.

        Raises EngineError or ShapesError if it cannot be judged, so that a caller can only refuse.
        """
        self._finish()
        changes = _changes(engine, delta)
        if not changes.lost and not changes.gained:
            return Report(())
        try:
            found = self._found(engine, delta, changes)
        except TooManyError:
            return Report(ranked(_in_full(engine, delta, self._shapes)))
        if self._full is not None:
            found += _in_full(engine, delta, self._full)
        return Report(ranked(found))

    def _found(self, engine: EmbeddedEngine, delta: Delta, changes: "_Changes") -> list[Finding]:
        before = _View(engine)
        concerned = self._concerned(before, changes.lost)
        with _applied(engine, delta):
            after = _View(engine)
            concerned |= self._concerned(after, changes.gained)
            new = self._findings(after, concerned)
        found = {item.focus for item in new}
        return _fresh(new, self._findings(before, {pair for pair in concerned if pair[1] in found})) if new else []

    def _analysed(self, shape: Resource, constraint: SparqlConstraint | None) -> bool:
        name = None if constraint is None else constraint.constraint
        try:
            targets = self._targets_of(shape)
            focus = self._reader.shape(term_to_rdflib(shape)) if constraint is None else None
            query = None if constraint is None else read_query(constraint.select)
        except UnreadableError as error:
            self._explained.append(Explanation(shape, name, str(error)))
            return False
        self._judged.append(_Judged(shape, targets, focus, constraint, query))
        self._explained.append(Explanation(shape, name, None))
        return True

    def _targets_of(self, shape: Resource) -> _Targets:
        if shape not in self._targets:
            node, graph = term_to_rdflib(shape), self._source
            selects = target_selects(graph, shape)
            self._targets[shape] = _Targets(
                classes=frozenset(map(from_rdflib, classes(graph, node))),
                nodes=frozenset(map(from_rdflib, graph.objects(node, SH.targetNode))),
                subjects_of=_predicates(graph, node, SH.targetSubjectsOf),
                objects_of=_predicates(graph, node, SH.targetObjectsOf),
                selects=selects,
                queries=tuple(map(read_query, selects)),
                state=self._reader.targets(node),
            )
        return self._targets[shape]

    def _concerned(self, view: "_View", triples: frozenset[Triple]) -> set[tuple[int, Term]]:
        """The focus nodes that may be judged otherwise because some triples are there in a state and not in another."""
        if not triples:
            return set()
        places = self._reader.automaton.back_from(triples, view.matching)
        found = {(id(judged), node) for node, state in places for judged in self._at.get(state, ())}
        asked = dict[int, set[Term] | None]()
        for judged in self._judged:
            queries = (*judged.targets.queries, *([] if judged.query is None else [judged.query]))
            for query in queries:
                if id(query) not in asked:
                    asked[id(query)] = query.concerned(triples, view.ask)
                nodes = asked[id(query)]
                if nodes is None:
                    raise TooManyError
                found |= {(id(judged), node) for node in nodes}
        return found

    def _findings(self, view: "_View", concerned: set[tuple[int, Term]]) -> list[Finding]:
        """What the shapes find in a state about the focus nodes that are their targets."""
        by_shape = dict[Resource, list[Term]]()
        read, found = set[Triple](), list[Finding]()
        for judged in self._judged:
            nodes = [node for key, node in concerned if key == id(judged) and judged.targets.have(node, view)]
            if judged.constraint is not None:
                for node in nodes:
                    found += judge_constraint(judged.constraint, node, view.rows)
            elif nodes and judged.focus is not None:
                by_shape[judged.shape] = nodes
                places = [(node, judged.focus) for node in nodes]
                read |= self._reader.automaton.read_from(places, view.matching)
                read |= {view.any_of(node) for node in nodes if isinstance(node, BlankNode)}
        return found + (self._core.judge(read, by_shape) if by_shape else [])


class _View:
    """The union of the graphs, but for the shapes, in the state that an engine has at the moment."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine
        self._named = sorted(engine.graphs(), key=str)
        self._asked: dict[object, frozenset[Term]] = {}
        self._default: list[NamedNode | DefaultGraph] = [
            *(graph for graph in self._named if graph != SHAPES_GRAPH),
            DefaultGraph(),
        ]

    def matching(self, subject: Term | None, predicate: NamedNode | None, object_: Term | None) -> Iterator[Triple]:
        """The triples with a subject, predicate and object, of which None stands for any."""
        return self._engine.statements(subject, predicate, object_, SHAPES_GRAPH)

    def holds(self, subject: Term | None, predicate: NamedNode | None, object_: Term | None) -> bool:
        """Whether there is such a triple."""
        return any(True for _ in self.matching(subject, predicate, object_))

    def any_of(self, node: BlankNode) -> Triple:
        """One of the triples of a blank node: the validator reports of none that it cannot find."""
        return next(itertools.chain(self.matching(node, None, None), self.matching(None, None, node)))

    def rows(self, text: str, bindings: Mapping[str, Term]) -> list[Row]:
        """Answer a SELECT query, with some variables bound beforehand."""
        return self._engine.solutions(text, self._default, self._named, bindings)

    def ask(self, patterns: frozenset[Pattern], variable: object, value: Term) -> frozenset[Term]:
        """The values of ?this in a join that starts with a value; many constraints ask the same."""
        key = patterns, variable, value
        if key not in self._asked:
            self._asked[key] = joined(patterns, variable, value, self.matching)
        return self._asked[key]

    def classes_of(self, node: Term) -> set[Term]:
        """The classes of a node, with those above them."""
        found = set[Term]()
        waiting = [triple.object for triple in self.matching(node, _TYPE, None)]
        while waiting:
            kind = waiting.pop()
            if kind in found or isinstance(kind, Triple):
                continue
            found.add(kind)
            waiting += [triple.object for triple in self.matching(kind, _SUBCLASS, None)]
        return found


@dataclass(frozen=True)
class _Changes:
    """The triples that a change takes from the union of the graphs, and adds to it; the shapes do not count."""

    lost: frozenset[Triple]
    gained: frozenset[Triple]


def _changes(engine: EmbeddedEngine, delta: Delta) -> _Changes:
    """What a change does to the union, where another graph may hold what one graph gains or loses."""

    def held(triple: Triple) -> set[Quad]:
        found = engine.quads_like(triple)
        return {quad for quad in found if quad.graph_name != SHAPES_GRAPH}

    added, removed = (
        {quad for quad in quads if quad.graph_name != SHAPES_GRAPH} for quads in (delta.added, delta.removed)
    )
    still = {quad.triple for quad in added}
    return _Changes(
        lost=frozenset(triple for triple in {quad.triple for quad in removed} - still if not held(triple) - removed),
        gained=frozenset(triple for triple in still if not held(triple)),
    )


@contextmanager
def _applied(engine: EmbeddedEngine, delta: Delta) -> Iterator[None]:
    """Let a change be made while the block runs."""
    engine.apply(delta)
    try:
        yield
    finally:
        engine.apply(delta.inverse())


def _in_full(engine: EmbeddedEngine, delta: Delta, shapes: Shapes) -> list[Finding]:
    old = validate(engine.quads(), shapes)
    with _applied(engine, delta):
        new = validate(engine.quads(), shapes)
    return _fresh(new.findings, old.findings)


def _fresh(new: Iterable[Finding], old: Iterable[Finding]) -> list[Finding]:
    """The findings that were not there before; where there were some alike, those that are more now."""
    known, fresh = Counter(map(identity, old)), list[Finding]()
    for item in ranked(new):
        key = identity(item)
        if known[key] > 0:
            known[key] -= 1
        else:
            fresh.append(item)
    return fresh


def _predicates(graph: rdflib.Graph, shape: rdflib.term.Node, term: rdflib.URIRef) -> tuple[NamedNode, ...]:
    found = map(from_rdflib, graph.objects(shape, term))
    return tuple(predicate for predicate in found if isinstance(predicate, NamedNode))

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
from kg.engine.protocol import Delta, Row
from kg.errors import EngineError, ShapesError
from kg.rdf.io import (
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
from kg.sparql.constraint_parser import UnreadableError
from kg.validation.dependency_graph import MANY, Place, State, TooManyError, When
from kg.validation.query_dependencies import THIS, Query, ShapesGraph, read_query
from kg.validation.report import Finding, Report, identity, ranked
from kg.validation.shacl import (
    SHAPES_GRAPH,
    CoreJudge,
    Shapes,
    SparqlConstraint,
    judge_constraint,
    target_selects,
    validate,
)
from kg.validation.shape_dependencies import Reader, classes

_TYPE: Final = NamedNode(str(RDF.type))
_SUBCLASS: Final = NamedNode(str(RDFS.subClassOf))
_STROLL: Final = 200
"""Places that are walked through before a query is asked."""
_FEW: Final = 3
"""Focus nodes that are judged rather than asked for."""


@dataclass(frozen=True)
class Explanation:
    """How a shape or a constraint is judged: `reason` says why it is judged in full, None if it is not."""

    shape: Resource
    constraint: Resource | None
    reason: str | None


@dataclass(frozen=True)
class _Targets:
    """What a shape targets; `queries` are its SPARQL targets."""

    classes: frozenset[Term]
    nodes: frozenset[Term]
    subjects_of: tuple[NamedNode, ...]
    objects_of: tuple[NamedNode, ...]
    queries: tuple[Query, ...]
    state: State

    def have(self, node: Term, view: "_View") -> bool:
        """Whether a node is one of them."""
        return (
            node in self.nodes
            or (bool(self.classes) and not self.classes.isdisjoint(view.classes_of(node)))
            or any(view.holds(node, predicate, None) for predicate in self.subjects_of)
            or any(view.holds(None, predicate, node) for predicate in self.objects_of)
            or any(query.may_be(THIS, node, view.holds) and view.focus_rows(query, node) for query in self.queries)
        )


@dataclass(frozen=True)
class _Judged:
    """A shape that pySHACL judges, or a SPARQL constraint of one, with what it reads."""

    shape: Resource
    targets: _Targets
    focus: State | None
    constraint: SparqlConstraint | None
    query: Query | None
    strays: bool

    @property
    def queries(self) -> tuple[Query, ...]:
        """The SPARQL texts that decide which nodes it is about, or what it finds."""
        return (*self.targets.queries, *(() if self.query is None else (self.query,)))


Unit = tuple[int, Resource | None]
"""A judged shape by its number, and the one of its property shapes that is meant, None for all of it."""
Concerned = dict[Unit, set[Term]]
Found = dict[Unit, list[Finding]]


class Gate:
    """Shapes, analysed; judges changes of a dataset."""

    def __init__(self, shapes: Shapes) -> None:
        """Take shapes, which are analysed when first needed; which must be judged in full is told by `explain`."""
        self._shapes = shapes
        self._source = rdflib_graph(shapes.quads)
        self._reader = Reader(shapes.core, self._source)
        self._shapes_graph = ShapesGraph(shapes.quads)
        self._core = CoreJudge(shapes.core)
        self._targets = dict[Resource, _Targets]()
        self._judged = list[_Judged]()
        self._explained = list[Explanation]()
        self._full: Shapes | None = None
        self._at = defaultdict[State, list[Unit]](list)
        self._starts = dict[Resource, State]()
        self._asked = defaultdict[State, list[tuple[Query, str, int]]](list)
        self._ready = False
        self._steps = self._analysis()

    def prepare(self) -> Iterator[None]:
        """Analyse the shapes, one with each step, so that whoever has little time at once can do it bit by bit."""
        yield from self._steps
        self._core.prepare()

    @property
    def shapes(self) -> rdflib.Graph:
        """The shapes graph as it was given."""
        return self._source

    def explain(self) -> tuple[Explanation, ...]:
        """How each shape with targets, and each SPARQL constraint, is judged."""
        self._finish()
        return tuple(self._explained)

    def _finish(self) -> None:
        """Analyse what is left; an analysis that once broke off would let everything pass."""
        for _ in self._steps:
            pass
        if not self._ready:
            raise EngineError("The shapes could not be analysed, so nothing is admitted.")

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
        for number, judged in enumerate(self._judged):
            self._enter(number, judged)
        self._ready = True

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
        lost = self._places(before, changes.lost, When.LOST)
        with engine.applied(delta):
            after = _View(engine)
            places = lost | self._places(after, changes.gained, When.GAINED)
            concerned = self._concerned(after, places)
            new = self._findings(after, concerned)
            if new and (any(map(_is_vague, _all(new))) or any(self._judged[number].strays for number, _ in concerned)):
                return self._found_thoroughly(engine, delta, changes)
        found = {unit: concerned[unit] & {item.focus for item in items} for unit, items in new.items()}
        return _fresh(_all(new), _all(self._findings(before, found)))

    def _found_thoroughly(self, engine: EmbeddedEngine, delta: Delta, changes: "_Changes") -> list[Finding]:
        """The same where findings of one focus node may be taken for those of another, and no longer found count too.

        The engine is in the state after the change.
        """
        after = _View(engine)
        places = self._places(after, changes.gained, When.ALWAYS)
        with engine.applied(delta.inverse()):
            before = _View(engine)
            places |= self._places(before, changes.lost, When.ALWAYS)
            concerned = self._concerned(before, places)
        for unit, nodes in self._concerned(after, places).items():
            concerned.setdefault(unit, set()).update(nodes)
        _once(concerned)
        new = self._findings(after, concerned)
        with engine.applied(delta.inverse()):
            return _fresh(_all(new), _all(self._findings(_View(engine), concerned)))

    def _analysed(self, shape: Resource, constraint: SparqlConstraint | None) -> bool:
        name = None if constraint is None else constraint.constraint
        try:
            targets = self._targets_of(shape)
            focus = self._reader.shape(term_to_rdflib(shape)) if constraint is None else None
            query = None if constraint is None else read_query(constraint.select, self._reader, self._shapes_graph)
        except UnreadableError as error:
            self._explained.append(Explanation(shape, name, str(error)))
            return False
        if constraint is not None and query is not None:
            constraint = replace(constraint, select=query.text)
        strays = constraint is None and self._reader.strays(term_to_rdflib(shape))
        self._judged.append(_Judged(shape, targets, focus, constraint, query, strays))
        self._explained.append(Explanation(shape, name, None))
        return True

    def _targets_of(self, shape: Resource) -> _Targets:
        if shape not in self._targets:
            node, graph = term_to_rdflib(shape), self._source
            self._targets[shape] = _Targets(
                classes=frozenset(map(from_rdflib, classes(graph, node))),
                nodes=frozenset(map(from_rdflib, graph.objects(node, SH.targetNode))),
                subjects_of=_predicates(graph, node, SH.targetSubjectsOf),
                objects_of=_predicates(graph, node, SH.targetObjectsOf),
                queries=tuple(
                    read_query(text, self._reader, self._shapes_graph) for text in target_selects(graph, shape)
                ),
                state=self._reader.targets(node),
            )
        return self._targets[shape]

    def _enter(self, number: int, judged: _Judged) -> None:
        """Note at which states of the automaton stand focus nodes, or values of variables."""
        self._at[judged.targets.state].append((number, None))
        if judged.focus is not None:
            parts = self._reader.parts(term_to_rdflib(judged.shape))
            own, properties = (judged.focus, {}) if parts is None else parts
            self._at[own].append((number, None))
            for part, state in properties.items():
                known = _resource(from_rdflib(part))
                self._at[state].append((number, known))
                self._starts[known] = state
        for query in judged.queries:
            for name, state in query.variables.items():
                if name == THIS:
                    self._at[state].append((number, None))
                else:
                    self._asked[state].append((query, name, number))

    def _places(self, view: "_View", triples: frozenset[Triple], when: When) -> set[Place]:
        """Where some triples are read in a state in which they are there."""
        return self._reader.automaton.back_from(triples, view.matching, when) if triples else set()

    def _concerned(self, view: "_View", places: set[Place]) -> Concerned:
        """The focus nodes about which more may be found in a state because something was read at some places."""
        found = defaultdict[Unit, set[Term]](set)
        for node, state in places:
            for unit in self._at.get(state, ()):
                found[unit].add(node)
            for query, name, number in self._asked.get(state, ()):
                found[number, None] |= self._focus_nodes(view, query, name, node)
        _once(found)
        return found

    def _focus_nodes(self, view: "_View", query: Query, variable: str, node: Term) -> AbstractSet[Term]:
        """The values that ?this may have in the rows of a query in which another variable has a value."""
        if not query.may_be(variable, node, view.holds):
            return frozenset()
        if variable in query.ways:
            start, end = query.ways[variable]
            near = self._reader.automaton.leading_to((node, end), start, view.matching, _STROLL)
            if near is not None and len(near) <= _FEW:
                return near
        return view.focus_nodes(query, variable, node)

    def _findings(self, view: "_View", concerned: Concerned) -> Found:
        """What the shapes find in a state about the focus nodes that are their targets; only units that find some."""
        pairs = dict[Unit, tuple[Resource, list[Term]]]()
        read, found = set[Triple](), dict[Unit, list[Finding]]()
        for (number, part), candidates in concerned.items():
            judged = self._judged[number]
            nodes = [node for node in candidates if judged.targets.have(node, view)]
            if judged.constraint is not None and judged.query is not None:
                found[number, part] = [
                    finding
                    for node in nodes
                    if judged.query.may_be(THIS, node, view.holds)
                    for finding in judge_constraint(judged.constraint, node, view.asker(judged.query, node))
                ]
            elif nodes and judged.focus is not None:
                pairs[number, part] = (part or judged.shape, nodes)
                start = judged.focus if part is None else self._starts[part]
                read |= self._reader.automaton.read_from([(node, start) for node in nodes], view.matching)
                read |= {triple for node in nodes if isinstance(node, BlankNode) for triple in view.any_of(node)}
        if pairs:
            found.update(zip(pairs, self._core.judge(read, pairs.values()), strict=True))
        return {unit: findings for unit, findings in found.items() if findings}


class _View:
    """The union of the graphs, but for the shapes, in the state that an engine has at the moment; it remembers."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine
        self._matching = dict[tuple[Term | None, NamedNode | None, Term | None], tuple[Triple, ...]]()
        self._classes = dict[Term, frozenset[Term]]()
        self._nodes = dict[tuple[str, str, Term], frozenset[Term]]()
        self._hazardous = dict[tuple[str, bool], bool]()
        self._shapes = dict[tuple[Term | None, NamedNode | None, Term | None], bool]()

    def matching(self, subject: Term | None, predicate: NamedNode | None, object_: Term | None) -> tuple[Triple, ...]:
        """The triples with a subject, predicate and object, of which None stands for any."""
        key = (subject, predicate, object_)
        if key not in self._matching:
            found = itertools.islice(self._engine.statements(subject, predicate, object_, SHAPES_GRAPH), MANY)
            self._matching[key] = tuple(dict.fromkeys(found))
            if len(self._matching[key]) == MANY:
                raise TooManyError
        return self._matching[key]

    def holds(self, subject: Term | None, predicate: NamedNode | None, object_: Term | None) -> bool:
        """Whether there is such a triple."""
        key = (subject, predicate, object_)
        if key in self._matching:
            return bool(self._matching[key])
        return any(True for _ in self._engine.statements(subject, predicate, object_, SHAPES_GRAPH))

    def any_of(self, node: BlankNode) -> tuple[Triple, ...]:
        """One of the triples of a blank node, if any: the validator reports of none that it cannot find."""
        return self.matching(node, None, None)[:1] or self.matching(None, None, node)[:1]

    def asker(self, query: Query, node: Term) -> Callable[[str, Mapping[str, Term]], list[Row]]:
        """What answers a query about a focus node: over all graphs at once, if the shapes cannot be taken for data."""
        if self._is_apart(query, near=False) or (self._is_apart(query, near=True) and self._names_shapes(node)):
            return self._one_by_one
        return self._engine.select

    def focus_rows(self, query: Query, node: Term) -> list[Row]:
        """The rows of a query in which ?this is a node."""
        return self.asker(query, node)(*query.asking(THIS, node))

    def focus_nodes(self, query: Query, variable: str, node: Term) -> frozenset[Term]:
        """The values of ?this in the rows in which a variable has a value."""
        key = (query.text, variable, node)
        if key not in self._nodes:
            hazardous = self._is_apart(query, near=False) or self._is_apart(query, near=True)
            ask = self._one_by_one if hazardous else self._engine.select
            rows = ask(*query.asking(variable, node))
            self._nodes[key] = frozenset(row[THIS] for row in rows if THIS in row)
        return self._nodes[key]

    def classes_of(self, node: Term) -> frozenset[Term]:
        """The classes of a node, with those above them."""
        if node not in self._classes:
            found = set[Term]()
            waiting = [triple.object for triple in self.matching(node, _TYPE, None)]
            while waiting:
                kind = waiting.pop()
                if kind not in found and not isinstance(kind, Triple):
                    found.add(kind)
                    waiting += [triple.object for triple in self.matching(kind, _SUBCLASS, None)]
            self._classes[node] = frozenset(found)
        return self._classes[node]

    def _one_by_one(self, text: str, bindings: Mapping[str, Term]) -> list[Row]:
        """Answer a query over all graphs but the shapes, which are read one by one."""
        named = sorted(self._engine.graphs(), key=str)
        default: list[NamedNode | DefaultGraph] = [*(graph for graph in named if graph != SHAPES_GRAPH), DefaultGraph()]
        return self._engine.solutions(text, default, named, bindings)

    def _is_apart(self, query: Query, *, near: bool) -> bool:
        """Whether the shapes graph has a triple that a query could take for data."""
        key = (query.text, near)
        if key not in self._hazardous:
            self._hazardous[key] = any(
                self._in_shapes(None, item.predicate, item.object) for item in query.hazards if item.near == near
            )
        return self._hazardous[key]

    def _names_shapes(self, node: Term) -> bool:
        """Whether the shapes graph describes a node or what its triples name."""
        triples = self.matching(node, None, None)
        named = {node, *(term for triple in triples for term in (triple.predicate, triple.object))}
        return any(self._in_shapes(term, None, None) for term in named if not isinstance(term, Triple))

    def _in_shapes(self, subject: Term | None, predicate: NamedNode | None, object_: Term | None) -> bool:
        key = (subject, predicate, object_)
        if key not in self._shapes:
            self._shapes[key] = self._engine.has_any(subject, predicate, object_, SHAPES_GRAPH)
        return self._shapes[key]


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


def _in_full(engine: EmbeddedEngine, delta: Delta, shapes: Shapes) -> list[Finding]:
    old = validate(engine.quads(), shapes)
    with engine.applied(delta):
        new = validate(engine.quads(), shapes)
    return _fresh(new.findings, old.findings)


def _all(found: Found) -> list[Finding]:
    return [item for items in found.values() for item in items]


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


def _once(concerned: Concerned) -> None:
    """Judge no focus node by a property shape and by all of the shape too."""
    for number, part in concerned:
        if part is not None:
            concerned[number, part] -= concerned.get((number, None), set())


def _is_vague(item: Finding) -> bool:
    """Whether a finding looks like those of other nodes."""
    return isinstance(item.focus, BlankNode)


def _resource(term: Term) -> Resource:
    if isinstance(term, Literal):
        raise ShapesError(f"A property shape cannot be a literal: {term}.")
    return term

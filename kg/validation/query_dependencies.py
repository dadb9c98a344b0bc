"""Analyse which triples a SPARQL constraint or target reads, as states of the shapes' dependency graph.

A row of a query rests on one triple for each pattern. A new row needs a gained triple in a pattern, or a lost triple in
a negated pattern. Each variable that all such rows bind has a state, at which its patterns start. So walking back from
a changed triple yields values of these variables. A value of $this is an affected focus node. For a value of another
variable, the query itself, evaluated with that value, returns the affected focus nodes.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import rdflib
from rdflib.paths import AlternativePath, InvPath, MulPath, SequencePath

from kg.engine.embedded import EmbeddedEngine
from kg.rdf.terms import BlankNode, NamedNode, Quad, Term
from kg.sparql.tokens import iter_tokens, split_at_tokens
from kg.validation.constraint_patterns import (
    ConstraintGroup,
    PathPattern,
    PatternTerm,
    RdflibPath,
    UnsupportedConstraintError,
    parse_constraint_query,
)
from kg.validation.dependency_graph import ChangeTrigger, State
from kg.validation.path_transitions import PathTransitions
from kg.validation.shapes import SHAPES_GRAPH

THIS: Final = "this"
TripleExists = Callable[[Term | None, NamedNode | None, Term | None], bool]
"""Whether there is a triple with a subject, predicate and object; None matches any."""

_ROW_BINDING_GROUPS: Final = frozenset({"main", "plain", "branch"})
"""The kinds of groups whose variables every row binds."""


@dataclass(frozen=True)
class RequiredTriple:
    """A triple that a node must have to be the value of a variable in a row.

    The triple has one of `predicates`; the node is its subject, or its object if `inverse`. `other` is the other end,
    None for any.
    """

    predicates: tuple[NamedNode, ...]
    inverse: bool
    other: NamedNode | None

    def is_met_by(self, node: Term, holds: TripleExists) -> bool:
        """Whether a node has the triple."""
        if self.inverse:
            return any(holds(self.other, predicate, node) for predicate in self.predicates)
        return any(holds(node, predicate, self.other) for predicate in self.predicates)


@dataclass(frozen=True)
class Hazard:
    """Triples of the shapes graph that a query over all graphs would match as if they were data.

    They have a predicate and an object; None matches any. If `near_focus`, only triples of the focus node, or of a term
    of the focus node's triples, can match.
    """

    predicate: NamedNode | None
    object: NamedNode | None
    near_focus: bool


@dataclass(frozen=True)
class QueryDependencies:
    """The analysis of a SPARQL query.

    `text` is the query, with the patterns over the shapes graph replaced by their solutions; `prologue` and `body` are
    its parts around the SELECT clause. `variables` maps the variables that every row binds to their states.
    `focus_paths` maps some of them to the start and end state of a path from ?this. `required_triples` are conditions
    on the values of a variable.
    """

    text: str
    prologue: str
    body: str
    variables: Mapping[str, State]
    focus_paths: Mapping[str, tuple[State, State]]
    required_triples: Mapping[str, tuple[RequiredTriple, ...]]
    hazards: frozenset[Hazard]

    def can_bind(self, variable: str, node: Term, holds: TripleExists) -> bool:
        """Whether a node meets the required triples of a variable; if not, no row binds the variable to it."""
        return all(triple.is_met_by(node, holds) for triple in self.required_triples.get(variable, ()))

    def focus_query(self, variable: str, node: Term) -> tuple[str, dict[str, Term]]:
        """Return a query for the values of ?this in the rows in which a variable has a value, and its bindings.

        An IRI replaces the variable in the text: the engine plans the patterns within EXISTS without bindings.
        """
        pieces = _split_at_variable(self.body, variable) if isinstance(node, NamedNode) else None
        if pieces is None:
            selected = "" if variable == THIS else f" ?{variable}"
            return f"{self.prologue}SELECT DISTINCT ?this{selected} WHERE {self.body}", {variable: node}
        selected = f"({node} AS ?this)" if variable == THIS else "?this"
        return f"{self.prologue}SELECT DISTINCT {selected} WHERE {str(node).join(pieces)}", {}


@functools.lru_cache(maxsize=1024)
def _split_at_variable(body: str, variable: str) -> tuple[str, ...] | None:
    """Split a pattern at every occurrence of a variable; None if the pattern needs a variable there (BOUND)."""
    tokens = list(iter_tokens(body))
    if any(token.is_word("BOUND") for token in tokens):
        return None
    return tuple(split_at_tokens(body, (token for token in tokens if token.is_variable(variable))))


class ShapesGraphQueries:
    """Evaluates patterns over the shapes graph."""

    def __init__(self, quads: Iterable[Quad]) -> None:
        self._quads = tuple(quads)

    @functools.cached_property
    def _engine(self) -> EmbeddedEngine:
        return EmbeddedEngine(self._quads)

    def solutions(self, prefixes: str, variables: Iterable[str], pattern: str) -> list[dict[str, Term]]:
        """Return the solutions of a pattern, projected to some variables."""
        names = " ".join(f"?{name}" for name in sorted(variables)) or "(1 AS ?one)"
        rows = self._engine.select(f"{prefixes} SELECT DISTINCT {names} WHERE {{ {pattern} }}")
        return [dict(row) for row in rows]


def analyse_query(text: str, reader: PathTransitions, index: ShapesGraphQueries) -> QueryDependencies:
    """Analyse a SELECT query of ?this, and add what it reads to the dependency graph.

    Raise UnsupportedConstraintError for a query whose reads cannot be derived from its triple patterns.
    """
    group = parse_constraint_query(text, SHAPES_GRAPH.value)
    linker = _VariableLinker(reader)
    linker.link_group(group, {}, ChangeTrigger.GAINED)
    if THIS not in linker.row_states:
        raise UnsupportedConstraintError("a query does not bind ?this in a pattern")
    if any(
        part.assigned_variables & part.variables or part.assigned_variables & set(linker.row_states)
        for part in group.walk()
    ):
        raise UnsupportedConstraintError("a query computes a variable that a pattern uses")
    prologue = text[: next(token.start for token in iter_tokens(text) if token.is_word("SELECT"))]
    inlined = _inline_static_groups(text, prologue, group, index)
    return QueryDependencies(
        text=inlined,
        prologue=prologue,
        body=inlined[group.start :],
        variables=linker.row_states,
        focus_paths=dict(_focus_paths(group, reader)),
        required_triples={name: tuple(_required_triples(group, name)) for name in linker.row_states},
        hazards=frozenset(_hazards(group)),
    )


class _VariableLinker:
    """Assigns states to the variables of a query, and adds the transitions between them."""

    def __init__(self, reader: PathTransitions) -> None:
        self._reader = reader
        self.row_states = dict[str, State]()

    def link_group(self, group: ConstraintGroup, nested: dict[str, State], trigger: ChangeTrigger) -> None:
        """Add what a group reads.

        `nested` maps variables that enclosing groups bind, but rows do not, to their states.
        """
        if group.kind == "static":
            return
        if group.kind in _ROW_BINDING_GROUPS:
            for name in group.variables:
                if not name.startswith("_:"):
                    self.row_states.setdefault(name, self._reader.dependency_graph.add_state())
        own = dict(nested)
        self._link_patterns(list(group.patterns), own, trigger)
        for inner in sorted(group.groups, key=lambda part: part.kind not in _ROW_BINDING_GROUPS):
            self.link_group(inner, own, _group_trigger(inner.kind, trigger))

    def _link_patterns(self, patterns: list[PathPattern], nested: dict[str, State], trigger: ChangeTrigger) -> None:
        while patterns:
            known = {**nested, **self.row_states}
            pattern = next((item for item in patterns if any(end in known for end in item.end_nodes)), None)
            if pattern is None:
                raise UnsupportedConstraintError("a pattern of a query is not connected to ?this")
            patterns.remove(pattern)
            if pattern.predicate_variable is not None and pattern.predicate_variable in nested:
                raise UnsupportedConstraintError("a pattern of a query is connected only by its predicate")
            self._link_pattern(pattern, nested, trigger)

    def _link_pattern(self, pattern: PathPattern, nested: dict[str, State], trigger: ChangeTrigger) -> None:
        path = pattern.path
        first, last = pattern.end_nodes
        better = last in self.row_states and (first not in self.row_states or (last == THIS and first != THIS))
        if better or (first not in self.row_states and first not in nested):
            first, last, path = last, first, InvPath(path)
        start = self.row_states.get(str(first)) or nested[str(first)]
        parts = _sequence_parts(path)
        if len(parts) > 1 and isinstance(parts[-1], InvPath) and last in self.row_states and first in self.row_states:
            # Start the last triple at its subject: a subject narrows the rows down more than an object.
            self._reader.add_path(
                InvPath(parts.pop()), self.row_states[str(last)], self._reader.dependency_graph.add_state(), trigger
            )
        self._link_path(parts, start, last, nested, trigger)

    def _link_path(
        self, parts: list[RdflibPath], start: State, last: PatternTerm, nested: dict[str, State], trigger: ChangeTrigger
    ) -> None:
        """Add a path to the other end of a pattern.

        A variable that rows do not bind has one state for all its patterns. Otherwise the path ends at a new state,
        since nothing else is read from there.
        """
        reader, new = self._reader, self._reader.dependency_graph.add_state
        for part in parts[:-1]:
            following = new()
            reader.add_path(part, start, following, trigger)
            start = following
        end = new()
        if isinstance(last, str) and last not in self.row_states:
            end = nested.setdefault(last, end)
        required_end = last if isinstance(last, NamedNode) and len(parts) == 1 else None
        reader.add_path(parts[-1], start, end, trigger, required_end)


def _focus_paths(group: ConstraintGroup, reader: PathTransitions) -> Iterator[tuple[str, tuple[State, State]]]:
    """Add paths from ?this to other variables of the main group; return each variable with its two states."""
    patterns = [pattern for part in group.walk() if part.kind == "main" for pattern in part.patterns]
    new = reader.dependency_graph.add_state
    start = new()
    states = {THIS: start}
    while True:
        pattern = next((item for item in patterns if _known_end(item, states) is not None), None)
        if pattern is None:
            return
        patterns.remove(pattern)
        first, last, path = pattern.subject, pattern.object, pattern.path
        if first not in states:
            first, last, path = last, first, InvPath(path)
        if not isinstance(last, str) or last in states:
            continue
        states[last] = new()
        reader.add_path(path, states[str(first)], states[last], ChangeTrigger.NEVER)
        yield last, (start, states[last])


def _known_end(pattern: PathPattern, states: Mapping[str, State]) -> PatternTerm | None:
    return next((end for end in pattern.end_nodes if isinstance(end, str) and end in states), None)


def _group_trigger(kind: str, trigger: ChangeTrigger) -> ChangeTrigger:
    """Return the trigger for the patterns of a nested group of some kind."""
    if kind in {"optional", "asked"}:
        return ChangeTrigger.ALWAYS
    return trigger.under_negation() if kind == "absent" else trigger


def _sequence_parts(path: RdflibPath) -> list[RdflibPath]:
    """Return the elements of a sequence path, flattened; any other path is its own element."""
    match path:
        case SequencePath():
            return [part for arg in path.args for part in _sequence_parts(arg)]
        case InvPath(arg=SequencePath() as inner):
            return [part for arg in reversed(inner.args) for part in _sequence_parts(InvPath(arg))]
        case InvPath(arg=InvPath() as inner):
            return _sequence_parts(inner.arg)
    return [path]


def _required_triples(group: ConstraintGroup, variable: str) -> Iterator[RequiredTriple]:
    """Return the triples that the values of a variable must have in every row."""
    for inner in group.groups:
        if inner.kind in {"exists", "plain"}:
            yield from _required_triples(inner, variable)
    for pattern in group.patterns:
        parts = _sequence_parts(pattern.path)
        for end, other, part, inverse in (
            (pattern.subject, pattern.object, parts[0], False),
            (pattern.object, pattern.subject, parts[-1], True),
        ):
            names = _single_step(part)
            if end == variable and names is not None:
                constant = other if isinstance(other, NamedNode) and len(parts) == 1 else None
                predicates, backwards = names
                yield RequiredTriple(predicates, inverse != backwards, constant)


def _single_step(path: RdflibPath) -> tuple[tuple[NamedNode, ...], bool] | None:
    """Return the predicates of a path of one step and whether it is inverse; None for any other path."""
    match path:
        case rdflib.URIRef():
            return (NamedNode(str(path)),), False
        case InvPath(arg=rdflib.URIRef() as inner):
            return (NamedNode(str(inner)),), True
        case AlternativePath() if all(isinstance(part, rdflib.URIRef) for part in path.args):
            return tuple(NamedNode(str(part)) for part in path.args), False
    return None


def _hazards(group: ConstraintGroup, around: frozenset[str] = frozenset({THIS})) -> Iterator[Hazard]:
    """Return the hazards of a group; `around` are variables whose values are terms of the focus node's triples."""
    near = around | _focus_neighbours(group)
    for pattern in group.patterns if group.kind != "static" else ():
        single = isinstance(pattern.path, rdflib.URIRef)
        object_ = pattern.object if single and isinstance(pattern.object, NamedNode) else None
        simple = single or pattern.predicate_variable is not None
        for name in _path_predicates(pattern.path):
            predicate = None if name is None else NamedNode(name)
            yield Hazard(predicate, object_, simple and pattern.subject in near)
    for inner in group.groups:
        yield from _hazards(inner, near)


def _focus_neighbours(group: ConstraintGroup) -> frozenset[str]:
    """Return the variables that a group binds to terms of the triples of $this."""
    own = (item for item in group.patterns if item.subject == THIS)
    simple = (item for item in own if item.predicate_variable is not None or isinstance(item.path, rdflib.URIRef))
    return frozenset(
        name for item in simple for name in (item.object, item.predicate_variable) if isinstance(name, str)
    )


def _path_predicates(path: RdflibPath) -> Iterator[str | None]:
    match path:
        case rdflib.URIRef():
            yield str(path)
        case InvPath():
            yield from _path_predicates(path.arg)
        case MulPath():
            yield from _path_predicates(path.path)
        case SequencePath() | AlternativePath():
            for part in path.args:
                yield from _path_predicates(part)
        case _:
            yield None


def _inline_static_groups(text: str, prologue: str, group: ConstraintGroup, index: ShapesGraphQueries) -> str:
    """Replace the patterns over the shapes graph by their solutions: the shapes do not change."""
    for part in sorted((part for part in group.walk() if part.kind == "static"), key=lambda part: -part.start):
        before, after = text[: part.start], text[part.end :]
        around = {token.text[1:] for token in iter_tokens(before + after) if token.kind == "variable"}
        inside = {token.text[1:] for token in iter_tokens(text[part.start : part.end]) if token.kind == "variable"}
        shared = sorted(inside & around)
        rows = index.solutions(prologue, shared, text[part.start : part.end])
        text = before + _values_clause(shared, rows) + after
    return text


def _values_clause(names: list[str], rows: list[dict[str, Term]]) -> str:
    if not names:
        return "" if rows else "FILTER (false)"
    if any(isinstance(term, BlankNode) for row in rows for term in row.values()):
        raise UnsupportedConstraintError("a query reads blank nodes of the shapes graph")
    lines = (" ".join(str(row[name]) if name in row else "UNDEF" for name in names) for row in rows)
    return f"VALUES ({' '.join('?' + name for name in names)}) {{ {' '.join(f'({line})' for line in lines)} }}"

"""Which focus nodes a SPARQL constraint or target may answer otherwise after a change.

A row of a query rests on triples, one for each pattern. So if a changed triple fits a pattern, the focus nodes
concerned are among those that a relaxed join finds: the pattern with that triple's subject or object, joined with
the patterns of its group and of those around it, without filters and without the parts that are optional or negated.
The engine would plan some of these joins from their far end, so they are followed here, from the triple on.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import rdflib
from rdflib.paths import AlternativePath, InvPath, MulPath, Path, SequencePath

from kg.automaton import MANY, Matching, TooManyError
from kg.gate import SHAPES_GRAPH
from kg.rdf import NamedNode, Term, Triple, from_rdflib
from kg.reading import UnreadableError

if TYPE_CHECKING:
    from rdflib.plugins.sparql.parserutils import CompValue

Pattern = tuple[Any, Any, Any]
Row = tuple[Term, Term | None, Term]
"""What matches a pattern; there is no predicate where a path was walked."""
Ask = Callable[[frozenset[Pattern], Any, Term], Iterable[Term]]
"""The values of ?this where some patterns are joined, of which one variable has a value."""

_THIS: Final = rdflib.Variable("this")
_LOOKED_AT: Final = 32
"""Matches of a pattern that are looked at before another one is tried."""


@dataclass(frozen=True)
class Probe:
    """A pattern with the patterns that a row has besides it; `bound` is the variable that a changed triple gives."""

    pattern: Pattern
    context: tuple[Pattern, ...]
    predicates: frozenset[str] | None
    bound: Any
    by_subject: bool

    @cached_property
    def join(self) -> frozenset[Pattern]:
        """The patterns that hang together with the bound variable."""
        return frozenset(_connected(self))

    def value(self, triple: Triple) -> Term | None:
        """What the bound variable is if a triple fits the pattern; None if it does not."""
        if self.predicates is not None and triple.predicate.value not in self.predicates:
            return None
        subject, _, object_ = self.pattern
        if not isinstance(subject, rdflib.Variable) and str(subject) != _text(triple.subject):
            return None
        if isinstance(object_, rdflib.URIRef) and str(object_) != _text(triple.object):
            return None
        found = triple.subject if self.by_subject else triple.object
        return None if isinstance(found, Triple) else found


@dataclass(frozen=True)
class Query:
    """A SPARQL text, analysed."""

    probes: tuple[Probe, ...]
    opaque: frozenset[str]
    """Predicates within paths of any length: a change of one of them may concern every focus node."""

    def concerned(self, triples: Iterable[Triple], ask: Ask) -> set[Term] | None:
        """The focus nodes that some changed triples may concern in a state; None for all of them."""
        changed = list(triples)
        if any(triple.predicate.value in self.opaque for triple in changed):
            return None
        found = set[Term]()
        for probe in self.probes:
            values = {value for triple in changed if (value := probe.value(triple)) is not None}
            if not values:
                continue
            if probe.bound == _THIS:
                found |= values
            else:
                found |= {node for value in values for node in ask(probe.join, probe.bound, value)}
        return found


def read_query(text: str) -> Query:
    """Analyse a SELECT query of ?this; raises UnreadableError for what cannot be told by triple patterns."""
    # Imported here because it takes a third of a second, which a service need not pay before its first answer.
    from rdflib.plugins.sparql import prepareQuery  # noqa: PLC0415

    try:
        algebra = prepareQuery(text).algebra
    except Exception as error:
        raise UnreadableError("a SPARQL text could not be analysed") from error
    found, opaque = list[tuple[Pattern, tuple[Pattern, ...]]](), set[str]()
    _collect(algebra, (), found, opaque)
    return Query(tuple(probe for pattern, context in found for probe in _probes(pattern, context)), frozenset(opaque))


def _is_part(part: object) -> "TypeGuard[CompValue]":
    """Whether something is a part of a query's algebra, which are mappings with a name."""
    return isinstance(part, dict) and hasattr(part, "name")


def _collect(
    part: object, around: tuple[Pattern, ...], found: list[tuple[Pattern, tuple[Pattern, ...]]], opaque: set[str]
) -> None:
    """Find the patterns of a part of a query, each with those that a row of it has besides."""
    if _is_part(part):
        own = tuple(_required(part, opaque))
        context = (*around, *own)
        found += [(pattern, tuple(other for other in context if other is not pattern)) for pattern in own]
        for inner in _apart(part):
            _collect(inner, context, found, opaque)


def _required(part: "CompValue", opaque: set[str]) -> Iterator[Pattern]:
    """The patterns that every row of a part has."""
    match part.name:
        case "BGP":
            for subject, predicate, object_ in part.triples:
                yield from _plain(subject, predicate, object_, opaque)
        case "Join":
            yield from _required(part.p1, opaque)
            yield from _required(part.p2, opaque)
        case "LeftJoin":
            yield from _required(part.p1, opaque)
        case "Filter":
            yield from _required(part.p, opaque)
            for graph in _demanded(part.expr):
                yield from _required(graph, opaque)
        case "Extend" | "Project" | "Distinct" | "Reduced" | "Slice" | "OrderBy" | "SelectQuery":
            yield from _required(part.p, opaque)
        case "Union":
            return
        case "Graph" if str(part.term) == SHAPES_GRAPH.value:
            return
        case _:
            raise UnreadableError(f"a SPARQL text has a part ({part.name}) that is not analysed")


def _apart(part: "CompValue") -> Iterator["CompValue"]:
    """The parts within that are optional, alternative or only asked for."""
    match part.name:
        case "BGP" | "Graph":
            return
        case "Join":
            yield from _apart(part.p1)
            yield from _apart(part.p2)
        case "LeftJoin":
            yield from _apart(part.p1)
            yield part.p2
            yield from _asked_for(part.expr)
        case "Union":
            yield part.p1
            yield part.p2
        case "Filter":
            yield from _apart(part.p)
            demanded = list(_demanded(part.expr))
            for graph in demanded:
                yield from _apart(graph)
            yield from (graph for graph in _asked_for(part.expr) if not any(graph is known for known in demanded))
        case "Extend":
            yield from _apart(part.p)
            yield from _asked_for(part.expr)
        case _:
            yield from _apart(part.p)


def _demanded(expression: object) -> Iterator["CompValue"]:
    """The patterns of EXISTS that every row must fit."""
    if _is_part(expression):
        if expression.name == "Builtin_EXISTS":
            yield expression.graph
        elif expression.name == "ConditionalAndExpression":
            for part in (expression.expr, *expression.other):
                yield from _demanded(part)


def _asked_for(expression: object) -> Iterator["CompValue"]:
    """The patterns of EXISTS and NOT EXISTS within an expression."""
    if _is_part(expression):
        if expression.name in {"Builtin_EXISTS", "Builtin_NOTEXISTS"}:
            yield expression.graph
            return
        for value in expression.values():
            yield from _asked_for(value)
    elif isinstance(expression, list | tuple):
        for item in expression:
            yield from _asked_for(item)


def _plain(subject: Any, predicate: Any, object_: Any, opaque: set[str]) -> Iterator[Pattern]:  # noqa: ANN401
    """A pattern as such whose paths are single steps, or alternatives of such; others are opaque."""
    match predicate:
        case InvPath():
            yield from _plain(object_, predicate.arg, subject, opaque)
        case SequencePath():
            for part in predicate.args[:-1]:
                between = rdflib.Variable(f"between{rdflib.BNode()}")
                yield from _plain(subject, part, between, opaque)
                subject = between
            yield from _plain(subject, predicate.args[-1], object_, opaque)
        case Path() if not _is_choice(predicate):
            opaque |= _predicates_of(predicate)
            yield subject, predicate, object_
        case _:
            yield subject, predicate, object_


def _is_opaque(pattern: Pattern) -> bool:
    return isinstance(pattern[1], Path) and not _is_choice(pattern[1])


def _is_choice(path: Path) -> bool:
    return isinstance(path, AlternativePath) and all(isinstance(part, rdflib.URIRef) for part in path.args)


def _predicates_of(path: object) -> set[str]:
    """The predicates within a path; raises UnreadableError for a path of all but some."""
    match path:
        case rdflib.URIRef():
            return {str(path)}
        case InvPath():
            return _predicates_of(path.arg)
        case SequencePath() | AlternativePath():
            return {name for part in path.args for name in _predicates_of(part)}
    inner = getattr(path, "path", None)
    if inner is None:
        raise UnreadableError("a SPARQL text has a path that is not analysed")
    return _predicates_of(inner)


def _probes(pattern: Pattern, context: tuple[Pattern, ...]) -> Iterator[Probe]:
    subject, predicate, object_ = pattern
    if _is_opaque(pattern):
        return
    predicates = None
    if isinstance(predicate, rdflib.URIRef):
        predicates = frozenset({str(predicate)})
    elif isinstance(predicate, Path):
        predicates = frozenset(_predicates_of(predicate))
    ends = [(node, by_subject) for node, by_subject in ((subject, True), (object_, False)) if _is_variable(node)]
    if not ends:
        raise UnreadableError("a SPARQL text has a pattern without variables at its ends")
    bound, by_subject = next((end for end in ends if end[0] == _THIS), ends[0])
    if bound != _THIS and not _leads_to_this(bound, (pattern, *context)):
        raise UnreadableError("parts of a SPARQL text are not connected with ?this")
    yield Probe(pattern, context, predicates, bound, by_subject)


def _is_variable(node: object) -> bool:
    return isinstance(node, rdflib.Variable | rdflib.BNode)


def _leads_to_this(start: object, patterns: tuple[Pattern, ...]) -> bool:
    reached, grown = {start}, True
    while grown:
        near = {node for pattern in patterns for node in _variables(pattern) if reached & _variables(pattern)}
        grown = not near <= reached
        reached |= near
    return _THIS in reached


def _variables(pattern: Pattern) -> set[object]:
    return {node for node in pattern if _is_variable(node)}


def _connected(probe: Probe) -> list[Pattern]:
    """The patterns that hang together with the bound variable; the others would only multiply the rows."""
    reached, patterns = {probe.bound}, [probe.pattern, *probe.context]
    chosen = list[Pattern]()
    while True:
        near = [pattern for pattern in patterns if pattern not in chosen and reached & _variables(pattern)]
        if not near:
            return chosen
        chosen += near
        for pattern in near:
            reached |= _variables(pattern)


def _text(term: object) -> str:
    return str(getattr(term, "value", term))


def joined(patterns: frozenset[Pattern], variable: object, value: Term, matching: Matching) -> frozenset[Term]:
    """The values of ?this where patterns are joined, of which one variable has a value. Raises TooManyError.

    At each step the pattern with the fewest matches is followed, so that no more is looked at than hangs on the value.
    """
    return frozenset(_Join(matching).search({variable: value}, patterns))


@dataclass
class _Join:
    """A join under way."""

    matching: Matching
    steps: int = 0

    def search(self, bound: dict[object, Term], left: frozenset[Pattern]) -> Iterator[Term]:
        """Follow the patterns that are left."""
        self.steps += 1
        if self.steps > MANY:
            raise TooManyError
        chosen, matches = self._narrowest(bound, left)
        if matches == []:
            return
        if chosen is None or matches is None:
            if _THIS in bound:
                yield bound[_THIS]
            return
        for match in matches:
            extended = _extended(bound, chosen, match)
            if extended is not None:
                yield from self.search(extended, left - {chosen})

    def _narrowest(
        self, bound: dict[object, Term], left: frozenset[Pattern]
    ) -> tuple[Pattern | None, list[Row] | None]:
        """The pattern with the fewest matches among those that hang on what is bound, and its matches."""
        chosen, fewest = None, None
        for pattern in left:
            if not any(node in bound for node in pattern):
                continue
            most = _LOOKED_AT if fewest is None else len(fewest)
            found = list(itertools.islice(self._matches(bound, pattern), most))
            if fewest is None or len(found) < len(fewest):
                chosen, fewest = pattern, found
            if len(found) < 2:  # noqa: PLR2004 - nothing is narrower
                return pattern, found
        if chosen is not None and fewest is not None and len(fewest) == _LOOKED_AT:
            fewest = list(self._matches(bound, chosen))
        return chosen, fewest

    def _matches(self, bound: dict[object, Term], pattern: Pattern) -> Iterator[Row]:
        subject, predicate, object_ = pattern
        start, end = _value(subject, bound), _value(object_, bound)
        if isinstance(predicate, Path) and start is not None:
            yield from ((start, None, node) for node in self._walk(predicate, start, ahead=True) if end in {None, node})
        elif isinstance(predicate, Path) and end is not None:
            yield from ((node, None, end) for node in self._walk(predicate, end, ahead=False))
        elif not isinstance(predicate, Path):
            middle = _value(predicate, bound)
            if middle is None or isinstance(middle, NamedNode):
                for triple in self.matching(start, middle, end):
                    if not isinstance(triple.object, Triple) and not isinstance(triple.subject, Triple):
                        yield triple.subject, triple.predicate, triple.object

    def _walk(self, path: object, node: Term, *, ahead: bool) -> set[Term]:
        """The nodes to which a path leads, or from which it leads here."""
        match path:
            case rdflib.URIRef():
                name = _iri(from_rdflib(path))
                found = self.matching(node, name, None) if ahead else self.matching(None, name, node)
                ends = (triple.object if ahead else triple.subject for triple in found)
                return {end for end in ends if not isinstance(end, Triple)}
            case InvPath():
                return self._walk(path.arg, node, ahead=not ahead)
            case AlternativePath():
                return {end for part in path.args for end in self._walk(part, node, ahead=ahead)}
            case SequencePath():
                nodes = {node}
                for part in path.args if ahead else reversed(path.args):
                    nodes = {end for place in nodes for end in self._walk(part, place, ahead=ahead)}
                return nodes
            case MulPath():
                return self._walk_on(path, node, ahead=ahead)
        raise UnreadableError("a SPARQL text has a path that is not analysed")

    def _walk_on(self, path: MulPath, node: Term, *, ahead: bool) -> set[Term]:
        """Where a path leads that is walked none, one or many times."""
        found = self._walk(path.path, node, ahead=ahead)
        waiting = list(found) if path.more else []
        while waiting:
            self.steps += 1
            if self.steps > MANY:
                raise TooManyError
            further = self._walk(path.path, waiting.pop(), ahead=ahead) - found
            found |= further
            waiting += further
        return found | ({node} if path.zero else set())


def _value(node: Any, bound: dict[object, Term]) -> Term | None:  # noqa: ANN401
    return bound.get(node) if _is_variable(node) else from_rdflib(node)


def _iri(term: Term) -> NamedNode:
    if not isinstance(term, NamedNode):
        raise UnreadableError("a predicate is no IRI")
    return term


def _extended(bound: dict[object, Term], pattern: Pattern, row: Row) -> dict[object, Term] | None:
    """What is bound once a match is taken; None if it does not fit what was."""
    extended = dict(bound)
    for node, term in zip(pattern, row, strict=True):
        if _is_variable(node) and term is not None and extended.setdefault(node, term) != term:
            return None
    return extended

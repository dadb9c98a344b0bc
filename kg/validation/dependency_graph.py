"""What a shape reads of the data, as an automaton whose steps are triples; pure.

Its states stand for places in a shape: the focus node, the values of a path, the classes of a value. A step leads
from the node at one place to the node at the next by a triple. So a changed triple, followed backwards through the
states, leads to every focus node that may have read it; followed forwards from a focus node, all is found that is
read of it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, Flag, auto
from typing import Final

from kg.rdf.io import BlankNode, Literal, NamedNode, Term, Triple

State = int
Place = tuple[Term, State]
"""A node at a state."""
Matching = Callable[[Term | None, NamedNode | None, Term | None], Iterable[Triple]]
"""The triples with a subject, predicate and object, of which None stands for any."""
MANY: Final = 50_000
"""Places beyond which following on costs more than judging everything."""


class TooManyError(Exception):
    """There are too many places to follow."""


class Way(Enum):
    """Between which parts of a triple a step leads."""

    FORWARD = "subject to object"
    INVERSE = "object to subject"


class When(Flag):
    """What a change must do to a triple so that it matters to a step: a pattern that is negated cares for losses."""

    NEVER = 0
    GAINED = auto()
    LOST = auto()
    ALWAYS = GAINED | LOST

    def flipped(self) -> "When":
        """The same under a negation."""
        return {When.GAINED: When.LOST, When.LOST: When.GAINED}.get(self, self)


@dataclass(frozen=True)
class Step:
    """A step by a triple with a predicate, or with any; `other` is the node to which it must lead, None for any."""

    start: State
    way: Way
    predicate: NamedNode | None
    end: State
    when: When
    other: Term | None


@dataclass
class Automaton:
    """States with steps between them; silent ones lead on without a triple."""

    _silent_from: dict[State, list[State]] = field(default_factory=lambda: defaultdict(list))
    _silent_to: dict[State, list[State]] = field(default_factory=lambda: defaultdict(list))
    _from: dict[State, list[Step]] = field(default_factory=lambda: defaultdict(list))
    _to: dict[State, list[Step]] = field(default_factory=lambda: defaultdict(list))
    _mattering: dict[tuple[When, NamedNode | None], list[Step]] = field(default_factory=lambda: defaultdict(list))
    _count: int = 0

    def state(self) -> State:
        """A new state."""
        self._count += 1
        return self._count

    def silent(self, start: State, end: State) -> None:
        """Let one state be as good as another one."""
        self._silent_from[start].append(end)
        self._silent_to[end].append(start)

    def step(
        self,
        start: State,
        way: Way,
        predicate: NamedNode | None,
        end: State,
        *,
        when: When = When.ALWAYS,
        other: Term | None = None,
    ) -> None:
        """Lead on by a triple."""
        step = Step(start, way, predicate, end, when, other)
        self._from[start].append(step)
        self._to[end].append(step)
        for asked in (When.GAINED, When.LOST, When.ALWAYS):
            if when & asked:
                self._mattering[asked, predicate].append(step)

    def back_from(self, triples: Iterable[Triple], matching: Matching, when: When) -> set[Place]:
        """All places from which some triples are read that were gained or lost. Raises TooManyError."""
        waiting = {place for triple in triples for place in self._read_at(triple, when)}
        found = set(waiting)
        while waiting:
            for earlier in self._before(waiting.pop(), matching):
                if earlier not in found:
                    found.add(earlier)
                    waiting.add(earlier)
            if len(found) > MANY:
                raise TooManyError
        return found

    def leading_to(self, place: Place, start: State, matching: Matching, most: int) -> set[Term] | None:
        """The nodes at a state from which one gets to a place; None if that takes many places to see."""
        waiting, found = {place}, {place}
        while waiting:
            for earlier in self._before(waiting.pop(), matching):
                if earlier not in found:
                    found.add(earlier)
                    waiting.add(earlier)
            if len(found) > most:
                return None
        return {node for node, state in found if state == start}

    def read_from(self, places: Iterable[Place], matching: Matching) -> set[Triple]:
        """All triples that are read from some places. Raises TooManyError."""
        seen, waiting, read = set[Place](), list(places), set[Triple]()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > MANY or len(read) > MANY:
                raise TooManyError
            node, state = place
            waiting += [(node, following) for following in self._silent_from.get(state, ())]
            for step in self._from.get(state, ()):
                for triple in _leaving(step, node, matching):
                    read.add(triple)
                    waiting.append((_ends(step.way, triple)[1], step.end))
        return read

    def _read_at(self, triple: Triple, when: When) -> Iterator[Place]:
        """The places that a triple leads from."""
        subject, object_ = _term(triple.subject), _term(triple.object)
        for predicate in (triple.predicate, None):
            for step in self._mattering.get((when, predicate), ()):
                node, other = (subject, object_) if step.way is Way.FORWARD else (object_, subject)
                if step.other is None or step.other == other:
                    yield node, step.start

    def _before(self, place: Place, matching: Matching) -> Iterator[Place]:
        node, state = place
        for earlier in self._silent_to.get(state, ()):
            yield node, earlier
        for step in self._to.get(state, ()):
            for triple in _arriving(step, node, matching):
                yield _ends(step.way, triple)[0], step.start


def _ends(way: Way, triple: Triple) -> tuple[Term, Term]:
    """The nodes before and after a step."""
    subject, object_ = _term(triple.subject), _term(triple.object)
    return (subject, object_) if way is Way.FORWARD else (object_, subject)


def _leaving(step: Step, node: Term, matching: Matching) -> Iterable[Triple]:
    """The triples by which a step leads on from a node."""
    if step.way is Way.INVERSE:
        return matching(None, step.predicate, node)
    return () if isinstance(node, Literal) else matching(node, step.predicate, None)


def _arriving(step: Step, node: Term, matching: Matching) -> Iterable[Triple]:
    """The triples by which a step leads to a node."""
    if step.way is Way.FORWARD:
        return matching(None, step.predicate, node)
    return () if isinstance(node, Literal) else matching(node, step.predicate, None)


def _term(term: object) -> Term:
    """A node of RDF 1.1; a triple term cannot be walked through, and is no focus node."""
    return term if isinstance(term, NamedNode | BlankNode | Literal) else BlankNode("triple-term")

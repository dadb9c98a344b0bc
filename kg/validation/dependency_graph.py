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

from kg.rdf.terms import BlankNode, Literal, NamedNode, Term, Triple

State = int
NodeState = tuple[Term, State]
"""A node at a state."""
TripleMatcher = Callable[[Term | None, NamedNode | None, Term | None], Iterable[Triple]]
"""The triples with a subject, predicate and object, of which None stands for any."""
MAX_NODE_STATES: Final = 50_000
"""Places beyond which following on costs more than judging everything."""


class TooManyDependenciesError(Exception):
    """There are too many places to follow."""


class Direction(Enum):
    """Between which parts of a triple a step leads."""

    FORWARD = "subject to object"
    INVERSE = "object to subject"


class ChangeTrigger(Flag):
    """What a change must do to a triple so that it matters to a step: a pattern that is negated cares for losses."""

    NEVER = 0
    GAINED = auto()
    LOST = auto()
    ALWAYS = GAINED | LOST

    def under_negation(self) -> "ChangeTrigger":
        """The same under a negation."""
        return {ChangeTrigger.GAINED: ChangeTrigger.LOST, ChangeTrigger.LOST: ChangeTrigger.GAINED}.get(self, self)


@dataclass(frozen=True)
class Transition:
    """A step by a triple with a predicate, or with any; `other` is the node to which it must lead, None for any."""

    start: State
    direction: Direction
    predicate: NamedNode | None
    end: State
    trigger: ChangeTrigger
    required_end: Term | None


@dataclass
class DependencyGraph:
    """States with steps between them; silent ones lead on without a triple."""

    _epsilon_from: dict[State, list[State]] = field(default_factory=lambda: defaultdict(list))
    _epsilon_to: dict[State, list[State]] = field(default_factory=lambda: defaultdict(list))
    _from: dict[State, list[Transition]] = field(default_factory=lambda: defaultdict(list))
    _to: dict[State, list[Transition]] = field(default_factory=lambda: defaultdict(list))
    _by_trigger: dict[tuple[ChangeTrigger, NamedNode | None], list[Transition]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _count: int = 0

    def add_state(self) -> State:
        """A new state."""
        self._count += 1
        return self._count

    def add_epsilon(self, start: State, end: State) -> None:
        """Let one state be as good as another one."""
        self._epsilon_from[start].append(end)
        self._epsilon_to[end].append(start)

    def add_transition(
        self,
        start: State,
        way: Direction,
        predicate: NamedNode | None,
        end: State,
        *,
        when: ChangeTrigger = ChangeTrigger.ALWAYS,
        other: Term | None = None,
    ) -> None:
        """Lead on by a triple."""
        step = Transition(start, way, predicate, end, when, other)
        self._from[start].append(step)
        self._to[end].append(step)
        for asked in (ChangeTrigger.GAINED, ChangeTrigger.LOST, ChangeTrigger.ALWAYS):
            if when & asked:
                self._by_trigger[asked, predicate].append(step)

    def trace_back(self, triples: Iterable[Triple], matching: TripleMatcher, when: ChangeTrigger) -> set[NodeState]:
        """All places from which some triples are read that were gained or lost. Raises TooManyError."""
        waiting = {place for triple in triples for place in self._states_reading(triple, when)}
        found = set(waiting)
        while waiting:
            for earlier in self._predecessors(waiting.pop(), matching):
                if earlier not in found:
                    found.add(earlier)
                    waiting.add(earlier)
            if len(found) > MAX_NODE_STATES:
                raise TooManyDependenciesError
        return found

    def find_origins(self, place: NodeState, start: State, matching: TripleMatcher, limit: int) -> set[Term] | None:
        """The nodes at a state from which one gets to a place; None if that takes many places to see."""
        waiting, found = {place}, {place}
        while waiting:
            for earlier in self._predecessors(waiting.pop(), matching):
                if earlier not in found:
                    found.add(earlier)
                    waiting.add(earlier)
            if len(found) > limit:
                return None
        return {node for node, state in found if state == start}

    def collect_triples(self, places: Iterable[NodeState], matching: TripleMatcher) -> set[Triple]:
        """All triples that are read from some places. Raises TooManyError."""
        seen, waiting, read = set[NodeState](), list(places), set[Triple]()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > MAX_NODE_STATES or len(read) > MAX_NODE_STATES:
                raise TooManyDependenciesError
            node, state = place
            waiting += [(node, following) for following in self._epsilon_from.get(state, ())]
            for step in self._from.get(state, ()):
                for triple in _outgoing_triples(step, node, matching):
                    read.add(triple)
                    waiting.append((_endpoints(step.direction, triple)[1], step.end))
        return read

    def _states_reading(self, triple: Triple, when: ChangeTrigger) -> Iterator[NodeState]:
        """The places that a triple leads from."""
        subject, object_ = _as_node(triple.subject), _as_node(triple.object)
        for predicate in (triple.predicate, None):
            for step in self._by_trigger.get((when, predicate), ()):
                node, other = (subject, object_) if step.direction is Direction.FORWARD else (object_, subject)
                if step.required_end is None or step.required_end == other:
                    yield node, step.start

    def _predecessors(self, place: NodeState, matching: TripleMatcher) -> Iterator[NodeState]:
        node, state = place
        for earlier in self._epsilon_to.get(state, ()):
            yield node, earlier
        for step in self._to.get(state, ()):
            for triple in _incoming_triples(step, node, matching):
                yield _endpoints(step.direction, triple)[0], step.start


def _endpoints(way: Direction, triple: Triple) -> tuple[Term, Term]:
    """The nodes before and after a step."""
    subject, object_ = _as_node(triple.subject), _as_node(triple.object)
    return (subject, object_) if way is Direction.FORWARD else (object_, subject)


def _outgoing_triples(step: Transition, node: Term, matching: TripleMatcher) -> Iterable[Triple]:
    """The triples by which a step leads on from a node."""
    if step.direction is Direction.INVERSE:
        return matching(None, step.predicate, node)
    return () if isinstance(node, Literal) else matching(node, step.predicate, None)


def _incoming_triples(step: Transition, node: Term, matching: TripleMatcher) -> Iterable[Triple]:
    """The triples by which a step leads to a node."""
    if step.direction is Direction.FORWARD:
        return matching(None, step.predicate, node)
    return () if isinstance(node, Literal) else matching(node, step.predicate, None)


def _as_node(term: object) -> Term:
    """A node of RDF 1.1; a triple term cannot be walked through, and is no focus node."""
    return term if isinstance(term, NamedNode | BlankNode | Literal) else BlankNode("triple-term")

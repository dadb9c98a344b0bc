"""The triples that shapes read, as a finite automaton over the data graph.

A state is a position in a shape: the focus node, the values of a path, the classes of a value. A transition follows one
triple from the node at its start state to the node at its end state. Walking back from a changed triple finds every
focus node whose validation may read it. Walking forward from a focus node finds every triple that its validation reads.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, Flag, auto
from typing import Final

from kg.rdf.terms import BlankNode, Literal, NamedNode, Term, Triple

State = int
NodeState = tuple[Term, State]
"""A node of the data at a state of the automaton."""
TripleMatcher = Callable[[Term | None, NamedNode | None, Term | None], Iterable[Triple]]
"""Returns the triples with a subject, predicate and object; None matches any."""
MAX_NODE_STATES: Final = 50_000
"""Node states and triples beyond which full validation is cheaper than a further search."""


class TooManyDependenciesError(Exception):
    """A search passed MAX_NODE_STATES."""


class Direction(Enum):
    """The direction in which a transition follows a triple."""

    FORWARD = "subject to object"
    INVERSE = "object to subject"

    @property
    def opposite(self) -> "Direction":
        """The other direction."""
        return Direction.FORWARD if self is Direction.INVERSE else Direction.INVERSE


class ChangeTrigger(Flag):
    """The change of a triple that can bring about a new finding.

    A triple pattern reacts to gained triples, and a negated pattern to lost ones. NEVER marks transitions that only
    `find_origins` walks.
    """

    NEVER = 0
    GAINED = auto()
    LOST = auto()
    ALWAYS = GAINED | LOST

    def under_negation(self) -> "ChangeTrigger":
        """Return the trigger of the same pattern inside a negation."""
        return {ChangeTrigger.GAINED: ChangeTrigger.LOST, ChangeTrigger.LOST: ChangeTrigger.GAINED}.get(self, self)


@dataclass(frozen=True)
class Transition:
    """A transition that follows a triple.

    `predicate` None matches any predicate, and `required_end` None any node at the end.
    """

    start: State
    direction: Direction
    predicate: NamedNode | None
    end: State
    trigger: ChangeTrigger
    required_end: Term | None


@dataclass
class DependencyGraph:
    """States, transitions that follow a triple, and epsilon transitions that follow none."""

    _epsilon_from: dict[State, list[State]] = field(default_factory=lambda: defaultdict(list))
    _epsilon_to: dict[State, list[State]] = field(default_factory=lambda: defaultdict(list))
    _from: dict[State, list[Transition]] = field(default_factory=lambda: defaultdict(list))
    _to: dict[State, list[Transition]] = field(default_factory=lambda: defaultdict(list))
    _by_trigger: dict[tuple[ChangeTrigger, NamedNode | None], list[Transition]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _count: int = 0

    def add_state(self) -> State:
        """Return a new state."""
        self._count += 1
        return self._count

    def add_epsilon(self, start: State, end: State) -> None:
        """Add a transition that follows no triple."""
        self._epsilon_from[start].append(end)
        self._epsilon_to[end].append(start)

    def add_transition(
        self,
        start: State,
        direction: Direction,
        predicate: NamedNode | None,
        end: State,
        *,
        trigger: ChangeTrigger = ChangeTrigger.ALWAYS,
        required_end: Term | None = None,
    ) -> None:
        """Add a transition that follows a triple."""
        step = Transition(start, direction, predicate, end, trigger, required_end)
        self._from[start].append(step)
        self._to[end].append(step)
        for change in (ChangeTrigger.GAINED, ChangeTrigger.LOST, ChangeTrigger.ALWAYS):
            if trigger & change:
                self._by_trigger[change, predicate].append(step)

    def trace_back(self, triples: Iterable[Triple], matching: TripleMatcher, change: ChangeTrigger) -> set[NodeState]:
        """Return all node states from which gained or lost triples are read. Raise TooManyDependenciesError."""
        reading = {place for triple in triples for place in self._states_reading(triple, change)}
        reached = self._walk_back(reading, matching, MAX_NODE_STATES)
        if reached is None:
            raise TooManyDependenciesError
        return reached

    def find_origins(self, place: NodeState, start: State, matching: TripleMatcher, limit: int) -> set[Term] | None:
        """Return the nodes at `start` that lead to a node state; None if the search passes `limit` node states."""
        reached = self._walk_back({place}, matching, limit)
        return None if reached is None else {node for node, state in reached if state == start}

    def _walk_back(self, places: set[NodeState], matching: TripleMatcher, limit: int) -> set[NodeState] | None:
        """Return node states and all their predecessors; None if a step of the search finds more than `limit`."""
        waiting, reached = set(places), set(places)
        while waiting:
            new = set(self._predecessors(waiting.pop(), matching)) - reached
            reached |= new
            waiting |= new
            if len(reached) > limit:
                return None
        return reached

    def collect_triples(self, places: Iterable[NodeState], matching: TripleMatcher) -> set[Triple]:
        """Return all triples that are read from some node states. Raise TooManyDependenciesError."""
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
                for triple in _adjacent_triples(step.direction, step.predicate, node, matching):
                    read.add(triple)
                    waiting.append((_endpoints(step.direction, triple)[1], step.end))
        return read

    def _states_reading(self, triple: Triple, change: ChangeTrigger) -> Iterator[NodeState]:
        """Return the node states whose transitions follow a triple, for one kind of change."""
        # Computed once: many steps read the same triple, and this runs for every changed triple.
        forward, inverse = _endpoints(Direction.FORWARD, triple), _endpoints(Direction.INVERSE, triple)
        for predicate in (triple.predicate, None):
            for step in self._by_trigger.get((change, predicate), ()):
                node, other = forward if step.direction is Direction.FORWARD else inverse
                if step.required_end is None or step.required_end == other:
                    yield node, step.start

    def _predecessors(self, place: NodeState, matching: TripleMatcher) -> Iterator[NodeState]:
        node, state = place
        for earlier in self._epsilon_to.get(state, ()):
            yield node, earlier
        for step in self._to.get(state, ()):
            for triple in _adjacent_triples(step.direction.opposite, step.predicate, node, matching):
                yield _endpoints(step.direction, triple)[0], step.start


def _endpoints(direction: Direction, triple: Triple) -> tuple[Term, Term]:
    """Return the nodes at the start and the end of a transition that follows a triple."""
    subject, object_ = _as_node(triple.subject), _as_node(triple.object)
    return (subject, object_) if direction is Direction.FORWARD else (object_, subject)


def _adjacent_triples(
    direction: Direction, predicate: NamedNode | None, node: Term, matching: TripleMatcher
) -> Iterable[Triple]:
    """Return the triples that leave a node in a direction."""
    if direction is Direction.INVERSE:
        return matching(None, predicate, node)
    return () if isinstance(node, Literal) else matching(node, predicate, None)


def _as_node(term: object) -> Term:
    """Return a term of RDF 1.1; a triple term of RDF 1.2 becomes one placeholder, which is never a focus node."""
    return term if isinstance(term, NamedNode | BlankNode | Literal) else BlankNode("triple-term")

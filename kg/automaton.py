"""What a shape reads of the data, as an automaton whose steps are triples; pure.

Its states stand for places in a shape: the focus node, the values of a path, the classes of a value. A step leads
from the node at one place to the node at the next by a triple. So a changed triple, followed backwards through the
states, leads to every focus node that may have read it; followed forwards from a focus node, all is found that is
read of it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from kg.rdf import BlankNode, Literal, NamedNode, Term, Triple

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
    TO_PREDICATE = "subject to predicate"
    FROM_PREDICATE = "predicate to subject"
    OBJECT_TO_PREDICATE = "object to predicate"
    PREDICATE_TO_OBJECT = "predicate to object"


@dataclass(frozen=True)
class Step:
    """A step by a triple with a predicate, or with any."""

    start: State
    way: Way
    predicate: NamedNode | None
    end: State


@dataclass
class Automaton:
    """States with steps between them; silent ones lead on without a triple."""

    steps: list[Step] = field(default_factory=list)
    _silent_from: dict[State, list[State]] = field(default_factory=lambda: defaultdict(list))
    _silent_to: dict[State, list[State]] = field(default_factory=lambda: defaultdict(list))
    _from: dict[State, list[Step]] = field(default_factory=lambda: defaultdict(list))
    _to: dict[State, list[Step]] = field(default_factory=lambda: defaultdict(list))
    _by_predicate: dict[NamedNode | None, list[Step]] = field(default_factory=lambda: defaultdict(list))
    _count: int = 0

    def state(self) -> State:
        """A new state."""
        self._count += 1
        return self._count

    def silent(self, start: State, end: State) -> None:
        """Let one state be as good as another one."""
        self._silent_from[start].append(end)
        self._silent_to[end].append(start)

    def step(self, start: State, way: Way, predicate: NamedNode | None, end: State) -> None:
        """Lead on by a triple."""
        step = Step(start, way, predicate, end)
        self.steps.append(step)
        self._from[start].append(step)
        self._to[end].append(step)
        self._by_predicate[predicate].append(step)

    def back_from(self, triples: Iterable[Triple], matching: Matching) -> set[Place]:
        """All places from which some triples are read. Raises TooManyError."""
        found = set[Place]()
        waiting = list[Place]()
        for triple in triples:
            for step in (*self._by_predicate[triple.predicate], *self._by_predicate[None]):
                waiting.append((_ends(step.way, triple)[0], step.start))
        while waiting:
            place = waiting.pop()
            if place in found:
                continue
            found.add(place)
            if len(found) > MANY:
                raise TooManyError
            waiting += self._before(place, matching)
        return found

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

    def _before(self, place: Place, matching: Matching) -> Iterator[Place]:
        node, state = place
        for earlier in self._silent_to.get(state, ()):
            yield node, earlier
        for step in self._to.get(state, ()):
            for triple in _arriving(step, node, matching):
                yield _ends(step.way, triple)[0], step.start


def _ends(way: Way, triple: Triple) -> tuple[Term, Term]:
    """The nodes before and after a step."""
    parts: dict[Way, tuple[Term, Term]] = {
        Way.FORWARD: (_term(triple.subject), _term(triple.object)),
        Way.INVERSE: (_term(triple.object), _term(triple.subject)),
        Way.TO_PREDICATE: (_term(triple.subject), triple.predicate),
        Way.FROM_PREDICATE: (triple.predicate, _term(triple.subject)),
        Way.OBJECT_TO_PREDICATE: (_term(triple.object), triple.predicate),
        Way.PREDICATE_TO_OBJECT: (triple.predicate, _term(triple.object)),
    }
    return parts[way]


def _leaving(step: Step, node: Term, matching: Matching) -> Iterable[Triple]:
    """The triples by which a step leads on from a node."""
    match step.way:
        case Way.FORWARD | Way.TO_PREDICATE:
            return () if isinstance(node, Literal) else matching(node, step.predicate, None)
        case Way.INVERSE | Way.OBJECT_TO_PREDICATE:
            return matching(None, step.predicate, node)
    return matching(None, node, None) if isinstance(node, NamedNode) else ()


def _arriving(step: Step, node: Term, matching: Matching) -> Iterable[Triple]:
    """The triples by which a step leads to a node."""
    match step.way:
        case Way.FORWARD | Way.PREDICATE_TO_OBJECT:
            return matching(None, step.predicate, node)
        case Way.INVERSE | Way.FROM_PREDICATE:
            return () if isinstance(node, Literal) else matching(node, step.predicate, None)
    return matching(None, node, None) if isinstance(node, NamedNode) else ()


def _term(term: object) -> Term:
    """A node of RDF 1.1; a triple term cannot be walked through, and is no focus node."""
    return term if isinstance(term, NamedNode | BlankNode | Literal) else BlankNode("triple-term")

"""Guess how many solutions triple patterns have, and order them by it; pure.

The guesses come from the numbers that are kept for each predicate. They decide about speed only.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Final

from kg.engine.statistics import DatasetStatistics
from kg.sparql.syntax_tree import NO_NAMES, TriplePattern, VariableNames

_DEFAULT_MATCHES: Final = {(True, True): 0.5, (True, False): 2.0, (False, True): 20.0, (False, False): 1e6}
"""Matches of a triple pattern of which nothing is known, by whether its subject and its object are given."""
_CONSTANT_OBJECT_MATCHES: Final = 10_000.0
"""Matches of a pattern with a constant object, of which nothing else is known: such objects stand in many triples."""
_MATCH_COST: Final = 0.15
"""What one more match costs, where a look-up costs 1."""


@dataclass(frozen=True)
class JoinOrder:
    """Patterns in the order in which they are best matched.

    `tied` says whether each shares a name with those before it, or with what is given; `cost` is in look-ups, `rows`
    are the solutions, both for one solution of what is given.
    """

    triple_patterns: tuple[TriplePattern, ...]
    is_connected: bool
    cost: float
    rows: float


_Rank = tuple[bool, float, int]
"""Whether a pattern shares no name with what is known, its matches, and its place: the least is the next."""


class CardinalityEstimator:
    """Guesses by the numbers of one dataset, or by none."""

    def __init__(self, statistics: DatasetStatistics | None) -> None:
        self._statistics = statistics if statistics is not None and statistics.properties else None

    @property
    def has_statistics(self) -> bool:
        """Whether there are numbers."""
        return self._statistics is not None

    def estimate_matches(self, unit: TriplePattern, given: AbstractSet[str]) -> float:
        """How many solutions a pattern has for each solution that gives some names."""
        if unit.is_compound or self._statistics is None or not unit.predicate.startswith("<"):
            return self._default_matches(unit, given)
        return self._statistics.estimate_matches(
            unit.predicate[1:-1],
            unit.object[1:-1],
            is_subject_bound=_is_bound(unit.subject, given),
            is_object_bound=_is_bound(unit.object, given),
        )

    def _default_matches(self, unit: TriplePattern, given: AbstractSet[str]) -> float:
        if unit.is_compound:
            return 1e6 if unit.names.isdisjoint(given) else 10.0
        subject, node = _is_bound(unit.subject, given), _is_bound(unit.object, given)
        if node and not subject and not unit.object.startswith("?"):
            return _CONSTANT_OBJECT_MATCHES
        return _DEFAULT_MATCHES[subject, node]

    def join_order(self, units: Sequence[TriplePattern], given: VariableNames) -> JoinOrder:
        """Order patterns, each time by the fewest matches, those first that share a name with what is known then.

        A pattern is judged anew only when one of its names becomes known; what is behind in the heap is passed over.
        """
        known, found, left = set(given), list[TriplePattern](), len(units)
        ranks: list[_Rank | None] = [self._rank(unit, index, known) for index, unit in enumerate(units)]
        heap, naming = [rank for rank in ranks if rank], _positions_by_name(units)
        heapify(heap)
        tied, cost, rows = True, 0.0, 1.0
        while left:
            rank = far, matches, index = heappop(heap)
            if ranks[index] is not rank:
                continue
            tied, cost, rows = tied and not far, cost + rows * (1 + _MATCH_COST * matches), rows * matches
            found.append(units[index])
            ranks[index], left = None, left - 1
            new = units[index].names - known if left else NO_NAMES
            known |= new
            for other in {other for name in new for other in naming[name] if ranks[other]}:
                ranks[other] = rank = self._rank(units[other], other, known)
                heappush(heap, rank)
        return JoinOrder(tuple(found), tied, cost, rows)

    def _rank(self, unit: TriplePattern, index: int, known: AbstractSet[str]) -> _Rank:
        return bool(unit.names) and unit.names.isdisjoint(known), self.estimate_matches(unit, known), index


def _positions_by_name(units: Sequence[TriplePattern]) -> dict[str, list[int]]:
    """The places of the patterns that have a name."""
    naming = defaultdict[str, list[int]](list)
    for index, unit in enumerate(units):
        for name in unit.names:
            naming[name].append(index)
    return naming


def _is_bound(term: str, given: AbstractSet[str]) -> bool:
    if term.startswith("?"):
        return term[1:] in given
    return not term.startswith("_:") or term in given


@dataclass
class _Component:
    """Patterns that hang together; `last` is the place of the last of them."""

    triple_patterns: deque[TriplePattern]
    last: int = -1


def connected_components(units: Sequence[TriplePattern], given: VariableNames) -> list[list[TriplePattern]]:
    """Patterns in sets that share names with each other only by what is given."""
    parts, home = dict[int, _Component](), dict[str, _Component]()
    for place, unit in enumerate(units):
        own = unit.names - given
        met = sorted({home[name].last for name in own if name in home})
        part = _merge_components([parts.pop(last) for last in met], home, given)
        part.triple_patterns.append(unit)
        part.last = place
        parts[place] = part
        home.update(dict.fromkeys(own, part))
    return [list(part.triple_patterns) for part in parts.values()]


def _merge_components(parts: list[_Component], home: dict[str, _Component], given: VariableNames) -> _Component:
    """Parts as one, in their order; the largest takes in the others, so that few patterns are moved."""
    if not parts:
        return _Component(deque())
    at = max(range(len(parts)), key=lambda index: len(parts[index].triple_patterns))
    largest = parts[at]
    for part in parts[:at] + parts[at + 1 :]:
        for unit in part.triple_patterns:
            home.update(dict.fromkeys(unit.names - given, largest))
    for part in reversed(parts[:at]):
        largest.triple_patterns.extendleft(reversed(part.triple_patterns))
    for part in parts[at + 1 :]:
        largest.triple_patterns.extend(part.triple_patterns)
    return largest

"""Guess how many solutions triple patterns have, and order them by it; pure.

The guesses come from the numbers that are kept for each predicate. They decide about speed only.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Final

from kg.engine.protocol import DatasetStatistics
from kg.sparql.syntax_tree import NONE, TYPE, Names, Unit

_UNKNOWN: Final = {(True, True): 0.5, (True, False): 2.0, (False, True): 20.0, (False, False): 1e6}
"""Matches of a triple pattern of which nothing is known, by whether its subject and its object are given."""
_CONSTANT: Final = 10_000.0
"""Matches of a pattern with a constant object, of which nothing else is known: such objects stand in many triples."""
_SCAN: Final = 0.15
"""What one more match costs, where a look-up costs 1."""


@dataclass(frozen=True)
class Order:
    """Patterns in the order in which they are best matched.

    `tied` says whether each shares a name with those before it, or with what is given; `cost` is in look-ups, `rows`
    are the solutions, both for one solution of what is given.
    """

    units: tuple[Unit, ...]
    tied: bool
    cost: float
    rows: float


_Rank = tuple[bool, float, int]
"""Whether a pattern shares no name with what is known, its matches, and its place: the least is the next."""


class Estimates:
    """Guesses by the numbers of one dataset, or by none."""

    def __init__(self, counts: DatasetStatistics | None) -> None:
        self._counts = counts if counts is not None and counts.properties else None

    @property
    def known(self) -> bool:
        """Whether there are numbers."""
        return self._counts is not None

    def matches(self, unit: Unit, given: AbstractSet[str]) -> float:
        """How many solutions a pattern has for each solution that gives some names."""
        if unit.whole or self._counts is None or not unit.predicate.startswith("<"):
            return self._unknown(unit, given)
        known = self._counts.properties.get(unit.predicate[1:-1])
        if known is None or not known.triples:
            return 0.0
        subject, node = _is_given(unit.subject, given), _is_given(unit.object, given)
        of_class = self._counts.classes.get(unit.object[1:-1]) if unit.predicate == TYPE else None
        if of_class is not None and not subject:
            return float(of_class)
        rows = known.triples / (known.subjects if subject else 1) / (known.objects if node else 1)
        return min(rows, 1.0) if subject and node else rows

    def _unknown(self, unit: Unit, given: AbstractSet[str]) -> float:
        if unit.whole:
            return 1e6 if unit.names.isdisjoint(given) else 10.0
        subject, node = _is_given(unit.subject, given), _is_given(unit.object, given)
        if node and not subject and not unit.object.startswith("?"):
            return _CONSTANT
        return _UNKNOWN[subject, node]

    def order(self, units: Sequence[Unit], given: Names) -> Order:
        """Order patterns, each time by the fewest matches, those first that share a name with what is known then.

        A pattern is judged anew only when one of its names becomes known; what is behind in the heap is passed over.
        """
        known, found, left = set(given), list[Unit](), len(units)
        ranks: list[_Rank | None] = [self._rank(unit, index, known) for index, unit in enumerate(units)]
        heap, naming = [rank for rank in ranks if rank], _naming(units)
        heapify(heap)
        tied, cost, rows = True, 0.0, 1.0
        while left:
            rank = far, matches, index = heappop(heap)
            if ranks[index] is not rank:
                continue
            tied, cost, rows = tied and not far, cost + rows * (1 + _SCAN * matches), rows * matches
            found.append(units[index])
            ranks[index], left = None, left - 1
            new = units[index].names - known if left else NONE
            known |= new
            for other in {other for name in new for other in naming[name] if ranks[other]}:
                ranks[other] = rank = self._rank(units[other], other, known)
                heappush(heap, rank)
        return Order(tuple(found), tied, cost, rows)

    def _rank(self, unit: Unit, index: int, known: AbstractSet[str]) -> _Rank:
        return bool(unit.names) and unit.names.isdisjoint(known), self.matches(unit, known), index


def _naming(units: Sequence[Unit]) -> dict[str, list[int]]:
    """The places of the patterns that have a name."""
    naming = defaultdict[str, list[int]](list)
    for index, unit in enumerate(units):
        for name in unit.names:
            naming[name].append(index)
    return naming


def _is_given(term: str, given: AbstractSet[str]) -> bool:
    if term.startswith("?"):
        return term[1:] in given
    return not term.startswith("_:") or term in given


@dataclass
class _Part:
    """Patterns that hang together; `last` is the place of the last of them."""

    units: deque[Unit]
    last: int = -1


def components(units: Sequence[Unit], given: Names) -> list[list[Unit]]:
    """Patterns in sets that share names with each other only by what is given."""
    parts, home = dict[int, _Part](), dict[str, _Part]()
    for place, unit in enumerate(units):
        own = unit.names - given
        met = sorted({home[name].last for name in own if name in home})
        part = _joined([parts.pop(last) for last in met], home, given)
        part.units.append(unit)
        part.last = place
        parts[place] = part
        home.update(dict.fromkeys(own, part))
    return [list(part.units) for part in parts.values()]


def _joined(parts: list[_Part], home: dict[str, _Part], given: Names) -> _Part:
    """Parts as one, in their order; the largest takes in the others, so that few patterns are moved."""
    if not parts:
        return _Part(deque())
    at = max(range(len(parts)), key=lambda index: len(parts[index].units))
    largest = parts[at]
    for part in parts[:at] + parts[at + 1 :]:
        for unit in part.units:
            home.update(dict.fromkeys(unit.names - given, largest))
    for part in reversed(parts[:at]):
        largest.units.extendleft(reversed(part.units))
    for part in parts[at + 1 :]:
        largest.units.extend(part.units)
    return largest

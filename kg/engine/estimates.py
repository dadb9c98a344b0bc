"""Guess how many solutions triple patterns have, and order them by it; pure.

The guesses come from the numbers that are kept for each predicate. They decide about speed only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Counts
from kg.engine.tree import TYPE, Names, Unit, union

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


class Estimates:
    """Guesses by the numbers of one dataset, or by none."""

    def __init__(self, counts: Counts | None) -> None:
        self._counts = counts if counts is not None and counts.properties else None

    @property
    def known(self) -> bool:
        """Whether there are numbers."""
        return self._counts is not None

    def matches(self, unit: Unit, given: Names) -> float:
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

    def _unknown(self, unit: Unit, given: Names) -> float:
        if unit.whole:
            return 10.0 if unit.names & given else 1e6
        subject, node = _is_given(unit.subject, given), _is_given(unit.object, given)
        if node and not subject and not unit.object.startswith("?"):
            return _CONSTANT
        return _UNKNOWN[subject, node]

    def order(self, units: Sequence[Unit], given: Names) -> Order:
        """Order patterns, each time by the fewest matches, those first that share a name with what is known then."""
        left, found, names = list(units), list[Unit](), given
        tied, cost, rows = True, 0.0, 1.0
        while left:
            near = [unit for unit in left if not unit.names or unit.names & names]
            tied = tied and bool(near)
            best = min(near or left, key=lambda unit: self.matches(unit, names))
            matches = self.matches(best, names)
            cost += rows * (1 + _SCAN * matches)
            rows *= matches
            left.remove(best)
            found.append(best)
            names |= best.names
        return Order(tuple(found), tied, cost, rows)


def _is_given(term: str, given: Names) -> bool:
    return term.removeprefix("?") in given if term.startswith(("?", "_:")) else True


def components(units: Sequence[Unit], given: Names) -> list[list[Unit]]:
    """Patterns in sets that share names with each other only by what is given."""
    found = list[list[Unit]]()
    for unit in units:
        own = unit.names - given
        joined = [part for part in found if own & union(other.names for other in part)]
        found = [part for part in found if part not in joined]
        found.append([*(other for part in joined for other in part), unit])
    return found

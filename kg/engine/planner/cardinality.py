"""Estimate the cardinality of triple patterns, and order joins by it; pure.

A name is a variable or the label of a blank node (`VariableNames`). The estimates come from the statistics of each
predicate. They affect speed only, never results.
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
"""Matches of a triple pattern without statistics, by whether its subject and its object are bound."""
_CONSTANT_OBJECT_MATCHES: Final = 10_000.0
"""Matches of a pattern without statistics whose object is a constant: such objects are in many triples."""
_MATCH_COST: Final = 0.15
"""The cost of reading a match, relative to the cost of a look-up in an index."""
_COMPOUND_MATCHES: Final = {True: 10.0, False: 1e6}
"""Matches of a compound pattern, by whether one of its names is bound."""


@dataclass(frozen=True)
class JoinOrder:
    """Triple patterns in the order with the lowest estimated cost.

    `is_connected` says whether each shares a name with the patterns before it, or with the names that are bound from
    the start. `cost` is in look-ups, `rows` is the number of solutions; both are for one solution that binds those
    names.
    """

    triple_patterns: tuple[TriplePattern, ...]
    is_connected: bool
    cost: float
    rows: float


_Rank = tuple[bool, float, int]
"""Whether a pattern shares no name with the bound ones, its matches, and its index; the lowest rank is next."""


class CardinalityEstimator:
    """Estimates from the statistics of a dataset, or from defaults if there are none."""

    def __init__(self, statistics: DatasetStatistics | None) -> None:
        self._statistics = statistics if statistics is not None and statistics.properties else None

    @property
    def has_statistics(self) -> bool:
        """Whether estimates come from statistics."""
        return self._statistics is not None

    def estimate_matches(self, pattern: TriplePattern, given: AbstractSet[str]) -> float:
        """Estimate how many matches a pattern has for each solution that binds the names in `given`."""
        if pattern.is_compound or self._statistics is None or not pattern.predicate.startswith("<"):
            return self._default_matches(pattern, given)
        return self._statistics.estimate_matches(
            pattern.predicate[1:-1],
            pattern.object[1:-1],
            is_subject_bound=_is_bound(pattern.subject, given),
            is_object_bound=_is_bound(pattern.object, given),
        )

    def _default_matches(self, pattern: TriplePattern, given: AbstractSet[str]) -> float:
        if pattern.is_compound:
            return _COMPOUND_MATCHES[not pattern.names.isdisjoint(given)]
        has_subject, has_object = _is_bound(pattern.subject, given), _is_bound(pattern.object, given)
        if has_object and not has_subject and not pattern.object.startswith("?"):
            return _CONSTANT_OBJECT_MATCHES
        return _DEFAULT_MATCHES[has_subject, has_object]

    def join_order(self, patterns: Sequence[TriplePattern], given: VariableNames) -> JoinOrder:
        """Order patterns greedily: next is the one with the fewest matches among those that share a bound name.

        Patterns without a bound name come only when no other is left. A pattern is ranked again when one of its names
        becomes bound; its outdated ranks stay in the heap and are skipped.
        """
        known, ordered, remaining = set(given), list[TriplePattern](), len(patterns)
        ranks: list[_Rank | None] = [self._rank(pattern, index, known) for index, pattern in enumerate(patterns)]
        heap, indexes_by_name = [rank for rank in ranks if rank], _indexes_by_name(patterns)
        heapify(heap)
        is_connected, cost, rows = True, 0.0, 1.0
        while remaining:
            rank = is_disconnected, matches, index = heappop(heap)
            if ranks[index] is not rank:
                continue
            is_connected = is_connected and not is_disconnected
            cost, rows = cost + rows * (1 + _MATCH_COST * matches), rows * matches
            ordered.append(patterns[index])
            ranks[index], remaining = None, remaining - 1
            new = patterns[index].names - known if remaining else NO_NAMES
            known |= new
            for other in {other for name in new for other in indexes_by_name[name] if ranks[other]}:
                ranks[other] = rank = self._rank(patterns[other], other, known)
                heappush(heap, rank)
        return JoinOrder(tuple(ordered), is_connected, cost, rows)

    def _rank(self, pattern: TriplePattern, index: int, known: AbstractSet[str]) -> _Rank:
        return bool(pattern.names) and pattern.names.isdisjoint(known), self.estimate_matches(pattern, known), index


def _indexes_by_name(patterns: Sequence[TriplePattern]) -> dict[str, list[int]]:
    indexes = defaultdict[str, list[int]](list)
    for index, pattern in enumerate(patterns):
        for name in pattern.names:
            indexes[name].append(index)
    return indexes


def _is_bound(term: str, given: AbstractSet[str]) -> bool:
    """Return whether a term is a constant or one of the given names."""
    if term.startswith("?"):
        return term[1:] in given
    return not term.startswith("_:") or term in given


@dataclass
class _Component:
    """Connected patterns in their order; `last` is the index of the last one, the key of the component."""

    triple_patterns: deque[TriplePattern]
    last: int = -1


def connected_components(patterns: Sequence[TriplePattern], given: VariableNames) -> list[list[TriplePattern]]:
    """Group patterns so that patterns of different groups share only names in `given`."""
    components, by_name = dict[int, _Component](), dict[str, _Component]()
    for index, pattern in enumerate(patterns):
        own = pattern.names - given
        sharing = sorted({by_name[name].last for name in own if name in by_name})
        component = _merge_components([components.pop(last) for last in sharing], by_name, given)
        component.triple_patterns.append(pattern)
        component.last = index
        components[index] = component
        by_name.update(dict.fromkeys(own, component))
    return [list(component.triple_patterns) for component in components.values()]


def _merge_components(components: list[_Component], by_name: dict[str, _Component], given: VariableNames) -> _Component:
    """Merge components in their order, the others into the largest one, so that few patterns are moved."""
    if not components:
        return _Component(deque())
    at = max(range(len(components)), key=lambda index: len(components[index].triple_patterns))
    largest = components[at]
    for component in components[:at] + components[at + 1 :]:
        for pattern in component.triple_patterns:
            by_name.update(dict.fromkeys(pattern.names - given, largest))
    for component in reversed(components[:at]):
        largest.triple_patterns.extendleft(reversed(component.triple_patterns))
    for component in components[at + 1 :]:
        largest.triple_patterns.extend(component.triple_patterns)
    return largest

"""Merge adjacent triple patterns, and move required ones before preceding OPTIONALs; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from kg.engine.planner.cardinality import CardinalityEstimator
from kg.sparql.syntax_tree import GroupElement, TriplePattern, VariableNames, union_of_names, without_blank_nodes

OffsetNote = tuple[int, str]
"""What was changed at an offset of the text, or left alone, and why."""

_MAX_FANOUT: Final = 1.5
"""Matches for each solution above which a pattern costs more before an OPTIONAL than after it."""


def merge_triples(elements: tuple[GroupElement, ...]) -> tuple[GroupElement, ...]:
    """Merge triple patterns with only filters between them into one element."""
    if len(elements) <= 1:
        return elements
    runs, triples_run = list[list[GroupElement]](), list[GroupElement]()
    for element in elements:
        if element.kind == "triples" and triples_run:
            triples_run.append(element)
            continue
        runs.append([element])
        if element.kind != "filter":
            triples_run = runs[-1] if element.kind == "triples" else []
    return tuple(
        first if not rest else _triples_element(first, _triple_patterns_of([first, *rest])) for first, *rest in runs
    )


def _triple_patterns_of(elements: Iterable[GroupElement]) -> list[TriplePattern]:
    return [pattern for element in elements for pattern in element.triple_patterns]


def _triples_element(like: GroupElement, patterns: Sequence[TriplePattern]) -> GroupElement:
    names = union_of_names(pattern.names for pattern in patterns)
    return replace(like, triple_patterns=tuple(patterns), names=names, certainly_bound=without_blank_nodes(names))


def move_before_optionals(
    elements: tuple[GroupElement, ...], given: VariableNames, estimates: CardinalityEstimator
) -> tuple[tuple[GroupElement, ...], list[OffsetNote]]:
    """Move required patterns before OPTIONALs where that is safe and cheaper; return the elements, and notes."""
    if not any(element.kind == "optional" for element in elements):
        return elements, []
    mover = _Mover(given, estimates)
    for element in elements:
        mover.add(element)
    return merge_triples(tuple(chain.from_iterable(mover.element_lists))), mover.notes


class _Mover:
    """Takes the elements of a group one by one.

    `element_lists` has each element after the patterns that were moved before it. A pattern can move before the run of
    OPTIONALs, with filters between them, with which the elements so far end. The names in `_bound` are bound before
    this run. `_last` is the index of the last OPTIONAL of the run with a name. `_first` is the index of the first
    OPTIONAL before which a pattern may still move: moved patterns keep their order.
    """

    def __init__(self, given: VariableNames, estimates: CardinalityEstimator) -> None:
        self._given, self._estimates = given, estimates
        self._bound = set[str]()
        self._optionals, self._first, self._last = list[list[GroupElement]](), 0, dict[str, int]()
        self.element_lists, self.notes = list[list[GroupElement]](), list[OffsetNote]()

    def add(self, element: GroupElement) -> None:
        """Take an element, and move those of its patterns that can be moved."""
        if element.kind == "triples" and self._optionals:
            stay = [pattern for pattern in element.triple_patterns if not self._try_move(element, pattern)]
            if not stay:
                return
            element = element if len(stay) == len(element.triple_patterns) else _triples_element(element, stay)
        self.element_lists.append([element])
        if element.kind == "optional":
            self._last.update(dict.fromkeys(element.names, len(self._optionals)))
            self._optionals.append(self.element_lists[-1])
        elif element.kind != "filter":
            self._optionals, self._first, self._last = [], 0, {}
            self._bound |= element.certainly_bound

    def _try_move(self, element: GroupElement, pattern: TriplePattern) -> bool:
        place = self._target_optional(pattern)
        if place is None:
            return False
        self.notes.append((element.start, f"moved before OPTIONAL: {pattern.text}"))
        self._optionals[place].insert(-1, _triples_element(element, [pattern]))
        self._first = place
        self._bound |= pattern.names
        return True

    def _target_optional(self, pattern: TriplePattern) -> int | None:
        """Return the index of the OPTIONAL before which a pattern should be moved."""
        if pattern.is_compound or pattern.is_nullable or without_blank_nodes(pattern.names) != pattern.names:
            return None
        place = max([self._first, *(self._last.get(name, -1) + 1 for name in pattern.names - self._bound)])
        if place == len(self._optionals):
            return None
        known = (pattern.names & self._given) | (pattern.names & self._bound)
        return None if self._estimates.estimate_matches(pattern, known) > _MAX_FANOUT else place

"""Bring triple patterns together, and required ones before the OPTIONALs behind which they stand; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from kg.engine.planner.cardinality import CardinalityEstimator
from kg.sparql.syntax_tree import GroupElement, TriplePattern, VariableNames, union_of_names, without_blank_nodes

OffsetNote = tuple[int, str]
"""What was done at an offset of the text, or left alone, and why."""

_MAX_FANOUT: Final = 1.5
"""Matches of a pattern for each solution from which on it is dearer before an OPTIONAL than behind it."""


def merge_triples(elements: tuple[GroupElement, ...]) -> tuple[GroupElement, ...]:
    """Elements in which triple patterns that only filters part stand together."""
    if len(elements) <= 1:
        return elements
    found, home = list[list[GroupElement]](), list[GroupElement]()
    for element in elements:
        if element.kind == "triples" and home:
            home.append(element)
            continue
        found.append([element])
        if element.kind != "filter":
            home = found[-1] if element.kind == "triples" else []
    return tuple(
        first if not rest else _triples_element(first, _triple_patterns_of([first, *rest])) for first, *rest in found
    )


def _triple_patterns_of(elements: Iterable[GroupElement]) -> list[TriplePattern]:
    return [unit for element in elements for unit in element.triple_patterns]


def _triples_element(like: GroupElement, units: Sequence[TriplePattern]) -> GroupElement:
    names = union_of_names(unit.names for unit in units)
    return replace(like, triple_patterns=tuple(units), names=names, certainly_bound=without_blank_nodes(names))


def move_before_optionals(
    elements: tuple[GroupElement, ...], given: VariableNames, estimates: CardinalityEstimator
) -> tuple[tuple[GroupElement, ...], list[OffsetNote]]:
    """Elements with the required patterns moved that may and should be, and what is to be said of it."""
    if not any(element.kind == "optional" for element in elements):
        return elements, []
    mover = _Mover(given, estimates)
    for element in elements:
        mover.add(element)
    return merge_triples(tuple(chain.from_iterable(mover.element_lists))), mover.notes


class _Mover:
    """Takes elements one by one.

    `found` has each with the patterns that were moved before it. A pattern can be moved before OPTIONALs with which the
    elements so far end, but for filters; these add nothing to the names that are `_bound` before them. `_last` tells
    for a name which of these OPTIONALs has it last; `_first` is the first before which no pattern was moved.
    """

    def __init__(self, given: VariableNames, estimates: CardinalityEstimator) -> None:
        self._given, self._estimates = given, estimates
        self._bound = set[str]()
        self._optionals, self._first, self._last = list[list[GroupElement]](), 0, dict[str, int]()
        self.element_lists, self.notes = list[list[GroupElement]](), list[OffsetNote]()

    def add(self, element: GroupElement) -> None:
        """Take an element, and see which of its patterns can be moved."""
        if element.kind == "triples" and self._optionals:
            stay = [unit for unit in element.triple_patterns if not self._try_move(element, unit)]
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

    def _try_move(self, element: GroupElement, unit: TriplePattern) -> bool:
        place = self._target_optional(unit)
        if place is None:
            return False
        self.notes.append((element.start, f"moved before OPTIONAL: {unit.text}"))
        self._optionals[place].insert(-1, _triples_element(element, [unit]))
        self._first = place
        self._bound |= unit.names
        return True

    def _target_optional(self, unit: TriplePattern) -> int | None:
        """Before which of the OPTIONALs a pattern may and should be moved."""
        if unit.is_compound or unit.is_nullable or without_blank_nodes(unit.names) != unit.names:
            return None
        place = max([self._first, *(self._last.get(name, -1) + 1 for name in unit.names - self._bound)])
        if place == len(self._optionals):
            return None
        known = (unit.names & self._given) | (unit.names & self._bound)
        return None if self._estimates.estimate_matches(unit, known) > _MAX_FANOUT else place

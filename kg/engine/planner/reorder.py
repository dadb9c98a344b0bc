"""Bring triple patterns together, and required ones before the OPTIONALs behind which they stand; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from kg.engine.planner.cardinality import Estimates
from kg.sparql.syntax_tree import Element, Names, Unit, union, variables

Said = tuple[int, str]
"""What was done at an offset of the text, or left alone, and why."""

_MULTIPLYING: Final = 1.5
"""Matches of a pattern for each solution from which on it is dearer before an OPTIONAL than behind it."""


def gathered(elements: tuple[Element, ...]) -> tuple[Element, ...]:
    """Elements in which triple patterns that only filters part stand together."""
    if len(elements) <= 1:
        return elements
    found, home = list[list[Element]](), list[Element]()
    for element in elements:
        if element.kind == "triples" and home:
            home.append(element)
            continue
        found.append([element])
        if element.kind != "filter":
            home = found[-1] if element.kind == "triples" else []
    return tuple(first if not rest else _triples(first, _units([first, *rest])) for first, *rest in found)


def _units(elements: Iterable[Element]) -> list[Unit]:
    return [unit for element in elements for unit in element.units]


def _triples(like: Element, units: Sequence[Unit]) -> Element:
    names = union(unit.names for unit in units)
    return replace(like, units=tuple(units), names=names, certain=variables(names))


def moved(elements: tuple[Element, ...], given: Names, estimates: Estimates) -> tuple[tuple[Element, ...], list[Said]]:
    """Elements with the required patterns moved that may and should be, and what is to be said of it."""
    if not any(element.kind == "optional" for element in elements):
        return elements, []
    mover = _Mover(given, estimates)
    for element in elements:
        mover.add(element)
    return gathered(tuple(chain.from_iterable(mover.found))), mover.said


class _Mover:
    """Takes elements one by one.

    `found` has each with the patterns that were moved before it. A pattern can be moved before OPTIONALs with which the
    elements so far end, but for filters; these add nothing to the names that are `_bound` before them. `_last` tells
    for a name which of these OPTIONALs has it last; `_first` is the first before which no pattern was moved.
    """

    def __init__(self, given: Names, estimates: Estimates) -> None:
        self._given, self._estimates = given, estimates
        self._bound = set[str]()
        self._optionals, self._first, self._last = list[list[Element]](), 0, dict[str, int]()
        self.found, self.said = list[list[Element]](), list[Said]()

    def add(self, element: Element) -> None:
        """Take an element, and see which of its patterns can be moved."""
        if element.kind == "triples" and self._optionals:
            stay = [unit for unit in element.units if not self._moves(element, unit)]
            if not stay:
                return
            element = element if len(stay) == len(element.units) else _triples(element, stay)
        self.found.append([element])
        if element.kind == "optional":
            self._last.update(dict.fromkeys(element.names, len(self._optionals)))
            self._optionals.append(self.found[-1])
        elif element.kind != "filter":
            self._optionals, self._first, self._last = [], 0, {}
            self._bound |= element.certain

    def _moves(self, element: Element, unit: Unit) -> bool:
        place = self._place(unit)
        if place is None:
            return False
        self.said.append((element.start, f"moved before OPTIONAL: {unit.text}"))
        self._optionals[place].insert(-1, _triples(element, [unit]))
        self._first = place
        self._bound |= unit.names
        return True

    def _place(self, unit: Unit) -> int | None:
        """Before which of the OPTIONALs a pattern may and should be moved."""
        if unit.whole or unit.nullable or variables(unit.names) != unit.names:
            return None
        place = max([self._first, *(self._last.get(name, -1) + 1 for name in unit.names - self._bound)])
        if place == len(self._optionals):
            return None
        known = (unit.names & self._given) | (unit.names & self._bound)
        return None if self._estimates.matches(unit, known) > _MULTIPLYING else place

"""Merge adjacent triple patterns, and move required ones before preceding OPTIONALs; pure."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from kg.engine.planner.cardinality import CardinalityEstimator
from kg.sparql.syntax_tree import GroupElement, TriplePattern, VariableNames, union_of_names, without_blank_nodes

OffsetNote = tuple[int, str]
"""An offset of the query's text, and what was changed there, or left alone, and why."""

_MAX_FANOUT: Final = 1.5
"""Matches for each solution above which a pattern costs more before an OPTIONAL than after it."""


def merge_triples(elements: tuple[GroupElement, ...]) -> tuple[GroupElement, ...]:
    """Merge triple patterns with only filters between them into one element."""
    if len(elements) <= 1:
        return elements
    runs = list[list[GroupElement]]()
    mergeable: list[GroupElement] | None = None  # the run in `runs` that the next triples join
    for element in elements:
        if element.kind == "triples" and mergeable is not None:
            mergeable.append(element)
            continue
        runs.append([element])
        if element.kind != "filter":
            mergeable = runs[-1] if element.kind == "triples" else None
    return tuple(_merge_run(run) for run in runs)


def _merge_run(run: Sequence[GroupElement]) -> GroupElement:
    if len(run) == 1:
        return run[0]
    return _triples_element(run[0], [pattern for element in run for pattern in element.triple_patterns])


def _triples_element(original: GroupElement, patterns: Sequence[TriplePattern]) -> GroupElement:
    """Return a triples element with these patterns, at the offsets of the original."""
    names = union_of_names(pattern.names for pattern in patterns)
    return replace(original, triple_patterns=tuple(patterns), names=names, certainly_bound=without_blank_nodes(names))


def move_before_optionals(
    elements: tuple[GroupElement, ...], given: VariableNames, estimates: CardinalityEstimator
) -> tuple[tuple[GroupElement, ...], list[OffsetNote]]:
    """Move required patterns before OPTIONALs where that is safe and cheaper; return the elements, and notes.

    The names in `given` are bound before the group.
    """
    if not any(element.kind == "optional" for element in elements):
        return elements, []
    mover = _Mover(given, estimates)
    for element in elements:
        mover.add(element)
    return merge_triples(tuple(chain.from_iterable(mover.element_lists))), mover.notes


class _Mover:
    """Takes the elements of a group one by one, and moves patterns of later elements before OPTIONALs.

    A pattern can move only within the current run: the OPTIONALs, with nothing but filters between them, that the
    elements so far end with.

    - `element_lists` has a list for each element: the patterns moved before it, then the element itself.
    - `_optionals` are the lists of the OPTIONALs in the current run.
    - `_bound` are the names that are certainly bound before the run.
    - `_last_use` is the index of the last OPTIONAL in the run in which a name occurs.
    - `_first` is the index of the first OPTIONAL before which a pattern may still move, so that moved patterns keep
      their order.
    """

    def __init__(self, given: VariableNames, estimates: CardinalityEstimator) -> None:
        self._given, self._estimates = given, estimates
        self._bound = set[str]()
        self._optionals, self._first, self._last_use = list[list[GroupElement]](), 0, dict[str, int]()
        self.element_lists, self.notes = list[list[GroupElement]](), list[OffsetNote]()

    def add(self, element: GroupElement) -> None:
        """Take an element, and move those of its patterns that can be moved."""
        if element.kind == "triples" and self._optionals:
            unmoved = [pattern for pattern in element.triple_patterns if not self._try_move(element, pattern)]
            if not unmoved:
                return
            if len(unmoved) < len(element.triple_patterns):
                element = _triples_element(element, unmoved)
        self.element_lists.append([element])
        if element.kind == "optional":
            self._last_use.update(dict.fromkeys(element.names, len(self._optionals)))
            self._optionals.append(self.element_lists[-1])
        elif element.kind != "filter":
            self._optionals, self._first, self._last_use = [], 0, {}
            self._bound |= element.certainly_bound

    def _try_move(self, element: GroupElement, pattern: TriplePattern) -> bool:
        """Move a pattern of an element if possible; return whether it was moved."""
        index = self._target_optional(pattern)
        if index is None:
            return False
        self.notes.append((element.start, f"moved before OPTIONAL: {pattern.text}"))
        self._optionals[index].insert(-1, _triples_element(element, [pattern]))
        self._first = index
        self._bound |= pattern.names
        return True

    def _target_optional(self, pattern: TriplePattern) -> int | None:
        """Return the index of the OPTIONAL before which a pattern should be moved, None if it should not.

        An OPTIONAL that comes before the pattern may bind the names that it shares with it; such an OPTIONAL stays
        before the pattern, unless all of these names are bound before the run.
        """
        if pattern.is_compound or pattern.is_nullable or without_blank_nodes(pattern.names) != pattern.names:
            return None
        index = max([self._first, *(self._last_use.get(name, -1) + 1 for name in pattern.names - self._bound)])
        if index == len(self._optionals):
            return None
        known = (pattern.names & self._given) | (pattern.names & self._bound)
        return None if self._estimates.estimate_matches(pattern, known) > _MAX_FANOUT else index

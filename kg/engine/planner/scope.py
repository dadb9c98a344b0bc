"""The context of a group, and of an element within its group, for the planner; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from kg.engine.planner.cardinality import CardinalityEstimator
from kg.sparql.syntax_tree import NO_NAMES, GroupElement, TriplePattern, VariableNames


@dataclass(frozen=True)
class Scope:
    """The context of a group.

    `outer_variables` are bound outside of it when it is evaluated. `is_correlated` groups are evaluated for each outer
    solution. With `in_exists`, the engine does not order the triple patterns of the group. With `is_unjoined`, nothing
    else is joined with the group.
    """

    outer_variables: VariableNames = NO_NAMES
    is_correlated: bool = False
    in_exists: bool = False
    is_unjoined: bool = True
    in_exists_or_optional: bool = False


class LeftSide:
    """The elements before the current one in its group, without filters; it grows while the group is traversed.

    `has_only_triples` says whether all joined elements among them are triple patterns, `has_several_joined` whether the
    whole group has more than one joined element.
    """

    def __init__(self, given: VariableNames, elements: Sequence[GroupElement]) -> None:
        self._outside, self._bound = given, set[str]()
        self._ahead = sum(element.is_joined for element in elements)
        self._patterns, self._counted = list[TriplePattern](), -1
        self._rows = 1.0
        self.has_several_joined = self._ahead > 1
        self.names = set[str]()
        self.is_empty = self.has_only_triples = True

    def add(self, element: GroupElement) -> None:
        """Append an element."""
        if element.kind == "filter":
            return
        self.is_empty = False
        self.names |= element.names
        self._bound |= element.certainly_bound
        self._patterns += element.triple_patterns
        if element.is_joined:
            self._ahead -= 1
            self.has_only_triples = self.has_only_triples and element.kind == "triples"

    @property
    def has_following_join(self) -> bool:
        """Whether a joined element follows."""
        return self._ahead > 0

    def bound_among(self, names: VariableNames) -> VariableNames:
        """Return those of the names that are bound, here or outside of the group."""
        return (names & self._outside) | (names & self._bound)

    def estimate_rows(self, estimates: CardinalityEstimator) -> float:
        """Estimate how many solutions its triple patterns have."""
        if self._counted != len(self._patterns):
            self._counted = len(self._patterns)
            self._rows = estimates.join_order(self._patterns, NO_NAMES).rows
        return self._rows

"""What is known of the place where a group or an element of it stands, for the planner; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from kg.engine.planner.cardinality import CardinalityEstimator
from kg.sparql.syntax_tree import NO_NAMES, GroupElement, TriplePattern, VariableNames


@dataclass(frozen=True)
class Scope:
    """What is known of where a group stands.

    `given` are variables that are bound outside of it when it is evaluated. `pinned` is a group that is evaluated for
    each solution of what is outside; `exists` one of which the engine orders nothing; `alone` one with which nothing
    else is joined; `inside` one in EXISTS or OPTIONAL.
    """

    outer_variables: VariableNames = NO_NAMES
    is_correlated: bool = False
    in_exists: bool = False
    is_unjoined: bool = True
    in_exists_or_optional: bool = False


class LeftSide:
    """What stands before an element in its group, but for filters; it grows as one goes through the group.

    `plain` says whether of all that is joined there, everything is triple patterns; `others` whether the group has more
    than one element that is joined, and `followed` whether one is still to come.
    """

    def __init__(self, given: VariableNames, elements: Sequence[GroupElement]) -> None:
        self._outside, self._bound = given, set[str]()
        self._ahead = sum(element.is_joined for element in elements)
        self._units, self._counted = list[TriplePattern](), -1
        self._rows = 1.0
        self.has_several_joined = self._ahead > 1
        self.names = set[str]()
        self.is_empty = self.has_only_triples = True

    def add(self, element: GroupElement) -> None:
        """Go past an element."""
        if element.kind == "filter":
            return
        self.is_empty = False
        self.names |= element.names
        self._bound |= element.certainly_bound
        self._units += element.triple_patterns
        if element.is_joined:
            self._ahead -= 1
            self.has_only_triples = self.has_only_triples and element.kind == "triples"

    @property
    def has_following_join(self) -> bool:
        """Whether an element that is joined is still to come."""
        return self._ahead > 0

    def bound_among(self, names: VariableNames) -> VariableNames:
        """Those of some names that are bound, here or outside of the group."""
        return (names & self._outside) | (names & self._bound)

    def estimate_rows(self, estimates: CardinalityEstimator) -> float:
        """How many solutions its triple patterns have."""
        if self._counted != len(self._units):
            self._counted = len(self._units)
            self._rows = estimates.join_order(self._units, NO_NAMES).rows
        return self._rows

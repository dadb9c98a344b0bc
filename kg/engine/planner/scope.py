"""What is known of the place where a group or an element of it stands, for the planner; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from kg.engine.planner.cardinality import Estimates
from kg.sparql.syntax_tree import NONE, Element, Names, Unit


@dataclass(frozen=True)
class Scene:
    """What is known of where a group stands.

    `given` are variables that are bound outside of it when it is evaluated. `pinned` is a group that is evaluated for
    each solution of what is outside; `exists` one of which the engine orders nothing; `alone` one with which nothing
    else is joined; `inside` one in EXISTS or OPTIONAL.
    """

    given: Names = NONE
    pinned: bool = False
    exists: bool = False
    alone: bool = True
    inside: bool = False


class Left:
    """What stands before an element in its group, but for filters; it grows as one goes through the group.

    `plain` says whether of all that is joined there, everything is triple patterns; `others` whether the group has more
    than one element that is joined, and `followed` whether one is still to come.
    """

    def __init__(self, given: Names, elements: Sequence[Element]) -> None:
        self._outside, self._bound = given, set[str]()
        self._ahead = sum(element.joins for element in elements)
        self._units, self._counted = list[Unit](), -1
        self._rows = 1.0
        self.others = self._ahead > 1
        self.names = set[str]()
        self.empty = self.plain = True

    def add(self, element: Element) -> None:
        """Go past an element."""
        if element.kind == "filter":
            return
        self.empty = False
        self.names |= element.names
        self._bound |= element.certain
        self._units += element.units
        if element.joins:
            self._ahead -= 1
            self.plain = self.plain and element.kind == "triples"

    @property
    def followed(self) -> bool:
        """Whether an element that is joined is still to come."""
        return self._ahead > 0

    def given(self, names: Names) -> Names:
        """Those of some names that are bound, here or outside of the group."""
        return (names & self._outside) | (names & self._bound)

    def rows(self, estimates: Estimates) -> float:
        """How many solutions its triple patterns have."""
        if self._counted != len(self._units):
            self._counted = len(self._units)
            self._rows = estimates.order(self._units, NONE).rows
        return self._rows

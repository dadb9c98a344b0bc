"""Tell how a query is sorted and limited, and whether that hangs on a part of it alone; pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kg.sparql.syntax_tree import Element, Names, Query, union, variables
from kg.sparql.token_stream import joined

_FEW: Final = 10_000
"""Solutions up to which a LIMIT is worth a sub-select."""
_DISTINCT: Final = frozenset({"DISTINCT", "REDUCED"})
_KEY: Final = r"(?:[?$]\w+|(?:ASC|DESC)\s*\(\s*[?$]\w+\s*\))"
_TAIL: Final = re.compile(
    rf"(?P<order>ORDER\s+BY(?:\s*{_KEY})+)\s*LIMIT\s+(?P<limit>[0-9]{{1,9}})(?:\s*OFFSET\s+(?P<offset>[0-9]{{1,9}}))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sorting:
    """ORDER BY some variables, and how many solutions are wanted with those that are passed over."""

    keys: Names
    order: str
    limit: int

    @property
    def names(self) -> str:
        """The keys as they are selected."""
        return " ".join(f"?{name}" for name in sorted(self.keys))

    def sorts_all(self, required: Sequence[Element], optional: Names) -> bool:
        """Whether the keys are all variables of what is required, so that no two of its solutions differ but in order.

        And whether no filter of it asks for what an OPTIONAL may bind.
        """
        bound = union(element.certain for element in required)
        return (
            self.keys == variables(union(element.names for element in required if element.kind != "filter"))
            and self.keys <= bound
            and all(element.names & optional <= bound for element in required if element.kind == "filter")
            and all(element.kind in {"triples", "filter", "values", "narrowed"} for element in required)
        )


def sorting(query: Query) -> Sorting | None:
    """How a SELECT query without aggregates and DISTINCT is sorted and limited."""
    plain = not any(token.text == "(" or token.text.upper() in _DISTINCT for token in query.head)
    if query.form != "SELECT" or not plain or not query.tail:
        return None
    match = _TAIL.fullmatch(joined(query.tail))
    if match is None:
        return None
    keys = frozenset(name[1:] for name in re.findall(r"[?$]\w+", match["order"]))
    limit = int(match["limit"]) + int(match["offset"] or 0)
    return Sorting(keys, match["order"], limit) if limit <= _FEW else None

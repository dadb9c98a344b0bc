"""Parse ORDER BY and LIMIT of a query, and check whether a part of it determines the order; pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kg.sparql.syntax_tree import GroupElement, ParsedQuery, VariableNames, union_of_names, without_blank_nodes
from kg.sparql.token_stream import join_tokens

_MAX_LIMIT: Final = 10_000
"""The highest LIMIT for which a sub-select pays off."""
_DISTINCT_KEYWORDS: Final = frozenset({"DISTINCT", "REDUCED"})
_SORT_KEY: Final = r"(?:[?$]\w+|(?:ASC|DESC)\s*\(\s*[?$]\w+\s*\))"
_ORDER_AND_LIMIT: Final = re.compile(
    rf"(?P<order>ORDER\s+BY(?:\s*{_SORT_KEY})+)\s*LIMIT\s+(?P<limit>[0-9]{{1,9}})(?:\s*OFFSET\s+(?P<offset>[0-9]{{1,9}}))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TopK:
    """ORDER BY some variables, and the LIMIT with the OFFSET added."""

    keys: VariableNames
    order_clause: str
    limit: int

    @property
    def projection(self) -> str:
        """The keys, as a SELECT clause lists them."""
        return " ".join(f"?{name}" for name in sorted(self.keys))

    def covers_solutions(self, required: Sequence[GroupElement], optional: VariableNames) -> bool:
        """Whether the required elements determine the first solutions, without the OPTIONALs.

        The keys must be all variables of these elements, so that solutions with equal keys are equal. No filter may
        use a variable that an OPTIONAL may bind.
        """
        bound = union_of_names(element.certainly_bound for element in required)
        return (
            self.keys
            == without_blank_nodes(union_of_names(element.names for element in required if element.kind != "filter"))
            and self.keys <= bound
            and all(element.names & optional <= bound for element in required if element.kind == "filter")
            and all(element.kind in {"triples", "filter", "values", "narrowed"} for element in required)
        )


def parse_top_k(query: ParsedQuery) -> TopK | None:
    """Parse the order and limit of a SELECT query without aggregates and DISTINCT; None for other queries."""
    plain = not any(token.text == "(" or token.text.upper() in _DISTINCT_KEYWORDS for token in query.head)
    if query.form != "SELECT" or not plain or not query.tail:
        return None
    match = _ORDER_AND_LIMIT.fullmatch(join_tokens(query.tail))
    if match is None:
        return None
    keys = frozenset(name[1:] for name in re.findall(r"[?$]\w+", match["order"]))
    limit = int(match["limit"]) + int(match["offset"] or 0)
    return TopK(keys, match["order"], limit) if limit <= _MAX_LIMIT else None

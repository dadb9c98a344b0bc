"""Rewrite a query to an equal one that the embedded engine evaluates faster; pure.

pyoxigraph plans the groups of EXISTS, and mostly those of OPTIONAL, without regard to variables that are bound outside.
LATERAL, an extension of SPARQL that it supports, passes the bindings in and keeps triple patterns in their order. A
rewrite is applied only where it provably has the same solutions, and where the estimated cardinalities favour it.
Everything else stays as it is, byte for byte.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from kg.engine.planner.cardinality import CardinalityEstimator, JoinOrder, connected_components
from kg.engine.planner.guards import (
    element_unsafe_reason,
    has_nullable_path,
    lateral_unsafe_reason,
    plan_dependence_reason,
)
from kg.engine.planner.reorder import OffsetNote, merge_triples, move_before_optionals
from kg.engine.planner.scope import LeftSide, Scope
from kg.engine.planner.top_k import parse_top_k
from kg.engine.protocol import PlanNote, QueryPlan
from kg.engine.statistics import DatasetStatistics
from kg.sparql.query_parser import parse_query
from kg.sparql.syntax_tree import (
    NO_NAMES,
    GroupElement,
    GroupGraphPattern,
    ParsedQuery,
    TriplePattern,
    VariableNames,
    union_of_names,
)
from kg.sparql.token_stream import UnsupportedQueryError

_PLANNABLE_CALLS: Final = re.compile(r"\b(?:IN|COUNT|SUM|AVG|MIN|MAX)\s*\(")
"""Calls that can be planned, besides OPTIONAL and EXISTS; matches upper-case text."""
_HASH_JOIN_FACTOR: Final = 2.0
"""How many times the cost of a hash join a nested loop must be estimated at for the hash join to be chosen."""
_MAX_ORDERED_PATTERNS: Final = 20_000
"""The most patterns to order in a query for the costs of VALUES; each filter needs all of its group ordered."""


class AggregationPlanner(Protocol):
    """Plans how the groups of a query are computed other than by the engine."""

    def plan_groups(self, plan: QueryPlan, query: ParsedQuery, statistics: DatasetStatistics) -> QueryPlan:
        """Return the plan of a query with `lookup_groups` where its groups can be looked up, and a note."""


@dataclass
class _GroupWriter:
    """Builds the text of a group; `ends_in_triples` says whether a triple pattern is last, which needs a dot."""

    parts: list[str] = field(default_factory=list)
    ends_in_triples: bool = False

    def add_triples(self, text: str) -> None:
        self.parts += ["."] * self.ends_in_triples + [text]
        self.ends_in_triples = True

    def add_other(self, text: str) -> None:
        self.parts.append(text)
        self.ends_in_triples = False

    def __str__(self) -> str:
        return f"{{ {' '.join(self.parts)} }}"


def has_plannable_keyword(text: str) -> bool:
    """Whether a query has one of the keywords that rewrites apply to."""
    plain = text.upper()
    return "OPTIONAL" in plain or "EXISTS" in plain or _PLANNABLE_CALLS.search(plain) is not None


def plan_query(
    text: str, statistics: DatasetStatistics | None, aggregations: AggregationPlanner | None = None
) -> QueryPlan:
    """Plan a query over a dataset with these statistics. Never fails: a text that is not understood is left alone."""
    if not has_plannable_keyword(text):
        return QueryPlan(text, (PlanNote(1, "left alone: it has no EXISTS, OPTIONAL, IN or aggregate"),))
    try:
        query = parse_query(text)
    except UnsupportedQueryError as error:
        return QueryPlan(text, (PlanNote(1, f"left alone: {error}"),))
    reason = plan_dependence_reason(query.main)
    if reason is not None:
        return QueryPlan(text, (PlanNote(1, f"left alone: {reason}"),))
    rewriter = _QueryRewriter(query, CardinalityEstimator(statistics))
    plan = QueryPlan(rewriter.rewritten_text(), tuple(_notes_by_line(text, rewriter.notes)))
    if statistics is None or aggregations is None:
        return plan
    return aggregations.plan_groups(plan, query, statistics)


def _notes_by_line(text: str, notes: Sequence[OffsetNote]) -> Iterable[PlanNote]:
    breaks = [match.start() for match in re.finditer("\n", text)] if notes else []
    return (PlanNote(bisect_left(breaks, offset) + 1, message) for offset, message in notes)


class _QueryRewriter:
    def __init__(self, query: ParsedQuery, estimates: CardinalityEstimator) -> None:
        self._query = query
        self._estimates = estimates
        self._ordered_pattern_count = 0
        self.notes = list[OffsetNote]()

    def rewritten_text(self) -> str:
        """Return the rewritten query."""
        source, main = self._query.text, self._query.main
        if self._query.form == "CONSTRUCT" and not any(token.text == "{" for token in self._query.head):
            self._add_note(main.start, "left alone: CONSTRUCT WHERE is its own template")
            return source
        has_values = any(token.is_word("VALUES") for token in self._query.tail)
        group = self._push_down_top_k(main) or self._rewrite_group(main, Scope(is_unjoined=not has_values))
        return source if group is None else source[: main.start] + group + source[main.end :]

    def _add_note(self, offset: int, message: str) -> None:
        self.notes.append((offset, message))

    def _source_text(self, part: GroupElement | GroupGraphPattern) -> str:
        return self._query.text[part.start : part.end]

    def _rewrite_group(self, group: GroupGraphPattern, scope: Scope) -> str | None:
        """Return a rewritten group; None if it does not change."""
        if not group.elements:
            return None
        before = merge_triples(group.elements)
        elements, notes = move_before_optionals(before, scope.outer_variables, self._estimates)
        self.notes += notes
        elements = self._insert_values(group, elements, scope)
        changed, text, left = elements != before, _GroupWriter(), LeftSide(scope.outer_variables, elements)
        for element in elements:
            part = self._rewrite_element(group, element, left, scope)
            changed = changed or part is not None
            self._write_element(text, element, part)
            left.add(element)
        return str(text) if changed else None

    def _write_element(self, text: _GroupWriter, element: GroupElement, part: str | None) -> None:
        if element.kind == "triples" and part is None:
            for pattern in element.triple_patterns:
                text.add_triples(pattern.text)
        elif part is not None and element.kind == "triples" and not part.startswith(("{", "LATERAL")):
            text.add_triples(part)
            text.ends_in_triples = not part.endswith("}")
        elif element.kind == "narrowed":
            text.add_other(f"VALUES ?{element.variable} {{ {' '.join(element.allowed_iris)} }}")
        else:
            text.add_other(self._source_text(element) if part is None else part)

    def _rewrite_element(
        self, group: GroupGraphPattern, element: GroupElement, left: LeftSide, scope: Scope
    ) -> str | None:
        match element.kind:
            case "triples":
                return self._hold_join_order(element, left, scope) if scope.is_correlated else None
            case "filter" if element.groups:
                return self._rewrite_exists(
                    element, (element.names & scope.outer_variables) | (element.names & group.certainly_bound)
                )
            case "optional":
                return self._rewrite_optional(element, left, scope)
            case "union" | "graph":
                return self._rewrite_union_or_graph(element, left, scope)
            case "select" if not scope.is_correlated:
                return self._rewrite_inner_groups(element, Scope(is_unjoined=True))
        return None

    def _rewrite_exists(self, element: GroupElement, given: VariableNames) -> str | None:
        """Rule a: match the patterns of EXISTS starting from bound variables."""
        return self._rewrite_inner_groups(
            element, Scope(given, is_correlated=True, in_exists=True, in_exists_or_optional=True)
        )

    def _rewrite_inner_groups(self, element: GroupElement, scope: Scope) -> str | None:
        """Return an element with its groups rewritten; None if they do not change."""
        pieces, end, changed = list[str](), element.start, False
        for group in element.groups:
            rewritten = self._rewrite_group(group, scope)
            changed = changed or rewritten is not None
            pieces += [self._query.text[end : group.start], rewritten or self._source_text(group)]
            end = group.end
        return "".join(pieces) + self._query.text[end : element.end] if changed else None

    def _rewrite_union_or_graph(self, element: GroupElement, left: LeftSide, scope: Scope) -> str | None:
        """Rewrite the groups of UNION or GRAPH; in EXISTS they are evaluated for each solution of their left side."""
        given = left.bound_among(element.names)
        if scope.in_exists and not left.is_empty and given and element_unsafe_reason(element, left.names) is None:
            inner = self._rewrite_inner_groups(element, replace(scope, outer_variables=given))
            self._add_note(element.start, "evaluated for each solution of its left side")
            return f"LATERAL {{ {self._source_text(element) if inner is None else inner} }}"
        return self._rewrite_inner_groups(
            element, replace(scope, is_unjoined=scope.is_unjoined and not left.has_several_joined)
        )

    def _hold_join_order(self, element: GroupElement, left: LeftSide, scope: Scope) -> str | None:
        """Rule a: fix the order of the triple patterns of a group, starting from bound variables."""
        if len(element.triple_patterns) == 1 or not self._may_reorder(element.triple_patterns, element.start):
            return None
        given = left.bound_among(element.names)
        parts = (
            connected_components(element.triple_patterns, given)
            if scope.in_exists and left.is_empty
            else [element.triple_patterns]
        )
        orders = [self._estimates.join_order(part, given) for part in parts]
        if all(len(order.triple_patterns) == 1 for order in orders):
            return None
        self._add_note(element.start, f"triple patterns matched in this order: {_describe_orders(orders)}")
        if len(orders) > 1:
            return " ".join(f"{{ {_lateral_chain(order.triple_patterns)} }}" for order in orders)
        return _lateral_chain(orders[0].triple_patterns, opened=not left.is_empty)

    def _may_reorder(self, patterns: Sequence[TriplePattern], offset: int) -> bool:
        """Whether each pattern may be in a group of its own: they share no blank node, and no path has length zero."""
        labels = [name for pattern in patterns for name in pattern.names if name.startswith("_:")]
        if len(labels) != len(set(labels)):
            self._add_note(offset, "left alone: triple patterns share a blank node")
            return False
        if any(pattern.is_nullable for pattern in patterns):
            self._add_note(offset, "left alone: a path may have length zero")
            return False
        return True

    def _rewrite_optional(self, element: GroupElement, left: LeftSide, scope: Scope) -> str | None:
        """Rule b: evaluate an OPTIONAL for each solution of its left side, or once where that is cheaper."""
        body, given = element.groups[0], left.bound_among(element.names)
        reason = self._reason_against_lateral(body, left, scope)
        if reason is None and left.is_empty:
            reason = "nothing precedes OPTIONAL"
        order = self._estimates.join_order(body.triple_patterns, given) if reason is None else None
        if order is not None and (not order.is_connected or not order.triple_patterns):
            reason = "no pattern of OPTIONAL starts at a bound variable"
        if reason is not None or order is None:
            if reason:
                self._add_note(element.start, f"left alone: {reason}")
            inside = replace(
                scope,
                outer_variables=scope.outer_variables if scope.is_correlated else given,
                is_unjoined=False,
                in_exists_or_optional=True,
            )
            return self._rewrite_inner_groups(element, inside)
        if not scope.is_correlated and self._is_hash_join_cheaper(body, left, order):
            return self._as_hash_join(element)
        self._add_note(element.start, "OPTIONAL evaluated for each solution of its left side")
        inner = self._rewrite_inner_groups(element, Scope(given, is_correlated=True, in_exists_or_optional=True))
        return f"LATERAL {{ {self._source_text(element) if inner is None else inner} }}"

    def _reason_against_lateral(self, body: GroupGraphPattern, left: LeftSide, scope: Scope) -> str | None:
        """Find why an OPTIONAL should not be evaluated for each solution of its left side; "" needs no note."""
        patterns = body.triple_patterns
        if (
            not scope.is_correlated
            and len(patterns) == 1
            and all(element.kind in {"triples", "filter"} for element in body.elements)
        ):
            return ""
        if not scope.is_correlated and (not scope.is_unjoined or left.has_following_join):
            return "something else is joined with the group of OPTIONAL"
        if not self._may_reorder(patterns, body.start):
            return ""
        return lateral_unsafe_reason(body, left.names, is_optional_body=True)

    def _is_hash_join_cheaper(self, body: GroupGraphPattern, left: LeftSide, loop: JoinOrder) -> bool:
        """Whether a hash join with all solutions of an OPTIONAL is estimated as cheaper, and is equal."""
        filters = [element for element in body.elements if element.kind == "filter"]
        if (
            not self._estimates.has_statistics
            or not union_of_names(element.names for element in filters) <= body.certainly_bound
        ):
            return False
        if not left.has_only_triples:
            return False
        rows, whole = left.estimate_rows(self._estimates), self._estimates.join_order(body.triple_patterns, NO_NAMES)
        return loop.cost * rows > _HASH_JOIN_FACTOR * (whole.cost + whole.rows + rows)

    def _as_hash_join(self, element: GroupElement) -> str:
        body = element.groups[0]
        self._add_note(element.start, "OPTIONAL evaluated once, which is estimated as cheaper than for each solution")
        inner = self._rewrite_group(body, Scope())
        return f"OPTIONAL {{ SELECT * {self._source_text(body) if inner is None else inner} }}"

    def _insert_values(
        self, group: GroupGraphPattern, elements: tuple[GroupElement, ...], scope: Scope
    ) -> tuple[GroupElement, ...]:
        """Rule d: replace a filter that allows a variable only some IRIs by VALUES, after the element that binds it."""
        restrictions = [element for element in elements if element.allowed_iris]
        if (
            scope.in_exists_or_optional
            or not restrictions
            or not self._estimates.has_statistics
            or has_nullable_path(group)
        ):
            return elements
        binding = dict[str, GroupElement]()
        for element in reversed(elements):
            binding.update(dict.fromkeys(element.certainly_bound, element))
        costs, values = dict[tuple[int, str], float](), dict[int, list[GroupElement]]()
        for element in restrictions:
            home = binding.get(element.variable) if self._ordered_pattern_count < _MAX_ORDERED_PATTERNS else None
            if home is not None and home.kind == "triples" and self._is_values_cheaper(element, home, costs):
                self._add_note(element.start, f"FILTER on ?{element.variable} turned into VALUES")
                values.setdefault(id(home), []).insert(0, element)
        return tuple(_replace_filters_with_values(elements, values))

    def _is_values_cheaper(
        self, restriction: GroupElement, home: GroupElement, costs: dict[tuple[int, str], float]
    ) -> bool:
        """Whether starting from the IRIs of a filter is estimated as cheaper."""
        bound_cost, unbound_cost = (self._matching_cost(home, name, costs) for name in (restriction.variable, ""))
        return len(restriction.allowed_iris) * bound_cost * _HASH_JOIN_FACTOR < unbound_cost

    def _matching_cost(self, home: GroupElement, name: str, costs: dict[tuple[int, str], float]) -> float:
        """Estimate the cost of matching the patterns of an element with `name` bound, or with none if it is ""."""
        key = id(home), name
        if key not in costs:
            self._ordered_pattern_count += len(home.triple_patterns)
            costs[key] = self._estimates.join_order(home.triple_patterns, frozenset({name} - {""})).cost
        return costs[key]

    def _push_down_top_k(self, main: GroupGraphPattern) -> str | None:
        """Rule e: sort and limit before the OPTIONALs, where the required elements determine the order."""
        top = parse_top_k(self._query)
        if top is None:
            return None
        elements, notes = move_before_optionals(merge_triples(main.elements), NO_NAMES, self._estimates)
        first = next((index for index, element in enumerate(elements) if element.kind == "optional"), 0)
        filters = [element for element in elements[first:] if element.kind == "filter"]
        optionals = [element for element in elements[first:] if element.kind == "optional"]
        required = [*elements[:first], *filters]
        if not first or len(filters) + len(optionals) < len(elements) - first:
            return None
        if not top.covers_solutions(required, union_of_names(element.names for element in optionals)):
            return None
        self.notes += notes
        self._add_note(main.start, f"sorted and limited before OPTIONAL to {top.limit} solutions")
        start = GroupElement("select", main.start, main.start, top.keys, top.keys)
        modifiers = f"{top.order_clause} LIMIT {top.limit}"
        text = _GroupWriter([f"{{ SELECT {top.projection} {self._as_group(required)} {modifiers} }}"])
        left = LeftSide(NO_NAMES, [start, *optionals])
        left.add(start)
        for element in optionals:
            self._write_element(text, element, self._rewrite_optional(element, left, Scope()))
            left.add(element)
        return str(text)

    def _as_group(self, elements: Sequence[GroupElement]) -> str:
        """Return elements as a group, rewritten."""
        group, text = GroupGraphPattern(0, 0, tuple(elements)), _GroupWriter()
        rewritten = self._rewrite_group(group, Scope())
        if rewritten is not None:
            return rewritten
        for element in merge_triples(group.elements):
            self._write_element(text, element, None)
        return str(text)


def _replace_filters_with_values(
    elements: Iterable[GroupElement], values: dict[int, list[GroupElement]]
) -> Iterable[GroupElement]:
    """Drop filters and insert their VALUES after the element by whose `id` they are listed."""
    replaced = {id(element) for restrictions in values.values() for element in restrictions}
    for element in elements:
        if id(element) not in replaced:
            yield element
        for restriction in values.get(id(element), ()):
            yield replace(restriction, kind="narrowed", names=frozenset({restriction.variable}))


def _lateral_chain(patterns: Sequence[TriplePattern], *, opened: bool = False) -> str:
    """Return patterns in a text that fixes their order; `opened` if the group has elements before them."""
    first, *rest = [pattern.text for pattern in patterns]
    return " ".join([f"LATERAL {{ {first} }}" if opened else first, *(f"LATERAL {{ {text} }}" for text in rest)])


def _describe_orders(orders: Sequence[JoinOrder]) -> str:
    return " and separately ".join(" · ".join(pattern.text for pattern in order.triple_patterns) for order in orders)

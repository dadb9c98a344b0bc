"""Rewrite a query text to an equal one that the embedded engine answers faster; pure.

The engine plans what stands in EXISTS as if nothing outside were bound, and what stands in OPTIONAL nearly so. LATERAL,
an extension that it knows, passes on what is bound and holds triple patterns in their order. Only what is proven to
give the same solutions is changed; guesses of numbers decide whether it is worth it. What is not changed stays byte for
byte.
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
"""What there is to plan besides OPTIONAL and EXISTS, in capitals."""
_HASH_JOIN_FACTOR: Final = 2.0
"""How many times dearer a loop must look than a hash join before the other is taken."""
_MAX_ORDERED_PATTERNS: Final = 20_000
"""Patterns that are ordered to see whether VALUES is worth it, in a query; each filter has all of its group ordered."""


class AggregationPlanner(Protocol):
    """Plans how the groups of a query are computed other than by the engine."""

    def plan_groups(self, plan: QueryPlan, query: ParsedQuery, statistics: DatasetStatistics) -> QueryPlan:
        """Return the plan of a query with `lookup_groups` where its groups can be looked up, and a note."""


@dataclass
class _GroupWriter:
    """The text of a group as it grows; `open` says whether it ends in a triple pattern."""

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
    """Whether a text has a word without which there is nothing to plan."""
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
        """The planned text."""
        source, main = self._query.text, self._query.main
        if self._query.form == "CONSTRUCT" and not any(token.text == "{" for token in self._query.head):
            self._add_note(main.start, "left alone: CONSTRUCT WHERE is its own template")
            return source
        behind = any(token.is_word("VALUES") for token in self._query.tail)
        found = self._push_down_top_k(main) or self._rewrite_group(main, Scope(is_unjoined=not behind))
        return source if found is None else source[: main.start] + found + source[main.end :]

    def _add_note(self, place: int, words: str) -> None:
        self.notes.append((place, words))

    def _source_text(self, part: GroupElement | GroupGraphPattern) -> str:
        return self._query.text[part.start : part.end]

    def _rewrite_group(self, group: GroupGraphPattern, scene: Scope) -> str | None:
        """A group rewritten; None where nothing in it changes."""
        if not group.elements:
            return None
        before = merge_triples(group.elements)
        elements, said = move_before_optionals(before, scene.outer_variables, self._estimates)
        self.notes += said
        elements = self._insert_values(group, elements, scene)
        changed, text, left = elements != before, _GroupWriter(), LeftSide(scene.outer_variables, elements)
        for element in elements:
            part = self._rewrite_element(group, element, left, scene)
            changed = changed or part is not None
            self._write_element(text, element, part)
            left.add(element)
        return str(text) if changed else None

    def _write_element(self, text: _GroupWriter, element: GroupElement, part: str | None) -> None:
        if element.kind == "triples" and part is None:
            for unit in element.triple_patterns:
                text.add_triples(unit.text)
        elif part is not None and element.kind == "triples" and not part.startswith(("{", "LATERAL")):
            text.add_triples(part)
            text.ends_in_triples = not part.endswith("}")
        elif element.kind == "narrowed":
            text.add_other(f"VALUES ?{element.variable} {{ {' '.join(element.allowed_iris)} }}")
        else:
            text.add_other(self._source_text(element) if part is None else part)

    def _rewrite_element(
        self, group: GroupGraphPattern, element: GroupElement, left: LeftSide, scene: Scope
    ) -> str | None:
        match element.kind:
            case "triples":
                return self._hold_join_order(element, left, scene) if scene.is_correlated else None
            case "filter" if element.groups:
                return self._rewrite_exists(
                    element, (element.names & scene.outer_variables) | (element.names & group.certainly_bound)
                )
            case "optional":
                return self._rewrite_optional(element, left, scene)
            case "union" | "graph":
                return self._rewrite_union_or_graph(element, left, scene)
            case "select" if not scene.is_correlated:
                return self._rewrite_inner_groups(element, Scope(is_unjoined=True))
        return None

    def _rewrite_exists(self, element: GroupElement, given: VariableNames) -> str | None:
        """Rule a: what EXISTS asks for, started at what is bound."""
        return self._rewrite_inner_groups(
            element, Scope(given, is_correlated=True, in_exists=True, in_exists_or_optional=True)
        )

    def _rewrite_inner_groups(self, element: GroupElement, scene: Scope) -> str | None:
        """An element with its groups rewritten."""
        pieces, end, changed = list[str](), element.start, False
        for group in element.groups:
            found = self._rewrite_group(group, scene)
            changed = changed or found is not None
            pieces += [self._query.text[end : group.start], self._source_text(group) if found is None else found]
            end = group.end
        return "".join(pieces) + self._query.text[end : element.end] if changed else None

    def _rewrite_union_or_graph(self, element: GroupElement, left: LeftSide, scene: Scope) -> str | None:
        """Groups within a group; in EXISTS they too follow what was matched before them."""
        given = left.bound_among(element.names)
        if scene.in_exists and not left.is_empty and given and element_unsafe_reason(element, left.names) is None:
            inner = self._rewrite_inner_groups(element, replace(scene, outer_variables=given))
            self._add_note(element.start, "evaluated for each solution of what stands before it")
            return f"LATERAL {{ {self._source_text(element) if inner is None else inner} }}"
        return self._rewrite_inner_groups(
            element, replace(scene, is_unjoined=scene.is_unjoined and not left.has_several_joined)
        )

    def _hold_join_order(self, element: GroupElement, left: LeftSide, scene: Scope) -> str | None:
        """Rule a: the triple patterns of a group, held in the order that starts at what is bound."""
        if len(element.triple_patterns) == 1 or not self._may_reorder(element.triple_patterns, element.start):
            return None
        given = left.bound_among(element.names)
        parts = (
            connected_components(element.triple_patterns, given)
            if scene.in_exists and left.is_empty
            else [element.triple_patterns]
        )
        orders = [self._estimates.join_order(part, given) for part in parts]
        if all(len(order.triple_patterns) == 1 for order in orders):
            return None
        self._add_note(element.start, f"triple patterns held in this order: {_describe_orders(orders)}")
        if len(orders) > 1:
            return " ".join(f"{{ {_lateral_chain(order.triple_patterns)} }}" for order in orders)
        return _lateral_chain(orders[0].triple_patterns, opened=not left.is_empty)

    def _may_reorder(self, units: Sequence[TriplePattern], place: int) -> bool:
        """Whether patterns may stand in groups of their own: no blank node is shared, no path may match nothing."""
        labels = [name for unit in units for name in unit.names if name.startswith("_:")]
        if len(labels) != len(set(labels)):
            self._add_note(place, "left alone: triple patterns share a blank node")
            return False
        if any(unit.is_nullable for unit in units):
            self._add_note(place, "left alone: a path that may match nothing")
            return False
        return True

    def _rewrite_optional(self, element: GroupElement, left: LeftSide, scene: Scope) -> str | None:
        """Rule b: an OPTIONAL evaluated for each solution of its left side, or as a whole where that is cheaper."""
        body, given = element.groups[0], left.bound_among(element.names)
        reason = self._reason_against_lateral(body, left, scene)
        if reason is None and left.is_empty:
            reason = "nothing stands before OPTIONAL"
        order = self._estimates.join_order(body.triple_patterns, given) if reason is None else None
        if order is not None and (not order.is_connected or not order.triple_patterns):
            reason = "nothing in OPTIONAL starts at what is bound"
        if reason is not None or order is None:
            if reason:
                self._add_note(element.start, f"left alone: {reason}")
            inside = replace(
                scene,
                outer_variables=scene.outer_variables if scene.is_correlated else given,
                is_unjoined=False,
                in_exists_or_optional=True,
            )
            return self._rewrite_inner_groups(element, inside)
        if not scene.is_correlated and self._is_hash_join_cheaper(body, left, order):
            return self._as_hash_join(element)
        self._add_note(element.start, "OPTIONAL evaluated for each solution of its left side")
        inner = self._rewrite_inner_groups(element, Scope(given, is_correlated=True, in_exists_or_optional=True))
        return f"LATERAL {{ {self._source_text(element) if inner is None else inner} }}"

    def _reason_against_lateral(self, body: GroupGraphPattern, left: LeftSide, scene: Scope) -> str | None:
        """Why an OPTIONAL cannot or should not be evaluated for each solution of its left side; "" goes untold."""
        units = body.triple_patterns
        if (
            not scene.is_correlated
            and len(units) == 1
            and all(element.kind in {"triples", "filter"} for element in body.elements)
        ):
            return ""
        if not scene.is_correlated and (not scene.is_unjoined or left.has_following_join):
            return "something else is joined with the group of OPTIONAL"
        if not self._may_reorder(units, body.start):
            return ""
        return lateral_unsafe_reason(body, left.names, is_optional_body=True)

    def _is_hash_join_cheaper(self, body: GroupGraphPattern, left: LeftSide, loop: JoinOrder) -> bool:
        """Whether a hash join with all solutions of an OPTIONAL looks cheaper, and gives the same."""
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
        self._add_note(element.start, "OPTIONAL evaluated once as a whole, which looks cheaper than for each solution")
        inner = self._rewrite_group(body, Scope())
        return f"OPTIONAL {{ SELECT * {self._source_text(body) if inner is None else inner} }}"

    def _insert_values(
        self, group: GroupGraphPattern, elements: tuple[GroupElement, ...], scene: Scope
    ) -> tuple[GroupElement, ...]:
        """Rule d: VALUES for a filter that allows a variable only some IRIs, right behind where it is bound."""
        restrictions = [element for element in elements if element.allowed_iris]
        if (
            scene.in_exists_or_optional
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
        """Whether to start at the IRIs of a filter looks cheaper."""
        started, anyhow = (self._matching_cost(home, name, costs) for name in (restriction.variable, ""))
        return len(restriction.allowed_iris) * started * _HASH_JOIN_FACTOR < anyhow

    def _matching_cost(self, home: GroupElement, name: str, costs: dict[tuple[int, str], float]) -> float:
        """What it costs to match the patterns of an element with or without a name given."""
        key = id(home), name
        if key not in costs:
            self._ordered_pattern_count += len(home.triple_patterns)
            costs[key] = self._estimates.join_order(home.triple_patterns, frozenset({name} - {""})).cost
        return costs[key]

    def _push_down_top_k(self, main: GroupGraphPattern) -> str | None:
        """Rule e: ORDER BY and LIMIT before the OPTIONALs, where they hang on what is required alone."""
        sorted_ = parse_top_k(self._query)
        if sorted_ is None:
            return None
        elements, said = move_before_optionals(merge_triples(main.elements), NO_NAMES, self._estimates)
        first = next((index for index, element in enumerate(elements) if element.kind == "optional"), 0)
        filters = [element for element in elements[first:] if element.kind == "filter"]
        optionals = [element for element in elements[first:] if element.kind == "optional"]
        required = [*elements[:first], *filters]
        if not first or len(filters) + len(optionals) < len(elements) - first:
            return None
        if not sorted_.covers_solutions(required, union_of_names(element.names for element in optionals)):
            return None
        self.notes += said
        self._add_note(main.start, f"sorted and limited before OPTIONAL to {sorted_.limit} solutions")
        start = GroupElement("select", main.start, main.start, sorted_.keys, sorted_.keys)
        modifiers = f"{sorted_.order_clause} LIMIT {sorted_.limit}"
        text = _GroupWriter([f"{{ SELECT {sorted_.projection} {self._as_group(required)} {modifiers} }}"])
        left = LeftSide(NO_NAMES, [start, *optionals])
        left.add(start)
        for element in optionals:
            self._write_element(text, element, self._rewrite_optional(element, left, Scope()))
            left.add(element)
        return str(text)

    def _as_group(self, elements: Sequence[GroupElement]) -> str:
        """Elements as a group of their own."""
        group, text = GroupGraphPattern(0, 0, tuple(elements)), _GroupWriter()
        found = self._rewrite_group(group, Scope())
        if found is None:
            for element in merge_triples(group.elements):
                self._write_element(text, element, None)
        return str(text) if found is None else found


def _replace_filters_with_values(
    elements: Iterable[GroupElement], values: dict[int, list[GroupElement]]
) -> Iterable[GroupElement]:
    """Elements with VALUES behind those on which filters hang, instead of these."""
    gone = {id(element) for narrowed in values.values() for element in narrowed}
    for element in elements:
        if id(element) not in gone:
            yield element
        for restriction in values.get(id(element), ()):
            yield replace(restriction, kind="narrowed", names=frozenset({restriction.variable}))


def _lateral_chain(units: Sequence[TriplePattern], *, opened: bool = False) -> str:
    """Patterns that the engine matches in this order; `opened` if something stands before them."""
    first, *rest = [unit.text for unit in units]
    return " ".join([f"LATERAL {{ {first} }}" if opened else first, *(f"LATERAL {{ {text} }}" for text in rest)])


def _describe_orders(orders: Sequence[JoinOrder]) -> str:
    return " and apart ".join(" · ".join(unit.text for unit in order.triple_patterns) for order in orders)

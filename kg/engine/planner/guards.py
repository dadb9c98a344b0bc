"""Find reasons why a query, or a group in it, might have other solutions under another plan; pure.

Each function returns a reason in words, or None if there is none.
"""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import chain

from kg.sparql.syntax_tree import NO_NAMES, GroupElement, GroupGraphPattern, VariableNames, without_blank_nodes


def plan_dependence_reason(main: GroupGraphPattern) -> str | None:
    """Find what makes the solutions of a query depend on the plan that the engine chooses."""
    return (
        _group_plan_dependence_reason(main, in_main=True)
        or _shared_label_reason(main)
        or _ill_designed_reason(main, NO_NAMES)
    )


def _group_plan_dependence_reason(group: GroupGraphPattern, *, in_main: bool) -> str | None:
    for element in group.elements:
        if element.kind == "minus":
            return "it has MINUS"
        if any(
            not pattern.predicate and ("|" in pattern.text or "!" in pattern.text)
            for pattern in element.triple_patterns
        ):
            return "it has a path with ! or |, whose multiplicity depends on the plan"
        has_exists = bool(element.groups) and element.kind in {"filter", "bind"}
        if has_exists and not (in_main and element.kind == "filter"):
            return "EXISTS is elsewhere than in a filter of the outermost group"
        if element.kind == "bind" and not in_main:
            return "BIND is in an inner group"
        for inner in element.groups:
            reason = _group_plan_dependence_reason(inner, in_main=False)
            if reason is not None:
                return reason
    return None


def _shared_label_reason(main: GroupGraphPattern) -> str | None:
    """Find a blank node label in two basic graph patterns, which the engine rejects; a plan could merge them."""
    triples = (element for element in _nested_elements(main) if element.kind == "triples")
    labels = [name for element in triples for name in element.names if name.startswith("_:")]
    return "a blank node label is in several basic graph patterns" if len(labels) != len(set(labels)) else None


def _nested_elements(group: GroupGraphPattern) -> Iterator[GroupElement]:
    """Iterate over the elements of a group and of all groups in it."""
    groups = [group]
    while groups:
        for element in groups.pop().elements:
            yield element
            groups += element.groups


def _ill_designed_reason(group: GroupGraphPattern, outside: VariableNames) -> str | None:
    """Find an OPTIONAL with a variable that also occurs outside of it but that its left side does not bind."""
    if not any(element.groups for element in group.elements):
        return None
    occurring = Counter(chain.from_iterable(element.names for element in group.elements))
    bound = set[str]()
    for element in group.elements:
        if element.groups:
            rest = frozenset(name for name in element.names if occurring[name] > 1 or name in outside)
            if element.kind == "optional" and without_blank_nodes(rest) - bound:
                return "an OPTIONAL in it is not well designed"
            for inner in element.groups:
                reason = _ill_designed_reason(inner, rest)
                if reason is not None:
                    return reason
        bound |= element.certainly_bound
    return None


def has_nullable_path(group: GroupGraphPattern) -> bool:
    """Whether some property path in a group may have length zero."""
    return any(pattern.is_nullable for element in _nested_elements(group) for pattern in element.triple_patterns)


def lateral_unsafe_reason(
    group: GroupGraphPattern, outer_names: AbstractSet[str], *, is_optional_body: bool = False
) -> str | None:
    """Find why a group has other solutions if it is evaluated with the outer bindings, as LATERAL does.

    The filters of a group that is the body of an OPTIONAL see these bindings anyway.
    """
    own = set[str]()
    for element in group.elements:
        reason = _own_names_unsafe_reason(
            element, own, group.certainly_bound, outer_names, is_optional_body=is_optional_body
        ) or element_unsafe_reason(element, outer_names)
        if reason is not None:
            return reason
        own |= element.certainly_bound
    return None


def _own_names_unsafe_reason(
    element: GroupElement,
    own: AbstractSet[str],
    certain: VariableNames,
    outer_names: AbstractSet[str],
    *,
    is_optional_body: bool,
) -> str | None:
    """As `lateral_unsafe_reason`, for the names of an element.

    Its group certainly binds `certain`, the elements before it `own`.
    """
    match element.kind:
        case "filter":
            if not is_optional_body and not element.names & outer_names <= certain:
                return "a filter in an inner group names a variable that is bound outside of it only"
        case "optional":
            if not element.names & outer_names <= own:
                return "OPTIONAL names a variable of an outer group that its left side does not bind: not well designed"
        case "bind":
            if element.variable in outer_names or not element.names & outer_names <= own:
                return "BIND in an inner group names a variable that is bound outside of it"
        case "values" | "select" | "minus":
            if not element.names.isdisjoint(outer_names):
                return f"{element.kind.upper()} in an inner group names a variable that is bound outside of it"
    return None


def element_unsafe_reason(element: GroupElement, outer_names: AbstractSet[str]) -> str | None:
    """As `lateral_unsafe_reason`, for the groups and patterns of an element."""
    if not element.nullable_names.isdisjoint(outer_names):
        return "a path may have length zero"
    if element.kind in {"values", "select", "minus"}:
        return (
            f"{element.kind.upper()} names a variable that is bound outside of it"
            if element.names & outer_names
            else None
        )
    if element.kind == "graph" and any(element.variable in part.names for part in element.groups):
        return "the variable of GRAPH is used inside of it"
    if element.kind in {"optional", "union", "graph"}:
        for part in element.groups:
            reason = None if part.is_basic_graph_pattern else lateral_unsafe_reason(part, outer_names)
            if reason is not None:
                return reason
    return None

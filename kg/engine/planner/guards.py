"""Tell what keeps a query, or a group in it, from having the same solutions by another plan; pure.

Each answer is the reason in words, or None where nothing is known against it.
"""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import chain

from kg.sparql.syntax_tree import NO_NAMES, GroupElement, GroupGraphPattern, VariableNames, without_blank_nodes


def plan_dependence_reason(main: GroupGraphPattern) -> str | None:
    """What in a query the engine answers by how it happens to plan it, so that no other plan is sure to agree."""
    return (
        _group_plan_dependence_reason(main, in_main=True)
        or _shared_label_reason(main)
        or _ill_designed_reason(main, NO_NAMES)
    )


def _group_plan_dependence_reason(group: GroupGraphPattern, *, in_main: bool) -> str | None:
    for element in group.elements:
        if element.kind == "minus":
            return "it has MINUS"
        if any(not unit.predicate and ("|" in unit.text or "!" in unit.text) for unit in element.triple_patterns):
            return "it has a path with ! or |, of which the engine counts the ways in some plans only"
        asked = bool(element.groups) and element.kind in {"filter", "bind"}
        if asked and not (in_main and element.kind == "filter"):
            return "EXISTS stands elsewhere than in a filter of the outermost group"
        if element.kind == "bind" and not in_main:
            return "BIND stands in an inner group"
        for inner in element.groups:
            reason = _group_plan_dependence_reason(inner, in_main=False)
            if reason is not None:
                return reason
    return None


def _shared_label_reason(main: GroupGraphPattern) -> str | None:
    """The engine refuses a blank node's label in two basic graph patterns; a plan could bring them together."""
    triples = (element for element in _nested_elements(main) if element.kind == "triples")
    labels = [name for element in triples for name in element.names if name.startswith("_:")]
    return "a label of a blank node stands in several places" if len(labels) != len(set(labels)) else None


def _nested_elements(group: GroupGraphPattern) -> Iterator[GroupElement]:
    """The elements of a group and of all groups in it."""
    groups = [group]
    while groups:
        for element in groups.pop().elements:
            yield element
            groups += element.groups


def _ill_designed_reason(group: GroupGraphPattern, outside: VariableNames) -> str | None:
    """Whether an OPTIONAL names a variable that occurs outside of it, but that its left side does not bind."""
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
    """Whether some path in a group may match nothing."""
    return any(unit.is_nullable for element in _nested_elements(group) for unit in element.triple_patterns)


def lateral_unsafe_reason(
    group: GroupGraphPattern, outer_names: AbstractSet[str], *, is_optional_body: bool = False
) -> str | None:
    """Why a group has other solutions where names that are bound outside can be seen in it.

    The filters of a `direct` body of OPTIONAL see them anyway.
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
    """As `unsafe`, for the names in an element; its group binds all that is `certain`, its `own` before it."""
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
    """As `unsafe`, for the groups and patterns of an element."""
    if not element.nullable_names.isdisjoint(outer_names):
        return "a path that may match nothing"
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

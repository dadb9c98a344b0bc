"""Tell what keeps a query, or a group in it, from having the same solutions by another plan; pure.

Each answer is the reason in words, or None where nothing is known against it.
"""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import chain

from kg.sparql.syntax_tree import NONE, Element, Group, Names, variables


def odd(main: Group) -> str | None:
    """What in a query the engine answers by how it happens to plan it, so that no other plan is sure to agree."""
    return _odd(main, in_main=True) or _shares_labels(main) or _badly_designed(main, NONE)


def _odd(group: Group, *, in_main: bool) -> str | None:
    for element in group.elements:
        if element.kind == "minus":
            return "it has MINUS"
        if any(not unit.predicate and ("|" in unit.text or "!" in unit.text) for unit in element.units):
            return "it has a path with ! or |, of which the engine counts the ways in some plans only"
        asked = bool(element.groups) and element.kind in {"filter", "bind"}
        if asked and not (in_main and element.kind == "filter"):
            return "EXISTS stands elsewhere than in a filter of the outermost group"
        if element.kind == "bind" and not in_main:
            return "BIND stands in an inner group"
        for inner in element.groups:
            reason = _odd(inner, in_main=False)
            if reason is not None:
                return reason
    return None


def _shares_labels(main: Group) -> str | None:
    """The engine refuses a blank node's label in two basic graph patterns; a plan could bring them together."""
    triples = (element for element in _within(main) if element.kind == "triples")
    labels = [name for element in triples for name in element.names if name.startswith("_:")]
    return "a label of a blank node stands in several places" if len(labels) != len(set(labels)) else None


def _within(group: Group) -> Iterator[Element]:
    """The elements of a group and of all groups in it."""
    groups = [group]
    while groups:
        for element in groups.pop().elements:
            yield element
            groups += element.groups


def _badly_designed(group: Group, outside: Names) -> str | None:
    """Whether an OPTIONAL names a variable that occurs outside of it, but that its left side does not bind."""
    if not any(element.groups for element in group.elements):
        return None
    occurring = Counter(chain.from_iterable(element.names for element in group.elements))
    bound = set[str]()
    for element in group.elements:
        if element.groups:
            rest = frozenset(name for name in element.names if occurring[name] > 1 or name in outside)
            if element.kind == "optional" and variables(rest) - bound:
                return "an OPTIONAL in it is not well designed"
            for inner in element.groups:
                reason = _badly_designed(inner, rest)
                if reason is not None:
                    return reason
        bound |= element.certain
    return None


def walks_nothing(group: Group) -> bool:
    """Whether some path in a group may match nothing."""
    return any(unit.nullable for element in _within(group) for unit in element.units)


def unsafe(group: Group, seen: AbstractSet[str], *, direct: bool = False) -> str | None:
    """Why a group has other solutions where names that are bound outside can be seen in it.

    The filters of a `direct` body of OPTIONAL see them anyway.
    """
    own = set[str]()
    for element in group.elements:
        reason = _unsafe_itself(element, own, group.certain, seen, direct=direct) or unsafe_element(element, seen)
        if reason is not None:
            return reason
        own |= element.certain
    return None


def _unsafe_itself(
    element: Element, own: AbstractSet[str], certain: Names, seen: AbstractSet[str], *, direct: bool
) -> str | None:
    """As `unsafe`, for the names in an element; its group binds all that is `certain`, its `own` before it."""
    match element.kind:
        case "filter":
            if not direct and not element.names & seen <= certain:
                return "a filter in an inner group names a variable that is bound outside of it only"
        case "optional":
            if not element.names & seen <= own:
                return "OPTIONAL names a variable of an outer group that its left side does not bind: not well designed"
        case "bind":
            if element.variable in seen or not element.names & seen <= own:
                return "BIND in an inner group names a variable that is bound outside of it"
        case "values" | "select" | "minus":
            if not element.names.isdisjoint(seen):
                return f"{element.kind.upper()} in an inner group names a variable that is bound outside of it"
    return None


def unsafe_element(element: Element, seen: AbstractSet[str]) -> str | None:
    """As `unsafe`, for the groups and patterns of an element."""
    if not element.loose.isdisjoint(seen):
        return "a path that may match nothing"
    if element.kind in {"values", "select", "minus"}:
        return f"{element.kind.upper()} names a variable that is bound outside of it" if element.names & seen else None
    if element.kind == "graph" and any(element.variable in part.names for part in element.groups):
        return "the variable of GRAPH is used inside of it"
    if element.kind in {"optional", "union", "graph"}:
        for part in element.groups:
            reason = None if part.plain else unsafe(part, seen)
            if reason is not None:
                return reason
    return None

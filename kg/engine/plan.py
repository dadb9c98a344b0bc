"""Rewrite a query text to an equal one that the embedded engine answers faster; pure.

The engine plans what stands in EXISTS as if nothing outside were bound, and what stands in OPTIONAL nearly so. LATERAL,
an extension that it knows, passes on what is bound and holds triple patterns in their order. Only what is proven to
give the same solutions is changed; guesses of numbers decide whether it is worth it. What is not changed stays byte for
byte.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from kg.engine.cursor import UnreadableError, joined
from kg.engine.estimates import Estimates, Order, components
from kg.engine.grammar import read
from kg.engine.protocol import Counts
from kg.engine.tokens import line_and_column
from kg.engine.tree import NONE, Element, Group, Names, Query, Unit, union, variables

KEPT: Final = 256
"""Plans that are kept."""

_KEYWORDS: Final = re.compile(r"\bEXISTS\b|\bOPTIONAL\b|\bIN\s*\(", re.IGNORECASE)
_HASHING: Final = 2.0
"""How many times dearer a loop must look than a hash join before the other is taken."""
_MULTIPLYING: Final = 1.5
"""Matches of a pattern for each solution from which on it is dearer before an OPTIONAL than behind it."""
_FEW: Final = 10_000
"""Solutions up to which a LIMIT is worth a sub-select."""
_DISTINCT: Final = frozenset({"DISTINCT", "REDUCED"})
_KEY: Final = r"(?:[?$]\w+|(?:ASC|DESC)\s*\(\s*[?$]\w+\s*\))"
_TAIL: Final = re.compile(
    rf"(?P<order>ORDER\s+BY(?:\s*{_KEY})+)\s*LIMIT\s+(?P<limit>[0-9]{{1,9}})(?:\s*OFFSET\s+(?P<offset>[0-9]{{1,9}}))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Change:
    """What was done at a line, or left alone, and why."""

    line: int
    words: str


@dataclass(frozen=True)
class Plan:
    """The text to run, and what was changed in it as against the client's."""

    text: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class _Scene:
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


@dataclass
class _Text:
    """The text of a group as it grows; `open` says whether it ends in a triple pattern."""

    parts: list[str] = field(default_factory=list)
    open: bool = False

    def triples(self, text: str) -> None:
        self.parts += ["."] * self.open + [text]
        self.open = True

    def other(self, text: str) -> None:
        self.parts.append(text)
        self.open = False

    def __str__(self) -> str:
        return f"{{ {' '.join(self.parts)} }}"


class Plans:
    """Plans by text, kept as long as the dataset is of about the same size."""

    def __init__(self) -> None:
        self._kept = dict[tuple[str, int], Plan]()

    def of(self, text: str, counts: Counts | None) -> str:
        """The text to run."""
        if _KEYWORDS.search(text) is None:
            return text
        key = text, -1 if counts is None else (counts.triples or 0).bit_length()
        found = self._kept.get(key)
        if found is None:
            found = plan(text, counts)
            while len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = found
        return found.text


def plan(text: str, counts: Counts | None) -> Plan:
    """Plan a query; `counts` are of the dataset, if they are known. Never fails: what is not understood is kept."""
    if _KEYWORDS.search(text) is None:
        return Plan(text, (Change(1, "left alone: it has no EXISTS, OPTIONAL or IN"),))
    try:
        query = read(text)
    except UnreadableError as reason:
        return Plan(text, (Change(1, f"left alone: {reason}"),))
    odd = _odd(query.main, in_main=True) or _shares_labels(query.main) or _badly_designed(query.main, NONE)
    if odd is not None:
        return Plan(text, (Change(1, f"left alone: {odd}"),))
    planner = _Planner(query, Estimates(counts))
    return Plan(planner.text(), tuple(planner.changes))


def _odd(group: Group, *, in_main: bool) -> str | None:
    """What in a query the engine answers by how it happens to plan it, so that no other plan is sure to agree."""
    for element in group.elements:
        if element.kind == "minus":
            return "it has MINUS"
        if any(not unit.predicate and set("!|") & set(unit.text) for unit in element.units):
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


def _badly_designed(group: Group, outside: Names) -> str | None:
    """Whether an OPTIONAL names a variable that occurs outside of it, but that its left side does not bind."""
    occurring = Counter(name for element in group.elements for name in element.names)
    bound = set[str]()
    for element in group.elements:
        rest = frozenset(name for name in element.names if occurring[name] > 1 or name in outside)
        if element.kind == "optional" and variables(rest) - bound:
            return "an OPTIONAL in it is not well designed"
        for inner in element.groups:
            reason = _badly_designed(inner, rest)
            if reason is not None:
                return reason
        bound |= element.certain
    return None


def _shares_labels(main: Group) -> str | None:
    """The engine refuses a blank node's label in two basic graph patterns; a plan could bring them together."""
    labels = list(_labels(main))
    return "a label of a blank node stands in several places" if len(labels) != len(set(labels)) else None


def _labels(group: Group) -> Iterator[str]:
    for element in group.elements:
        if element.kind == "triples":
            yield from (name for name in element.names if name.startswith("_:"))
        for inner in element.groups:
            yield from _labels(inner)


class _Planner:
    def __init__(self, query: Query, estimates: Estimates) -> None:
        self._query = query
        self._estimates = estimates
        self.changes = list[Change]()

    def text(self) -> str:
        """The planned text."""
        source, main = self._query.text, self._query.main
        if self._query.form == "CONSTRUCT" and not any(token.text == "{" for token in self._query.head):
            self._say(main.start, "left alone: CONSTRUCT WHERE is its own template")
            return source
        behind = any(token.is_word("VALUES") for token in self._query.tail)
        found = self._limited(main) or self._group(main, _Scene(alone=not behind))
        return source if found is None else source[: main.start] + found + source[main.end :]

    def _say(self, place: int, words: str) -> None:
        self.changes.append(Change(line_and_column(self._query.text, place)[0], words))

    def _slice(self, part: Element | Group) -> str:
        return self._query.text[part.start : part.end]

    def _group(self, group: Group, scene: _Scene) -> str | None:
        """A group rewritten; None where nothing in it changes."""
        gathered = _gathered(group.elements)
        elements = self._narrowed(group, self._moved(gathered, scene), scene)
        changed, text = tuple(elements) != gathered, _Text()
        for index, element in enumerate(elements):
            before, behind = elements[:index], elements[index + 1 :]
            part = self._part(group, element, (before, behind), scene)
            changed = changed or part is not None
            self._write(text, element, part)
        return str(text) if changed else None

    def _write(self, text: _Text, element: Element, part: str | None) -> None:
        if element.kind == "triples" and part is None:
            for unit in element.units:
                text.triples(unit.text)
        elif part is not None and element.kind == "triples" and not part.startswith(("{", "LATERAL")):
            text.triples(part)
            text.open = not part.endswith("}")
        elif element.kind == "narrowed":
            text.other(_values(element))
        else:
            text.other(self._slice(element) if part is None else part)

    def _part(
        self, group: Group, element: Element, around: tuple[Sequence[Element], Sequence[Element]], scene: _Scene
    ) -> str | None:
        before, behind = around
        match element.kind:
            case "triples":
                return self._pinned(element, before, scene) if scene.pinned else None
            case "filter" | "bind" if element.groups:
                bound = group.certain if element.kind == "filter" else _certain(before)
                return self._asked(element, scene.given | bound)
            case "optional":
                return self._optional(element, before, behind, scene)
            case "union" | "graph":
                return self._inner(element, before, behind, scene)
            case "select" if not scene.pinned:
                return self._spliced(element, _Scene(alone=True))
        return None

    def _asked(self, element: Element, given: Names) -> str | None:
        """Rule a: what EXISTS asks for, started at what is bound."""
        return self._spliced(element, _Scene(given, pinned=True, exists=True, inside=True))

    def _spliced(self, element: Element, scene: _Scene) -> str | None:
        """An element with its groups rewritten."""
        pieces, end, changed = list[str](), element.start, False
        for group in element.groups:
            found = self._group(group, scene)
            changed = changed or found is not None
            pieces += [self._query.text[end : group.start], self._slice(group) if found is None else found]
            end = group.end
        return "".join(pieces) + self._query.text[end : element.end] if changed else None

    def _inner(
        self, element: Element, before: Sequence[Element], behind: Sequence[Element], scene: _Scene
    ) -> str | None:
        """Groups within a group; in EXISTS they too follow what was matched before them."""
        left = [other for other in before if other.kind != "filter"]
        if scene.exists and left and element.names & (scene.given | _certain(left)):
            reason = _unsafe_element(element, union(other.names for other in left))
            if reason is None:
                inner = self._spliced(element, replace(scene, given=scene.given | _certain(left)))
                self._say(element.start, "evaluated for each solution of what stands before it")
                return f"LATERAL {{ {self._slice(element) if inner is None else inner} }}"
        others = [other for other in (*before, *behind) if other.kind not in {"filter", "bind", "minus", "optional"}]
        return self._spliced(element, replace(scene, alone=scene.alone and not others))

    def _pinned(self, element: Element, before: Sequence[Element], scene: _Scene) -> str | None:
        """Rule a: the triple patterns of a group, held in the order that starts at what is bound."""
        if len(element.units) == 1 or not self._may_order(element.units, element.start):
            return None
        left = [other for other in before if other.kind != "filter"]
        given = scene.given | _certain(left)
        parts = components(element.units, given) if scene.exists and not left else [list(element.units)]
        orders = [self._estimates.order(part, given) for part in parts]
        if all(len(order.units) == 1 for order in orders):
            return None
        self._say(element.start, f"triple patterns held in this order: {_told(orders)}")
        if len(orders) > 1:
            return " ".join(f"{{ {_held(order.units)} }}" for order in orders)
        return _held(orders[0].units, opened=bool(left))

    def _may_order(self, units: Sequence[Unit], place: int) -> bool:
        """Whether patterns may stand in groups of their own: no blank node is shared, no path may match nothing."""
        labels = [name for unit in units for name in unit.names if name.startswith("_:")]
        if len(labels) != len(set(labels)):
            self._say(place, "left alone: triple patterns share a blank node")
            return False
        if any(unit.nullable for unit in units):
            self._say(place, "left alone: a path that may match nothing")
            return False
        return True

    def _optional(
        self, element: Element, before: Sequence[Element], behind: Sequence[Element], scene: _Scene
    ) -> str | None:
        """Rule b: an OPTIONAL evaluated for each solution of its left side, or as a whole where that is cheaper."""
        body = element.groups[0]
        left = [other for other in before if other.kind != "filter"]
        given = scene.given | _certain(left)
        reason = self._reason_against(body, left, behind, scene)
        if reason is None and not left:
            reason = "nothing stands before OPTIONAL"
        order = self._estimates.order(_units(body), given) if reason is None else None
        if order is not None and (not order.tied or not order.units):
            reason = "nothing in OPTIONAL starts at what is bound"
        if reason is not None or order is None:
            if reason:
                self._say(element.start, f"left alone: {reason}")
            inside = replace(scene, given=scene.given if scene.pinned else given, alone=False, inside=True)
            return self._spliced(element, inside)
        if not scene.pinned and self._is_cheaper_whole(body, left, order):
            return self._hashed(element)
        self._say(element.start, "OPTIONAL evaluated for each solution of its left side")
        inner = self._spliced(element, _Scene(given, pinned=True, inside=True))
        return f"LATERAL {{ {self._slice(element) if inner is None else inner} }}"

    def _reason_against(
        self, body: Group, left: Sequence[Element], behind: Sequence[Element], scene: _Scene
    ) -> str | None:
        """Why an OPTIONAL cannot or should not be evaluated for each solution of its left side; "" goes untold."""
        units = _units(body)
        if not scene.pinned and len(units) == 1 and len(body.elements) == 1 + _filters(body):
            return ""
        if not scene.pinned and (not scene.alone or any(_joins(other) for other in behind)):
            return "something else is joined with the group of OPTIONAL"
        if not self._may_order(units, body.start):
            return ""
        return _unsafe(body, union(other.names for other in left), direct=True)

    def _is_cheaper_whole(self, body: Group, left: Sequence[Element], loop: Order) -> bool:
        """Whether a hash join with all solutions of an OPTIONAL looks cheaper, and gives the same."""
        inner = [element for element in body.elements if element.kind == "filter"]
        if not self._estimates.known or not union(element.names for element in inner) <= body.certain:
            return False
        if any(_joins(part) and part.kind != "triples" for part in left):
            return False
        rows = self._estimates.order([unit for part in left for unit in part.units], NONE).rows
        whole = self._estimates.order(_units(body), NONE)
        return loop.cost * rows > _HASHING * (whole.cost + whole.rows + rows)

    def _hashed(self, element: Element) -> str:
        body = element.groups[0]
        self._say(element.start, "OPTIONAL evaluated once as a whole, which looks cheaper than for each solution")
        inner = self._group(body, _Scene())
        return f"OPTIONAL {{ SELECT * {self._slice(body) if inner is None else inner} }}"

    def _moved(self, elements: tuple[Element, ...], scene: _Scene) -> list[Element]:
        """Rule c: required patterns before the OPTIONALs behind which they stand."""
        found = list[Element]()
        for element in elements:
            if element.kind != "triples" or not any(other.kind == "optional" for other in found):
                found.append(element)
                continue
            stay = list[Unit]()
            for unit in element.units:
                place = self._place(unit, found, scene)
                if place is None:
                    stay.append(unit)
                else:
                    self._say(element.start, f"moved before OPTIONAL: {unit.text}")
                    found.insert(place, _triples(element, [unit]))
            if stay:
                found.append(element if len(stay) == len(element.units) else _triples(element, stay))
        return list(_gathered(tuple(found)))

    def _place(self, unit: Unit, before: Sequence[Element], scene: _Scene) -> int | None:
        """Before which of the elements a pattern that stands behind them may and should be moved."""
        if unit.whole or unit.nullable or variables(unit.names) != unit.names:
            return None
        index, place = len(before), None
        while index and before[index - 1].kind in {"filter", "optional"}:
            index -= 1
            bound = _certain(before[:index])
            if before[index].kind == "filter":
                continue
            if not unit.names & before[index].names <= bound:
                break
            place = index
        if place is None or self._estimates.matches(unit, scene.given | _certain(before[:place])) > _MULTIPLYING:
            return None
        return place

    def _narrowed(self, group: Group, elements: list[Element], scene: _Scene) -> list[Element]:
        """Rule d: VALUES for a filter that allows a variable only some IRIs, right behind where it is bound."""
        if scene.inside or not self._estimates.known or _walks_nothing(group):
            return elements
        for element in [other for other in elements if other.allowed]:
            place = next((i for i, other in enumerate(elements) if element.variable in other.certain), None)
            if place is None or elements[place].kind != "triples":
                continue
            if not self._narrows(element, elements[place].units):
                continue
            self._say(element.start, f"FILTER on ?{element.variable} turned into VALUES")
            elements = _with_values(elements, element, place)
        return elements

    def _narrows(self, restriction: Element, units: Sequence[Unit]) -> bool:
        """Whether to start at the IRIs of a filter looks cheaper."""
        started = self._estimates.order(units, frozenset({restriction.variable}))
        anyhow = self._estimates.order(units, NONE)
        return len(restriction.allowed) * started.cost * _HASHING < anyhow.cost

    def _limited(self, main: Group) -> str | None:
        """Rule e: ORDER BY and LIMIT before the OPTIONALs, where they hang on what is required alone."""
        sorting = _sorting(self._query)
        elements = self._moved(_gathered(main.elements), _Scene())
        first = next((index for index, element in enumerate(elements) if element.kind == "optional"), 0)
        filters = [element for element in elements[first:] if element.kind == "filter"]
        optionals = [element for element in elements[first:] if element.kind == "optional"]
        required = [*elements[:first], *filters]
        if sorting is None or not first or len(filters) + len(optionals) < len(elements) - first:
            return None
        if not _sorts_all(sorting.keys, required, union(element.names for element in optionals)):
            return None
        self._say(main.start, f"sorted and limited before OPTIONAL to {sorting.limit} solutions")
        start = Element("select", main.start, main.start, sorting.keys, sorting.keys)
        text = _Text([f"{{ SELECT {sorting.names} {self._whole(required)} {sorting.order} LIMIT {sorting.limit} }}"])
        for index, element in enumerate(optionals):
            part = self._optional(element, [start, *optionals[:index]], optionals[index + 1 :], _Scene())
            self._write(text, element, part)
        return str(text)

    def _whole(self, elements: Sequence[Element]) -> str:
        """Elements as a group of their own."""
        group, text = Group(0, 0, tuple(elements)), _Text()
        found = self._group(group, _Scene())
        if found is None:
            for element in _gathered(group.elements):
                self._write(text, element, None)
        return str(text) if found is None else found


@dataclass(frozen=True)
class _Sorting:
    """ORDER BY some variables, and how many solutions are wanted with those that are passed over."""

    keys: Names
    order: str
    limit: int

    @property
    def names(self) -> str:
        return " ".join(f"?{name}" for name in sorted(self.keys))


def _sorting(query: Query) -> _Sorting | None:
    """How a SELECT query without aggregates and DISTINCT is sorted and limited."""
    plain = not any(token.text == "(" or token.text.upper() in _DISTINCT for token in query.head)
    if query.form != "SELECT" or not plain or not query.tail:
        return None
    match = _TAIL.fullmatch(joined(query.tail))
    if match is None:
        return None
    keys = frozenset(name[1:] for name in re.findall(r"[?$]\w+", match["order"]))
    limit = int(match["limit"]) + int(match["offset"] or 0)
    return _Sorting(keys, match["order"], limit) if limit <= _FEW else None


def _sorts_all(keys: Names, required: Sequence[Element], optional: Names) -> bool:
    """Whether the keys are all variables of what is required, so that no two of its solutions differ but in order."""
    bound = _certain(required)
    return (
        keys == variables(union(element.names for element in required if element.kind != "filter"))
        and keys <= bound
        and all(element.names & optional <= bound for element in required if element.kind == "filter")
        and all(element.kind in {"triples", "filter", "values", "narrowed"} for element in required)
    )


def _with_values(elements: list[Element], restriction: Element, place: int) -> list[Element]:
    """Elements with VALUES behind the one at a place instead of a filter."""
    home = elements[place]
    values = replace(restriction, kind="narrowed", names=frozenset({restriction.variable}))
    left = [element for element in elements if element is not restriction]
    at = next(index for index, element in enumerate(left) if element is home) + 1
    return [*left[:at], values, *left[at:]]


def _values(element: Element) -> str:
    return f"VALUES ?{element.variable} {{ {' '.join(element.allowed)} }}"


def _walks_nothing(group: Group) -> bool:
    """Whether some path in a group may match nothing."""
    return any(
        any(unit.nullable for unit in element.units) or any(map(_walks_nothing, element.groups))
        for element in group.elements
    )


def _held(units: Sequence[Unit], *, opened: bool = False) -> str:
    """Patterns that the engine matches in this order; `opened` if something stands before them."""
    first, *rest = [unit.text for unit in units]
    return " ".join([f"LATERAL {{ {first} }}" if opened else first, *(f"LATERAL {{ {text} }}" for text in rest)])


def _told(orders: Sequence[Order]) -> str:
    return " and apart ".join(" · ".join(unit.text for unit in order.units) for order in orders)


def _certain(elements: Sequence[Element]) -> Names:
    return union(element.certain for element in elements)


def _units(group: Group) -> list[Unit]:
    """The triple patterns that a group requires directly."""
    return [unit for element in group.elements for unit in element.units]


def _filters(group: Group) -> int:
    return sum(element.kind == "filter" for element in group.elements)


def _joins(element: Element) -> bool:
    """Whether an element is joined with what stands before it."""
    return element.kind not in {"filter", "bind", "minus", "optional"}


def _triples(like: Element, units: Sequence[Unit]) -> Element:
    names = union(unit.names for unit in units)
    return replace(like, units=tuple(units), names=names, certain=variables(names))


def _gathered(elements: tuple[Element, ...]) -> tuple[Element, ...]:
    """Elements in which triple patterns that only filters part stand together."""
    found, home = list[Element](), -1
    for element in elements:
        if element.kind == "triples" and home >= 0:
            found[home] = _triples(found[home], (*found[home].units, *element.units))
            continue
        if element.kind == "triples":
            home = len(found)
        elif element.kind != "filter":
            home = -1
        found.append(element)
    return tuple(found)


def _unsafe(group: Group, seen: Names, *, direct: bool = False) -> str | None:
    """Why a group has other solutions where names that are bound outside can be seen in it; None if it has not.

    The filters of a `direct` body of OPTIONAL see them anyway.
    """
    for index, element in enumerate(group.elements):
        own = _certain(group.elements[:index])
        scope = group.certain if element.kind == "filter" else own
        visible = element.names & seen
        if element.kind == "filter":
            if not direct and not visible <= scope:
                return "a filter in an inner group names a variable that is bound outside of it only"
        elif element.kind == "optional":
            if not visible <= own:
                return "OPTIONAL names a variable of an outer group that its left side does not bind: not well designed"
        elif element.kind == "bind" and (element.variable in seen or not visible <= own):
            return "BIND in an inner group names a variable that is bound outside of it"
        elif element.kind in {"values", "select", "minus"} and visible:
            return f"{element.kind.upper()} in an inner group names a variable that is bound outside of it"
        reason = _unsafe_element(element, seen)
        if reason is not None:
            return reason
    return None


def _unsafe_element(element: Element, seen: Names) -> str | None:
    """As `_unsafe`, for the groups and patterns of an element."""
    if any(unit.nullable and unit.names & seen for unit in element.units):
        return "a path that may match nothing"
    if element.kind in {"values", "select", "minus"} and element.names & seen:
        return f"{element.kind.upper()} names a variable that is bound outside of it"
    if element.kind == "graph" and element.variable in union(part.names for part in element.groups):
        return "the variable of GRAPH is used inside of it"
    if element.kind in {"optional", "union", "graph"}:
        return next((reason for part in element.groups if (reason := _unsafe(part, seen)) is not None), None)
    return None

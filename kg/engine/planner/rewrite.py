"""Rewrite a query text to an equal one that the embedded engine answers faster; pure.

The engine plans what stands in EXISTS as if nothing outside were bound, and what stands in OPTIONAL nearly so. LATERAL,
an extension that it knows, passes on what is bound and holds triple patterns in their order. Only what is proven to
give the same solutions is changed; guesses of numbers decide whether it is worth it. What is not changed stays byte for
byte.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from kg.engine.columns.model import ASKED, Aggregation, UnsuitedError
from kg.engine.columns.parser import aggregation_of
from kg.engine.planner.cardinality import Estimates, Order, components
from kg.engine.planner.guards import odd, unsafe, unsafe_element, walks_nothing
from kg.engine.planner.reorder import Said, gathered, moved
from kg.engine.planner.scope import Left, Scene
from kg.engine.planner.top_k import sorting
from kg.engine.protocol import DatasetStatistics
from kg.rdf.namespaces import ID
from kg.sparql.query_parser import LONGEST, read
from kg.sparql.syntax_tree import NONE, Element, Group, Names, Query, Unit, union
from kg.sparql.token_stream import UnreadableError

KEPT: Final = 256
"""Plans that are kept."""
KEPT_LONG: Final = 16
"""Plans of long queries that are kept besides."""

_CALLS: Final = re.compile(r"\b(?:IN|COUNT|SUM|AVG|MIN|MAX)\s*\(")
"""What there is to plan besides OPTIONAL and EXISTS, in capitals."""
_OWN: Final = re.compile(rf"<{re.escape(ID)}[^<>'\"{{}}|^`\\\x00-\x20]*>")
_DECLARED: Final = re.compile(rf":(?:\s|#[^\n\r]*)*({_OWN.pattern})")
"""What a prefix may stand for: its names are others with a stand-in."""
_IN_OWN: Final = re.compile(rf"IN\s*\([^)]*<{re.escape(ID.upper())}")
_STAND_IN: Final = f"{ID}?"
"""How IRIs begin that stand for others; what they name can be nothing of the project's."""
_MOST_NAMES: Final = 32
"""Own things that a text may name to share a plan."""
_AGGREGATES: Final = re.compile(r"\b(?:COUNT|SUM|AVG|MIN|MAX)\s*\(", re.IGNORECASE)
_LONG: Final = 8 * 1024
"""Code points from which on a query is long."""
_HASHING: Final = 2.0
"""How many times dearer a loop must look than a hash join before the other is taken."""
_TRIED: Final = 20_000
"""Patterns that are ordered to see whether VALUES is worth it, in a query; each filter has all of its group ordered."""


@dataclass(frozen=True)
class Change:
    """What was done at a line, or left alone, and why."""

    line: int
    words: str


@dataclass(frozen=True)
class Plan:
    """The text to run, what was changed in it as against the client's, and what columns may answer instead."""

    text: str
    changes: tuple[Change, ...] = ()
    aggregation: Aggregation | None = None


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
    """Plans by text, kept as long as the dataset is of about the same size.

    Texts that differ only in which of the project's own things they name share a plan: it does not hang on the names.
    """

    def __init__(self) -> None:
        self._kept, self._long = dict[tuple[str, int], Plan](), dict[tuple[str, int], Plan]()

    def of(self, text: str, counts: DatasetStatistics | None) -> Plan:
        """The plan of a text, without the words about it."""
        if len(text) > LONGEST or not _may_change(text):
            return Plan(text)
        names = _interchangeable(text)
        if not names:
            return self._planned(text, counts)
        stand_ins = {name: f"<{_STAND_IN}{number}>" for number, name in enumerate(names)}
        found = self._planned(_with_names(text, stand_ins), counts)
        if found.aggregation is not None:
            return self._planned(text, counts)
        back = _with_names(found.text, {stand_in: name for name, stand_in in stand_ins.items()})
        return Plan(back) if _STAND_IN not in back else self._planned(text, counts)

    def _planned(self, text: str, counts: DatasetStatistics | None) -> Plan:
        key = text, -1 if counts is None else (counts.triples or 0).bit_length()
        kept, most = (self._kept, KEPT) if len(text) < _LONG else (self._long, KEPT_LONG)
        found = kept.get(key)
        if found is None:
            found = replace(plan(text, counts), changes=())
            while len(kept) >= most:
                kept.pop(next(iter(kept)), None)
            kept[key] = found
        return found


def _may_change(text: str) -> bool:
    """Whether a text has a word without which there is nothing to plan."""
    plain = text.upper()
    return "OPTIONAL" in plain or "EXISTS" in plain or _CALLS.search(plain) is not None


def _interchangeable(text: str) -> list[str]:
    """The project's own things that a text names, if it can be planned with others in their places.

    That needs the same to be the same and what differs to differ, of which planning looks at lists of IN only.
    """
    declared, plain = set(_DECLARED.findall(text)), text.upper()
    names = [name for name in dict.fromkeys(_OWN.findall(text)) if name not in declared]
    odd = len(names) > _MOST_NAMES or _STAND_IN in text or any("/." in name for name in names)
    return [] if odd or "BASE" in plain or _IN_OWN.search(plain) is not None else names


def _with_names(text: str, names: Mapping[str, str]) -> str:
    """A text with other IRIs instead of some."""
    for one, other in names.items():
        text = text.replace(one, other)
    return text


def plan(text: str, counts: DatasetStatistics | None) -> Plan:
    """Plan a query; `counts` are of the dataset, if they are known. Never fails: what is not understood is kept."""
    if not _may_change(text):
        return Plan(text, (Change(1, "left alone: it has no EXISTS, OPTIONAL, IN or aggregate"),))
    try:
        query = read(text)
    except UnreadableError as error:
        return Plan(text, (Change(1, f"left alone: {error}"),))
    reason = odd(query.main)
    if reason is not None:
        return Plan(text, (Change(1, f"left alone: {reason}"),))
    planner = _Planner(query, Estimates(counts))
    planned = Plan(planner.text(), tuple(_changes(text, planner.said)))
    return planned if counts is None else _grouped(planned, query, counts)


def _grouped(planned: Plan, query: Query, counts: DatasetStatistics) -> Plan:
    """A plan whose groups columns may count; they come in an order without ties, whoever counts them."""
    try:
        aggregation = aggregation_of(query, counts)
    except UnsuitedError as reason:
        if _AGGREGATES.search(query.text) is None:
            return planned
        return _saying(planned, query, f"groups not taken from columns: {reason}")
    place, words = aggregation.ties
    at = place + len(planned.text) - len(query.text)
    told = "counted already" if aggregation.counts_all else f"groups taken from columns, once asked for {ASKED} times"
    if words:
        told += f"; sorted by{words.removeprefix(' ORDER BY')}" if "ORDER BY" in words else f"; ties broken by{words}"
    text = planned.text[:at] + words + planned.text[at:]
    return _saying(replace(planned, text=text, aggregation=aggregation), query, told)


def _saying(planned: Plan, query: Query, words: str) -> Plan:
    """A plan with words about its groups."""
    return replace(planned, changes=(*planned.changes, *_changes(query.text, [(query.main.end, words)])))


def _changes(text: str, said: Sequence[Said]) -> Iterable[Change]:
    breaks = [match.start() for match in re.finditer("\n", text)] if said else []
    return (Change(bisect_left(breaks, place) + 1, words) for place, words in said)


class _Planner:
    def __init__(self, query: Query, estimates: Estimates) -> None:
        self._query = query
        self._estimates = estimates
        self._tried = 0
        self.said = list[Said]()

    def text(self) -> str:
        """The planned text."""
        source, main = self._query.text, self._query.main
        if self._query.form == "CONSTRUCT" and not any(token.text == "{" for token in self._query.head):
            self._say(main.start, "left alone: CONSTRUCT WHERE is its own template")
            return source
        behind = any(token.is_word("VALUES") for token in self._query.tail)
        found = self._limited(main) or self._group(main, Scene(alone=not behind))
        return source if found is None else source[: main.start] + found + source[main.end :]

    def _say(self, place: int, words: str) -> None:
        self.said.append((place, words))

    def _slice(self, part: Element | Group) -> str:
        return self._query.text[part.start : part.end]

    def _group(self, group: Group, scene: Scene) -> str | None:
        """A group rewritten; None where nothing in it changes."""
        if not group.elements:
            return None
        before = gathered(group.elements)
        elements, said = moved(before, scene.given, self._estimates)
        self.said += said
        elements = self._narrowed(group, elements, scene)
        changed, text, left = elements != before, _Text(), Left(scene.given, elements)
        for element in elements:
            part = self._part(group, element, left, scene)
            changed = changed or part is not None
            self._write(text, element, part)
            left.add(element)
        return str(text) if changed else None

    def _write(self, text: _Text, element: Element, part: str | None) -> None:
        if element.kind == "triples" and part is None:
            for unit in element.units:
                text.triples(unit.text)
        elif part is not None and element.kind == "triples" and not part.startswith(("{", "LATERAL")):
            text.triples(part)
            text.open = not part.endswith("}")
        elif element.kind == "narrowed":
            text.other(f"VALUES ?{element.variable} {{ {' '.join(element.allowed)} }}")
        else:
            text.other(self._slice(element) if part is None else part)

    def _part(self, group: Group, element: Element, left: Left, scene: Scene) -> str | None:
        match element.kind:
            case "triples":
                return self._pinned(element, left, scene) if scene.pinned else None
            case "filter" if element.groups:
                return self._asked(element, (element.names & scene.given) | (element.names & group.certain))
            case "optional":
                return self._optional(element, left, scene)
            case "union" | "graph":
                return self._inner(element, left, scene)
            case "select" if not scene.pinned:
                return self._spliced(element, Scene(alone=True))
        return None

    def _asked(self, element: Element, given: Names) -> str | None:
        """Rule a: what EXISTS asks for, started at what is bound."""
        return self._spliced(element, Scene(given, pinned=True, exists=True, inside=True))

    def _spliced(self, element: Element, scene: Scene) -> str | None:
        """An element with its groups rewritten."""
        pieces, end, changed = list[str](), element.start, False
        for group in element.groups:
            found = self._group(group, scene)
            changed = changed or found is not None
            pieces += [self._query.text[end : group.start], self._slice(group) if found is None else found]
            end = group.end
        return "".join(pieces) + self._query.text[end : element.end] if changed else None

    def _inner(self, element: Element, left: Left, scene: Scene) -> str | None:
        """Groups within a group; in EXISTS they too follow what was matched before them."""
        given = left.given(element.names)
        if scene.exists and not left.empty and given and unsafe_element(element, left.names) is None:
            inner = self._spliced(element, replace(scene, given=given))
            self._say(element.start, "evaluated for each solution of what stands before it")
            return f"LATERAL {{ {self._slice(element) if inner is None else inner} }}"
        return self._spliced(element, replace(scene, alone=scene.alone and not left.others))

    def _pinned(self, element: Element, left: Left, scene: Scene) -> str | None:
        """Rule a: the triple patterns of a group, held in the order that starts at what is bound."""
        if len(element.units) == 1 or not self._may_order(element.units, element.start):
            return None
        given = left.given(element.names)
        parts = components(element.units, given) if scene.exists and left.empty else [element.units]
        orders = [self._estimates.order(part, given) for part in parts]
        if all(len(order.units) == 1 for order in orders):
            return None
        self._say(element.start, f"triple patterns held in this order: {_told(orders)}")
        if len(orders) > 1:
            return " ".join(f"{{ {_held(order.units)} }}" for order in orders)
        return _held(orders[0].units, opened=not left.empty)

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

    def _optional(self, element: Element, left: Left, scene: Scene) -> str | None:
        """Rule b: an OPTIONAL evaluated for each solution of its left side, or as a whole where that is cheaper."""
        body, given = element.groups[0], left.given(element.names)
        reason = self._reason_against(body, left, scene)
        if reason is None and left.empty:
            reason = "nothing stands before OPTIONAL"
        order = self._estimates.order(body.units, given) if reason is None else None
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
        inner = self._spliced(element, Scene(given, pinned=True, inside=True))
        return f"LATERAL {{ {self._slice(element) if inner is None else inner} }}"

    def _reason_against(self, body: Group, left: Left, scene: Scene) -> str | None:
        """Why an OPTIONAL cannot or should not be evaluated for each solution of its left side; "" goes untold."""
        units = body.units
        if (
            not scene.pinned
            and len(units) == 1
            and all(element.kind in {"triples", "filter"} for element in body.elements)
        ):
            return ""
        if not scene.pinned and (not scene.alone or left.followed):
            return "something else is joined with the group of OPTIONAL"
        if not self._may_order(units, body.start):
            return ""
        return unsafe(body, left.names, direct=True)

    def _is_cheaper_whole(self, body: Group, left: Left, loop: Order) -> bool:
        """Whether a hash join with all solutions of an OPTIONAL looks cheaper, and gives the same."""
        filters = [element for element in body.elements if element.kind == "filter"]
        if not self._estimates.known or not union(element.names for element in filters) <= body.certain:
            return False
        if not left.plain:
            return False
        rows, whole = left.rows(self._estimates), self._estimates.order(body.units, NONE)
        return loop.cost * rows > _HASHING * (whole.cost + whole.rows + rows)

    def _hashed(self, element: Element) -> str:
        body = element.groups[0]
        self._say(element.start, "OPTIONAL evaluated once as a whole, which looks cheaper than for each solution")
        inner = self._group(body, Scene())
        return f"OPTIONAL {{ SELECT * {self._slice(body) if inner is None else inner} }}"

    def _narrowed(self, group: Group, elements: tuple[Element, ...], scene: Scene) -> tuple[Element, ...]:
        """Rule d: VALUES for a filter that allows a variable only some IRIs, right behind where it is bound."""
        restrictions = [element for element in elements if element.allowed]
        if scene.inside or not restrictions or not self._estimates.known or walks_nothing(group):
            return elements
        binding = dict[str, Element]()
        for element in reversed(elements):
            binding.update(dict.fromkeys(element.certain, element))
        costs, values = dict[tuple[int, str], float](), dict[int, list[Element]]()
        for element in restrictions:
            home = binding.get(element.variable) if self._tried < _TRIED else None
            if home is not None and home.kind == "triples" and self._narrows(element, home, costs):
                self._say(element.start, f"FILTER on ?{element.variable} turned into VALUES")
                values.setdefault(id(home), []).insert(0, element)
        return tuple(_with_values(elements, values))

    def _narrows(self, restriction: Element, home: Element, costs: dict[tuple[int, str], float]) -> bool:
        """Whether to start at the IRIs of a filter looks cheaper."""
        started, anyhow = (self._cost(home, name, costs) for name in (restriction.variable, ""))
        return len(restriction.allowed) * started * _HASHING < anyhow

    def _cost(self, home: Element, name: str, costs: dict[tuple[int, str], float]) -> float:
        """What it costs to match the patterns of an element with or without a name given."""
        key = id(home), name
        if key not in costs:
            self._tried += len(home.units)
            costs[key] = self._estimates.order(home.units, frozenset({name} - {""})).cost
        return costs[key]

    def _limited(self, main: Group) -> str | None:
        """Rule e: ORDER BY and LIMIT before the OPTIONALs, where they hang on what is required alone."""
        sorted_ = sorting(self._query)
        if sorted_ is None:
            return None
        elements, said = moved(gathered(main.elements), NONE, self._estimates)
        first = next((index for index, element in enumerate(elements) if element.kind == "optional"), 0)
        filters = [element for element in elements[first:] if element.kind == "filter"]
        optionals = [element for element in elements[first:] if element.kind == "optional"]
        required = [*elements[:first], *filters]
        if not first or len(filters) + len(optionals) < len(elements) - first:
            return None
        if not sorted_.sorts_all(required, union(element.names for element in optionals)):
            return None
        self.said += said
        self._say(main.start, f"sorted and limited before OPTIONAL to {sorted_.limit} solutions")
        start = Element("select", main.start, main.start, sorted_.keys, sorted_.keys)
        text = _Text([f"{{ SELECT {sorted_.names} {self._whole(required)} {sorted_.order} LIMIT {sorted_.limit} }}"])
        left = Left(NONE, [start, *optionals])
        left.add(start)
        for element in optionals:
            self._write(text, element, self._optional(element, left, Scene()))
            left.add(element)
        return str(text)

    def _whole(self, elements: Sequence[Element]) -> str:
        """Elements as a group of their own."""
        group, text = Group(0, 0, tuple(elements)), _Text()
        found = self._group(group, Scene())
        if found is None:
            for element in gathered(group.elements):
                self._write(text, element, None)
        return str(text) if found is None else found


def _with_values(elements: Iterable[Element], values: dict[int, list[Element]]) -> Iterable[Element]:
    """Elements with VALUES behind those on which filters hang, instead of these."""
    gone = {id(element) for narrowed in values.values() for element in narrowed}
    for element in elements:
        if id(element) not in gone:
            yield element
        for restriction in values.get(id(element), ()):
            yield replace(restriction, kind="narrowed", names=frozenset({restriction.variable}))


def _held(units: Sequence[Unit], *, opened: bool = False) -> str:
    """Patterns that the engine matches in this order; `opened` if something stands before them."""
    first, *rest = [unit.text for unit in units]
    return " ".join([f"LATERAL {{ {first} }}" if opened else first, *(f"LATERAL {{ {text} }}" for text in rest)])


def _told(orders: Sequence[Order]) -> str:
    return " and apart ".join(" · ".join(unit.text for unit in order.units) for order in orders)

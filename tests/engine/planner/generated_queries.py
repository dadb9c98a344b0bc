"""Generate small datasets and queries of all kinds over them, in unusual spellings, for differential tests."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, TypeVar

import pyoxigraph as ox

from kg.engine.statistics import DatasetStatistics, PropertyStatistics
from kg.rdf.terms import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Term
from tests.engine.choices import Choose, drawn_cases, random_cases

E: Final = "http://e/"
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
T = TypeVar("T")
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
DATA_BLANK_NODES: Final = frozenset({"x", "y", "list"})
"""Labels of the blank nodes of the data; they are compared by identity."""


def iri(name: str) -> NamedNode:
    return NamedNode(E + name)


GRAPHS: Final = (iri("g"), iri("h"))
TYPE: Final = NamedNode(RDF + "type")
_NODES: Final = (iri("a"), iri("b"), iri("c"), BlankNode("x"), BlankNode("y"))
_LITERALS: Final = (
    Literal(1),
    Literal(2),
    Literal("1.0", datatype=NamedNode(XSD + "decimal")),
    Literal("x"),
    Literal("x", language="en"),
    Literal("NOT EXISTS { ?a }"),
)
_GRAPH_CHOICES: Final[tuple[tuple[NamedNode | DefaultGraph, ...], ...]] = (
    (DefaultGraph(),), (DefaultGraph(),), (DefaultGraph(), GRAPHS[0]), (GRAPHS[0],), (GRAPHS[1],), GRAPHS,
)  # fmt: skip
_LIST: Final = BlankNode("list")
_TRIPLES: Final = (
    *((s, iri(p), o) for s in _NODES for p in "pqpqr" for o in (*_NODES[:4] * 3, *_LITERALS)),
    *((s, TYPE, iri(kind)) for s in _NODES for kind in "AB" for _ in range(3)),
    *((iri("a"), iri(p), _LIST) for p in "pq"),
    *((s, iri(p), s) for s in _NODES for p in "pq"),
)
_QUAD_CHOICES: Final = tuple(
    tuple(Quad(*triple, graph) for graph in places) for triple in _TRIPLES for places in _GRAPH_CHOICES
)
_DENSE_QUAD_CHOICES: Final = tuple(
    tuple(Quad(s, iri(p), o, graph) for graph in places)
    for p in "ppqqr"
    for s in _NODES[:4]
    for o in (*_NODES[:4], _LITERALS[0])
    for places in _GRAPH_CHOICES
)
"""Quads with many joins, for compact queries."""
_LIST_QUADS: Final = tuple(
    Quad(s, NamedNode(RDF + p), o, graph)
    for graph in (DefaultGraph(), GRAPHS[0])
    for s, p, o in ((_LIST, "first", Literal(1)), (_LIST, "rest", NamedNode(RDF + "nil")))
)


@dataclass(frozen=True)
class GraphSelection:
    """The dataset of a query, as arguments of pyoxigraph."""

    union: bool = True
    default: tuple[NamedNode | DefaultGraph, ...] | None = None
    named: tuple[NamedNode, ...] | None = None


GRAPH_SELECTIONS: Final = (
    GraphSelection(),
    GraphSelection(),
    GraphSelection(),
    GraphSelection(named=GRAPHS),
    GraphSelection(union=False),
    GraphSelection(union=False),
    GraphSelection(union=False, named=GRAPHS),
    GraphSelection(union=False, default=GRAPHS[:1]),
    GraphSelection(union=False, default=GRAPHS, named=GRAPHS[1:]),
    GraphSelection(union=False, default=(), named=GRAPHS),
)


@dataclass(frozen=True)
class RandomQuery:
    """A query; whether its rows have a total order; whether any rows may be returned, up to a number; its bindings."""

    text: str
    is_ordered: bool = False
    is_limited: bool = False
    bindings: Mapping[str, Term] = field(default_factory=dict)


@dataclass(frozen=True)
class QueryCase:
    """A query over a dataset, and the statistics for the planner, which may be wrong.

    A planned query is also compared over `other_data`, since a difference may show with some datasets only.
    """

    data: tuple[Quad, ...]
    query: RandomQuery
    graph_selection: GraphSelection = GRAPH_SELECTIONS[0]
    counts: DatasetStatistics | None = None
    other_data: tuple[tuple[Quad, ...], ...] = ()


DATASETS_PER_CASE: Final = 4
"""Datasets of each query."""


# Texts: tokens separated by single spaces; `_INNER` stands for a space within a token

_INNER: Final = "\x01"
_OPEN: Final = "\x02"
"""Marks triples that no dot follows."""
_KEYWORDS: Final = frozenset(
    {"SELECT", "DISTINCT", "WHERE", "OPTIONAL", "FILTER", "NOT", "EXISTS", "GRAPH", "UNION", "MINUS", "BIND", "AS"}
    | {"VALUES", "UNDEF", "IN", "GROUP", "BY", "HAVING", "ORDER", "LIMIT", "OFFSET", "FROM", "NAMED", "PREFIX", "BASE"}
    | {"ASK", "CONSTRUCT", "LATERAL", "BOUND", "IF", "STR", "REGEX", "COUNT", "ISIRI", "SAMETERM", "MIN", "SUM"}
)
_PUNCTUATION: Final = frozenset("{}()[];,=!<>&|")
_COMMENT: Final = " # } FILTER NOT EXISTS { \" ' OPTIONAL {\n"
_SEPARATORS: Final = (
    *((" ",) for _ in range(6)), ("\n",), ("\r\n", "\t"), ("",), ("", "", " "), (" ", _COMMENT),
    (" ", " ", "\n#}\r"), ("", "#{<\n", " "), ("  ", "\t\n "), ("\n    ", " ", " ", " ", " "),
)  # fmt: skip
_LETTER_CASES: Final[tuple[Callable[[str], str], ...]] = (
    str.upper, str.upper, str.upper, str.lower, str.capitalize,
    lambda word: "".join(sign.lower() if place % 2 else sign for place, sign in enumerate(word)),
)  # fmt: skip


def format_tokens(text: str, separators: Sequence[str], case: Callable[[str], str]) -> str:
    """Return the same tokens with other white space and comments, and keywords in another case."""
    words, pieces = text.replace(_OPEN, "").split(), list[str]()
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        between = separators[place % len(separators)]
        if between == "" and not _may_touch(word, following):
            between = " "
        pieces += [case(word) if word in _KEYWORDS else word.replace(_INNER, " "), between]
    return "".join(pieces)


def _may_touch(word: str, following: str) -> bool:
    if not following or following == "." or word == ".":
        return word[-1:].isalpha() and following == "." and word[0] == "?"
    return word[-1] in _PUNCTUATION or following[0] in _PUNCTUATION or (word[0] == following[0] == "?")


_PREDICATES: Final = ("e:p", "e:q", "e:p", "e:q", "e:p", "e:q", "e:r")
_VARIABLES: Final = ("?a", "?b", "?c", "?d")
_CONSTANTS: Final = ("e:a", "e:b", "e:c", "<http://e/a>")
_VALUES: Final = ("1", "2", "1.0", '"x"', "'x'", '"x"@en', f'"NOT{_INNER}EXISTS{_INNER}{{{_INNER}?a{_INNER}}}"', '"}#"')
_PATHS: Final = (
    "e:p / e:q", "^ e:p", "( e:p | e:q )", "e:p ?", "e:p *", "e:q +", "( e:p / ^ e:q )", "! e:p", "! ( e:p | ^ e:q )",
    "( e:p | ^ e:q ) +", "( e:r / e:p ) ?",
)  # fmt: skip
_COMPARISON_OPERATORS: Final = ("!=", "!=", "=", "<", ">", "<=", ">=")


class QueryGenerator:
    """Generates one query; the first option of each choice is the simplest, to which hypothesis shrinks."""

    def __init__(self, choose: Choose, *, compact: bool) -> None:
        self._choose = choose
        self._compact = compact  # few triples in many groups: the hard cases for variable scope
        self.patterns_left = 8  # the most triple patterns to add, so that joins stay small
        self.used_variables = list[str]()
        self._made = 0
        self._labels = list[str]()

    def pick(self, *options: str) -> str:
        return options[self._choose(len(options))]

    def chance(self, percent: int) -> bool:
        return self._choose(100) >= 100 - percent

    def _weighted(self, *choices: tuple[int, Callable[[], str]]) -> str:
        at = self._choose(sum(weight for weight, _ in choices))
        for weight, choice in choices:
            at -= weight
            if at < 0:
                return choice()
        raise AssertionError

    def new_variable(self) -> str:
        """Return a variable that is not in use."""
        self._made += 1
        name = f"?m{self._made}"
        self.used_variables.append(name)
        return name

    def variable(self, but: str = "") -> str:
        """Return a variable: mostly one in use, inside or outside the group, and seldom the neighbouring one."""
        seen = [name for name in dict.fromkeys(self.used_variables) if name != but or self.chance(4)]
        if seen and self.chance(65):
            return self.pick(*seen)
        unseen = [name for name in _VARIABLES if name not in self.used_variables]
        name = self.pick(*(unseen or _VARIABLES))
        self.used_variables.append(name)
        return name.replace("?", "$") if self.chance(3) else name

    def used_variable(self) -> str:
        return (
            self.pick(*dict.fromkeys(self.used_variables))
            if self.used_variables and self.chance(93)
            else self.pick(*_VARIABLES, "?none")
        )

    # Triples

    def triples(self) -> str:
        """Return triple patterns with `;` and `,`."""
        if self._compact and not self.chance(10):
            self.patterns_left -= 1
            subject = self.variable() if not self.chance(15) else self.pick(*_CONSTANTS[:2])
            text = f"{subject} {self.pick(*_PREDICATES)} {self.variable(subject)}{_OPEN}"
            return f"{text} . {self.triples()}" if self.patterns_left > 0 and self.chance(20) else text
        subject = self._subject()
        text = f"{subject} {self._property(subject)}"
        if self.patterns_left > 0 and self.chance(20):
            text += f" ; {self._property(subject)}" + (" ;" if self.chance(10) else "")
        if self.patterns_left > 0 and self.chance(30):
            subject = self._subject()
            text += f" . {subject} {self._property(subject)}"
        return text + _OPEN

    def _property(self, subject: str = "") -> str:
        self.patterns_left -= 1
        if self.chance(10):
            return f"a {self.pick('e:A', 'e:B', '?a', '?b')}"
        verb = self._weighted((75, lambda: self.pick(*_PREDICATES)), (15, lambda: self.pick(*_PATHS)), (10, self._verb))
        text = f"{verb} {self._object(subject)}"
        return f"{text} , {self._object(subject)}" if self.chance(6) else text

    def _verb(self) -> str:
        if self.chance(20):
            self.used_variables.append("?v")
        return "?v"

    def _subject(self) -> str:
        return self._weighted(
            (82, self.variable), (7, lambda: self.pick(*_CONSTANTS)), (7, self._blank), (3, self._nested),
        )  # fmt: skip

    def _object(self, subject: str) -> str:
        return self._weighted(
            (78, lambda: self.variable(subject)),
            (6, lambda: self.pick(*_CONSTANTS)),
            (4, lambda: self.pick(*_VALUES)),
            (7, self._blank),
            (3, self._nested),
            (2, lambda: self.pick("( 1 )", "( ?a )", "( ?b )", "<<( ?a e:p ?b )>>")),
        )

    def _blank(self) -> str:
        if self.chance(40):
            return "[]"
        if not self._labels or self.chance(30):
            self._made += 1
            self._labels.append(f"_:b{self._made}")
        return self.pick(*self._labels)

    def _nested(self) -> str:
        return f"[ {self._property()} ]"

    # Expressions

    def expression(self, depth: int) -> str:
        return self._weighted(
            (20, self._comparison),
            (14, self._membership),
            (10, lambda: f"BOUND ( {self.used_variable()} )"),
            (18 if depth else 0, lambda: self.exists(depth)),
            (8, lambda: f'REGEX ( STR ( {self.used_variable()} ) , "{self.pick("a", "x", "e/[bc]")}" )'),
            (4, lambda: f"SAMETERM ( {self.used_variable()} , {self.used_variable()} )"),
            (5, lambda: f"ISIRI ( {self.used_variable()} )"),
            (14 if depth else 0, lambda: self._combined(depth)),
            (2, lambda: f"COALESCE( {self.used_variable()} , e:a ) = {self.used_variable()}"),
            (1, lambda: f"<http://e/function> ( {self.used_variable()} )"),
        )

    def _comparison(self) -> str:
        right = self._weighted(
            (60, self.used_variable), (20, lambda: self.pick(*_CONSTANTS)), (20, lambda: self.pick(*_VALUES))
        )
        return f"{self.used_variable()} {self.pick(*_COMPARISON_OPERATORS)} {right}"

    def _membership(self) -> str:
        options = _CONSTANTS if self.chance(70) else (*_VALUES, *_CONSTANTS, *self.used_variables[:2])
        members = [self.pick(*options) for _ in range(int(self.pick("1", "2", "3", "3", "4", "0")))]
        listed = f"( {' , '.join(members)} )" if members else "()"
        return f"{self.used_variable()} {self.pick('IN', 'IN', 'IN', 'NOT IN')} {listed}"

    def _combined(self, depth: int) -> str:
        left = self.expression(depth - 1)
        if self.chance(30):
            return f"! ( {left} )"
        if self.chance(10):
            return f"IF ( {left} , {self.expression(depth - 1)} , {self.pick('true', 'false')} )"
        return f"( {left} {self.pick('&&', '||')} {self.expression(depth - 1)} )"

    def exists(self, depth: int) -> str:
        return f"{self.pick('EXISTS', 'NOT EXISTS', 'NOT EXISTS')} {self.group(depth - 1)}"

    def constraint(self, depth: int) -> str:
        return f"( {self.expression(depth)} )"

    # Groups

    def group(self, depth: int, most: int = 3) -> str:
        labels, self._labels = self._labels, []
        text = "" if self.chance(8) else self.triples()
        for _ in range(self._choose((most if depth > 0 else 1) + 1)):
            text = self._append_element(text, depth)
        self._labels = labels
        return f"{{ {text} . }}" if text.endswith(_OPEN) and self.chance(20) else f"{{ {text} }}"

    def _append_element(self, text: str, depth: int) -> str:
        is_open = text.endswith(_OPEN)
        if self.patterns_left > 0 and self.chance(30 if self._compact else 18):
            return f"{text} . {self.triples()}" if is_open else f"{text} {self.triples()}"
        element = self._element(depth)
        if not element.startswith("FILTER"):
            self._labels = []
        return f"{text}{' .' if is_open and self.chance(40) else ''} {element}{' .' if self.chance(5) else ''}"

    def _element(self, depth: int) -> str:
        inner = depth - 1
        if depth <= 0 or self.patterns_left <= 0:
            return self._weighted(
                (60, lambda: f"FILTER {self.constraint(0)}"), (15, self._values), (15, self._bind_simple)
            )
        if self._compact and self.chance(70):
            return self._weighted(
                (40, lambda: f"OPTIONAL {self.group(inner, 2)}"),
                (20, self._badly_designed),
                (20, lambda: f"FILTER {self.exists(depth)}"),
                (10, lambda: f"FILTER ( {self._membership()} )"),
                (5, lambda: f"FILTER ( {self.pick('!', '')} BOUND ( {self.used_variable()} ) )"),
                (5, lambda: f"FILTER ( {self._comparison()} )"),
            )
        return self._weighted(
            (24, lambda: f"OPTIONAL {self.group(inner, 2)}"),
            (24, lambda: f"FILTER {self.exists(depth)}"),
            (14, lambda: f"FILTER ( {self._membership()} )"),
            (12, lambda: f"FILTER {self.constraint(depth)}"),
            (6, lambda: f"{self.group(inner, 2)} UNION {self.group(inner, 2)}"),
            (7, lambda: f"GRAPH {self.pick('?g', 'e:g', 'e:h', '?a')} {self.group(inner, 2)}"),
            (4, lambda: self.group(inner, 2)),
            (5, lambda: self._bind(inner)),
            (6, self._values),
            (5, lambda: f"MINUS {self.group(inner, 2)}"),
            (6, lambda: self._sub_select(inner)),
            (1, lambda: f"LATERAL {self.group(inner, 2)}"),
        )

    def _badly_designed(self) -> str:
        """Return an OPTIONAL in which an element uses a variable that only the outer group may bind."""
        middle, far = self.used_variable(), self.used_variable()
        new = self.pick(*_VARIABLES) if self.chance(30) else self.new_variable()
        self.patterns_left -= 2
        edge = f"{self.pick(new, new, middle)} {self.pick(*_PREDICATES)} {far}"
        condition = self.pick(f"BOUND ( {far} )", f"{far} != {new}", f"{far} = {middle}", f"{far} IN ( e:a , e:b )")
        inner = self._weighted(
            (40, lambda: f"OPTIONAL {{ {edge} }}"),
            (10, lambda: f"OPTIONAL {{ {edge} FILTER ( {condition} ) }}"),
            (6, lambda: f"{{ {edge} FILTER ( {condition} ) }}"),
            (6, lambda: f"{{ FILTER ( {condition} ) }}"),
            (6, lambda: f"MINUS {{ {edge} }}"),
            (6, lambda: f"{{ SELECT {self.pick(new, far, middle)} {{ {edge} }} }}"),
            (6, lambda: f"{{ {edge} }} UNION {{ FILTER ( {condition} ) }}"),
            (6, lambda: f"{self.pick('FILTER EXISTS', 'FILTER NOT EXISTS')} {{ {edge} }}"),
            (6, lambda: f"BIND ( {far} AS {self.new_variable()} )"),
            (6, lambda: f"FILTER ( {condition} )"),
        )
        first = f"{middle} {self.pick(*_PREDICATES)} {new}"
        return f"{self.pick('OPTIONAL', 'OPTIONAL', 'FILTER EXISTS', 'FILTER NOT EXISTS')} {{ {first} {inner} }}"

    def _bind_simple(self) -> str:
        return self._bind(0)

    def _bind(self, depth: int) -> str:
        value = self._weighted(
            (50, self.used_variable),
            (20, lambda: self.pick(*_CONSTANTS, *_VALUES)),
            (30 if depth > 0 else 1, lambda: f"( {self.expression(depth)} )"),
            (3, lambda: f"STR ( {self.used_variable()} )"),
        )
        free = [name for name in _VARIABLES if name not in self.used_variables or self.chance(3)]
        name = self.pick(*free) if free and self.chance(25) else self.new_variable()
        return f"BIND ( {value} AS {name} )"

    def _values(self) -> str:
        def value() -> str:
            return self._weighted(
                (60, lambda: self.pick(*_CONSTANTS)), (25, lambda: self.pick(*_VALUES)), (15, lambda: "UNDEF")
            )

        if self.chance(25):
            pair = dict.fromkeys((self.variable(), self.variable()))
            rows = " ".join(f"( {' '.join(value() for _ in pair)} )" for _ in range(2))
            return f"VALUES ( {' '.join(pair)} ) {{ {rows} }}"
        return f"VALUES {self.variable()} {{ {' '.join(value() for _ in range(2))} }}"

    def _sub_select(self, depth: int) -> str:
        return f"{{ {self.select(depth, 2)[0]} }}"

    # Queries

    def _projection(self) -> list[str]:
        names = tuple(dict.fromkeys(name.replace("$", "?") for name in self.used_variables)) or _VARIABLES[:1]
        return list(dict.fromkeys(self.pick(*names) for _ in range(int(self.pick("2", "1", "3")))))

    def select(self, depth: int, most: int = 4, clauses: str = "") -> tuple[str, bool]:
        """Return a SELECT query, and whether its rows have a total order."""
        body = self.group(depth, most)
        where = self.pick("WHERE ", "WHERE ", "") + body
        distinct = "DISTINCT " if self.chance(20) else ""
        if self.chance(15):
            return f"SELECT {distinct}{self._group_by_select(depth, clauses + where)}", False
        if self.chance(5) and depth:
            shown = self._projection()
            head = f"{' '.join(shown)} ( {self.expression(depth)} AS {self.new_variable()} ) {clauses}"
            return f"SELECT {distinct}{head}{where}", False
        if self.chance(45):
            return f"SELECT {distinct}* {clauses}{where}", False
        shown = self._projection()
        if self.chance(5):
            return (
                f"SELECT {distinct}{' '.join(shown)} {clauses}{where} ORDER BY DESC( {self.expression(depth)} )",
                False,
            )
        order = self._order(shown) if self.chance(12) else ""
        return f"SELECT {distinct}{' '.join(shown)} {clauses}{where}{order}", bool(order)

    def _order(self, shown: list[str]) -> str:
        keys = " ".join(f"STR ( {name} ) STR ( DATATYPE ( {name} ) ) LANG ( {name} ) {name}" for name in shown)
        return f" ORDER BY {keys}" + (f" LIMIT {self.pick('1', '2', '3')}" if self.chance(60) else "") + (
            " OFFSET 1" if self.chance(20) else "")  # fmt: skip

    def _group_by_select(self, depth: int, where: str) -> str:
        keys = self._projection()[: int(self.pick("1", "1", "2", "0"))]
        counted = self.used_variable()
        sum_ = self.pick(
            "COUNT ( * )", f"COUNT ( {counted} )", f"COUNT ( DISTINCT {counted} )", f"SUM ( {counted} )",
            f"MIN ( STR ( {counted} ) )",
        )  # fmt: skip
        text = f"{' '.join(keys)} ( {sum_} AS {self.new_variable()} ) {where}"
        if keys:
            text += f" GROUP BY {' '.join(keys)}"
        if self.chance(35):
            condition = f"COUNT ( * ) > {self.pick('0', '1')}" if self.chance(40) or not depth else self.exists(depth)
            text += f" HAVING ( {condition} )"
        return text

    def query(self) -> tuple[str, bool]:
        """Return a query as tokens, and whether its rows have a total order."""
        head = "PREFIX e: <http://e/> "
        if self.chance(8):
            head = "BASE <http://e/> PREFIX e: <> "
        elif self.chance(8):
            head = f"PREFIX h: <http://h/#FILTER> {head}"
        clauses = ""
        if self.chance(7):
            clauses = self.pick("FROM e:g ", "FROM e:g FROM e:h ", "FROM NAMED e:g ", "FROM e:g FROM NAMED e:h ")
        form = self._choose(100)
        ordered = False
        if form < 82:
            text, ordered = self.select(3 if self._compact else 2, 4, clauses)
        elif form < 88:
            text = f"{self.pick('ASK', 'ASK', 'DESCRIBE ?a')} {clauses}{self.pick('WHERE ', '')}{self.group(2, 4)}"
        else:
            body = self.group(2, 4)
            template = " . ".join(self._template() for _ in range(2))
            text = f"CONSTRUCT {{ {template} }} {clauses}WHERE {body}"
        if self.chance(3):
            text += f" VALUES {self.pick(*_VARIABLES)} {{ {self.pick(*_CONSTANTS)} UNDEF }}"
        return head + text, ordered

    def _template(self) -> str:
        subject = self.pick(*_CONSTANTS, "[]", "_:n") if self.chance(40) else self.used_variable()
        return f"{subject} e:made {self.used_variable()}"


def _choose_from(options: Sequence[T], choose: Choose) -> T:
    return options[choose(len(options))]


def _random_data(choose: Choose, *, tight: bool) -> tuple[Quad, ...]:
    basis = _DENSE_QUAD_CHOICES if tight else _QUAD_CHOICES
    quads = dict.fromkeys(
        quad for _ in range((14 if tight else 26) + choose(20)) for quad in _choose_from(basis, choose)
    )
    return (*quads, *(_LIST_QUADS if choose(2) else ()))


def _random_statistics(choose: Choose) -> DatasetStatistics | None:
    """Return statistics that are seldom true: they must not change the solutions."""
    if choose(2) == 0:
        return None
    sizes = {name: _choose_from((0, 1, 7, 1000, 10**6), choose) for name in (*(E + name for name in "pqr"), TYPE.value)}
    properties = {name: PropertyStatistics(size, size, size) for name, size in sizes.items()}
    return DatasetStatistics(
        None, None, None, None, properties, {E + "A": _choose_from((1, 1000), choose), E + "B": 3}, {}, 0
    )


def _random_query(choose: Choose, *, compact: bool) -> RandomQuery:
    writer = QueryGenerator(choose, compact=compact)
    text, ordered = writer.query()
    bindings = dict[str, Term]()
    if "SELECT" in text and writer.chance(10):
        names = (*_VARIABLES, *(name.replace("$", "?") for name in writer.used_variables))
        shown = [name for name in names if name in text.partition("{")[0] or "* " in text.partition("{")[0]]
        bindings[_choose_from(shown or names, choose)[1:]] = _choose_from((*_NODES[:4], *_LITERALS[:2]), choose)
    limited = not ordered and "SELECT" in text and writer.chance(3)
    if limited:
        text += " LIMIT 2"
    elif writer.chance(4):
        text = re.sub(r"(?<= )e:", writer.pick(":", "optional:", "FILTER:"), text)
    elif writer.chance(4) and "d" not in bindings:
        text = re.sub(r"(?<= )\?d\b", writer.pick("?filter", "?EXISTS", "?optional"), text)
    return RandomQuery(
        format_tokens(text, _choose_from(_SEPARATORS, choose), _choose_from(_LETTER_CASES, choose)),
        ordered,
        limited,
        bindings,
    )


def generate_case(choose: Choose) -> QueryCase:
    compact = choose(2) == 0
    data, *others = (_random_data(choose, tight=compact) for _ in range(DATASETS_PER_CASE))
    return QueryCase(
        data,
        _random_query(choose, compact=compact),
        _choose_from(GRAPH_SELECTIONS, choose),
        _random_statistics(choose),
        tuple(others),
    )


cases = drawn_cases(generate_case)


def sample_cases(number: int, seed: int) -> Iterator[QueryCase]:
    return random_cases(generate_case, number, seed)


# Answers

MAX_COMPARED_ROWS: Final = 3000
"""The most rows to compare."""


@dataclass(frozen=True)
class EngineAnswer:
    """An answer of the engine: its kind, or that of the error, and its content in a comparable form."""

    kind: str
    content: object = None
    rows: int = 0


def make_store(data: Sequence[Quad]) -> ox.Store:
    store = ox.Store()
    for quad in data:
        store.add(quad)
    return store


def ask_engine(store: ox.Store, text: str, case: QueryCase) -> EngineAnswer:
    """Query pyoxigraph directly; blank nodes of the data keep their labels, new ones lose them."""
    view, bindings = case.graph_selection, {ox.Variable(name): term for name, term in case.query.bindings.items()}
    try:
        result = store.query(
            text,
            base_iri="http://base/",
            use_default_graph_as_union=view.union,
            default_graph=None if view.default is None else list(view.default),
            named_graphs=None if view.named is None else list(view.named),
            substitutions=bindings or None,
        )
        if isinstance(result, ox.QueryBoolean):
            return EngineAnswer("boolean", bool(result), int(bool(result)))
        if isinstance(result, ox.QueryTriples):
            return _graph_answer(result)
        return _table_answer(result, case.query)
    except SyntaxError:
        return EngineAnswer("syntax error")
    except (ValueError, OSError, RuntimeError) as error:
        return EngineAnswer("error", f"{type(error).__name__}: {error}")


def _table_answer(result: ox.QuerySolutions, query: RandomQuery) -> EngineAnswer:
    names = tuple(variable.value for variable in result.variables)
    rows = [tuple(map(_comparable_term, row)) for row in islice(result, MAX_COMPARED_ROWS + 1)]
    if len(rows) > MAX_COMPARED_ROWS:
        return EngineAnswer("large")
    content = len(rows) if query.is_limited else rows if query.is_ordered else Counter(rows)
    return EngineAnswer("table", (names, content), len(rows))


def _graph_answer(result: ox.QueryTriples) -> EngineAnswer:
    """Return triples, grouped by new blank node: the templates here never connect two of them."""
    triples, about = list(islice(result, MAX_COMPARED_ROWS + 1)), defaultdict[str, set[object]](set)
    if len(triples) > MAX_COMPARED_ROWS:
        return EngineAnswer("large")
    for triple in triples:
        new = "" if _comparable_term(triple.subject) is triple.subject else str(triple.subject)
        about[new].add(tuple(map(_comparable_term, triple)))
    return EngineAnswer("graph", Counter(map(frozenset, about.values())), len(triples))


def _comparable_term(term: object) -> object:
    return "new" if isinstance(term, BlankNode) and term.value not in DATA_BLANK_NODES else term


# Comparisons


@dataclass(frozen=True)
class Comparison:
    """A case with its planned query, and the answers to both queries."""

    case: QueryCase
    planned_text: str
    original: EngineAnswer
    planned_answer: EngineAnswer

    @property
    def is_planned(self) -> bool:
        return self.planned_text != self.case.query.text

    @property
    def is_different(self) -> bool:
        return self.original != self.planned_answer

    @property
    def has_rows(self) -> bool:
        return self.original.rows > 0

    def __str__(self) -> str:
        query, lines = self.case.query, [f"{quad} ." for quad in self.case.data]
        settings = f"{self.case.graph_selection}, bindings {dict(query.bindings)}"
        answers = f"original: {_format_answer(self.original)}\nplanned:  {_format_answer(self.planned_answer)}"
        return "\n".join(["", *lines, settings, "-- original", query.text, "-- planned", self.planned_text, answers])


def _format_answer(answer: EngineAnswer) -> str:
    return f"{answer.kind}, {answer.rows} rows: {str(answer.content)[:1500]}"


Planner = Callable[[str, DatasetStatistics | None], str]


def compare(case: QueryCase, planner: Planner) -> Comparison:
    """Evaluate a query as it is and as planned; return the first difference, else the comparison on `data`."""
    text = case.query.text
    planned = text if case.query.bindings else planner(text, case.counts)
    if planned == text:
        original = ask_engine(make_store(case.data), text, case)
        return Comparison(case, text, original, original)
    datasets = map(_one_graph_per_triple, (case.data, *case.other_data))
    variants = (replace(case, data=data, other_data=()) for data in datasets)
    comparisons = [_compare_on(variant, planned) for variant in variants]
    return next((item for item in comparisons if item.is_different), comparisons[0])


def _one_graph_per_triple(data: tuple[Quad, ...]) -> tuple[Quad, ...]:
    """Keep each triple in one graph only: with duplicates, multiplicity depends on the plan."""
    return tuple({quad.triple: quad for quad in data}.values())


def _compare_on(case: QueryCase, planned: str) -> Comparison:
    store = make_store(case.data)
    return Comparison(case, planned, ask_engine(store, case.query.text, case), ask_engine(store, planned, case))


def shrink(found: Comparison, planner: Planner) -> Comparison:
    """Reduce a difference: as few quads as possible, no statistics, the simplest dataset."""
    case = found.case
    for simpler in (
        replace(case, counts=None),
        replace(case, graph_selection=GraphSelection()),
        replace(case, graph_selection=GraphSelection(union=False)),
    ):
        again = compare(simpler, planner)
        if again.is_different:
            found, case = again, again.case
            break
    for quad in case.data:
        again = compare(replace(found.case, data=tuple(q for q in found.case.data if q != quad)), planner)
        if again.is_different:
            found = again
    return found

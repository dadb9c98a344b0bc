"""Read what a query groups and counts, so that it can be answered from columns instead of row by row; pure.

Only queries are understood that join triple patterns into a tree, may add OPTIONALs to it, group the solutions by
variables, and ask for COUNT, SUM, AVG, MIN or MAX of one variable. What else they do with the numbers stays with the
engine: each aggregate is replaced by a variable, and the group pattern by VALUES.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from kg.engine.columns.model import (
    FEWEST,
    LARGE,
    MOST,
    MOST_PARTS,
    MOST_SORTED,
    Aggregate,
    Aggregation,
    Pattern,
    Top,
    UnsuitedError,
    Wording,
    expected,
    most_groups,
)
from kg.engine.protocol import DatasetStatistics
from kg.sparql.syntax_tree import NONE, Element, Group, Names, Query, Unit, union, variables
from kg.sparql.token_stream import joined
from kg.sparql.tokens import Token, tokens

_FUNCTIONS: Final = frozenset({"COUNT", "SUM", "MIN", "MAX"})
_OTHERS: Final = frozenset({"SAMPLE", "GROUP_CONCAT", "EXISTS", "FROM", "VALUES"})
_CHANGING: Final = frozenset({"RAND", "NOW", "UUID", "STRUUID", "BNODE"})
"""Functions that say something else each time."""
_MOST_DIGITS: Final = 9
_FULL: Final = re.compile(r"<[A-Za-z][A-Za-z0-9+.\-]*:")
"""How an IRI begins that no base changes."""
_MODIFIERS: Final = frozenset({"HAVING", "ORDER", "LIMIT", "OFFSET"})


def aggregation_of(query: Query, counts: DatasetStatistics) -> Aggregation:
    """Read the aggregation of a query; raises UnsuitedError for others, and where columns would be of no use."""
    if query.form != "SELECT":
        raise UnsuitedError("it is no SELECT query")
    found = _Reader(query).aggregation()
    if found.counts_all:
        return found
    if (counts.triples or 0) < LARGE:
        raise UnsuitedError(f"there are fewer than {LARGE:,} triples")
    if found.required[0].predicate.startswith("?"):
        raise UnsuitedError("it has a triple pattern of another kind than columns hold")
    if not FEWEST <= sum(expected(pattern, counts) for pattern in set(found.patterns)) <= MOST:
        raise UnsuitedError(f"its patterns have fewer than {FEWEST:,} matches or more than {MOST:,}")
    if "ORDER BY" in found.ties[1] and most_groups(found, counts) > MOST_SORTED:
        raise UnsuitedError("it has many groups, which it does not sort")
    return found


class _Reader:
    def __init__(self, query: Query) -> None:
        self._query = query
        self._aggregates = dict[tuple[str, str, bool], Aggregate]()
        self._mark = "_"
        while f"?{self._mark}" in query.text or f"${self._mark}" in query.text:
            self._mark += "_"

    def aggregation(self) -> Aggregation:
        required, optional = _patterns(self._query)
        clauses = _clauses(self._query.tail)
        self._refuse_others()
        keys = self._keys(clauses.get("GROUP", []))
        head, aliases = self._head(keys)
        having = self._having(clauses.get("HAVING", []), keys)
        order = clauses.get("ORDER", [])
        ties = [f"STR(?{key})" for key in keys]
        top = self._top(order, clauses, aliases)
        sorting = [self._replaced(order)] if order else ["ORDER BY"] * bool(ties)
        limits = [self._replaced(clauses[name]) for name in ("LIMIT", "OFFSET") if name in clauses]
        aggregates = tuple(self._found())
        self._check(keys, required, optional)
        if not {*keys, *aliases}.issuperset(_variables(_without(order))):
            raise UnsuitedError("it sorts by something else than its groups")
        return Aggregation(
            keys,
            aggregates,
            required,
            optional,
            Wording(_declarations(self._query), head, having, " ".join((*sorting, *ties, *limits))),
            None if having or self._distinct() else top,
            self._ties(clauses, ties),
        )

    def _check(self, keys: Sequence[str], required: Sequence[Pattern], optional: Sequence[Sequence[Pattern]]) -> None:
        known = {name for pattern in required for name in pattern.variables}
        counted = known.union(name for patterns in optional for pattern in patterns for name in pattern.variables)
        if not self._aggregates:
            raise UnsuitedError("it has no aggregates")
        if not known.issuperset(keys):
            raise UnsuitedError("it groups by a variable that its patterns need not bind")
        if not counted.issuperset(item.variable for item in self._found() if item.variable):
            raise UnsuitedError("it aggregates a variable that no pattern has")

    def _ties(self, clauses: dict[str, list[Token]], ties: Sequence[str]) -> tuple[int, str]:
        """Where in the text of the query to write what, so that its groups come in the same order as from VALUES."""
        before = next((clauses[name] for name in ("ORDER", "HAVING", "GROUP") if name in clauses), [])
        if not before or not ties:
            return len(self._query.text), ""
        words = " ".join(ties if "ORDER" in clauses else ("ORDER BY", *ties))
        return before[-1].start + len(before[-1].text), f" {words}"

    def _distinct(self) -> bool:
        return any(token.text.upper() in {"DISTINCT", "REDUCED"} for token in self._query.head[1:2])

    def _refuse_others(self) -> None:
        for token in (*self._query.head, *self._query.tail):
            if token.kind == "word" and token.text.upper() in _OTHERS | _CHANGING:
                raise UnsuitedError(f"it has {token.text.upper()}")
            if token.kind == "iri":  # or '<' and '>' as operators
                raise UnsuitedError("it has an IRI outside of its group pattern")

    def _keys(self, clause: Sequence[Token]) -> tuple[str, ...]:
        names = clause[2:]
        if any(token.kind != "variable" for token in names):
            raise UnsuitedError("it groups by an expression")
        return tuple(dict.fromkeys(token.text[1:] for token in names))

    def _head(self, keys: Sequence[str]) -> tuple[str, dict[str, str]]:
        """What is selected, and for each alias the variable of the aggregate that it names, or ""."""
        parts, aliases, at = [self._query.head[0].text], dict[str, str](), 1
        head = self._query.head
        while at < len(head) and not head[at].is_word("WHERE"):
            token = head[at]
            if token.text == "(":
                end = _closing(head, at)
                alias, inner = head[end - 1], head[at + 1 : end - 2]
                if alias.kind != "variable" or not head[end - 2].is_word("AS") or not inner:
                    raise UnsuitedError("an expression in it is not read")
                if not set(_variables(_without(inner))) <= set(keys):
                    raise UnsuitedError("it selects something else than its groups")
                said = self._replaced(inner)
                aliases[alias.text[1:]] = said[1:] if said in {f"?{item.name}" for item in self._found()} else ""
                parts.append(f"({said} AS {alias.text})")
                at = end + 1
            else:
                if token.kind == "variable" and token.text[1:] not in keys:
                    raise UnsuitedError("it selects something else than its groups")
                if token.kind != "variable" and not (at == 1 and self._distinct()):
                    raise UnsuitedError(f"{token.text!r} in what it selects is not read")
                parts.append(token.text)
                at += 1
        if set(aliases) & (self._query.main.names | set(keys)):
            raise UnsuitedError("it names an expression like a variable of a pattern")
        return " ".join(parts), aliases

    def _found(self) -> Iterator[Aggregate]:
        yield from self._aggregates.values()

    def _having(self, clause: Sequence[Token], keys: Sequence[str]) -> str:
        parts, at = list[str](), 1
        while at < len(clause):
            if clause[at].text != "(":
                raise UnsuitedError("a condition in HAVING is not in brackets")
            end = _closing(clause, at)
            inner = clause[at : end + 1]
            if not set(_variables(_without(inner))) <= set(keys):
                raise UnsuitedError("HAVING names something else than its groups")
            parts.append(f"FILTER {self._replaced(inner)}")
            at = end + 1
        return " ".join(parts)

    def _top(self, order: Sequence[Token], clauses: dict[str, list[Token]], aliases: dict[str, str]) -> Top | None:
        """What is wanted of the groups, where they are sorted by an aggregate first and limited."""
        rows = sum(_number(clauses[word]) for word in ("LIMIT", "OFFSET") if word in clauses)
        if order and not order[2:]:
            raise UnsuitedError("it sorts by nothing")
        if not order or "LIMIT" not in clauses:
            return None
        key, descending = order[2:], any(token.is_word("DESC") for token in order[2:3])
        if descending or any(token.is_word("ASC") for token in order[2:3]):
            key = key[1:]
        if not key:
            raise UnsuitedError("it sorts by nothing")
        piece = key[:1] if key[0].text != "(" else key[1 : _closing(key, 0)]
        said = self._replaced(piece)
        name = aliases.get(said[1:], "") or said[1:]
        if not said.startswith(("?", "$")) or name not in {item.name for item in self._found()}:
            return None
        return Top(name, descending, rows)

    def _replaced(self, piece: Sequence[Token]) -> str:
        """Tokens as they stand, but with variables for aggregates."""
        parts, at = list[str](), 0
        while at < len(piece):
            called = _call(piece, at)
            if called is not None:
                function, distinct, variable, after = called
                parts.append(self._named(function, distinct, variable))
            else:
                after = at + 1
                while after < len(piece) and _call(piece, after) is None:
                    after += 1
                parts.append(joined(piece[at:after]))
            at = after
        return " ".join(parts)

    def _named(self, function: str, distinct: bool, variable: str) -> str:
        """The variable of an aggregate; the mean is the engine's own division of the sum."""
        if function == "AVG":
            if distinct:
                raise UnsuitedError("it has a mean of distinct values")
            return f"( {self._named('SUM', distinct, variable)} / {self._named('COUNT', distinct, variable)} )"
        if distinct and function == "SUM":
            raise UnsuitedError("it has a sum of distinct values")
        distinct = distinct and function == "COUNT"
        if not variable and (distinct or function != "COUNT"):
            raise UnsuitedError(f"it has {function} of whole solutions")
        key = function, variable, distinct
        if key not in self._aggregates:
            if len(self._aggregates) == MOST_PARTS:
                raise UnsuitedError(f"it has more than {MOST_PARTS} aggregates")
            name = f"{self._mark}{len(self._aggregates)}"
            self._aggregates[key] = Aggregate(function, variable, distinct, name)
        return f"?{self._aggregates[key].name}"


def _call(piece: Sequence[Token], at: int) -> tuple[str, bool, str, int] | None:
    """An aggregate at a place: its function, whether it is of distinct values, its variable, and what follows it."""
    function = piece[at].text.upper()
    if piece[at].kind != "word" or function not in _FUNCTIONS | {"AVG"} or at + 3 >= len(piece):
        return None
    distinct = piece[at + 2].is_word("DISTINCT")
    place = at + 2 + distinct
    variable, closing = piece[place : place + 1], piece[place + 1 : place + 2]
    if piece[at + 1].text != "(" or not variable or not closing or closing[0].text != ")":
        raise UnsuitedError(f"it has {function} of an expression")
    if variable[0].kind != "variable" and variable[0].text != "*":
        raise UnsuitedError(f"it has {function} of an expression")
    return function, distinct, "" if variable[0].text == "*" else variable[0].text[1:], place + 2


def _without(piece: Sequence[Token]) -> list[Token]:
    """Tokens without the aggregates among them."""
    left, at = list[Token](), 0
    while at < len(piece):
        called = _call(piece, at)
        if called is None:
            left.append(piece[at])
        at = at + 1 if called is None else called[3]
    return left


def _variables(piece: Sequence[Token]) -> Iterator[str]:
    return (token.text[1:] for token in piece if token.kind == "variable")


def _closing(piece: Sequence[Token], at: int) -> int:
    """The place of the bracket that closes the one at a place."""
    depth = 0
    for place in range(at, len(piece)):
        depth += (piece[place].text == "(") - (piece[place].text == ")")
        if depth == 0:
            return place
    raise UnsuitedError("an expression in it is not read")


def _clauses(tail: Sequence[Token]) -> dict[str, list[Token]]:
    """What stands behind the group pattern, by the word that begins it."""
    found, current = dict[str, list[Token]](), list[Token]()
    for token in tail:
        word = token.text.upper() if token.kind == "word" else ""
        if word in _MODIFIERS or word == "GROUP":
            if word in found:
                raise UnsuitedError(f"it has {word} twice")
            current = found[word] = list[Token]()
        elif not found:
            raise UnsuitedError(f"{token.text!r} behind its group pattern is not read")
        current.append(token)
    return found


def _patterns(query: Query) -> tuple[tuple[Pattern, ...], tuple[tuple[Pattern, ...], ...]]:
    """The patterns that are required, with their filters, and those of each OPTIONAL."""
    required, optional, filters = list[Pattern](), list[tuple[Pattern, ...]](), list[Element]()
    if [len(element.units) for element in query.main.elements] == [1] and _is_free(query.main.elements[0].units[0]):
        unit = query.main.elements[0].units[0]
        return (Pattern(unit.subject, unit.predicate, unit.object),), ()
    for element in query.main.elements:
        match element.kind:
            case "triples":
                required += map(_pattern, element.units)
            case "optional":
                optional.append(_body(element.groups[0]))
            case "filter" if not element.groups:
                filters.append(element)
            case kind:
                raise UnsuitedError(f"it has {'EXISTS' if kind == 'filter' else kind.upper()} in its group pattern")
    if len(required) + sum(map(len, optional)) > MOST_PARTS or len(filters) > MOST_PARTS:
        raise UnsuitedError(f"it has more than {MOST_PARTS} triple patterns or filters")
    seen = _tree(required, NONE)
    for patterns in optional:
        seen = seen | _tree(patterns, frozenset(name for item in required for name in item.variables), seen)
    return _filtered(query, required, filters), tuple(optional)


def _is_free(unit: Unit) -> bool:
    """Whether a pattern is three variables, which any triple matches."""
    terms = {unit.subject, unit.predicate, unit.object}
    return len(terms) == len(variables(unit.names)) == 3  # noqa: PLR2004 - a triple


def _body(group: Group) -> tuple[Pattern, ...]:
    if any(element.kind != "triples" for element in group.elements):
        raise UnsuitedError("OPTIONAL holds more than triple patterns")
    return tuple(_pattern(unit) for element in group.elements for unit in element.units)


def _pattern(unit: Unit) -> Pattern:
    terms = unit.subject, unit.object
    simple = all(term.startswith("?") or _FULL.match(term) for term in terms) and _FULL.match(unit.predicate)
    if unit.whole or not simple or not unit.names or unit.nullable:
        raise UnsuitedError("it has a triple pattern of another kind than columns hold")
    if unit.subject == unit.object:
        raise UnsuitedError("it has a triple pattern with the same variable twice")
    return Pattern(unit.subject, unit.predicate, unit.object)


def _tree(patterns: Sequence[Pattern], given: Names, taken: Names = NONE) -> Names:
    """Check that patterns form a tree, tied to what is given by one variable; return all their variables.

    Of what is `taken` elsewhere, they may have nothing else.
    """
    names = union(frozenset(pattern.variables) for pattern in patterns)
    edges = sum(len(pattern.variables) > 1 for pattern in patterns)
    if not patterns or len(names) != edges + 1 or not _is_connected(patterns):
        raise UnsuitedError("its triple patterns do not form a tree")
    if given and (len(names & given) != 1 or names & taken - given):
        raise UnsuitedError("OPTIONAL shares more or less than one variable with what stands outside of it")
    return names


def _is_connected(patterns: Sequence[Pattern]) -> bool:
    seen, left = set(patterns[0].variables), list(patterns[1:])
    while left:
        near = [pattern for pattern in left if seen.intersection(pattern.variables)]
        if not near:
            return False
        seen.update(name for pattern in near for name in pattern.variables)
        left = [pattern for pattern in left if pattern not in near]
    return True


def _filtered(query: Query, patterns: Sequence[Pattern], filters: Sequence[Element]) -> tuple[Pattern, ...]:
    """Patterns with the filters that name one of their variables and no other."""
    found = list(patterns)
    for element in filters:
        text = query.text[element.start : element.end]
        words = {token.text.upper() for token in tokens(text)}
        place = next((index for index, item in enumerate(found) if element.names <= set(item.variables)), None)
        if place is None or len(element.names) != 1 or words & _CHANGING:
            raise UnsuitedError("it has a filter of several variables")
        found[place] = Pattern(
            found[place].subject, found[place].predicate, found[place].object, (*found[place].filters, text)
        )
    return tuple(found)


def _number(clause: Sequence[Token]) -> int:
    """How many rows LIMIT or OFFSET tells of."""
    digits = "".join(token.text for token in clause[1:])
    if not digits.isdecimal() or len(digits) > _MOST_DIGITS:
        raise UnsuitedError(f"{clause[0].text.upper()} in it is not read")
    return int(digits)


def _declarations(query: Query) -> str:
    """What stands before SELECT, without comments."""
    text = query.text[: query.head[0].start]
    piece = list(tokens(text))
    return f"{joined(piece)} " if piece else ""

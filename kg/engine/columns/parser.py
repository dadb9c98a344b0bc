"""Parse the aggregation of a query, so that columns can compute its groups; pure.

A query is supported if its triple patterns form a tree, possibly with OPTIONALs, and if it groups by variables and asks
for COUNT, SUM, AVG, MIN or MAX of single variables. The engine evaluates the rest of the query: each aggregate is
replaced by a variable, and the group pattern by VALUES.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from kg.engine.columns.model import (
    MAX_MATCHES,
    MAX_PARTS,
    MAX_SORTED_GROUPS,
    MIN_MATCHES,
    MIN_TRIPLES,
    Aggregate,
    Aggregation,
    ColumnPattern,
    QueryTemplate,
    TopGroups,
    UnsupportedAggregationError,
    estimate_max_groups,
)
from kg.engine.statistics import DatasetStatistics
from kg.sparql.syntax_tree import (
    NO_NAMES,
    GroupElement,
    GroupGraphPattern,
    ParsedQuery,
    TriplePattern,
    VariableNames,
    union_of_names,
    without_blank_nodes,
)
from kg.sparql.token_stream import join_tokens
from kg.sparql.tokens import Token, iter_tokens

_AGGREGATE_FUNCTIONS: Final = frozenset({"COUNT", "SUM", "MIN", "MAX"})
_UNSUPPORTED_KEYWORDS: Final = frozenset({"SAMPLE", "GROUP_CONCAT", "EXISTS", "FROM", "VALUES"})
_NONDETERMINISTIC_FUNCTIONS: Final = frozenset({"RAND", "NOW", "UUID", "STRUUID", "BNODE"})
"""Functions with another result at each call."""
_MAX_DIGITS: Final = 9
_ABSOLUTE_IRI_START: Final = re.compile(r"<[A-Za-z][A-Za-z0-9+.\-]*:")
"""The start of an absolute IRI, which BASE does not change."""
_SOLUTION_MODIFIERS: Final = frozenset({"HAVING", "ORDER", "LIMIT", "OFFSET"})


def parse_aggregation(query: ParsedQuery, statistics: DatasetStatistics) -> Aggregation:
    """Parse the aggregation of a query.

    Raises UnsupportedAggregationError for other queries, and where columns would not be faster.
    """
    if query.form != "SELECT":
        raise UnsupportedAggregationError("it is not a SELECT query")
    aggregation = _AggregationParser(query).parse()
    if aggregation.is_statistics_query:
        return aggregation
    if (statistics.triples or 0) < MIN_TRIPLES:
        raise UnsupportedAggregationError(f"there are fewer than {MIN_TRIPLES:,} triples")
    if aggregation.required[0].predicate.startswith("?"):
        raise UnsupportedAggregationError("it has a kind of triple pattern that columns do not support")
    matches = sum(pattern.estimate_matches(statistics) for pattern in set(aggregation.patterns))
    if not MIN_MATCHES <= matches <= MAX_MATCHES:
        raise UnsupportedAggregationError(
            f"its patterns have fewer than {MIN_MATCHES:,} matches or more than {MAX_MATCHES:,}"
        )
    if "ORDER BY" in aggregation.tie_breaker[1] and estimate_max_groups(aggregation, statistics) > MAX_SORTED_GROUPS:
        raise UnsupportedAggregationError("it has many groups, which it does not sort")
    return aggregation


class _AggregationParser:
    def __init__(self, query: ParsedQuery) -> None:
        self._query = query
        self._aggregates = dict[tuple[str, str, bool], Aggregate]()
        self._variable_prefix = "_"
        while f"?{self._variable_prefix}" in query.text or f"${self._variable_prefix}" in query.text:
            self._variable_prefix += "_"

    def parse(self) -> Aggregation:
        required, optional = _column_patterns(self._query)
        clauses = _split_modifiers(self._query.tail)
        self._refuse_unsupported()
        keys = self._group_keys(clauses.get("GROUP", []))
        head, aliases = self._select_clause(keys)
        having = self._having_filters(clauses.get("HAVING", []), keys)
        order = clauses.get("ORDER", [])
        ties = [f"STR(?{key})" for key in keys]
        top = self._top_groups(order, clauses, aliases)
        sorting = [self._replace_aggregates(order)] if order else ["ORDER BY"] * bool(ties)
        limits = [self._replace_aggregates(clauses[name]) for name in ("LIMIT", "OFFSET") if name in clauses]
        aggregates = tuple(self._aggregates.values())
        self._check_variables(keys, required, optional)
        if not {*keys, *aliases}.issuperset(_variable_names(_without_aggregates(order))):
            raise UnsupportedAggregationError("it sorts by a variable that it does not group by")
        return Aggregation(
            keys,
            aggregates,
            required,
            optional,
            QueryTemplate(_prologue_text(self._query), head, having, " ".join((*sorting, *ties, *limits))),
            None if having or self._is_distinct() else top,
            self._tie_breaker(clauses, ties),
        )

    def _check_variables(
        self, keys: Sequence[str], required: Sequence[ColumnPattern], optional: Sequence[Sequence[ColumnPattern]]
    ) -> None:
        known = {name for pattern in required for name in pattern.variables}
        counted = known.union(name for patterns in optional for pattern in patterns for name in pattern.variables)
        if not self._aggregates:
            raise UnsupportedAggregationError("it has no aggregates")
        if not known.issuperset(keys):
            raise UnsupportedAggregationError("it groups by a variable that its patterns need not bind")
        if not counted.issuperset(item.variable for item in self._aggregates.values() if item.variable):
            raise UnsupportedAggregationError("it aggregates a variable that no pattern has")

    def _tie_breaker(self, clauses: dict[str, list[Token]], ties: Sequence[str]) -> tuple[int, str]:
        """Return an offset of the query and a text to insert there, for the same order of groups as from VALUES."""
        before = next((clauses[name] for name in ("ORDER", "HAVING", "GROUP") if name in clauses), [])
        if not before or not ties:
            return len(self._query.text), ""
        text = " ".join(ties if "ORDER" in clauses else ("ORDER BY", *ties))
        return before[-1].end, f" {text}"

    def _is_distinct(self) -> bool:
        return any(token.text.upper() in {"DISTINCT", "REDUCED"} for token in self._query.head[1:2])

    def _refuse_unsupported(self) -> None:
        for token in (*self._query.head, *self._query.tail):
            if token.kind == "word" and token.text.upper() in _UNSUPPORTED_KEYWORDS | _NONDETERMINISTIC_FUNCTIONS:
                raise UnsupportedAggregationError(f"it has {token.text.upper()}")
            if token.kind == "iri":  # or '<' and '>' as operators
                raise UnsupportedAggregationError("it has an IRI outside of its group pattern")

    def _group_keys(self, clause: Sequence[Token]) -> tuple[str, ...]:
        names = clause[2:]
        if any(token.kind != "variable" for token in names):
            raise UnsupportedAggregationError("it groups by an expression")
        return tuple(dict.fromkeys(token.text[1:] for token in names))

    def _select_clause(self, keys: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Return the SELECT clause, and for each alias the variable of its aggregate, or "" for other expressions."""
        parts, aliases, at = [self._query.head[0].text], dict[str, str](), 1
        head = self._query.head
        while at < len(head) and not head[at].is_word("WHERE"):
            token = head[at]
            if token.text == "(":
                end = _closing_bracket(head, at)
                alias, inner = head[end - 1], head[at + 1 : end - 2]
                if alias.kind != "variable" or not head[end - 2].is_word("AS") or not inner:
                    raise UnsupportedAggregationError("an expression in it is not supported")
                if not set(_variable_names(_without_aggregates(inner))) <= set(keys):
                    raise UnsupportedAggregationError("it selects a variable that it does not group by")
                text = self._replace_aggregates(inner)
                aliases[alias.text[1:]] = (
                    text[1:] if text in {f"?{item.name}" for item in self._aggregates.values()} else ""
                )
                parts.append(f"({text} AS {alias.text})")
                at = end + 1
            else:
                if token.kind == "variable" and token.text[1:] not in keys:
                    raise UnsupportedAggregationError("it selects a variable that it does not group by")
                if token.kind != "variable" and not (at == 1 and self._is_distinct()):
                    raise UnsupportedAggregationError(f"{token.text!r} in its SELECT clause is not supported")
                parts.append(token.text)
                at += 1
        if set(aliases) & (self._query.main.names | set(keys)):
            raise UnsupportedAggregationError("it names an expression like a variable of a pattern")
        return " ".join(parts), aliases

    def _having_filters(self, clause: Sequence[Token], keys: Sequence[str]) -> str:
        parts, at = list[str](), 1
        while at < len(clause):
            if clause[at].text != "(":
                raise UnsupportedAggregationError("a condition in HAVING is not in brackets")
            end = _closing_bracket(clause, at)
            inner = clause[at : end + 1]
            if not set(_variable_names(_without_aggregates(inner))) <= set(keys):
                raise UnsupportedAggregationError("HAVING has a variable that it does not group by")
            parts.append(f"FILTER {self._replace_aggregates(inner)}")
            at = end + 1
        return " ".join(parts)

    def _top_groups(
        self, order: Sequence[Token], clauses: dict[str, list[Token]], aliases: dict[str, str]
    ) -> TopGroups | None:
        """Return the groups that a query with LIMIT returns, if its first sort key is an aggregate."""
        rows = sum(_row_count(clauses[word]) for word in ("LIMIT", "OFFSET") if word in clauses)
        if order and not order[2:]:
            raise UnsupportedAggregationError("it sorts by nothing")
        if not order or "LIMIT" not in clauses:
            return None
        key, descending = order[2:], any(token.is_word("DESC") for token in order[2:3])
        if descending or any(token.is_word("ASC") for token in order[2:3]):
            key = key[1:]
        if not key:
            raise UnsupportedAggregationError("it sorts by nothing")
        piece = key[:1] if key[0].text != "(" else key[1 : _closing_bracket(key, 0)]
        text = self._replace_aggregates(piece)
        name = aliases.get(text[1:], "") or text[1:]
        if not text.startswith(("?", "$")) or name not in {item.name for item in self._aggregates.values()}:
            return None
        return TopGroups(name, descending, rows)

    def _replace_aggregates(self, piece: Sequence[Token]) -> str:
        """Return the text of tokens, with aggregates replaced by variables."""
        parts, at = list[str](), 0
        while at < len(piece):
            called = _aggregate_call(piece, at)
            if called is not None:
                function, distinct, variable, after = called
                parts.append(self._aggregate_variable(function, distinct, variable))
            else:
                after = at + 1
                while after < len(piece) and _aggregate_call(piece, after) is None:
                    after += 1
                parts.append(join_tokens(piece[at:after]))
            at = after
        return " ".join(parts)

    def _aggregate_variable(self, function: str, distinct: bool, variable: str) -> str:
        """Return the variable of an aggregate; for AVG the sum divided by the count, which the engine evaluates."""
        if function == "AVG":
            if distinct:
                raise UnsupportedAggregationError("it has a mean of distinct values")
            total, count = (self._aggregate_variable(name, distinct, variable) for name in ("SUM", "COUNT"))
            return f"( {total} / {count} )"
        if distinct and function == "SUM":
            raise UnsupportedAggregationError("it has a sum of distinct values")
        distinct = distinct and function == "COUNT"
        if not variable and (distinct or function != "COUNT"):
            raise UnsupportedAggregationError(f"it has {function} of whole solutions")
        key = function, variable, distinct
        if key not in self._aggregates:
            if len(self._aggregates) == MAX_PARTS:
                raise UnsupportedAggregationError(f"it has more than {MAX_PARTS} aggregates")
            name = f"{self._variable_prefix}{len(self._aggregates)}"
            self._aggregates[key] = Aggregate(function, variable, distinct, name)
        return f"?{self._aggregates[key].name}"


def _aggregate_call(piece: Sequence[Token], at: int) -> tuple[str, bool, str, int] | None:
    """Parse an aggregate at an index: its function, whether it is DISTINCT, its variable, and the index after it."""
    function = piece[at].text.upper()
    if piece[at].kind != "word" or function not in _AGGREGATE_FUNCTIONS | {"AVG"} or at + 3 >= len(piece):
        return None
    distinct = piece[at + 2].is_word("DISTINCT")
    place = at + 2 + distinct
    variable, closing = piece[place : place + 1], piece[place + 1 : place + 2]
    if piece[at + 1].text != "(" or not variable or not closing or closing[0].text != ")":
        raise UnsupportedAggregationError(f"it has {function} of an expression")
    if variable[0].kind != "variable" and variable[0].text != "*":
        raise UnsupportedAggregationError(f"it has {function} of an expression")
    return function, distinct, "" if variable[0].text == "*" else variable[0].text[1:], place + 2


def _without_aggregates(piece: Sequence[Token]) -> list[Token]:
    """Return tokens without the aggregates among them."""
    rest, at = list[Token](), 0
    while at < len(piece):
        called = _aggregate_call(piece, at)
        if called is None:
            rest.append(piece[at])
        at = at + 1 if called is None else called[3]
    return rest


def _variable_names(piece: Sequence[Token]) -> Iterator[str]:
    return (token.text[1:] for token in piece if token.kind == "variable")


def _closing_bracket(piece: Sequence[Token], at: int) -> int:
    """Return the index of the bracket that closes the one at an index."""
    depth = 0
    for place in range(at, len(piece)):
        depth += (piece[place].text == "(") - (piece[place].text == ")")
        if depth == 0:
            return place
    raise UnsupportedAggregationError("an expression in it is not supported")


def _split_modifiers(tail: Sequence[Token]) -> dict[str, list[Token]]:
    """Split the tokens after the group pattern into clauses, by their first keyword."""
    clauses, current = dict[str, list[Token]](), list[Token]()
    for token in tail:
        word = token.text.upper() if token.kind == "word" else ""
        if word in _SOLUTION_MODIFIERS or word == "GROUP":
            if word in clauses:
                raise UnsupportedAggregationError(f"it has {word} twice")
            current = clauses[word] = list[Token]()
        elif not clauses:
            raise UnsupportedAggregationError(f"{token.text!r} after its group pattern is not supported")
        current.append(token)
    return clauses


def _column_patterns(query: ParsedQuery) -> tuple[tuple[ColumnPattern, ...], tuple[tuple[ColumnPattern, ...], ...]]:
    """Return the required patterns, with their filters, and the patterns of each OPTIONAL."""
    required, optional, filters = list[ColumnPattern](), list[tuple[ColumnPattern, ...]](), list[GroupElement]()
    if [len(element.triple_patterns) for element in query.main.elements] == [1] and _matches_any_triple(
        query.main.elements[0].triple_patterns[0]
    ):
        pattern = query.main.elements[0].triple_patterns[0]
        return (ColumnPattern(pattern.subject, pattern.predicate, pattern.object),), ()
    for element in query.main.elements:
        match element.kind:
            case "triples":
                required += map(_column_pattern, element.triple_patterns)
            case "optional":
                optional.append(_optional_patterns(element.groups[0]))
            case "filter" if not element.groups:
                filters.append(element)
            case kind:
                raise UnsupportedAggregationError(
                    f"it has {'EXISTS' if kind == 'filter' else kind.upper()} in its group pattern"
                )
    if len(required) + sum(map(len, optional)) > MAX_PARTS or len(filters) > MAX_PARTS:
        raise UnsupportedAggregationError(f"it has more than {MAX_PARTS} triple patterns or filters")
    seen = _check_tree(required, NO_NAMES)
    for patterns in optional:
        seen = seen | _check_tree(patterns, frozenset(name for item in required for name in item.variables), seen)
    return _attach_filters(query, required, filters), tuple(optional)


def _matches_any_triple(pattern: TriplePattern) -> bool:
    """Whether a pattern has three different variables, so that any triple matches."""
    terms = {pattern.subject, pattern.predicate, pattern.object}
    return len(terms) == len(without_blank_nodes(pattern.names)) == 3  # noqa: PLR2004 - a triple


def _optional_patterns(group: GroupGraphPattern) -> tuple[ColumnPattern, ...]:
    if any(element.kind != "triples" for element in group.elements):
        raise UnsupportedAggregationError("OPTIONAL has more than triple patterns")
    return tuple(_column_pattern(pattern) for element in group.elements for pattern in element.triple_patterns)


def _column_pattern(pattern: TriplePattern) -> ColumnPattern:
    terms = pattern.subject, pattern.object
    simple = all(
        term.startswith("?") or _ABSOLUTE_IRI_START.match(term) for term in terms
    ) and _ABSOLUTE_IRI_START.match(pattern.predicate)
    if pattern.is_compound or not simple or not pattern.names or pattern.is_nullable:
        raise UnsupportedAggregationError("it has a kind of triple pattern that columns do not support")
    if pattern.subject == pattern.object:
        raise UnsupportedAggregationError("it has a triple pattern with the same variable twice")
    return ColumnPattern(pattern.subject, pattern.predicate, pattern.object)


def _check_tree(
    patterns: Sequence[ColumnPattern], given: VariableNames, taken: VariableNames = NO_NAMES
) -> VariableNames:
    """Check that patterns form a tree that shares one variable with `given`, if any; return all their variables.

    They may not have other variables of `taken`.
    """
    names = union_of_names(frozenset(pattern.variables) for pattern in patterns)
    edges = sum(len(pattern.variables) > 1 for pattern in patterns)
    if not patterns or len(names) != edges + 1 or not _is_connected(patterns):
        raise UnsupportedAggregationError("its triple patterns do not form a tree")
    if given and (len(names & given) != 1 or names & taken - given):
        raise UnsupportedAggregationError("OPTIONAL does not share exactly one variable with the rest of the query")
    return names


def _is_connected(patterns: Sequence[ColumnPattern]) -> bool:
    seen, left = set(patterns[0].variables), list(patterns[1:])
    while left:
        near = [pattern for pattern in left if seen.intersection(pattern.variables)]
        if not near:
            return False
        seen.update(name for pattern in near for name in pattern.variables)
        left = [pattern for pattern in left if pattern not in near]
    return True


def _attach_filters(
    query: ParsedQuery, patterns: Sequence[ColumnPattern], filters: Sequence[GroupElement]
) -> tuple[ColumnPattern, ...]:
    """Attach each filter to a pattern with its only variable."""
    filtered = list(patterns)
    for element in filters:
        text = query.text[element.start : element.end]
        words = {token.text.upper() for token in iter_tokens(text)}
        index = next((index for index, item in enumerate(filtered) if element.names <= set(item.variables)), None)
        if index is None or len(element.names) != 1 or words & _NONDETERMINISTIC_FUNCTIONS:
            raise UnsupportedAggregationError("it has a filter of several variables")
        filtered[index] = ColumnPattern(
            filtered[index].subject, filtered[index].predicate, filtered[index].object, (*filtered[index].filters, text)
        )
    return tuple(filtered)


def _row_count(clause: Sequence[Token]) -> int:
    """Return the number in a LIMIT or OFFSET clause."""
    digits = "".join(token.text for token in clause[1:])
    if not digits.isdecimal() or len(digits) > _MAX_DIGITS:
        raise UnsupportedAggregationError(f"{clause[0].text.upper()} in it is not supported")
    return int(digits)


def _prologue_text(query: ParsedQuery) -> str:
    """Return the text before SELECT, without comments."""
    text = query.text[: query.head[0].start]
    piece = list(iter_tokens(text))
    return f"{join_tokens(piece)} " if piece else ""

"""Join, group and sum triple patterns as arrays of numbers that stand for terms; pure but for what `Terms` learns.

Everything here is exact: what 64 bits, or the engine's own numbers, could not hold is refused.
"""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from kg.engine.columns.model import Aggregate, Aggregation, ColumnPattern, TopGroups, UnsupportedAggregationError
from kg.rdf.namespaces import XSD

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # there is no linear algebra here, and its threads take memory
import numpy as np
from numpy.typing import NDArray

IdArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MAX_JOINED_ROWS: Final = 2_000_000
"""Rows that may come about while patterns are joined."""
MAX_GROUPS: Final = 50_000
"""Groups that may be handed to the engine, which reads them as text."""

_UNBOUND: Final = -1
_UNCLASSIFIED, _NODE, _INTEGER, _DECIMAL, _OTHER = range(5)
_INTEGER_PATTERN: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER_PATTERN: Final = re.compile(rf'"?([+-]?[0-9]*\.?[0-9]+)(?:"\^\^<{re.escape(XSD)}decimal>)?')
_DATE_PATTERN: Final = re.compile(r'"[0-9]{4}(?:-[0-9]{2}){0,2}')
"""A date, a month or a year without a time zone, of those years that the engine knows for sure."""
_HALF_BITS: Final = 31
"""Bits of the lower half of a number that is summed in halves."""
_MAX_MAGNITUDE: Final = 2**62
_DECIMAL_PLACES: Final = 18
"""Decimal places of the engine's decimals, which have 128 bits."""
_DECIMAL_SCALE: Final = 10**_DECIMAL_PLACES
_MAX_DECIMAL_SUM: Final = 1.0e20
"""Sum of magnitudes up to which no sum of decimals overflows in the engine on its way."""


@dataclass(frozen=True)
class _ExactNumbers:
    """Exact numbers as integers and parts of `_ONE` above them; `decimals` marks those that are no integers by type."""

    wholes: IdArray
    fractions: IdArray
    is_decimal: BoolArray


class TermDictionary:
    """Numbers for terms, which are written as in SPARQL, and what their literals amount to."""

    def __init__(self) -> None:
        self._ids_by_text = defaultdict[str, int]()
        self._ids_by_text.default_factory = self._ids_by_text.__len__
        self._kinds: IdArray = np.zeros(0, np.int64)
        self._wholes: IdArray = np.zeros(0, np.int64)
        self._fractions: IdArray = np.zeros(0, np.int64)
        self.texts = list[str]()

    def __len__(self) -> int:
        return len(self._ids_by_text)

    def encode(self, texts: Sequence[str]) -> IdArray:
        """The numbers of some terms; new ones get the next."""
        found = np.fromiter(map(self._ids_by_text.__getitem__, texts), np.int64, len(texts))
        self.texts.extend(islice(self._ids_by_text, len(self.texts), None))
        return found

    def are_ordered(self, ids: IdArray) -> bool:
        """Whether the engine sorts them without ties, by themselves or by their text: they are all of one kind."""
        kinds = {_sort_class(text) for text in (self.texts[number] for number in ids.tolist())}
        return len(kinds) <= 1 and "" not in kinds

    def are_nodes(self, ids: IdArray) -> bool:
        """Whether all are IRIs or blank nodes."""
        self._classify(ids)
        return bool((self._kinds[ids] == _NODE).all())

    def numeric_values(self, ids: IdArray) -> _ExactNumbers:
        """What literals amount to, all of which must be integers or decimals."""
        self._classify(ids)
        kinds = self._kinds[ids]
        if not np.isin(kinds, (_INTEGER, _DECIMAL)).all():
            raise UnsupportedAggregationError("it aggregates terms that are not all integers or decimals")
        return _ExactNumbers(self._wholes[ids], self._fractions[ids], kinds == _DECIMAL)

    def _classify(self, ids: IdArray) -> None:
        if len(self._kinds) < len(self):
            self._kinds, self._wholes, self._fractions = (
                np.concatenate((known, np.zeros(len(self) - len(known), np.int64)))
                for known in (self._kinds, self._wholes, self._fractions)
            )
        new = ids[self._kinds[ids] == _UNCLASSIFIED]
        for number in np.unique(new).tolist():
            self._kinds[number], self._wholes[number], self._fractions[number] = _parse_term(self.texts[number])


def _parse_term(text: str) -> tuple[int, int, int]:
    """The kind of a term, and for a number the next lower integer and how many parts of `_ONE` it is above that."""
    if text.startswith(("<", "_:")):
        return (_OTHER if text.startswith("<<") else _NODE), 0, 0
    match = _NUMBER_PATTERN.fullmatch(text)
    if match is None:
        return _OTHER, 0, 0
    whole, _, fraction = match[1].partition(".")
    if len(fraction) > _DECIMAL_PLACES:
        return _OTHER, 0, 0
    kind = _INTEGER if _INTEGER_PATTERN.fullmatch(text) else _DECIMAL
    amount, parts = divmod(int(whole + fraction) * 10 ** (_DECIMAL_PLACES - len(fraction)), _DECIMAL_SCALE)
    return (kind, amount, parts) if abs(amount) < _MAX_MAGNITUDE else (_OTHER, 0, 0)


def _sort_class(text: str) -> str:
    """What terms have in common among which the engine finds an order; "" if it may find none."""
    if text.startswith(("<", "_:")):
        return "" if text.startswith("<<") else "<"
    kind = _parse_term(text)[0]
    if kind != _OTHER:
        return str(kind)
    lexical, quoted, suffix = text.rpartition('"')
    if not quoted or (suffix.startswith(f"^^<{XSD}") and not _DATE_PATTERN.fullmatch(lexical)):
        return text if text in {"true", "false"} else ""
    return suffix or lexical[:1]


class Relation:
    """The matches of a triple pattern: a column for each of its variables, no row twice."""

    def __init__(self, columns: Sequence[IdArray]) -> None:
        self.columns = tuple(columns)
        self._sorted = dict[int, tuple[IdArray, IdArray]]()

    def __len__(self) -> int:
        return len(self.columns[0])

    def sorted_by(self, column: int) -> tuple[IdArray, IdArray]:
        """One of two columns in order, and the other beside it."""
        if column not in self._sorted:
            order = np.argsort(self.columns[column], kind="stable")
            self._sorted[column] = self.columns[column][order], self.columns[1 - column][order]
        return self._sorted[column]


class _SolutionTable:
    """Solutions, as columns by variable; unbound values are -1."""

    def __init__(self, columns: dict[str, IdArray], length: int) -> None:
        self.columns = columns
        self.length = length

    def take_rows(self, places: IdArray | BoolArray) -> "_SolutionTable":
        columns = {name: column[places] for name, column in self.columns.items()}
        return _SolutionTable(columns, int(np.count_nonzero(places)) if places.dtype == np.bool_ else len(places))

    def with_column(self, name: str, column: IdArray) -> "_SolutionTable":
        return _SolutionTable({**self.columns, name: column}, self.length)


def group_and_aggregate(
    aggregation: Aggregation, relations: dict[ColumnPattern, Relation], terms: TermDictionary
) -> str:
    """The text of an aggregation with its groups in VALUES; raises UnsuitedError where it would not be exact."""
    rows = _join_patterns(aggregation.required, relations, terms)
    for patterns in aggregation.optional:
        rows = _left_join(rows, _join_patterns(patterns, relations, terms))
    groups, number = _group_solutions(rows, aggregation.keys, len(terms))
    if number > MAX_GROUPS:
        raise UnsupportedAggregationError(f"it has more than {MAX_GROUPS:,} groups")
    if not rows.length and not aggregation.keys:
        raise UnsupportedAggregationError("it has no solutions to group")
    columns = {item.name: _aggregate_column(item, rows, groups, number, terms) for item in aggregation.aggregates}
    kept = (
        _top_positions(columns[aggregation.top.aggregate_name], aggregation.top)
        if aggregation.top
        else list(range(number))
    )
    one = np.zeros(number, np.int64)
    one[groups] = np.arange(rows.length)
    named = [rows.columns[key][one] for key in aggregation.keys]
    if not all(map(terms.are_ordered, named)):
        raise UnsupportedAggregationError("its groups have no order")
    keys = [[terms.texts[place] for place in column.tolist()] for column in named]
    return aggregation.text_with_groups(_values_rows([*keys, *(column.texts for column in columns.values())], kept))


def _values_rows(columns: Sequence[Sequence[str]], kept: Sequence[int]) -> str:
    rows = [" ".join(column[place] for column in columns) for place in kept]
    if any(row.startswith("_:") or " _:" in row for row in rows):
        raise UnsupportedAggregationError("blank nodes are among its groups")
    return " ".join(f"({row})" for row in rows)


def _join_patterns(
    patterns: Sequence[ColumnPattern], relations: dict[ColumnPattern, Relation], terms: TermDictionary
) -> _SolutionTable:
    """The solutions of patterns, begun at the one with the fewest matches."""
    left = sorted(patterns, key=lambda pattern: (len(pattern.variables), len(relations[pattern])))
    first = min(left, key=lambda pattern: len(relations[pattern]))
    left.remove(first)
    found = relations[first].columns
    rows = _SolutionTable(dict(zip(first.variables, found, strict=True)), len(found[0]))
    while left:
        pattern = next(item for item in left if not rows.columns.keys().isdisjoint(item.variables))
        left.remove(pattern)
        rows = _join_pattern(rows, pattern, relations[pattern], terms)
    return rows


def _join_pattern(
    rows: _SolutionTable, pattern: ColumnPattern, relation: Relation, terms: TermDictionary
) -> _SolutionTable:
    """Solutions joined with the matches of a pattern that shares one variable with them."""
    if len(pattern.variables) == 1:
        flags = np.zeros(len(terms), np.bool_)
        flags[relation.columns[0]] = True
        return rows.take_rows(flags[rows.columns[pattern.variables[0]]])
    shared = 0 if pattern.variables[0] in rows.columns else 1
    keys, others = relation.sorted_by(shared)
    places, matches = _join_positions(rows.columns[pattern.variables[shared]], keys)
    return rows.take_rows(places).with_column(pattern.variables[1 - shared], others[matches])


def _join_positions(ids: IdArray, keys: IdArray, *, outer: bool = False) -> tuple[IdArray, IdArray]:
    """For each pair of an id and an equal one among sorted keys, both their places.

    With `outer`, an id without an equal one has a pair too, whose second place is -1.
    """
    first, behind = np.searchsorted(keys, ids, "left"), np.searchsorted(keys, ids, "right")
    found = behind - first
    times = np.maximum(found, 1) if outer else found
    total = int(times.sum())
    if total > MAX_JOINED_ROWS:
        raise UnsupportedAggregationError(f"its patterns have more than {MAX_JOINED_ROWS:,} solutions")
    places = np.repeat(np.arange(len(ids)), times)
    matches = np.arange(total) - np.repeat(np.cumsum(times) - times - first, times)
    if outer:
        matches[np.repeat(found == 0, times)] = _UNBOUND
    return places, matches


def _left_join(rows: _SolutionTable, others: _SolutionTable) -> _SolutionTable:
    """Solutions with those of an OPTIONAL, with which they share one variable."""
    (shared,) = rows.columns.keys() & others.columns.keys()
    order = np.argsort(others.columns[shared], kind="stable")
    places, matches = _join_positions(rows.columns[shared], others.columns[shared][order], outer=True)
    found, bound = rows.take_rows(places), matches != _UNBOUND
    for name, column in others.columns.items():
        if name != shared:
            values = np.full(len(matches), _UNBOUND)
            values[bound] = column[order][matches[bound]]
            found = found.with_column(name, values)
    return found


def _group_solutions(rows: _SolutionTable, keys: Sequence[str], size: int) -> tuple[IdArray, int]:
    """The group of each solution, and how many groups there are; all are one without keys."""
    groups, number = np.zeros(rows.length, np.int64), 1
    for key in keys:
        column, distinct = _renumber_densely(rows.columns[key], size)
        groups, number = _renumber_densely(groups * distinct + column, number * distinct)
    return groups, number


def _renumber_densely(ids: IdArray, size: int) -> tuple[IdArray, int]:
    """Ids below a size with new ones instead that leave none out, and how many these are."""
    if size > 4 * len(ids) + 1_000_000:
        values, inverse = np.unique(ids, return_inverse=True)
        return inverse.astype(np.int64), len(values)
    flags = np.zeros(size, np.bool_)
    flags[ids] = True
    return (np.cumsum(flags) - 1)[ids], int(np.count_nonzero(flags))


class _AggregateColumn:
    """The values of an aggregate for each group as SPARQL writes them, and as numbers that compare if all are bound."""

    def __init__(self, numbers: Sequence[int], texts: list[str]) -> None:
        self.numbers = numbers
        self.texts = texts


def _aggregate_column(
    item: Aggregate, rows: _SolutionTable, groups: IdArray, number: int, terms: TermDictionary
) -> _AggregateColumn:
    if not item.variable:
        return _count_column(np.bincount(groups, minlength=number))
    ids = rows.columns[item.variable]
    bound = ids != _UNBOUND
    if item.function == "COUNT":
        return _count_column(_count_by_group(groups[bound], ids[bound], number, terms, distinct=item.distinct))
    column = _aggregate_numbers(item, terms.numeric_values(ids[bound]), groups[bound], number)
    failed = np.unique(groups[~bound]).tolist()
    for place in failed:
        column.texts[place] = "UNDEF"
    return _AggregateColumn([], column.texts) if failed else column


def _aggregate_numbers(item: Aggregate, numbers: _ExactNumbers, groups: IdArray, number: int) -> _AggregateColumn:
    if item.function == "SUM":
        found = _sum_by_group(numbers, groups, number)
    elif 0 < int(np.count_nonzero(numbers.is_decimal)) < len(groups):
        raise UnsupportedAggregationError(f"{item.function} of integers beside decimals")
    else:
        found = _extremes_by_group(numbers, groups, number, last=item.function == "MAX")
    written = np.zeros(number, np.bool_)
    written[groups[numbers.is_decimal]] = True
    marks = written.tolist()
    return _AggregateColumn(
        found, [_serialize_number(value, decimal=mark) for value, mark in zip(found, marks, strict=True)]
    )


def _count_column(numbers: IdArray) -> _AggregateColumn:
    values = numbers.tolist()
    return _AggregateColumn(values, list(map(str, values)))


def _count_by_group(groups: IdArray, ids: IdArray, number: int, terms: TermDictionary, *, distinct: bool) -> IdArray:
    if distinct:
        if not terms.are_nodes(ids):
            raise UnsupportedAggregationError("it counts distinct literals")
        groups = np.unique(groups * len(terms) + ids) // len(terms)
    return np.bincount(groups, minlength=number)


def _sum_by_group(numbers: _ExactNumbers, groups: IdArray, number: int) -> list[int]:
    """Exact sums, in parts of `_ONE`."""
    magnitude = float(np.abs(numbers.wholes).astype(np.float64).sum()) + len(groups)
    if magnitude >= (_MAX_DECIMAL_SUM if numbers.is_decimal.all() else _MAX_MAGNITUDE):
        raise UnsupportedAggregationError("its sums are too large")
    wholes, parts = _sum_integers(numbers.wholes, groups, number), _sum_integers(numbers.fractions, groups, number)
    return [whole * _DECIMAL_SCALE + part for whole, part in zip(wholes, parts, strict=True)]


def _sum_integers(values: IdArray, groups: IdArray, number: int) -> list[int]:
    """Sums of 64-bit integers, made of those of their halves."""
    upper, lower = np.zeros(number, np.int64), np.zeros(number, np.int64)
    np.add.at(upper, groups, values >> _HALF_BITS)
    np.add.at(lower, groups, values & (2**_HALF_BITS - 1))
    return [(high << _HALF_BITS) + low for high, low in zip(upper.tolist(), lower.tolist(), strict=True)]


def _extremes_by_group(numbers: _ExactNumbers, groups: IdArray, number: int, *, last: bool) -> list[int]:
    """The first or last number of each group, in parts of `_ONE`; 0 for groups of none."""
    order = np.lexsort((numbers.fractions, numbers.wholes, groups))
    found, places = [0] * number, order if last else order[::-1]
    at = np.full(number, _UNBOUND)
    at[groups[places]] = places
    for group in np.flatnonzero(at != _UNBOUND).tolist():
        found[group] = int(numbers.wholes[at[group]]) * _DECIMAL_SCALE + int(numbers.fractions[at[group]])
    return found


def _serialize_number(value: int, *, decimal: bool) -> str:
    """A number in parts of `_ONE` as SPARQL writes it."""
    whole, parts = divmod(abs(value), _DECIMAL_SCALE)
    sign = "-" if value < 0 else ""
    return f'"{sign}{whole}.{parts:0{_DECIMAL_PLACES}}"^^<{XSD}decimal>' if decimal else f"{sign}{whole}"


def _top_positions(column: _AggregateColumn, top: TopGroups) -> list[int]:
    """The places of the highest or lowest values, with all that equal the last of them."""
    numbers = column.numbers
    if not numbers or top.row_count >= len(numbers):
        return list(range(len(column.texts)))
    if not top.row_count:
        return []
    last = sorted(numbers, reverse=top.descending)[top.row_count - 1]
    return [place for place, value in enumerate(numbers) if (value >= last if top.descending else value <= last)]

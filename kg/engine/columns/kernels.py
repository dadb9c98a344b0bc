"""Join, group and aggregate the matches of triple patterns as arrays of term ids; pure, except for `TermDictionary`.

All results are exact: UnsupportedAggregationError is raised where 64 bits, or the engine's own numbers, could overflow.
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

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # no linear algebra is used, and its threads take memory
import numpy as np
from numpy.typing import NDArray

IdArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MAX_JOINED_ROWS: Final = 2_000_000
"""The most rows of a join."""
MAX_GROUPS: Final = 50_000
"""The most groups to pass to the engine, which parses them as text."""

_UNBOUND: Final = -1
_UNCLASSIFIED, _NODE, _INTEGER, _DECIMAL, _OTHER = range(5)
_INTEGER_PATTERN: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER_PATTERN: Final = re.compile(rf'"?([+-]?[0-9]*\.?[0-9]+)(?:"\^\^<{re.escape(XSD)}decimal>)?')
_DATE_PATTERN: Final = re.compile(r'"[0-9]{4}(?:-[0-9]{2}){0,2}')
"""A date, month or year without a time zone, in the years that the engine is sure to support."""
_HALF_BITS: Final = 31
"""Bits of the lower half of an integer whose halves are summed separately."""
_MAX_MAGNITUDE: Final = 2**62
_DECIMAL_PLACES: Final = 18
"""Decimal places of the engine's decimals, which have 128 bits."""
_DECIMAL_SCALE: Final = 10**_DECIMAL_PLACES
_MAX_DECIMAL_SUM: Final = 1.0e20
"""The sum of magnitudes up to which no partial sum of decimals overflows in the engine."""


@dataclass(frozen=True)
class _ExactNumbers:
    """Exact numbers: a whole plus a fraction in units of 1 / `_DECIMAL_SCALE`; `is_decimal` tells the datatype."""

    wholes: IdArray
    fractions: IdArray
    is_decimal: BoolArray


class TermDictionary:
    """Ids for terms, which are written as in SPARQL, and the numeric values of literals."""

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
        """Return the ids of terms; new terms get the next ids."""
        ids = np.fromiter(map(self._ids_by_text.__getitem__, texts), np.int64, len(texts))
        self.texts.extend(islice(self._ids_by_text, len(self.texts), None))
        return ids

    def are_ordered(self, ids: IdArray) -> bool:
        """Whether the engine sorts these terms, or their texts, without ties: all are of one kind."""
        kinds = {_sort_class(text) for text in (self.texts[number] for number in ids.tolist())}
        return len(kinds) <= 1 and "" not in kinds

    def are_nodes(self, ids: IdArray) -> bool:
        """Whether all terms are IRIs or blank nodes."""
        self._classify(ids)
        return bool((self._kinds[ids] == _NODE).all())

    def numeric_values(self, ids: IdArray) -> _ExactNumbers:
        """Return the values of literals; raises UnsupportedAggregationError unless all are integers or decimals."""
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
    """Return the kind of a term, and for a number its floor and its fraction in units of 1 / `_DECIMAL_SCALE`."""
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
    """Return a class of terms within which the engine has a total order; "" if there may be none."""
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
    """The distinct matches of a triple pattern: a column for each of its variables."""

    def __init__(self, columns: Sequence[IdArray]) -> None:
        self.columns = tuple(columns)
        self._sorted = dict[int, tuple[IdArray, IdArray]]()

    def __len__(self) -> int:
        return len(self.columns[0])

    def sorted_by(self, column: int) -> tuple[IdArray, IdArray]:
        """Return one of two columns sorted, and the other in the same order."""
        if column not in self._sorted:
            order = np.argsort(self.columns[column], kind="stable")
            self._sorted[column] = self.columns[column][order], self.columns[1 - column][order]
        return self._sorted[column]


class _SolutionTable:
    """Solutions, as columns of term ids by variable; unbound values are -1."""

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
    """Return the query of an aggregation with its groups in VALUES.

    Raises UnsupportedAggregationError where they would not be exact.
    """
    rows = _join_patterns(aggregation.required, relations, terms)
    for patterns in aggregation.optional:
        rows = _left_join(rows, _join_patterns(patterns, relations, terms))
    groups, number = _group_solutions(rows, aggregation.keys, len(terms))
    if number > MAX_GROUPS:
        raise UnsupportedAggregationError(f"it has more than {MAX_GROUPS:,} groups")
    if not rows.length and not aggregation.keys:
        raise UnsupportedAggregationError("it has no solutions to group")
    columns = {item.name: _aggregate_column(item, rows, groups, number, terms) for item in aggregation.aggregates}
    positions = (
        _top_positions(columns[aggregation.top.aggregate_name], aggregation.top)
        if aggregation.top
        else list(range(number))
    )
    representatives = np.zeros(number, np.int64)
    representatives[groups] = np.arange(rows.length)
    key_columns = [rows.columns[key][representatives] for key in aggregation.keys]
    if not all(map(terms.are_ordered, key_columns)):
        raise UnsupportedAggregationError("its groups have no order")
    keys = [[terms.texts[term_id] for term_id in column.tolist()] for column in key_columns]
    texts = [*keys, *(column.texts for column in columns.values())]
    return aggregation.text_with_groups(_values_rows(texts, positions))


def _values_rows(columns: Sequence[Sequence[str]], positions: Sequence[int]) -> str:
    rows = [" ".join(column[position] for column in columns) for position in positions]
    if any(row.startswith("_:") or " _:" in row for row in rows):
        raise UnsupportedAggregationError("blank nodes are among its groups")
    return " ".join(f"({row})" for row in rows)


def _join_patterns(
    patterns: Sequence[ColumnPattern], relations: dict[ColumnPattern, Relation], terms: TermDictionary
) -> _SolutionTable:
    """Join patterns, starting from the one with the fewest matches."""
    remaining = sorted(patterns, key=lambda pattern: (len(pattern.variables), len(relations[pattern])))
    first = min(remaining, key=lambda pattern: len(relations[pattern]))
    remaining.remove(first)
    columns = relations[first].columns
    rows = _SolutionTable(dict(zip(first.variables, columns, strict=True)), len(columns[0]))
    while remaining:
        pattern = next(item for item in remaining if not rows.columns.keys().isdisjoint(item.variables))
        remaining.remove(pattern)
        rows = _join_pattern(rows, pattern, relations[pattern], terms)
    return rows


def _join_pattern(
    rows: _SolutionTable, pattern: ColumnPattern, relation: Relation, terms: TermDictionary
) -> _SolutionTable:
    """Join solutions with the matches of a pattern that shares one variable with them."""
    if len(pattern.variables) == 1:
        flags = np.zeros(len(terms), np.bool_)
        flags[relation.columns[0]] = True
        return rows.take_rows(flags[rows.columns[pattern.variables[0]]])
    shared = 0 if pattern.variables[0] in rows.columns else 1
    keys, others = relation.sorted_by(shared)
    places, matches = _join_positions(rows.columns[pattern.variables[shared]], keys)
    return rows.take_rows(places).with_column(pattern.variables[1 - shared], others[matches])


def _join_positions(ids: IdArray, keys: IdArray, *, outer: bool = False) -> tuple[IdArray, IdArray]:
    """Return the positions of all pairs of an id and an equal key; `keys` are sorted.

    With `outer`, an id without an equal key is paired with position -1.
    """
    first, end = np.searchsorted(keys, ids, "left"), np.searchsorted(keys, ids, "right")
    counts = end - first
    times = np.maximum(counts, 1) if outer else counts
    total = int(times.sum())
    if total > MAX_JOINED_ROWS:
        raise UnsupportedAggregationError(f"its patterns have more than {MAX_JOINED_ROWS:,} solutions")
    places = np.repeat(np.arange(len(ids)), times)
    matches = np.arange(total) - np.repeat(np.cumsum(times) - times - first, times)
    if outer:
        matches[np.repeat(counts == 0, times)] = _UNBOUND
    return places, matches


def _left_join(rows: _SolutionTable, others: _SolutionTable) -> _SolutionTable:
    """Left-join solutions with those of an OPTIONAL that shares one variable with them."""
    (shared,) = rows.columns.keys() & others.columns.keys()
    order = np.argsort(others.columns[shared], kind="stable")
    places, matches = _join_positions(rows.columns[shared], others.columns[shared][order], outer=True)
    joined, bound = rows.take_rows(places), matches != _UNBOUND
    for name, column in others.columns.items():
        if name != shared:
            values = np.full(len(matches), _UNBOUND)
            values[bound] = column[order][matches[bound]]
            joined = joined.with_column(name, values)
    return joined


def _group_solutions(rows: _SolutionTable, keys: Sequence[str], size: int) -> tuple[IdArray, int]:
    """Return the group of each solution, and the number of groups; without keys, there is one group."""
    groups, number = np.zeros(rows.length, np.int64), 1
    for key in keys:
        column, distinct = _renumber_densely(rows.columns[key], size)
        groups, number = _renumber_densely(groups * distinct + column, number * distinct)
    return groups, number


def _renumber_densely(ids: IdArray, size: int) -> tuple[IdArray, int]:
    """Renumber ids, which are below `size`, without gaps; return them and the number of distinct ones."""
    if size > 4 * len(ids) + 1_000_000:
        values, inverse = np.unique(ids, return_inverse=True)
        return inverse.astype(np.int64), len(values)
    flags = np.zeros(size, np.bool_)
    flags[ids] = True
    return (np.cumsum(flags) - 1)[ids], int(np.count_nonzero(flags))


class _AggregateColumn:
    """The values of an aggregate for each group, as SPARQL writes them, and as comparable numbers if all are bound."""

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
        values = _sum_by_group(numbers, groups, number)
    elif 0 < int(np.count_nonzero(numbers.is_decimal)) < len(groups):
        raise UnsupportedAggregationError(f"{item.function} of integers beside decimals")
    else:
        values = _extremes_by_group(numbers, groups, number, last=item.function == "MAX")
    is_decimal = np.zeros(number, np.bool_)
    is_decimal[groups[numbers.is_decimal]] = True
    texts = [_serialize_number(value, decimal=mark) for value, mark in zip(values, is_decimal.tolist(), strict=True)]
    return _AggregateColumn(values, texts)


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
    """Return exact sums, in units of 1 / `_DECIMAL_SCALE`."""
    magnitude = float(np.abs(numbers.wholes).astype(np.float64).sum()) + len(groups)
    if magnitude >= (_MAX_DECIMAL_SUM if numbers.is_decimal.all() else _MAX_MAGNITUDE):
        raise UnsupportedAggregationError("its sums are too large")
    wholes, parts = _sum_integers(numbers.wholes, groups, number), _sum_integers(numbers.fractions, groups, number)
    return [whole * _DECIMAL_SCALE + part for whole, part in zip(wholes, parts, strict=True)]


def _sum_integers(values: IdArray, groups: IdArray, number: int) -> list[int]:
    """Return exact sums of 64-bit integers: the sums of their halves do not overflow."""
    upper, lower = np.zeros(number, np.int64), np.zeros(number, np.int64)
    np.add.at(upper, groups, values >> _HALF_BITS)
    np.add.at(lower, groups, values & (2**_HALF_BITS - 1))
    return [(high << _HALF_BITS) + low for high, low in zip(upper.tolist(), lower.tolist(), strict=True)]


def _extremes_by_group(numbers: _ExactNumbers, groups: IdArray, number: int, *, last: bool) -> list[int]:
    """Return the lowest or highest number of each group, in units of 1 / `_DECIMAL_SCALE`; 0 for empty groups."""
    order = np.lexsort((numbers.fractions, numbers.wholes, groups))
    values, positions = [0] * number, order if last else order[::-1]
    chosen = np.full(number, _UNBOUND)
    chosen[groups[positions]] = positions
    for group in np.flatnonzero(chosen != _UNBOUND).tolist():
        position = chosen[group]
        values[group] = int(numbers.wholes[position]) * _DECIMAL_SCALE + int(numbers.fractions[position])
    return values


def _serialize_number(value: int, *, decimal: bool) -> str:
    """Write a number in units of 1 / `_DECIMAL_SCALE` as a SPARQL literal."""
    whole, parts = divmod(abs(value), _DECIMAL_SCALE)
    sign = "-" if value < 0 else ""
    return f'"{sign}{whole}.{parts:0{_DECIMAL_PLACES}}"^^<{XSD}decimal>' if decimal else f"{sign}{whole}"


def _top_positions(column: _AggregateColumn, top: TopGroups) -> list[int]:
    """Return the positions of the highest or lowest values, including ties with the last of them."""
    numbers = column.numbers
    if not numbers or top.row_count >= len(numbers):
        return list(range(len(column.texts)))
    if not top.row_count:
        return []
    last = sorted(numbers, reverse=top.descending)[top.row_count - 1]
    return [place for place, value in enumerate(numbers) if (value >= last if top.descending else value <= last)]

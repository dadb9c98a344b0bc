"""What a query groups and counts, as columns can answer it instead of the engine; pure."""

from dataclasses import dataclass
from math import prod
from typing import Final

from kg.engine.statistics import DatasetStatistics
from kg.sparql.syntax_tree import RDF_TYPE_IRIREF

LOAD_THRESHOLD: Final = 4
"""Times that a pattern is asked for until it is read into columns, which takes about as long as so many answers."""
MIN_MATCHES: Final = 5_000
"""Matches of all patterns of a query below which the engine answers it at once."""
MIN_TRIPLES: Final = 10_000
"""Triples from which on a service has columns; what they need takes 4 MB of each process."""
MAX_MATCHES: Final = 1_000_000
"""Matches that are held in columns, some 200 bytes each with their terms."""
MAX_PARTS: Final = 32
"""Patterns, filters or aggregates of a query that is read."""
MAX_SORTED_GROUPS: Final = 1_000
"""Groups that are worth sorting where the query does not."""


class UnsupportedAggregationError(Exception):
    """A query is none that columns can answer; the message says why."""


@dataclass(frozen=True)
class Aggregate:
    """COUNT, SUM, MIN or MAX of a variable, or of whole solutions where `variable` is ""; `name` stands for it."""

    function: str
    variable: str
    distinct: bool
    name: str


@dataclass(frozen=True)
class ColumnPattern:
    """A triple pattern; what is not an IRI is a variable, written as `?name`, a predicate only where all three are.

    `filters` are those that allow only some of the values of one of its variables, as they stand in the query.
    """

    subject: str
    predicate: str
    object: str
    filters: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of its variables, in their order."""
        return tuple(term[1:] for term in (self.subject, self.predicate, self.object) if term.startswith("?"))

    def estimate_matches(self, statistics: DatasetStatistics) -> int:
        """Estimate how many matches it has, without its filters."""
        is_subject_bound, is_object_bound = (not term.startswith("?") for term in (self.subject, self.object))
        return int(
            statistics.estimate_matches(
                self.predicate[1:-1],
                self.object[1:-1],
                is_subject_bound=is_subject_bound,
                is_object_bound=is_object_bound,
            )
        )


@dataclass(frozen=True)
class TopGroups:
    """The solutions that are wanted: so many of the highest or lowest values of an aggregate."""

    aggregate_name: str
    descending: bool
    row_count: int


@dataclass(frozen=True)
class QueryTemplate:
    """A query around its group pattern, with variables for aggregates, and its groups in an order without ties."""

    prologue: str
    head: str
    having: str
    tail: str


@dataclass(frozen=True)
class Aggregation:
    """What a query groups and counts; `optional` holds the patterns of each OPTIONAL.

    `ties` is what to write at which offset into the query itself so that its groups come in the same order.
    """

    keys: tuple[str, ...]
    aggregates: tuple[Aggregate, ...]
    required: tuple[ColumnPattern, ...]
    optional: tuple[tuple[ColumnPattern, ...], ...]
    template: QueryTemplate
    top: TopGroups | None
    tie_breaker: tuple[int, str]

    @property
    def patterns(self) -> tuple[ColumnPattern, ...]:
        """All patterns."""
        return (*self.required, *(pattern for patterns in self.optional for pattern in patterns))

    @property
    def is_statistics_query(self) -> bool:
        """Whether it counts all triples, each property's, or the instances of each class: such numbers are kept."""
        pattern = self.required[0]
        alone = not (self.optional or self.required[1:] or pattern.filters)
        part = pattern.predicate if pattern.predicate.startswith("?") else pattern.object
        kept = pattern.predicate.startswith("?") or (
            pattern.predicate == RDF_TYPE_IRIREF and len(pattern.variables) > 1
        )
        simple = all(item.function == "COUNT" and not item.distinct for item in self.aggregates)
        return alone and kept and simple and {f"?{key}" for key in self.keys} <= {part}

    def text_with_groups(self, rows: str) -> str:
        """A query with the same solutions whose groups are there already; `rows` are keys, and aggregates behind them.

        Each row stands in brackets, as in VALUES.
        """
        wording = self.template
        names = " ".join(f"?{name}" for name in (*self.keys, *(aggregate.name for aggregate in self.aggregates)))
        values = f"VALUES ({names}) {{ {rows} }}"
        return f"{wording.prologue}{wording.head} {{ {values} {wording.having} }} {wording.tail}"


def statistics_query_text(aggregation: Aggregation, statistics: DatasetStatistics) -> str | None:
    """The text of an aggregation that counts all triples, from what is known of them; None if that is not known."""
    by_class = aggregation.required[0].predicate == RDF_TYPE_IRIREF
    properties = {name: known.triples for name, known in statistics.properties.items()}
    parts, whole = (
        (statistics.classes, properties.get(RDF_TYPE_IRIREF[1:-1])) if by_class else (properties, statistics.triples)
    )
    if whole is None or sum(parts.values()) != whole:
        return None
    width = len(aggregation.aggregates)
    if not aggregation.keys:
        return aggregation.text_with_groups(f"({' '.join([str(whole)] * width)})")
    return aggregation.text_with_groups(
        " ".join(f"(<{name}>{f' {number}' * width})" for name, number in parts.items() if number)
    )


def estimate_max_groups(aggregation: Aggregation, statistics: DatasetStatistics) -> int:
    """How many groups there are at most, at a guess."""
    return prod(
        min(
            _estimate_distinct_values(pattern, key, statistics)
            for pattern in aggregation.required
            if key in pattern.variables
        )
        for key in aggregation.keys
    )


def _estimate_distinct_values(pattern: ColumnPattern, name: str, statistics: DatasetStatistics) -> int:
    known = statistics.properties.get(pattern.predicate[1:-1])
    if known is None or len(pattern.variables) == 1:
        return pattern.estimate_matches(statistics)
    return known.subjects if pattern.subject == f"?{name}" else known.objects

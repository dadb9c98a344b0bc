"""Aggregations whose groups columns can compute, and estimates of their size; pure."""

from dataclasses import dataclass
from math import prod
from typing import Final

from kg.engine.statistics import DatasetStatistics
from kg.sparql.syntax_tree import RDF_TYPE_IRIREF

LOAD_THRESHOLD: Final = 4
"""Requests after which a pattern is loaded into columns; loading takes about as long as so many evaluations."""
MIN_MATCHES: Final = 5_000
"""Matches of all patterns of a query below which the engine evaluates it faster."""
MIN_TRIPLES: Final = 10_000
"""Triples of a dataset below which there are no columns; numpy takes 4 MB of each process."""
MAX_MATCHES: Final = 1_000_000
"""The most matches in columns; with its terms, a match takes some 200 bytes."""
MAX_PARTS: Final = 32
"""The most patterns, filters or aggregates of a query."""
MAX_SORTED_GROUPS: Final = 1_000
"""The most groups to sort where the query does not sort them."""


class UnsupportedAggregationError(Exception):
    """Columns cannot compute the groups of a query exactly; the message says why."""


@dataclass(frozen=True)
class Aggregate:
    """COUNT, SUM, MIN or MAX of a variable, or of whole solutions if `variable` is "".

    `name` is the variable that replaces it in the query.
    """

    function: str
    variable: str
    distinct: bool
    name: str


@dataclass(frozen=True)
class ColumnPattern:
    """A triple pattern of IRIs, as `<IRI>`, and variables, as `?name`; the predicate is a variable only if all are.

    `filters` are the texts of the query's filters on one of its variables.
    """

    subject: str
    predicate: str
    object: str
    filters: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of its variables, in order."""
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
    """The groups that a query returns: those with the `row_count` highest or lowest values of an aggregate."""

    aggregate_name: str
    descending: bool
    row_count: int


@dataclass(frozen=True)
class QueryTemplate:
    """The text around the group pattern of a query; variables replace the aggregates, and ORDER BY has no ties."""

    prologue: str
    head: str
    having: str
    tail: str


@dataclass(frozen=True)
class Aggregation:
    """The groups and aggregates of a query; `optional` has the patterns of each OPTIONAL.

    `tie_breaker` is an offset of the query and a text to insert there, so that its groups come in the same order as
    those of the template.
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
        """The required and the optional patterns."""
        return (*self.required, *(pattern for patterns in self.optional for pattern in patterns))

    @property
    def is_statistics_query(self) -> bool:
        """Whether it counts all triples, those of each property, or the instances of each class, as statistics do."""
        pattern = self.required[0]
        is_single = not (self.optional or self.required[1:] or pattern.filters)
        part = pattern.predicate if pattern.predicate.startswith("?") else pattern.object
        has_partition = pattern.predicate.startswith("?") or (
            pattern.predicate == RDF_TYPE_IRIREF and len(pattern.variables) > 1
        )
        counts_rows = all(item.function == "COUNT" and not item.distinct for item in self.aggregates)
        return is_single and has_partition and counts_rows and {f"?{key}" for key in self.keys} <= {part}

    def text_with_groups(self, rows: str) -> str:
        """Return an equal query that has its groups in VALUES.

        `rows` is the data block: the keys and then the aggregates of each group, in brackets.
        """
        template = self.template
        names = " ".join(f"?{name}" for name in (*self.keys, *(aggregate.name for aggregate in self.aggregates)))
        values = f"VALUES ({names}) {{ {rows} }}"
        return f"{template.prologue}{template.head} {{ {values} {template.having} }} {template.tail}"


def statistics_query_text(aggregation: Aggregation, statistics: DatasetStatistics) -> str | None:
    """Return the query of an aggregation with its groups from statistics; None if they are not known."""
    by_class = aggregation.required[0].predicate == RDF_TYPE_IRIREF
    properties = {name: known.triples for name, known in statistics.properties.items()}
    parts, total = (
        (statistics.classes, properties.get(RDF_TYPE_IRIREF[1:-1])) if by_class else (properties, statistics.triples)
    )
    if total is None or sum(parts.values()) != total:
        return None
    width = len(aggregation.aggregates)
    if not aggregation.keys:
        return aggregation.text_with_groups(f"({' '.join([str(total)] * width)})")
    return aggregation.text_with_groups(
        " ".join(f"(<{name}>{f' {number}' * width})" for name, number in parts.items() if number)
    )


def estimate_max_groups(aggregation: Aggregation, statistics: DatasetStatistics) -> int:
    """Estimate the largest number of groups."""
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

"""Cache the matches of triple patterns in columns, from which the groups of aggregations are computed.

To match a pattern for one node, the engine's store takes some two microseconds, since it walks all triples about the
node. Columns are joined and summed much faster, but loading them costs as much as a few evaluations. So the columns of
a pattern are loaded when it has been requested a few times in queries with many matches, and dropped when triples with
its predicate change.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kg.engine.columns.model import (
    LOAD_THRESHOLD,
    MAX_MATCHES,
    MIN_TRIPLES,
    Aggregation,
    ColumnPattern,
    QueryTemplate,
    UnsupportedAggregationError,
    statistics_query_text,
)
from kg.engine.columns.parser import parse_aggregation
from kg.engine.protocol import OptimizableDataset, PlanNote, QueryPlan
from kg.engine.statistics import DatasetStatistics
from kg.errors import EngineError
from kg.rdf.terms import Quad
from kg.sparql.syntax_tree import ParsedQuery
from kg.sparql.tokens import line_and_column

if TYPE_CHECKING:
    from kg.engine.columns.kernels import Relation, TermDictionary

_AGGREGATE_CALL: Final = re.compile(r"\b(?:COUNT|SUM|AVG|MIN|MAX)\s*\(", re.IGNORECASE)
_BYTES_PER_MATCH: Final = 1_000
"""Bytes of a worker's memory limit for each match that it may hold; most are needed only while columns are loaded."""
_EMPTY_TEMPLATE: Final = QueryTemplate("", "", "", "")
_MAX_REMEMBERED_PATTERNS: Final = 1_000
"""Patterns whose requests are counted."""


@dataclass(frozen=True)
class _RelationKey:
    """Equal for patterns with the same matches, if their filters are written alike.

    `query_text` selects the matches; `predicate` is written as `<IRI>`.
    """

    query_text: str
    predicate: str
    column_count: int


class _ChangeCounter:
    """Numbers the states of a dataset, to notice whether it changed while something was read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._open_changes = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Enclose a change."""
        self._advance(1)
        try:
            yield
        finally:
            self._advance(-1)

    def _advance(self, opened: int) -> None:
        with self._lock:
            self._version += 1
            self._open_changes += opened

    def stable_version(self) -> int | None:
        """Return the number of the current state; None during a change."""
        with self._lock:
            return None if self._open_changes else self._version


class ColumnCache:
    """Columns of one dataset, from which the groups of aggregations are computed.

    Safe for several threads: one at a time loads columns or computes groups.
    """

    def __init__(self, load_threshold: int = LOAD_THRESHOLD) -> None:
        """Load a pattern's columns when it is requested for the `load_threshold`th time."""
        self.max_matches = MAX_MATCHES
        """The most matches that are held."""
        self._load_threshold = load_threshold
        self._lock = threading.Lock()
        self._request_counts = Counter[_RelationKey]()
        self._relations = dict[_RelationKey, "Relation"]()
        self._terms: TermDictionary | None = None
        self._refused = set[Aggregation]()
        self._changes = _ChangeCounter()

    def prepare(self, memory: int, statistics: DatasetStatistics | None) -> None:
        """Import numpy before the process is forked into workers, if the dataset is large enough for columns.

        Each worker may use `memory` bytes more than this process, so none should import it for itself.
        """
        if statistics is None or (statistics.triples or 0) < MIN_TRIPLES:
            self.max_matches = 0
            return
        from kg.engine.columns import kernels  # noqa: F401, PLC0415 - see `_load_relation`

        self.max_matches = min(MAX_MATCHES, memory // _BYTES_PER_MATCH)

    def plan_groups(self, plan: QueryPlan, query: ParsedQuery, statistics: DatasetStatistics) -> QueryPlan:
        """Add to a plan how the groups of its query are looked up, and an order of the groups without ties.

        With that order, the answer is the same whether the engine or columns compute the groups.
        """
        line = line_and_column(query.text, query.main.end)[0]
        try:
            aggregation = parse_aggregation(query, statistics)
        except UnsupportedAggregationError as reason:
            if _AGGREGATE_CALL.search(query.text) is None:
                return plan
            return replace(plan, notes=(*plan.notes, PlanNote(line, f"groups not taken from columns: {reason}")))
        offset, tie_breaker = aggregation.tie_breaker
        offset += len(plan.text) - len(query.text)
        return QueryPlan(
            plan.text[:offset] + tie_breaker + plan.text[offset:],
            (*plan.notes, PlanNote(line, _describe_aggregation(aggregation))),
            lambda dataset: self.text_with_groups(aggregation, dataset),
        )

    def text_with_groups(self, aggregation: Aggregation, dataset: OptimizableDataset) -> str | None:
        """Return the query of an aggregation with its groups computed; None if the engine is to compute them."""
        version, statistics = self._changes.stable_version(), dataset.statistics()
        if version is None or statistics is None:
            return None
        if aggregation.is_statistics_query:
            text = statistics_query_text(aggregation, statistics)
        else:
            text = self._text_from_columns(aggregation, dataset, statistics)
        return text if self._changes.stable_version() == version else None

    def _text_from_columns(
        self, aggregation: Aggregation, dataset: OptimizableDataset, statistics: DatasetStatistics
    ) -> str | None:
        sizes = {
            _relation_key(item, aggregation.template.prologue): item.estimate_matches(statistics)
            for item in aggregation.patterns
        }
        task = replace(aggregation, template=_EMPTY_TEMPLATE, tie_breaker=(0, ""))
        if sum(sizes.values()) > self.max_matches:
            return None
        with self._lock:
            try:
                return (
                    self._compute_groups(aggregation)
                    if task not in self._refused and self._ensure_loaded(sizes, dataset)
                    else None
                )
            except (UnsupportedAggregationError, EngineError):
                self._refused.add(task)
                return None
            except MemoryError:
                self._clear()
                self._refused.add(task)
                return None

    @contextmanager
    def changing(self, quads: Iterable[Quad]) -> Iterator[None]:
        """Enclose a change of the dataset; afterwards drop the columns of the predicates of `quads`."""
        with self._changes.counted():
            try:
                yield
            finally:
                predicates = frozenset(str(predicate) for predicate in {quad.predicate for quad in quads})
                if predicates:
                    self._invalidate(predicates)

    def _invalidate(self, predicates: frozenset[str]) -> None:
        """Drop the columns of predicates, each written as `<IRI>`."""
        with self._lock:
            for key in [key for key in self._relations if key.predicate in predicates]:
                del self._relations[key], self._request_counts[key]
            self._refused = {
                task for task in self._refused if predicates.isdisjoint(item.predicate for item in task.patterns)
            }

    def _clear(self) -> None:
        self._request_counts.clear()
        self._relations.clear()
        self._refused.clear()
        self._terms = None

    def _ensure_loaded(self, sizes: dict[_RelationKey, int], dataset: OptimizableDataset) -> bool:
        """Load the patterns that were requested often enough; return whether all patterns are loaded."""
        missing = [key for key in sizes if key not in self._relations]
        if (
            len(self._request_counts) + len(self._refused) > _MAX_REMEMBERED_PATTERNS
            or len(self._terms or ()) > 2 * MAX_MATCHES
        ):
            self._clear()
            missing = list(sizes)
        self._request_counts.update(missing)
        if any(self._request_counts[key] < self._load_threshold for key in missing):
            return False
        if sum(map(len, self._relations.values())) + sum(sizes[key] for key in missing) > self.max_matches:
            self._clear()
            missing = list(sizes)
        version = self._changes.stable_version()
        loaded = {key: self._load_relation(key, dataset) for key in missing} if version is not None else {}
        # What was read while the dataset changed may mix two states, or be of a state that is undone.
        if version is None or self._changes.stable_version() != version:
            return False
        self._relations.update(loaded)
        return True

    def _load_relation(self, key: _RelationKey, dataset: OptimizableDataset) -> "Relation":
        from kg.engine.columns.kernels import Relation, TermDictionary  # noqa: PLC0415 - numpy is large, and most graphs are small

        if self._terms is None:
            self._terms = TermDictionary()
        table = dataset.select_as_tsv(key.query_text).decode().replace("\n", "\t").split("\t")[key.column_count : -1]
        return Relation([self._terms.encode(table[column :: key.column_count]) for column in range(key.column_count)])

    def _compute_groups(self, aggregation: Aggregation) -> str:
        from kg.engine.columns.kernels import TermDictionary, group_and_aggregate  # noqa: PLC0415 - as above

        relations = {
            item: self._relations[_relation_key(item, aggregation.template.prologue)] for item in aggregation.patterns
        }
        return group_and_aggregate(aggregation, relations, self._terms or TermDictionary())


def _describe_aggregation(aggregation: Aggregation) -> str:
    """Return what a plan does about the groups of an aggregation, in words."""
    tie_breaker = aggregation.tie_breaker[1]
    source = (
        "groups known from statistics"
        if aggregation.is_statistics_query
        else f"groups taken from columns from request {LOAD_THRESHOLD} on"
    )
    if "ORDER BY" in tie_breaker:
        return f"{source}; sorted by{tie_breaker.removeprefix(' ORDER BY')}"
    return f"{source}; ties broken by{tie_breaker}" if tie_breaker else source


def _relation_key(pattern: ColumnPattern, prologue: str) -> _RelationKey:
    """Return the key of a pattern; the names of its variables matter only to its filters."""
    subject, object_ = pattern.subject, pattern.object
    if not pattern.filters:
        subject, object_ = ("?s" if subject[0] == "?" else subject), ("?o" if object_[0] == "?" else object_)
        prologue = ""
    names = " ".join(term for term in (subject, object_) if term.startswith("?"))
    body = f"{subject} {pattern.predicate} {object_} {' '.join(pattern.filters)}"
    return _RelationKey(f"{prologue}SELECT {names} {{ {body} }}", pattern.predicate, len(pattern.variables))

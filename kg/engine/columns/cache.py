"""Keep the matches of triple patterns in columns, from which aggregations are answered.

To find what is said of a node, the engine's store walks all that is said of it, some two microseconds; columns are
joined and summed much faster, but to read them costs as much as some answers. So patterns are read once they were asked
for a few times, in queries with many matches, and dropped when their predicate changes.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
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
    estimate_pattern_matches,
    statistics_query_text,
)
from kg.engine.protocol import DatasetStatistics
from kg.errors import EngineError

if TYPE_CHECKING:
    from kg.engine.columns.kernels import Relation, TermDictionary

_BYTES_PER_MATCH: Final = 1_000
"""Bytes for each match that a cell must be allowed; reading them takes most, for a moment."""
_EMPTY_TEMPLATE: Final = QueryTemplate("", "", "", "")
_MAX_REMEMBERED_PATTERNS: Final = 1_000
"""Patterns whose askings are counted."""


@dataclass(frozen=True)
class _RelationKey:
    """What two patterns have in common that have the same matches; filters only if they are written alike."""

    query_text: str
    predicate: str
    column_count: int


class ColumnCache:
    """Columns of one dataset; `read` answers a SELECT query in TSV (SPARQL 1.1 Query Results CSV and TSV Formats).

    `state` tells a number that is another after each change, and None while one is made or tried: what is read
    meanwhile is not held. Safe for several threads, of which one at a time is answered.
    """

    def __init__(
        self,
        read: Callable[[str], bytes],
        change_number: Callable[[], int | None] = lambda: 0,
        load_threshold: int = LOAD_THRESHOLD,
    ) -> None:
        self.max_matches = MAX_MATCHES
        """Matches that are held at most."""
        self._read = read
        self._change_number = change_number
        self._load_threshold = load_threshold
        self._lock = threading.Lock()
        self._request_counts = Counter[_RelationKey]()
        self._relations = dict[_RelationKey, "Relation"]()
        self._terms: TermDictionary | None = None
        self._refused = set[Aggregation]()

    def prepare(self, memory: int, statistics: DatasetStatistics | None) -> None:
        """Load what is needed, if the dataset is large enough for it, before the process is forked into cells.

        A cell may use so many bytes more, so it loads nothing itself.
        """
        if statistics is None or (statistics.triples or 0) < MIN_TRIPLES:
            self.max_matches = 0
            return
        from kg.engine.columns import kernels  # noqa: F401, PLC0415 - see `_relation`

        self.max_matches = min(MAX_MATCHES, memory // _BYTES_PER_MATCH)

    def grouped_text(self, aggregation: Aggregation, statistics: DatasetStatistics) -> str | None:
        """The text of an aggregation whose groups are there already; None if the engine is to group them."""
        if aggregation.is_statistics_query:
            return statistics_query_text(aggregation, statistics)
        sizes = {
            _relation_key(item, aggregation.template.prologue): estimate_pattern_matches(item, statistics)
            for item in aggregation.patterns
        }
        task = replace(aggregation, template=_EMPTY_TEMPLATE, tie_breaker=(0, ""))
        if sum(sizes.values()) > self.max_matches:
            return None
        with self._lock:
            try:
                return (
                    self._compute_groups(aggregation)
                    if task not in self._refused and self._ensure_loaded(sizes)
                    else None
                )
            except (UnsupportedAggregationError, EngineError):
                self._refused.add(task)
                return None
            except MemoryError:
                self._clear()
                self._refused.add(task)
                return None

    def invalidate(self, predicates: Iterable[str]) -> None:
        """Drop what is held of some predicates, each as `<IRI>`."""
        with self._lock:
            changed = frozenset(predicates)
            for key in [key for key in self._relations if key.predicate in changed]:
                del self._relations[key], self._request_counts[key]
            self._refused = {
                task for task in self._refused if changed.isdisjoint(item.predicate for item in task.patterns)
            }

    def _clear(self) -> None:
        self._request_counts.clear()
        self._relations.clear()
        self._refused.clear()
        self._terms = None

    def _ensure_loaded(self, sizes: dict[_RelationKey, int]) -> bool:
        """Whether all patterns are held, once those are read that were asked for often enough."""
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
        before = self._change_number()
        read = {key: self._load_relation(key) for key in missing} if before is not None else {}
        if before is None or self._change_number() != before:
            return False
        self._relations.update(read)
        return True

    def _load_relation(self, key: _RelationKey) -> "Relation":
        from kg.engine.columns.kernels import Relation, TermDictionary  # noqa: PLC0415 - numpy is large, and most graphs are small

        if self._terms is None:
            self._terms = TermDictionary()
        table = self._read(key.query_text).decode().replace("\n", "\t").split("\t")[key.column_count : -1]
        return Relation([self._terms.encode(table[column :: key.column_count]) for column in range(key.column_count)])

    def _compute_groups(self, aggregation: Aggregation) -> str:
        from kg.engine.columns.kernels import TermDictionary, group_and_aggregate  # noqa: PLC0415 - as above

        relations = {
            item: self._relations[_relation_key(item, aggregation.template.prologue)] for item in aggregation.patterns
        }
        return group_and_aggregate(aggregation, relations, self._terms or TermDictionary())


def _relation_key(pattern: ColumnPattern, prologue: str) -> _RelationKey:
    """A query for the matches of a pattern; where there are no filters, names do not matter."""
    subject, object_ = pattern.subject, pattern.object
    if not pattern.filters:
        subject, object_ = ("?s" if subject[0] == "?" else subject), ("?o" if object_[0] == "?" else object_)
        prologue = ""
    names = " ".join(term for term in (subject, object_) if term.startswith("?"))
    body = f"{subject} {pattern.predicate} {object_} {' '.join(pattern.filters)}"
    return _RelationKey(f"{prologue}SELECT {names} {{ {body} }}", pattern.predicate, len(pattern.variables))

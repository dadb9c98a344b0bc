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

from kg.engine.columns.model import ASKED, LARGE, MOST, Aggregation, Pattern, UnsuitedError, Wording, expected, totals
from kg.engine.protocol import DatasetStatistics
from kg.errors import EngineError

if TYPE_CHECKING:
    from kg.engine.columns.kernels import Relation, Terms

_BYTES: Final = 1_000
"""Bytes for each match that a cell must be allowed; reading them takes most, for a moment."""
_UNWORDED: Final = Wording("", "", "", "")
_REMEMBERED: Final = 1_000
"""Patterns whose askings are counted."""


@dataclass(frozen=True)
class _Key:
    """What two patterns have in common that have the same matches; filters only if they are written alike."""

    text: str
    predicate: str
    columns: int


class Columns:
    """Columns of one dataset; `read` answers a SELECT query in TSV (SPARQL 1.1 Query Results CSV and TSV Formats).

    `state` tells a number that is another after each change, and None while one is made or tried: what is read
    meanwhile is not held. Safe for several threads, of which one at a time is answered.
    """

    def __init__(
        self, read: Callable[[str], bytes], state: Callable[[], int | None] = lambda: 0, asked: int = ASKED
    ) -> None:
        self.most = MOST
        """Matches that are held at most."""
        self._read = read
        self._state = state
        self._asked_for = asked
        self._lock = threading.Lock()
        self._asked = Counter[_Key]()
        self._held = dict[_Key, "Relation"]()
        self._terms: Terms | None = None
        self._refused = set[Aggregation]()

    def prepare(self, memory: int, counts: DatasetStatistics | None) -> None:
        """Load what is needed, if the dataset is large enough for it, before the process is forked into cells.

        A cell may use so many bytes more, so it loads nothing itself.
        """
        if counts is None or (counts.triples or 0) < LARGE:
            self.most = 0
            return
        from kg.engine.columns import kernels  # noqa: F401, PLC0415 - see `_relation`

        self.most = min(MOST, memory // _BYTES)

    def text(self, aggregation: Aggregation, counts: DatasetStatistics) -> str | None:
        """The text of an aggregation whose groups are there already; None if the engine is to group them."""
        if aggregation.counts_all:
            return totals(aggregation, counts)
        sizes = {_key(item, aggregation.wording.prologue): expected(item, counts) for item in aggregation.patterns}
        task = replace(aggregation, wording=_UNWORDED, ties=(0, ""))
        if sum(sizes.values()) > self.most:
            return None
        with self._lock:
            try:
                return self._grouped(aggregation) if task not in self._refused and self._has(sizes) else None
            except (UnsuitedError, EngineError):
                self._refused.add(task)
                return None
            except MemoryError:
                self._clear()
                self._refused.add(task)
                return None

    def forget(self, predicates: Iterable[str]) -> None:
        """Drop what is held of some predicates, each as `<IRI>`."""
        with self._lock:
            changed = frozenset(predicates)
            for key in [key for key in self._held if key.predicate in changed]:
                del self._held[key], self._asked[key]
            self._refused = {
                task for task in self._refused if changed.isdisjoint(item.predicate for item in task.patterns)
            }

    def _clear(self) -> None:
        self._asked.clear()
        self._held.clear()
        self._refused.clear()
        self._terms = None

    def _has(self, sizes: dict[_Key, int]) -> bool:
        """Whether all patterns are held, once those are read that were asked for often enough."""
        missing = [key for key in sizes if key not in self._held]
        if len(self._asked) + len(self._refused) > _REMEMBERED or len(self._terms or ()) > 2 * MOST:
            self._clear()
            missing = list(sizes)
        self._asked.update(missing)
        if any(self._asked[key] < self._asked_for for key in missing):
            return False
        if sum(map(len, self._held.values())) + sum(sizes[key] for key in missing) > self.most:
            self._clear()
            missing = list(sizes)
        before = self._state()
        read = {key: self._relation(key) for key in missing} if before is not None else {}
        if before is None or self._state() != before:
            return False
        self._held.update(read)
        return True

    def _relation(self, key: _Key) -> "Relation":
        from kg.engine.columns.kernels import Relation, Terms  # noqa: PLC0415 - numpy is large, and most graphs are small

        if self._terms is None:
            self._terms = Terms()
        table = self._read(key.text).decode().replace("\n", "\t").split("\t")[key.columns : -1]
        return Relation([self._terms.numbered(table[column :: key.columns]) for column in range(key.columns)])

    def _grouped(self, aggregation: Aggregation) -> str:
        from kg.engine.columns.kernels import Terms, grouped  # noqa: PLC0415 - as above

        relations = {item: self._held[_key(item, aggregation.wording.prologue)] for item in aggregation.patterns}
        return grouped(aggregation, relations, self._terms or Terms())


def _key(pattern: Pattern, prologue: str) -> _Key:
    """A query for the matches of a pattern; where there are no filters, names do not matter."""
    subject, object_ = pattern.subject, pattern.object
    if not pattern.filters:
        subject, object_ = ("?s" if subject[0] == "?" else subject), ("?o" if object_[0] == "?" else object_)
        prologue = ""
    names = " ".join(term for term in (subject, object_) if term.startswith("?"))
    body = f"{subject} {pattern.predicate} {object_} {' '.join(pattern.filters)}"
    return _Key(f"{prologue}SELECT {names} {{ {body} }}", pattern.predicate, len(pattern.variables))

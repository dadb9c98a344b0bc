"""Find things by their names, in whatever way Vietnamese is written, within a bounded time.

Each word may be the beginning of one, in any order. Names that are just what was asked, or begin so, are looked up in
order; others by their words, of which only some hundreds are read, those first that matter most. These candidates are
then ranked with care. So a question that a million names answer takes no longer than another; what is counted is then
a lower bound, and is said to be.
"""

import contextlib
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from kg.changes.journal import Journal
from kg.changes.sqlite_connection import ThreadConnection
from kg.errors import IndexingError, JournalError
from kg.sources.folding import AccentedWord, accented_words, folded_words
from kg.views import name_index
from kg.views.name_index import is_preferred, kind_rank, kind_word

MAX_SEARCH_LENGTH: Final = 200
"""Characters of a question that are looked at."""
MAX_QUERY_WORDS: Final = 8
"""Words of a question that are looked for."""
MAX_PREFIX_CANDIDATES: Final = 200
"""Names that begin as asked, of which some are taken for candidates."""
MAX_WORD_CANDIDATES: Final = 400
"""Names that have the words asked for, of which so many are taken for candidates."""
MAX_PROBED_KINDS: Final = 40
"""Kinds of which it is found out whether they have an answer too, where there are too many candidates."""

_INDEX_TIMEOUT: Final = 1.0
"""Seconds to wait for an index that is being made."""
_POLL_INTERVAL: Final = 0.02
_LAST_CODE_POINT: Final = "\U0010ffff"
_COLUMNS: Final = "names.id, iri, kind, text, language, predicate, words"
_PREFIX_QUERY: Final = f"""
SELECT * FROM (SELECT {_COLUMNS} FROM names WHERE words >= ?1 AND words < ?1 || '{_LAST_CODE_POINT}' ORDER BY words
LIMIT ?2)
WHERE ?3 IS NULL OR kind = ?3"""  # noqa: S608 - the names are constants
_WORDS_QUERY: Final = f"""
SELECT {_COLUMNS} FROM names JOIN (SELECT rowid AS number FROM found WHERE found MATCH ? ORDER BY rowid LIMIT ?)
ON names.id = number"""  # noqa: S608 - the names are constants
_EXISTS_QUERY: Final = "SELECT rowid FROM found WHERE found MATCH ? LIMIT 1"
_NAMES_QUERY: Final = "SELECT iri, language, text, predicate FROM names WHERE iri IN ({}) ORDER BY predicate, text"
_DAMAGED_ERROR_PREFIXES: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_SCHEMA", "SQLITE_FORMAT")
"""How the names of errors begin that tell of a file which is no index, or no longer one."""


@dataclass(frozen=True)
class SearchQuery:
    """What is looked for, of which kind, and which part of the answers is wanted."""

    text: str
    kind: str | None = None
    offset: int = 0
    limit: int = 20

    @cached_property
    def truncated_text(self) -> str:
        """What of the text is looked at, in characters that there are."""
        return _replace_surrogates(self.text[:MAX_SEARCH_LENGTH])

    @cached_property
    def comparable_text(self) -> str:
        """The text as it is compared."""
        return name_index.comparable_text(self.truncated_text)

    @cached_property
    def folded_words(self) -> tuple[str, ...]:
        """The words that are looked for, folded, each once."""
        return tuple(dict.fromkeys(folded_words(self.truncated_text)))[:MAX_QUERY_WORDS]


@dataclass(frozen=True)
class SearchMatch:
    """Something that was found: the name that fits best, and the names by which it is shown, by language."""

    iri: str
    kind: str
    text: str
    language: str
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, language: str) -> str:
        """Its name in a language, or else in another one."""
        return self.names.get(language) or next(iter(self.names.values()), self.text)


@dataclass(frozen=True)
class SearchResult:
    """The part of the answers that was asked for, and how many there are: in all, and of each kind.

    Where `more` is true `total` is a lower bound; where `more_kinds` is, so are the numbers of the kinds.
    """

    matches: tuple[SearchMatch, ...] = ()
    kind_counts: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    total_is_lower_bound: bool = False
    kinds_are_lower_bounds: bool = False


@dataclass(frozen=True)
class _Candidate:
    """A row of the index, a candidate."""

    iri: str
    kind: str
    text: str
    language: str
    predicate: int
    comparable_text: str


class NameSearch:
    """The names of a data folder's graph; safe for many threads and processes, forked ones too."""

    def __init__(self, folder: Path, build: Callable[[], object] | None = None) -> None:
        """Search in a folder; `build` makes the index where no keeper does so."""
        self._folder = folder
        self._build = build
        self._connections = ThreadConnection()
        self._building = threading.Lock()

    def find(self, question: SearchQuery, version: str) -> SearchResult:
        """Answer a question about a version of the dataset, as an engine tells it.

        Raises IndexingError while there is no index of it.
        """
        digest, _, generation = version.rpartition("-")
        try:
            return _search(self._up_to_date_connection(digest, int(generation)), question)
        except sqlite3.Error as error:
            self._handle_error(error)
            raise IndexingError from error

    def find_by_kind(self, kind: str, limit: int, version: str) -> SearchResult:
        """Some of the things of a kind, in a version of the dataset; raises IndexingError as `find` does."""
        return self.find(SearchQuery("", kind, 0, limit), version)

    def _up_to_date_connection(self, digest: str, generation: int) -> sqlite3.Connection:
        """A connection to an index that has all up to a generation, and is of this journal."""
        previous = self._connections.current
        connection = self._thread_connection(digest)
        if self._connections.current is not previous or name_index.indexed_generation(connection) != generation:
            self._apply_journal(connection, generation)
        return connection

    def _apply_journal(self, connection: sqlite3.Connection, generation: int) -> None:
        try:
            journal = Journal(self._folder)
            try:
                fits = name_index.apply_journal(connection, journal, generation)
            finally:
                journal.close()
        except JournalError as error:
            raise IndexingError from error
        if not fits:
            raise sqlite3.DatabaseError("an index of another journal")

    def _thread_connection(self, digest: str) -> sqlite3.Connection:
        """This thread's connection to the index of a dataset, which is looked for if it was replaced."""
        current = self._connections.current
        if current is not None and current.path.name.startswith(f"search-{digest}-") and current.path.exists():
            return current.connection
        self.close()
        path = self._wait_for_index(digest)
        return self._connections.replace(path, name_index.open_index(path)).connection

    def _wait_for_index(self, digest: str) -> Path:
        if self._build is not None:
            with self._building, contextlib.suppress(OSError):
                self._build()
        end = time.monotonic() + _INDEX_TIMEOUT
        while (path := name_index.find_index(self._folder, digest)) is None:
            if time.monotonic() > end:
                raise IndexingError
            time.sleep(_POLL_INTERVAL)
        return path

    def _handle_error(self, error: sqlite3.Error) -> None:
        """Close what met an error; a file that is no index is removed, so that it is made anew."""
        current = self._connections.current
        self.close()
        name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
        paths = [current.path] if current is not None else self._folder.glob("search-*.db")
        if name.startswith(_DAMAGED_ERROR_PREFIXES):
            for path in paths:
                name_index.delete_index(path)

    def close(self) -> None:
        """Close this thread's connection."""
        self._connections.close()


def _replace_surrogates(text: str) -> str:
    """A text without halves of characters, which no name has."""
    return text.encode("utf-8", "replace").decode()


def _search(connection: sqlite3.Connection, question: SearchQuery) -> SearchResult:
    kind = None if question.kind is None else _replace_surrogates(question.kind)
    if not question.comparable_text:
        return SearchResult() if kind is None else _search_kind(connection, kind, question)
    candidates, more = _find_candidates(connection, question, kind)
    everything, any_more = (candidates, more) if kind is None else _find_candidates(connection, question, None)
    ranked = _rank_candidates(candidates, question)
    kinds = {name.iri: name.kind for name in everything}
    counts = _count_by_kind(kinds.values())
    if any_more:
        counts |= {kind: 1 for kind in _kinds_with_answers(connection, question) if kind not in counts}
    if kind is not None and ranked:
        counts[kind] = len(ranked)
    part = ranked[question.offset : question.offset + question.limit]
    return SearchResult(_to_matches(connection, part), counts, len(ranked), more, any_more)


def _search_kind(connection: sqlite3.Connection, kind: str, question: SearchQuery) -> SearchResult:
    """The things of a kind, which nothing else was asked of, by name."""
    rows = dict[int, _Candidate]()
    more = (
        _collect_candidates(
            rows, connection.execute(_WORDS_QUERY, (_match_expression((), kind, beginnings=False), MAX_WORD_CANDIDATES))
        )
        == MAX_WORD_CANDIDATES
    )
    ranked = _rank_candidates(rows.values(), question)
    part = ranked[question.offset : question.offset + question.limit]
    return SearchResult(_to_matches(connection, part), {kind: len(ranked)}, len(ranked), more, more)


def _find_candidates(
    connection: sqlite3.Connection, question: SearchQuery, kind: str | None
) -> tuple[list[_Candidate], bool]:
    """Names that are answers, and whether there may be more of them."""
    rows = dict[int, _Candidate]()
    for beginning in (f"{question.comparable_text} {name_index.KIND_MARK}", question.comparable_text):
        read = _collect_candidates(rows, connection.execute(_PREFIX_QUERY, (beginning, MAX_PREFIX_CANDIDATES, kind)))
    if not question.folded_words:
        return list(rows.values()), read >= MAX_PREFIX_CANDIDATES
    more = False
    for beginnings in (False, True):
        if not more:
            text = _match_expression(question.folded_words, kind, beginnings=beginnings)
            more = (
                _collect_candidates(rows, connection.execute(_WORDS_QUERY, (text, MAX_WORD_CANDIDATES)))
                == MAX_WORD_CANDIDATES
            )
    return [name for name in rows.values() if _has_all_words(name, question.folded_words)], more


def _collect_candidates(rows: dict[int, _Candidate], found: Iterable[tuple[int, str, str, str, str, int, str]]) -> int:
    """Take rows for candidates; returns how many they were."""
    count = 0
    for number, iri, kind, text, language, predicate, all_words in found:
        count += 1
        if number not in rows:
            compared = all_words.partition(f" {name_index.KIND_MARK}")[0]
            rows[number] = _Candidate(iri, kind, text, language, predicate, compared)
    return count


def _match_expression(wanted: Sequence[str], kind: str | None, *, beginnings: bool) -> str:
    """An expression of FTS5: all words, as they are or as beginnings, and the one of a kind."""
    terms = [f'"{word}"*' if beginnings else f'"{word}"' for word in wanted]
    return " AND ".join([*terms, f'"{kind_word(kind)}"'] if kind is not None else terms)


def _has_all_words(name: _Candidate, wanted: Sequence[str]) -> bool:
    held = name.comparable_text.split(" ")
    return all(any(word.startswith(part) for word in held) for part in wanted)


def _count_by_kind(kinds: Iterable[str]) -> dict[str, int]:
    """How many things are of each kind: those kinds first that matter most, of these the most frequent."""
    counts = Counter(kinds)
    return dict(sorted(counts.items(), key=lambda item: (kind_rank(item[0]), -item[1], item[0])))


def _kinds_with_answers(connection: sqlite3.Connection, question: SearchQuery) -> Iterator[str]:
    """The kinds that have an answer, whether it is among the candidates or not."""
    for (kind,) in connection.execute("SELECT kind FROM kinds LIMIT ?", (MAX_PROBED_KINDS,)).fetchall():
        text = _match_expression(question.folded_words, kind, beginnings=True)
        if question.folded_words and connection.execute(_EXISTS_QUERY, (text,)).fetchone() is not None:
            yield kind


def _rank_candidates(candidates: Iterable[_Candidate], question: SearchQuery) -> list[_Candidate]:
    """The name that fits best of each thing, the best first."""
    asked = accented_words(question.truncated_text)[:MAX_QUERY_WORDS]
    best = dict[str, tuple[tuple[object, ...], _Candidate]]()
    for name in candidates:
        rank = _rank_key(name, asked, question)
        if name.iri not in best or rank < best[name.iri][0]:
            best[name.iri] = rank, name
    return [name for _, name in sorted(best.values(), key=lambda item: item[0])]


def _rank_key(name: _Candidate, asked: Sequence[AccentedWord], question: SearchQuery) -> tuple[object, ...]:
    """What a name is sorted by: how well it fits, then how much it matters, then its length."""
    held = set(name.comparable_text.split(" "))
    return (
        name.comparable_text != question.comparable_text,
        not _accents_agree(name.text, asked),
        not name.comparable_text.startswith(question.comparable_text),
        sum(word not in held for word in question.folded_words),
        not is_preferred(name.predicate),
        kind_rank(name.kind),
        len(name.comparable_text),
        name.text,
        name.iri,
        name.predicate,
    )


def _accents_agree(text: str, asked: Sequence[AccentedWord]) -> bool:
    """Whether the marks of all words that were asked for are those of a name."""
    held = accented_words(text)
    return all(any(word.is_prefix_of(other) for other in held) for word in asked)


def _to_matches(connection: sqlite3.Connection, part: Sequence[_Candidate]) -> tuple[SearchMatch, ...]:
    """Give what was found the names by which it is shown."""
    names = dict[str, dict[str, str]]()
    query = _NAMES_QUERY.format(", ".join("?" for _ in part))
    for iri, language, text, predicate in connection.execute(query, [name.iri for name in part]):
        if is_preferred(predicate):
            names.setdefault(iri, {}).setdefault(language, text)
    return tuple(SearchMatch(name.iri, name.kind, name.text, name.language, names.get(name.iri, {})) for name in part)

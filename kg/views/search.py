"""Find things by their names, in whatever way Vietnamese is written, within a bounded time.

Each word may be the beginning of one, in any order. Names that are just what was asked, or begin so, are looked up in
order; others by their words, of which only some hundreds are read, those first that matter most. These candidates are
then ranked with care. So a question that a million names answer takes no longer than another; what is counted is then
a lower bound, and is said to be.
"""

import contextlib
import os
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
from kg.errors import IndexingError, JournalError
from kg.sources.folding import Spelling, spellings, words
from kg.views import name_index
from kg.views.name_index import is_preferred, kind_word, rank_of

QUESTION: Final = 200
"""Characters of a question that are looked at."""
WORDS: Final = 8
"""Words of a question that are looked for."""
BEGINNING: Final = 200
"""Names that begin as asked, of which some are taken for candidates."""
CANDIDATES: Final = 400
"""Names that have the words asked for, of which so many are taken for candidates."""
KINDS: Final = 40
"""Kinds of which it is found out whether they have an answer too, where there are too many candidates."""

_PATIENCE: Final = 1.0
"""Seconds to wait for an index that is being made."""
_PAUSE: Final = 0.02
_LAST: Final = "\U0010ffff"
_COLUMNS: Final = "names.id, iri, kind, text, language, predicate, words"
_BEGINNING: Final = f"""
SELECT * FROM (SELECT {_COLUMNS} FROM names WHERE words >= ?1 AND words < ?1 || '{_LAST}' ORDER BY words LIMIT ?2)
WHERE ?3 IS NULL OR kind = ?3"""  # noqa: S608 - the names are constants
_WITH_WORDS: Final = f"""
SELECT {_COLUMNS} FROM names JOIN (SELECT rowid AS number FROM found WHERE found MATCH ? ORDER BY rowid LIMIT ?)
ON names.id = number"""  # noqa: S608 - the names are constants
_ANY: Final = "SELECT rowid FROM found WHERE found MATCH ? LIMIT 1"
_NAMES: Final = "SELECT iri, language, text, predicate FROM names WHERE iri IN ({}) ORDER BY predicate, text"
_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_SCHEMA", "SQLITE_FORMAT")
"""How the names of errors begin that tell of a file which is no index, or no longer one."""


@dataclass(frozen=True)
class Question:
    """What is looked for, of which kind, and which part of the answers is wanted."""

    text: str
    kind: str | None = None
    offset: int = 0
    limit: int = 20

    @cached_property
    def asked(self) -> str:
        """What of the text is looked at, in characters that there are."""
        return _encodable(self.text[:QUESTION])

    @cached_property
    def compared(self) -> str:
        """The text as it is compared."""
        return name_index.comparable(self.asked)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words that are looked for, folded, each once."""
        return tuple(dict.fromkeys(words(self.asked)))[:WORDS]


@dataclass(frozen=True)
class Match:
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
class Found:
    """The part of the answers that was asked for, and how many there are: in all, and of each kind.

    Where `more` is true `total` is a lower bound; where `more_kinds` is, so are the numbers of the kinds.
    """

    matches: tuple[Match, ...] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    more: bool = False
    more_kinds: bool = False


@dataclass(frozen=True)
class _Name:
    """A row of the index, a candidate."""

    iri: str
    kind: str
    text: str
    language: str
    predicate: int
    compared: str


@dataclass(frozen=True)
class _Connected:
    """A connection of one thread in one process."""

    process: int
    path: Path
    connection: sqlite3.Connection

    def holds(self, digest: str) -> bool:
        """Whether it may be used here for a dataset, and its file is still the one in place."""
        named = self.path.name.startswith(f"search-{digest}-")
        return named and self.process == os.getpid() and self.path.exists()


_left_behind: Final[list[_Connected]] = []
"""Connections that were inherited by a fork, kept from being closed."""


class Names:
    """The names of a data folder's graph; safe for many threads and processes, forked ones too."""

    def __init__(self, folder: Path, build: Callable[[], object] | None = None) -> None:
        """Search in a folder; `build` makes the index where no keeper does so."""
        self._folder = folder
        self._build = build
        self._local = threading.local()
        self._building = threading.Lock()

    def find(self, question: Question, version: str) -> Found:
        """Answer a question about a version of the dataset, as an engine tells it.

        Raises IndexingError while there is no index of it.
        """
        digest, _, generation = version.rpartition("-")
        try:
            return _found(self._following(digest, int(generation)), question)
        except sqlite3.Error as error:
            self._give_up(error)
            raise IndexingError from error

    def of_kind(self, kind: str, limit: int, version: str) -> Found:
        """Some of the things of a kind, in a version of the dataset; raises IndexingError as `find` does."""
        return self.find(Question("", kind, 0, limit), version)

    def _following(self, digest: str, generation: int) -> sqlite3.Connection:
        """A connection to an index that has all up to a generation, and is of this journal."""
        known: _Connected | None = getattr(self._local, "connected", None)
        connection = self._connected(digest)
        if known is not getattr(self._local, "connected", None) or name_index.generation(connection) != generation:
            self._follow(connection, generation)
        return connection

    def _follow(self, connection: sqlite3.Connection, generation: int) -> None:
        try:
            journal = Journal(self._folder)
            try:
                fits = name_index.follow(connection, journal, generation)
            finally:
                journal.close()
        except JournalError as error:
            raise IndexingError from error
        if not fits:
            raise sqlite3.DatabaseError("an index of another journal")

    def _connected(self, digest: str) -> sqlite3.Connection:
        """This thread's connection to the index of a dataset, which is looked for if it was replaced."""
        connected: _Connected | None = getattr(self._local, "connected", None)
        if connected is not None and connected.holds(digest):
            return connected.connection
        self.close()
        path = self._path(digest)
        self._local.connected = _Connected(os.getpid(), path, name_index.connect(path))
        return self._local.connected.connection  # type: ignore[no-any-return] # a thread's own attribute is untyped

    def _path(self, digest: str) -> Path:
        if self._build is not None:
            with self._building, contextlib.suppress(OSError):
                self._build()
        end = time.monotonic() + _PATIENCE
        while (path := name_index.path_of(self._folder, digest)) is None:
            if time.monotonic() > end:
                raise IndexingError
            time.sleep(_PAUSE)
        return path

    def _give_up(self, error: sqlite3.Error) -> None:
        """Close what met an error; a file that is no index is removed, so that it is made anew."""
        connected: _Connected | None = getattr(self._local, "connected", None)
        self.close()
        name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
        paths = [connected.path] if connected is not None else self._folder.glob("search-*.db")
        if name.startswith(_DAMAGED):
            for path in paths:
                name_index.discard(path)

    def close(self) -> None:
        """Close this thread's connection."""
        connected: _Connected | None = getattr(self._local, "connected", None)
        self._local.connected = None
        if connected is not None and connected.process == os.getpid():
            connected.connection.close()
        elif connected is not None:
            _left_behind.append(connected)


def _encodable(text: str) -> str:
    """A text without halves of characters, which no name has."""
    return text.encode("utf-8", "replace").decode()


def _found(connection: sqlite3.Connection, question: Question) -> Found:
    kind = None if question.kind is None else _encodable(question.kind)
    if not question.compared:
        return Found() if kind is None else _listed(connection, kind, question)
    candidates, more = _candidates(connection, question, kind)
    everything, any_more = (candidates, more) if kind is None else _candidates(connection, question, None)
    ranked = _ranked(candidates, question)
    kinds = {name.iri: name.kind for name in everything}
    counts = _counted(kinds.values())
    if any_more:
        counts |= {kind: 1 for kind in _others(connection, question) if kind not in counts}
    if kind is not None and ranked:
        counts[kind] = len(ranked)
    part = ranked[question.offset : question.offset + question.limit]
    return Found(_named(connection, part), counts, len(ranked), more, any_more)


def _listed(connection: sqlite3.Connection, kind: str, question: Question) -> Found:
    """The things of a kind, which nothing else was asked of, by name."""
    rows = dict[int, _Name]()
    more = _read(rows, connection.execute(_WITH_WORDS, (_match((), kind, beginnings=False), CANDIDATES))) == CANDIDATES
    ranked = _ranked(rows.values(), question)
    part = ranked[question.offset : question.offset + question.limit]
    return Found(_named(connection, part), {kind: len(ranked)}, len(ranked), more, more)


def _candidates(connection: sqlite3.Connection, question: Question, kind: str | None) -> tuple[list[_Name], bool]:
    """Names that are answers, and whether there may be more of them."""
    rows = dict[int, _Name]()
    for beginning in (f"{question.compared} {name_index.MARK}", question.compared):
        read = _read(rows, connection.execute(_BEGINNING, (beginning, BEGINNING, kind)))
    if not question.words:
        return list(rows.values()), read >= BEGINNING
    more = False
    for beginnings in (False, True):
        if not more:
            text = _match(question.words, kind, beginnings=beginnings)
            more = _read(rows, connection.execute(_WITH_WORDS, (text, CANDIDATES))) == CANDIDATES
    return [name for name in rows.values() if _has_all(name, question.words)], more


def _read(rows: dict[int, _Name], found: Iterable[tuple[int, str, str, str, str, int, str]]) -> int:
    """Take rows for candidates; returns how many they were."""
    count = 0
    for number, iri, kind, text, language, predicate, all_words in found:
        count += 1
        if number not in rows:
            compared = all_words.partition(f" {name_index.MARK}")[0]
            rows[number] = _Name(iri, kind, text, language, predicate, compared)
    return count


def _match(wanted: Sequence[str], kind: str | None, *, beginnings: bool) -> str:
    """An expression of FTS5: all words, as they are or as beginnings, and the one of a kind."""
    terms = [f'"{word}"*' if beginnings else f'"{word}"' for word in wanted]
    return " AND ".join([*terms, f'"{kind_word(kind)}"'] if kind is not None else terms)


def _has_all(name: _Name, wanted: Sequence[str]) -> bool:
    held = name.compared.split(" ")
    return all(any(word.startswith(part) for word in held) for part in wanted)


def _counted(kinds: Iterable[str]) -> dict[str, int]:
    """How many things are of each kind: those kinds first that matter most, of these the most frequent."""
    counts = Counter(kinds)
    return dict(sorted(counts.items(), key=lambda item: (rank_of(item[0]), -item[1], item[0])))


def _others(connection: sqlite3.Connection, question: Question) -> Iterator[str]:
    """The kinds that have an answer, whether it is among the candidates or not."""
    for (kind,) in connection.execute("SELECT kind FROM kinds LIMIT ?", (KINDS,)).fetchall():
        text = _match(question.words, kind, beginnings=True)
        if question.words and connection.execute(_ANY, (text,)).fetchone() is not None:
            yield kind


def _ranked(candidates: Iterable[_Name], question: Question) -> list[_Name]:
    """The name that fits best of each thing, the best first."""
    asked = spellings(question.asked)[:WORDS]
    best = dict[str, tuple[tuple[object, ...], _Name]]()
    for name in candidates:
        rank = _rank(name, asked, question)
        if name.iri not in best or rank < best[name.iri][0]:
            best[name.iri] = rank, name
    return [name for _, name in sorted(best.values(), key=lambda item: item[0])]


def _rank(name: _Name, asked: Sequence[Spelling], question: Question) -> tuple[object, ...]:
    """What a name is sorted by: how well it fits, then how much it matters, then its length."""
    held = set(name.compared.split(" "))
    return (
        name.compared != question.compared,
        not _agrees(name.text, asked),
        not name.compared.startswith(question.compared),
        sum(word not in held for word in question.words),
        not is_preferred(name.predicate),
        rank_of(name.kind),
        len(name.compared),
        name.text,
        name.iri,
        name.predicate,
    )


def _agrees(text: str, asked: Sequence[Spelling]) -> bool:
    """Whether the marks of all words that were asked for are those of a name."""
    held = spellings(text)
    return all(any(word.begins(other) for other in held) for word in asked)


def _named(connection: sqlite3.Connection, part: Sequence[_Name]) -> tuple[Match, ...]:
    """Give what was found the names by which it is shown."""
    names = dict[str, dict[str, str]]()
    query = _NAMES.format(", ".join("?" for _ in part))
    for iri, language, text, predicate in connection.execute(query, [name.iri for name in part]):
        if is_preferred(predicate):
            names.setdefault(iri, {}).setdefault(language, text)
    return tuple(Match(name.iri, name.kind, name.text, name.language, names.get(name.iri, {})) for name in part)

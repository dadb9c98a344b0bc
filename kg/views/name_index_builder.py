"""Build the index of names in a data folder, and bring it up to date with the journal.

An index is written to a temporary file and then renamed, so that an index in place is always complete. It holds nothing
that the graph does not hold: a missing or damaged index is built again.
"""

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from kg.changes.atomic_files import replace_atomically
from kg.changes.commit_rows import Commit
from kg.changes.journal import Journal
from kg.changes.locks import try_lock
from kg.engine.embedded import EmbeddedEngine
from kg.rdf.terms import Literal, NamedNode, Quad
from kg.sources.kinds import kind_of, kind_rank
from kg.sources.name_index import (
    ALTERNATIVE_NAME_PROPERTIES,
    FORMAT_VERSION,
    PREFERRED_NAME_PROPERTIES,
    comparable_text,
    find_index,
    is_preferred,
    kind_word,
    read_state,
)

MAX_INDEXED_LENGTH: Final = 400
"""The number of characters of a name that are indexed and can be found."""

_PREDICATE_NUMBERS: Final = {
    name: number for number, name in enumerate((*PREFERRED_NAME_PROPERTIES, *ALTERNATIVE_NAME_PROPERTIES))
}
_WEIGHT_SHIFT: Final = 40
"""The number of bits of a row id below the weight."""
_LOCK_FILE: Final = ".search.lock"
_TABLES_SQL: Final = f"""
PRAGMA application_id = {FORMAT_VERSION};
CREATE TABLE state (generation INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE TABLE kinds (kind TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE names (
  id INTEGER PRIMARY KEY, statement BLOB NOT NULL, iri TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
  language TEXT NOT NULL, predicate INTEGER NOT NULL, words TEXT NOT NULL
) STRICT;
CREATE VIRTUAL TABLE found USING fts5(
  words, content = 'names', content_rowid = 'id', tokenize = 'ascii', detail = 'none', columnsize = 0,
  prefix = '1 2 3 4 5 6 7'
);
"""
_INDEXES_SQL: Final = """
CREATE UNIQUE INDEX names_statement ON names (statement);
CREATE INDEX names_iri ON names (iri);
CREATE INDEX names_words ON names (words);
INSERT INTO found (found) VALUES ('rebuild');
INSERT INTO found (found) VALUES ('optimize');
ANALYZE;
"""

NameRow = tuple[int, bytes, str, str, str, str, int, str]
"""The columns of the table names: id, digest of the statement, IRI, kind, text, language, predicate, words."""


def build_index(engine: EmbeddedEngine, folder: Path) -> Path | None:
    """Build the index of an engine's current dataset and delete all other indexes in the data folder.

    Returns None without building it while another process builds one.
    """
    with try_lock(folder / _LOCK_FILE) as is_locked:
        if not is_locked:
            return None
        path = folder / f"search-{engine.digest}-{time.time_ns():020}.db"
        with replace_atomically(path) as temporary:
            commit_hash = Journal(folder).commit_hash(engine.generation) if engine.generation else ""
            _write_index(temporary, engine, commit_hash)
        _remove_other_indexes(folder, path)
    return path


def ensure_index(engine: EmbeddedEngine, folder: Path) -> None:
    """Build the index of the engine's dataset if it is missing."""
    if find_index(folder, engine.digest) is None:
        build_index(engine, folder)


def is_build_needed(engine: EmbeddedEngine, folder: Path) -> bool:
    """Return whether the index is missing and no process is building it."""
    if find_index(folder, engine.digest) is not None or not folder.is_dir():
        return False
    try:
        with try_lock(folder / _LOCK_FILE) as is_locked:
            return is_locked
    except OSError:
        return False


def apply_journal(connection: sqlite3.Connection, journal: Journal, generation: int) -> bool:
    """Apply the commits up to a generation that the index does not contain yet.

    Returns False if the index contains a commit that the journal does not: it belongs to another journal.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        number, commit_hash = read_state(connection)
        if number and journal.commit_hash(number) != commit_hash:
            return False
        for commit in journal.commits_since(number):
            if commit.number > generation:
                break
            _apply_commit(connection, commit)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return True


def _apply_commit(connection: sqlite3.Connection, commit: Commit) -> None:
    for quad in commit.delta.removed:
        if _is_name(quad):
            _remove_name(connection, quad)
    for quad in commit.delta.added:
        if _is_name(quad):
            _add_name(connection, quad)
    connection.execute("UPDATE state SET generation = ?, hash = ?", (commit.number, commit.summary.hash))


def _remove_name(connection: sqlite3.Connection, quad: Quad) -> None:
    row = connection.execute("SELECT id, words FROM names WHERE statement = ?", (_quad_digest(quad),)).fetchone()
    if row is not None:
        connection.execute("INSERT INTO found (found, rowid, words) VALUES ('delete', ?, ?)", row)
        connection.execute("DELETE FROM names WHERE id = ?", row[:1])


def _add_name(connection: sqlite3.Connection, quad: Quad) -> None:
    _remove_name(connection, quad)
    weight, row = _weight_and_row(quad)
    first, end = weight << _WEIGHT_SHIFT, (weight + 1) << _WEIGHT_SHIFT
    (last,) = connection.execute("SELECT MAX(id) FROM names WHERE id >= ? AND id < ?", (first, end)).fetchone()
    number = first if last is None else last + 1
    connection.execute("INSERT INTO names VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (number, *row))
    connection.execute("INSERT INTO found (rowid, words) VALUES (?, ?)", (number, row[-1]))
    connection.execute("INSERT OR IGNORE INTO kinds VALUES (?)", (row[2],))


def _write_index(path: Path, engine: EmbeddedEngine, commit_hash: str) -> None:
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # No journal and no synchronization: the file is temporary until it is complete.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_TABLES_SQL)
        connection.execute("BEGIN")
        kinds = _insert_names(connection, engine)
        connection.executemany("INSERT INTO kinds VALUES (?)", ((kind,) for kind in sorted(kinds)))
        connection.execute("INSERT INTO state VALUES (?, ?)", (engine.generation, commit_hash))
        connection.execute("COMMIT")
        connection.executescript(_INDEXES_SQL)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = WAL")


def _insert_names(connection: sqlite3.Connection, engine: EmbeddedEngine) -> set[str]:
    """Insert all names with ids that start with their weights; returns the kinds of the named things."""
    kinds, last = set[str](), dict[int, int]()

    def rows() -> Iterator[NameRow]:
        for quad in _name_quads(engine):
            weight, row = _weight_and_row(quad)
            number = last[weight] = last.get(weight, (weight << _WEIGHT_SHIFT) - 1) + 1
            kinds.add(row[2])
            yield number, *row

    connection.executemany("INSERT INTO names VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows())
    return kinds


def _name_quads(engine: EmbeddedEngine) -> Iterable[Quad]:
    return (
        quad for name in _PREDICATE_NUMBERS for quad in engine.quads_with_predicate(NamedNode(name)) if _is_name(quad)
    )


def _is_name(quad: Quad) -> bool:
    return (
        quad.predicate.value in _PREDICATE_NUMBERS
        and isinstance(quad.subject, NamedNode)
        and isinstance(quad.object, Literal)
    )


def _weight_and_row(quad: Quad) -> tuple[int, tuple[bytes, str, str, str, str, int, str]]:
    """Return the weight of a name, from 0 for the most relevant names to 255, and its row without the id.

    The weight combines the rank of the kind, whether the name is an alternative one, and the number of words.
    """
    subject, name = quad.subject, quad.object
    if not (isinstance(subject, NamedNode) and isinstance(name, Literal)):
        raise TypeError("a name is a literal, and its subject is an IRI")
    iri, text, predicate = subject.value, name.value[:MAX_INDEXED_LENGTH], _PREDICATE_NUMBERS[quad.predicate.value]
    kind, words = kind_of(iri), comparable_text(text)
    weight = kind_rank(kind) << 6 | (not is_preferred(predicate)) << 5 | min(words.count(" "), 31)
    row = (_quad_digest(quad), iri, kind, text, name.language or "", predicate, f"{words} {kind_word(kind)}")
    return weight, row


def _quad_digest(quad: Quad) -> bytes:
    return hashlib.blake2b(str(quad).encode(), digest_size=16).digest()


def _remove_other_indexes(folder: Path, current: Path) -> None:
    """Delete other indexes and the temporary files of builds that were killed."""
    for pattern in ("search-*", ".search-*"):
        for path in folder.glob(pattern):
            if not path.name.startswith(current.name):
                path.unlink(missing_ok=True)

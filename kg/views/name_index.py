"""The index of all names in the graph: an SQLite file in the data folder that follows the journal.

A row stands for one statement that names something, in one graph, so that a name which another graph still holds is
not lost. A file is for one dataset, whose digest is in its name, and knows of which generation it is; it is written
under another name and then renamed, so that what is there is whole. What is missing or damaged is made anew from the
graph: nothing is in it that the graph does not say.

The number of a row begins with how much its name matters: so SQLite, which finds rows in the order of their numbers,
finds first what matters most, and looking for a word that a million names have may end after some hundreds.
"""

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from kg.changes.atomic_files import replace_atomically
from kg.changes.journal import Commit, Journal
from kg.changes.locks import try_lock
from kg.engine.embedded import EmbeddedEngine
from kg.rdf.io import Literal, NamedNode, Quad
from kg.rdf.namespaces import BASE, DCTERMS, FOAF, HPEZ, HPSH, ID, RDFS, SCHEMA, SH, SKOS
from kg.sources.folding import fold_symbols, folded_words

PREFERRED_NAME_PROPERTIES: Final = (
    RDFS + "label", SKOS + "prefLabel", SH + "name", SCHEMA + "name", DCTERMS + "title", FOAF + "name",
)  # fmt: skip
"""The predicates of the names by which things are shown."""
ALTERNATIVE_NAME_PROPERTIES: Final = (
    SKOS + "altLabel", SKOS + "hiddenLabel", SKOS + "notation", SCHEMA + "alternateName", SCHEMA + "identifier",
)  # fmt: skip
"""The predicates of other spellings, abbreviations and codes."""
ONTOLOGY_KIND: Final = "ontology"
SHAPES_KIND: Final = "shapes"
FOREIGN_KIND: Final = "other"
"""The kind of what is named elsewhere than under the project's base."""
MAX_INDEXED_LENGTH: Final = 400
"""Characters of a name that are kept; what follows is not found."""
KIND_MARK: Final = "\ue000"
"""What the word begins with that stands for a kind; no word of a text does."""
ENTITY_RANK: Final = 0

_FORMAT_VERSION: Final = 1
_PREDICATE_NUMBERS: Final = {
    name: number for number, name in enumerate((*PREFERRED_NAME_PROPERTIES, *ALTERNATIVE_NAME_PROPERTIES))
}
_STATEMENT_KINDS: Final = frozenset({"claim", "issue", "source", "activity"})
_WEIGHT_SHIFT: Final = 40
"""Bits of a row's number behind its weight."""
_BUSY_TIMEOUT: Final = 10.0
"""Seconds to wait for another writer."""
_LOCK_FILE: Final = ".search.lock"
_TABLES_SQL: Final = f"""
PRAGMA application_id = {_FORMAT_VERSION};
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
_INDICES_SQL: Final = """
CREATE UNIQUE INDEX names_statement ON names (statement);
CREATE INDEX names_iri ON names (iri);
CREATE INDEX names_words ON names (words);
INSERT INTO found (found) VALUES ('rebuild');
INSERT INTO found (found) VALUES ('optimize');
ANALYZE;
"""

NameRow = tuple[int, bytes, str, str, str, str, int, str]


def kind_of(iri: str) -> str:
    """What sort of thing an IRI names: `zone` of /id/zone/…, a part of the vocabulary, or FOREIGN."""
    if iri.startswith(ID):
        return iri.removeprefix(ID).partition("/")[0] or FOREIGN_KIND
    for prefix, kind in ((HPEZ, ONTOLOGY_KIND), (HPSH, SHAPES_KIND)):
        if iri.startswith(prefix) or iri.split("/", 5)[:5] == [*BASE.rstrip("/").split("/"), kind]:
            return kind
    return iri.removeprefix(BASE).partition("/")[0] or FOREIGN_KIND if iri.startswith(BASE) else FOREIGN_KIND


def kind_rank(kind: str) -> int:
    """How far behind the entities a kind stands: they first, then terms and what is foreign, then what is said."""
    if kind in {ONTOLOGY_KIND, SHAPES_KIND, FOREIGN_KIND, "graph"}:
        return 1
    return 3 if kind == "evidence" else 2 if kind in _STATEMENT_KINDS else ENTITY_RANK


def kind_word(kind: str) -> str:
    """The word that stands for a kind among those of a name."""
    return KIND_MARK + hashlib.blake2b(kind.encode(), digest_size=8).hexdigest()


def is_preferred(predicate: int) -> bool:
    """Whether the name of a row is one by which things are shown."""
    return predicate < len(PREFERRED_NAME_PROPERTIES)


def comparable_text(text: str) -> str:
    """A text as it is compared: its folded words, or its symbols where it has none."""
    return " ".join(folded_words(text)) or fold_symbols(text)


def find_index(folder: Path, digest: str) -> Path | None:
    """The index of a dataset in a data folder; None if there is none yet."""
    return max(folder.glob(f"search-{digest}-*.db"), default=None)


def build_index(engine: EmbeddedEngine, folder: Path) -> Path | None:
    """Write the index of what an engine holds at this moment into the data folder.

    Nothing is done, and None returned, while another process does so. Indices of other datasets are removed.
    """
    with try_lock(folder / _LOCK_FILE) as alone:
        if not alone:
            return None
        path = folder / f"search-{engine.digest}-{time.time_ns():020}.db"
        with replace_atomically(path) as temporary:
            _write_index(temporary, engine, _hash_of_generation(folder, engine.generation))
        _remove_other_indices(folder, path)
    return path


def ensure_index(engine: EmbeddedEngine, folder: Path) -> None:
    """Build the index if there is none of the engine's dataset."""
    if find_index(folder, engine.digest) is None:
        build_index(engine, folder)


def is_build_needed(engine: EmbeddedEngine, folder: Path) -> bool:
    """Whether an index is missing and nobody is at work on it."""
    if find_index(folder, engine.digest) is not None or not folder.is_dir():
        return False
    try:
        with try_lock(folder / _LOCK_FILE) as alone:
            return alone
    except OSError:
        return False


def open_index(path: Path) -> sqlite3.Connection:
    """Open an index; raises sqlite3.Error if it is none."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", _BUSY_TIMEOUT, isolation_level=None, uri=True)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -16000")
        if connection.execute("PRAGMA application_id").fetchone() != (_FORMAT_VERSION,):
            raise sqlite3.DatabaseError("not an index of this format")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def indexed_generation(connection: sqlite3.Connection) -> int:
    """Of which generation an index is."""
    return int(_read_state(connection)[0])


def apply_journal(connection: sqlite3.Connection, journal: Journal, wanted: int) -> bool:
    """Take over from the journal what was committed up to a generation, unless others did.

    False if the journal is not the one that the index has followed so far: then it is of no use.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        number, known = _read_state(connection)
        if number and _commit_hash(journal, number) != known:
            return False
        for commit in journal.commits_since(number):
            if commit.number > wanted:
                break
            _apply_commit(connection, commit)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return True


def _read_state(connection: sqlite3.Connection) -> tuple[int, str]:
    row = connection.execute("SELECT generation, hash FROM state").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("an index that says nothing of itself")
    return row[0], row[1]


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
    least, end = weight << _WEIGHT_SHIFT, (weight + 1) << _WEIGHT_SHIFT
    (last,) = connection.execute("SELECT MAX(id) FROM names WHERE id >= ? AND id < ?", (least, end)).fetchone()
    number = least if last is None else last + 1
    connection.execute("INSERT INTO names VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (number, *row))
    connection.execute("INSERT INTO found (rowid, words) VALUES (?, ?)", (number, row[-1]))
    connection.execute("INSERT OR IGNORE INTO kinds VALUES (?)", (row[2],))


def _write_index(path: Path, engine: EmbeddedEngine, digest: str) -> None:
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_TABLES_SQL)
        connection.execute("BEGIN")
        kinds = _insert_names(connection, engine)
        connection.executemany("INSERT INTO kinds VALUES (?)", ((kind,) for kind in sorted(kinds)))
        connection.execute("INSERT INTO state VALUES (?, ?)", (engine.generation, digest))
        connection.execute("COMMIT")
        connection.executescript(_INDICES_SQL)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = WAL")


def _insert_names(connection: sqlite3.Connection, engine: EmbeddedEngine) -> set[str]:
    """Insert all names, those that matter most first; returns the kinds of what they name."""
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
    """A name as a row without its number, and its weight, the less the more it matters, below 256."""
    thing, name = quad.subject, quad.object
    if not (isinstance(thing, NamedNode) and isinstance(name, Literal)):
        raise TypeError("a name is a literal, and that of something with an IRI")
    iri, text, predicate = thing.value, name.value[:MAX_INDEXED_LENGTH], _PREDICATE_NUMBERS[quad.predicate.value]
    kind = kind_of(iri)
    compared = comparable_text(text)
    weight = kind_rank(kind) << 6 | (not is_preferred(predicate)) << 5 | min(compared.count(" "), 31)
    row = (_quad_digest(quad), iri, kind, text, name.language or "", predicate, f"{compared} {kind_word(kind)}")
    return weight, row


def _quad_digest(quad: Quad) -> bytes:
    return hashlib.blake2b(str(quad).encode(), digest_size=16).digest()


def _hash_of_generation(folder: Path, number: int) -> str:
    return _commit_hash(Journal(folder), number) if number else ""


def _commit_hash(journal: Journal, number: int) -> str:
    found = journal.list_summaries(number + 1, 1)
    return found[0].hash if found and found[0].number == number else ""


def _remove_other_indices(folder: Path, kept: Path) -> None:
    """Remove other indices, and what those left that were killed at one."""
    for pattern in ("search-*", ".search-*"):
        for path in folder.glob(pattern):
            if not path.name.startswith(kept.name):
                path.unlink(missing_ok=True)


def delete_index(path: Path) -> None:
    """Remove a damaged index, so that it is built anew."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)

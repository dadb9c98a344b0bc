"""The journal: the durable log of commits, which is the truth about a data folder; everything else follows it.

An SQLite database in write-ahead mode, synchronised to the disk with every commit. The number of a commit is the
generation of the dataset after it. Each commit has a hash over itself and the hash before it, so that no commit can
be altered, left out or put in without notice.
"""

import contextlib
import hashlib
import io
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from kg.engine.protocol import Delta
from kg.errors import ConflictError, InputError, IntegrityError, JournalError, NotFoundError
from kg.formats import NQUADS
from kg.gate import Report, report_from_json, report_to_json
from kg.rdf import NamedNode, Quad, read, serialize

FILE: Final = "journal.db"
BASE_HASH: Final = hashlib.sha256(b"").hexdigest()
"""What stands before the first commit."""
KEYS_KEPT: Final = timedelta(hours=48)
"""How long a request's Idempotency-Key is remembered."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS commits (
  number INTEGER PRIMARY KEY, time TEXT NOT NULL, agent TEXT NOT NULL, message TEXT NOT NULL, reason TEXT NOT NULL,
  added BLOB NOT NULL, removed BLOB NOT NULL, created TEXT NOT NULL, dropped TEXT NOT NULL, report BLOB NOT NULL,
  added_count INTEGER NOT NULL, removed_count INTEGER NOT NULL,
  reverts INTEGER, previous TEXT NOT NULL, hash TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS reverted ON commits (reverts) WHERE reverts IS NOT NULL;
CREATE TABLE IF NOT EXISTS keys (
  agent TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, number INTEGER NOT NULL, time TEXT NOT NULL,
  PRIMARY KEY (agent, key)
) STRICT;
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, time TEXT NOT NULL, event TEXT NOT NULL) STRICT;
"""
_COLUMNS: Final = (
    "number", "time", "agent", "message", "reason", "added", "removed", "created", "dropped", "report",
    "added_count", "removed_count", "reverts", "previous", "hash",
)  # fmt: skip
_SUMMARY: Final = (
    "number", "time", "agent", "message", "reason", "added_count", "removed_count", "reverts", "previous", "hash",
)  # fmt: skip
_PATIENCE: Final = 10.0
"""Seconds to wait for another writer."""


@dataclass(frozen=True)
class IdempotencyKey:
    """A name that a client gives to a request so that it may be sent twice; `digest` is of all that was sent."""

    agent: str
    key: str
    digest: str


@dataclass(frozen=True)
class Entry:
    """What is to be committed."""

    agent: str
    message: str
    reason: str
    delta: Delta
    report: Report
    reverts: int | None = None
    key: IdempotencyKey | None = None


@dataclass(frozen=True)
class Summary:
    """A commit without its content; `time` is in UTC, the counts are of quads."""

    number: int
    time: datetime
    agent: str
    message: str
    reason: str
    added: int
    removed: int
    reverts: int | None
    previous: str
    hash: str


@dataclass(frozen=True)
class Commit:
    """A commit: what changed, who did it, why, and what the gate found."""

    summary: Summary
    delta: Delta
    report: Report

    @property
    def number(self) -> int:
        """Its number, which is the generation of the dataset after it."""
        return self.summary.number


class Journal:
    """The journal of a data folder; safe for many threads and processes."""

    def __init__(self, folder: Path) -> None:
        """Open it, or begin one. Raises JournalError if that cannot be done."""
        self._path = folder / FILE
        self._local = threading.local()
        with _explained(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            if not self._path.exists():
                with self._connection() as connection:
                    connection.executescript(_SCHEMA)

    @property
    def last(self) -> int:
        """The number of the newest commit, 0 if there is none."""
        with self._reading() as connection:
            return int(connection.execute("SELECT COALESCE(MAX(number), 0) FROM commits").fetchone()[0])

    @property
    def head(self) -> str:
        """The hash of the newest commit."""
        with self._reading() as connection:
            return _head(connection)[1]

    def append(self, entry: Entry, expected: int) -> Commit:
        """Commit, if the newest commit is the expected one; the commit is on the disk when this returns.

        Raises ConflictError if it is another one or the commit that is undone was undone already, InputError if the
        key was used for something else, JournalError if nothing can be written. Nothing is changed then.
        """
        with _explained(self._path), self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                commit = _appended(connection, entry, expected)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
        return commit

    def commit(self, number: int) -> Commit:
        """One commit; raises NotFoundError."""
        with self._reading() as connection:
            row = connection.execute(f"{_select(_COLUMNS)} WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise NotFoundError(f"There is no commit {number}.")
        return _commit(dict(zip(_COLUMNS, row, strict=True)))

    def since(self, number: int) -> Iterator[Commit]:
        """The commits after a number, in order."""
        while True:
            with self._reading() as connection:
                row = connection.execute(
                    f"{_select(_COLUMNS)} WHERE number > ? ORDER BY number LIMIT 1", (number,)
                ).fetchone()
            if row is None:
                return
            commit = _commit(dict(zip(_COLUMNS, row, strict=True)))
            number = commit.number
            yield commit

    def page(self, before: int | None, limit: int) -> tuple[Summary, ...]:
        """The newest commits below a number, the newest first, without their content."""
        with self._reading() as connection:
            rows = connection.execute(
                f"{_select(_SUMMARY)} WHERE ? IS NULL OR number < ? ORDER BY number DESC LIMIT ?",
                (before, before, limit),
            ).fetchall()
        return tuple(_summary(dict(zip(_SUMMARY, row, strict=True))) for row in rows)

    def reverted_by(self, number: int) -> int | None:
        """The commit that undid a commit, if any did."""
        with self._reading() as connection:
            row = connection.execute("SELECT number FROM commits WHERE reverts = ?", (number,)).fetchone()
        return None if row is None else int(row[0])

    def recall(self, key: IdempotencyKey) -> Commit | None:
        """The commit that a request with the same key made; raises InputError if the request was another one."""
        with self._reading() as connection:
            row = _recalled(connection, key)
        return None if row is None else self.commit(row)

    def note(self, event: str) -> None:
        """Note what is no commit but belongs into the log: who was given a token, and who lost it."""
        with _explained(self._path), self._connection() as connection:
            connection.execute("INSERT INTO events (time, event) VALUES (?, ?)", (datetime.now(UTC).isoformat(), event))

    def events(self) -> tuple[tuple[datetime, str], ...]:
        """What was noted, in order."""
        with self._reading() as connection:
            rows = connection.execute("SELECT time, event FROM events ORDER BY number").fetchall()
        return tuple((datetime.fromisoformat(time), event) for time, event in rows)

    def verify(self) -> int:
        """Check every commit's hash and how the numbers follow each other; returns how many commits there are.

        Raises IntegrityError that names the first commit that is not what was once written.
        """
        number, previous = 0, BASE_HASH
        with self._reading() as connection:
            for row in connection.execute(f"{_select(_COLUMNS)} ORDER BY number"):
                fields = dict(zip(_COLUMNS, row, strict=True))
                good = fields["number"] == number + 1 and fields["previous"] == previous
                if not good or fields["hash"] != _hash(fields):
                    raise IntegrityError(f"Commit {number + 1} of the journal is not what was once written.")
                number, previous = fields["number"], fields["hash"]
        return number

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            connection.close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _explained(self._path), self._connection() as connection:
            yield connection

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection; one that met an error is not used again."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None)
            self._local.connection = connection
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        try:
            yield connection
        except sqlite3.Error:
            self.close()
            raise


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Let what SQLite and the operating system say be a JournalError that helps."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"The journal {path} cannot be used: {_reason(error)}. Nothing was changed.") from error


def _reason(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL") or name == "SQLITE_IOERR_WRITE":
        return "the disk is full"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"another program has had it locked for {_PATIENCE:g} seconds"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
        return "its folder is read-only, or cannot be opened"
    return str(error)


def _select(columns: tuple[str, ...]) -> str:
    return f"SELECT {', '.join(columns)} FROM commits"  # noqa: S608 - the names are constants


def _head(connection: sqlite3.Connection) -> tuple[int, str]:
    row = connection.execute("SELECT number, hash FROM commits ORDER BY number DESC LIMIT 1").fetchone()
    return (0, BASE_HASH) if row is None else (int(row[0]), str(row[1]))


def _appended(connection: sqlite3.Connection, entry: Entry, expected: int) -> Commit:
    number, previous = _head(connection)
    if number != expected:
        raise ConflictError(f"The dataset is of generation {number}, not {expected}: another change came first.")
    now = datetime.now(UTC).replace(microsecond=0)
    fields = _fields(entry, number + 1, now, previous)
    _refuse_second_revert(connection, entry)
    if entry.key is not None:
        _remember(connection, entry.key, number + 1, now)
    marks = ", ".join("?" for _ in _COLUMNS)
    connection.execute(
        f"INSERT INTO commits ({', '.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608 - the names are constants
        tuple(fields[name] for name in _COLUMNS),
    )
    return Commit(_summary(fields), entry.delta, entry.report)


def _refuse_second_revert(connection: sqlite3.Connection, entry: Entry) -> None:
    row = connection.execute("SELECT number FROM commits WHERE reverts = ?", (entry.reverts,)).fetchone()
    if row is not None:
        raise ConflictError(f"Commit {entry.reverts} was undone already, by commit {row[0]}.")


def _remember(connection: sqlite3.Connection, key: IdempotencyKey, number: int, now: datetime) -> None:
    connection.execute("DELETE FROM keys WHERE time < ?", ((now - KEYS_KEPT).isoformat(),))
    if _recalled(connection, key) is not None:
        raise ConflictError("The same request is being answered already.")
    connection.execute(
        "INSERT INTO keys (agent, key, digest, number, time) VALUES (?, ?, ?, ?, ?)",
        (key.agent, key.key, key.digest, number, now.isoformat()),
    )


def _recalled(connection: sqlite3.Connection, key: IdempotencyKey) -> int | None:
    row = connection.execute(
        "SELECT digest, number FROM keys WHERE agent = ? AND key = ?", (key.agent, key.key)
    ).fetchone()
    if row is None:
        return None
    if row[0] != key.digest:
        raise InputError("The Idempotency-Key was used for another request; nothing was changed.")
    return int(row[1])


def _fields(entry: Entry, number: int, now: datetime, previous: str) -> dict[str, Any]:
    delta = entry.delta
    fields = {
        "number": number,
        "time": now.isoformat(),
        "agent": entry.agent,
        "message": entry.message,
        "reason": entry.reason,
        "added": packed(delta.added),
        "removed": packed(delta.removed),
        "created": _names(delta.created),
        "dropped": _names(delta.dropped),
        "report": zlib.compress(json.dumps(report_to_json(entry.report), ensure_ascii=False).encode()),
        "added_count": len(delta.added),
        "removed_count": len(delta.removed),
        "reverts": entry.reverts,
        "previous": previous,
    }
    return {**fields, "hash": _hash(fields)}


def _hash(fields: dict[str, Any]) -> str:
    """SHA-256 over all that a commit says, its content unpacked: one JSON array."""
    content = [
        zlib.decompress(fields[name]).decode() if isinstance(fields[name], bytes) else fields[name]
        for name in _COLUMNS
        if name != "hash"
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def packed(quads: Iterable[Quad]) -> bytes:
    """Quads as sorted, compressed N-Quads; blank nodes keep their names."""
    return zlib.compress(b"\n".join(sorted(serialize(quads, NQUADS).splitlines())) + b"\n")


def unpacked(data: bytes) -> frozenset[Quad]:
    """The quads that `packed` packed."""
    return frozenset(read(io.BytesIO(zlib.decompress(data)), NQUADS))


def _names(graphs: Iterable[NamedNode]) -> str:
    return json.dumps(sorted(graph.value for graph in graphs), ensure_ascii=False)


def _graphs(names: str) -> frozenset[NamedNode]:
    return frozenset(map(NamedNode, json.loads(names)))


def _summary(fields: dict[str, Any]) -> Summary:
    return Summary(
        number=fields["number"],
        time=datetime.fromisoformat(fields["time"]),
        agent=fields["agent"],
        message=fields["message"],
        reason=fields["reason"],
        added=fields["added_count"],
        removed=fields["removed_count"],
        reverts=fields["reverts"],
        previous=fields["previous"],
        hash=fields["hash"],
    )


def _commit(fields: dict[str, Any]) -> Commit:
    delta = Delta(
        unpacked(fields["added"]), unpacked(fields["removed"]), _graphs(fields["created"]), _graphs(fields["dropped"])
    )
    return Commit(_summary(fields), delta, report_from_json(json.loads(zlib.decompress(fields["report"]))))

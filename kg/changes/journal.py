"""The journal: the durable log of commits, which is the truth about a data folder; everything else follows it.

An SQLite database in write-ahead mode, synchronised to the disk with every commit. The number of a commit is the
generation of the dataset after it. Each commit has a hash over itself and the hash before it, so that no commit can
be altered, left out or put in without notice; before the first stands the digest of the dataset that it changed, so
that a journal cannot be taken for that of another dataset. What is noted about tokens is chained likewise.
"""

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from kg.changes.locks import in_turn
from kg.engine.protocol import Delta
from kg.errors import ConflictError, InputError, IntegrityError, JournalError, KgError, NotFoundError
from kg.rdf.formats import NQUADS
from kg.rdf.io import NamedNode, Quad, read, serialize
from kg.validation.report import Report, report_from_json, report_to_json

FILE: Final = "journal.db"
BASE_MANIFEST: Final = "build.json"
"""The file beside the journal that names the digest of the dataset before the first commit."""
BASE_HASH: Final = hashlib.sha256(b"").hexdigest()
"""What stands before the first commit where that dataset is not kept."""
KEYS_KEPT: Final = timedelta(hours=48)
"""How long a request's Idempotency-Key is remembered."""

_LARGEST: Final = 2**63 - 1
"""The largest number that SQLite knows."""
_VERSION: Final = 2
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
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
CREATE TABLE IF NOT EXISTS audit (
  number INTEGER PRIMARY KEY, time TEXT NOT NULL, event TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS releases (
  id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, dataset BLOB NOT NULL
) STRICT;
PRAGMA user_version = {_VERSION};
COMMIT;
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
_PAUSE: Final = 0.01
_TURN: Final = "writing.lock"
_LONGEST_TURN: Final = 90.0
"""Seconds to wait for the turn of others, of which each may be that of a long change."""
_UNWRITABLE: Final = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR_SHM")
"""How the names of errors begin that tell of a folder where SQLite cannot put its shared memory."""


@dataclass(frozen=True)
class IdempotencyKey:
    """A name that a client gives to a request so that it may be sent twice; `digest` is of all that was sent."""

    agent: str
    key: str
    digest: str


@dataclass(frozen=True)
class Release:
    """The curated dataset of a release, with the blank nodes that it has here; `fingerprint` is that of its files."""

    fingerprint: str
    quads: frozenset[Quad]


@dataclass(frozen=True)
class Entry:
    """What is to be committed; `release` is there if the commit brings a new release."""

    agent: str
    message: str
    reason: str
    delta: Delta
    report: Report
    reverts: int | None = None
    key: IdempotencyKey | None = None
    release: Release | None = None


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


@dataclass(frozen=True)
class _Connected:
    """A connection of one process; a fork's child must not touch it, not even to close it."""

    process: int
    connection: sqlite3.Connection


_left_behind: Final[list[_Connected]] = []
"""Connections that were inherited by a fork, kept from being closed."""


class Journal:
    """The journal of a data folder; safe for many threads and processes, forked ones too."""

    def __init__(self, folder: Path) -> None:
        """Open it, or begin one. Raises JournalError if that cannot be done.

        In a folder that may not be written, a journal that is there can be read all the same.
        """
        self._folder = folder
        self._path = folder / FILE
        self._local = threading.local()
        self._base = base_of(folder)
        with _explained(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            with self._connection() as connection:
                if _version(connection) < _VERSION:
                    connection.executescript(_SCHEMA)

    @property
    def base(self) -> str | None:
        """The digest of the dataset before the first commit; None while there is no commit."""
        with self._reading() as connection:
            row = connection.execute("SELECT previous FROM commits WHERE number = 1").fetchone()
        return None if row is None else str(row[0])

    @property
    def last(self) -> int:
        """The number of the newest commit, 0 if there is none."""
        with self._reading() as connection:
            return int(connection.execute("SELECT COALESCE(MAX(number), 0) FROM commits").fetchone()[0])

    @property
    def head(self) -> str:
        """The hash of the newest commit."""
        with self._reading() as connection:
            return _head(connection, self._base)[1]

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let other writers of the folder wait meanwhile, so that short changes do not overtake a long one forever.

        Without it nothing goes wrong: a journal takes a commit only upon the one that its writer knew. Raises
        ConflictError if others take too long.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(in_turn(self._folder / _TURN, _LONGEST_TURN))
            except TimeoutError:
                raise ConflictError("Other changes take too long; nothing was changed. Send it once more.") from None
            yield

    def append(self, entry: Entry, expected: int) -> Commit:
        """Commit, if the newest commit is the expected one; the commit is on the disk when this returns.

        Raises ConflictError if it is another one or the commit that is undone was undone already, InputError if the
        key was used for something else, JournalError if nothing can be written, or if the dataset under the first
        commit was built anew since the journal was opened. Nothing is changed then.
        """
        with self._writing() as connection:
            number, previous = _head(connection, self._base)
            if number == 0 and base_of(self._folder) != self._base:
                raise JournalError("The graph was built anew meanwhile; restart what has it open. Nothing was changed.")
            if number != expected:
                raise ConflictError(
                    f"The dataset is of generation {number}, not {expected}: another change came first."
                )
            return _appended(connection, entry, number + 1, previous)

    def commit(self, number: int) -> Commit:
        """One commit; raises NotFoundError, and IntegrityError if it is not what was once written."""
        row = self._row("WHERE number = ?", number)
        if row is None:
            raise NotFoundError(f"There is no commit {number}.")
        return _commit(row)

    def since(self, number: int) -> Iterator[Commit]:
        """The commits after a number, in order; raises IntegrityError at one that is not what was once written."""
        known = self._row("WHERE number = ?", number)
        previous = None if known is None else known["hash"]
        while (row := self._row("WHERE number > ? ORDER BY number LIMIT 1", number)) is not None:
            if row["number"] != number + 1 or previous not in {None, row["previous"]}:
                raise _broken(number + 1)
            number, previous = row["number"], row["hash"]
            yield _commit(row)

    def _row(self, condition: str, number: int) -> dict[str, Any] | None:
        if number > _LARGEST:
            return None
        with self._reading() as connection:
            row = connection.execute(f"{_select(_COLUMNS)} {condition}", (number,)).fetchone()
        return None if row is None else dict(zip(_COLUMNS, row, strict=True))

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
        with self._writing() as connection:
            row = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
            number, previous = (0, BASE_HASH) if row is None else row
            fields = (number + 1, datetime.now(UTC).isoformat(), event, previous)
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", (*fields, _digest(fields)))

    def events(self) -> tuple[tuple[datetime, str], ...]:
        """What was noted, in order."""
        with self._reading() as connection:
            rows = connection.execute("SELECT time, event FROM audit ORDER BY number").fetchall()
        return tuple((datetime.fromisoformat(time), event) for time, event in rows)

    @property
    def fingerprint(self) -> str | None:
        """The fingerprint of the newest release that came as a commit; None if none did."""
        with self._reading() as connection:
            row = connection.execute("SELECT fingerprint FROM releases ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else str(row[0])

    def release(self) -> Release | None:
        """The newest release that came as a commit, or was adopted; raises IntegrityError if it cannot be read."""
        with self._reading() as connection:
            row = connection.execute("SELECT fingerprint, dataset FROM releases ORDER BY id DESC LIMIT 1").fetchone()
        try:
            return None if row is None else Release(row[0], unpacked(row[1]))
        except (zlib.error, ValueError, KgError) as error:
            raise IntegrityError("The release that the journal keeps is not what was once written.") from error

    def adopt(self, release: Release) -> None:
        """Take a release as the one that the dataset has, without a commit: it changes nothing."""
        with self._writing() as connection:
            _take_up(connection, release)

    def verify(self) -> int:
        """Check every commit's hash and how the numbers follow each other; returns how many commits there are.

        What was noted is checked too. Raises IntegrityError that names the first commit that is not what was once
        written, or says that the journal is that of another dataset than the one that is kept beside it.
        """
        number, previous = 0, None
        with self._reading() as connection:
            for row in connection.execute(f"{_select(_COLUMNS)} ORDER BY number"):
                fields = dict(zip(_COLUMNS, row, strict=True))
                if fields["number"] != number + 1 or previous not in {None, fields["previous"]}:
                    raise _broken(number + 1)
                _check(fields)
                number, previous = fields["number"], fields["hash"]
            _verify_audit(connection)
        if self.base not in {None, BASE_HASH, base_of(self._folder)}:
            raise IntegrityError("The journal is that of another dataset than the one that is kept beside it.")
        return number

    def close(self) -> None:
        """Close this thread's connection."""
        connected: _Connected | None = getattr(self._local, "connected", None)
        if connected is None:
            return
        self._local.connected = None
        if connected.process == os.getpid():
            connected.connection.close()
        else:
            _left_behind.append(connected)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _explained(self._path), self._connection() as connection:
            yield connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that the block does is on the disk afterwards, or nothing if it raises."""
        with _explained(self._path), self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection in this process; one that met an error is not used again."""
        connected: _Connected | None = getattr(self._local, "connected", None)
        if connected is None or connected.process != os.getpid():
            self.close()
            connected = self._connected()
        try:
            yield connected.connection
        except sqlite3.Error:
            self.close()
            raise
        finally:
            if getattr(self._local, "connected", None) is not connected:
                connected.connection.close()

    def _connected(self) -> _Connected:
        """Connect; where only reading is possible, for once, since what others write would not be seen."""
        connected = _Connected(os.getpid(), sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None))
        try:
            _log_ahead(connected.connection)
        except sqlite3.Error as error:
            connected.connection.close()
            ahead = self._path.with_name(f"{FILE}-wal")
            unwritable = getattr(error, "sqlite_errorname", "").startswith(_UNWRITABLE)
            if not unwritable or not self._path.exists() or (ahead.exists() and ahead.stat().st_size):
                raise
            address = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
            return _Connected(os.getpid(), sqlite3.connect(address, uri=True, isolation_level=None))
        self._local.connected = connected
        return connected


def base_of(folder: Path) -> str:
    """The digest of the dataset that a data folder was built with, BASE_HASH if it keeps none."""
    try:
        return str(json.loads((folder / BASE_MANIFEST).read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return BASE_HASH


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Set the write-ahead mode; SQLite does not wait by itself for another program that does so just now."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
    connection.execute("PRAGMA synchronous = FULL")
    _version(connection)


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Let what SQLite and the operating system say be a JournalError that helps."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"The journal {path} cannot be used: {_reason(error)}. Nothing was changed.") from error


def _reason(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_SHM")) or name == "SQLITE_IOERR_WRITE":
        return "the disk is full"
    if _is_busy(error):
        return f"another program has had it locked for {_PATIENCE:g} seconds"
    if name.startswith(_UNWRITABLE):
        return "its folder is read-only, or cannot be opened"
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return "the file is damaged; restore it from a backup"
    return str(error)


def _select(columns: tuple[str, ...]) -> str:
    return f"SELECT {', '.join(columns)} FROM commits"  # noqa: S608 - the names are constants


def _head(connection: sqlite3.Connection, base: str) -> tuple[int, str]:
    row = connection.execute("SELECT number, hash FROM commits ORDER BY number DESC LIMIT 1").fetchone()
    return (0, base) if row is None else (int(row[0]), str(row[1]))


def _appended(connection: sqlite3.Connection, entry: Entry, number: int, previous: str) -> Commit:
    now = datetime.now(UTC).replace(microsecond=0)
    fields = _fields(entry, number, now, previous)
    _refuse_second_revert(connection, entry)
    if entry.key is not None:
        _remember(connection, entry.key, number, now)
    if entry.release is not None:
        _take_up(connection, entry.release)
    marks = ", ".join("?" for _ in _COLUMNS)
    connection.execute(
        f"INSERT INTO commits ({', '.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608 - the names are constants
        tuple(fields[name] for name in _COLUMNS),
    )
    return Commit(_summary(fields), entry.delta, entry.report)


def _take_up(connection: sqlite3.Connection, release: Release) -> None:
    connection.execute("DELETE FROM releases")
    connection.execute(
        "INSERT INTO releases (fingerprint, dataset) VALUES (?, ?)", (release.fingerprint, packed(release.quads))
    )


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
    return _digest(
        zlib.decompress(fields[name]).decode() if isinstance(fields[name], bytes) else fields[name]
        for name in _COLUMNS
        if name != "hash"
    )


def _digest(content: Iterable[object]) -> str:
    text = json.dumps(list(content), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _check(fields: dict[str, Any]) -> None:
    """Raise IntegrityError for a commit that has another hash than it was given."""
    try:
        good = fields["hash"] == _hash(fields)
    except (zlib.error, ValueError) as error:
        raise _broken(fields["number"]) from error
    if not good:
        raise _broken(fields["number"])


def _broken(number: int) -> IntegrityError:
    return IntegrityError(f"Commit {number} of the journal is not what was once written.")


def _verify_audit(connection: sqlite3.Connection) -> None:
    number, previous = 0, BASE_HASH
    for row in connection.execute("SELECT number, time, event, previous, hash FROM audit ORDER BY number"):
        if row[0] != number + 1 or row[3] != previous or row[4] != _digest(row[:4]):
            raise IntegrityError(f"Event {number + 1} of the journal is not what was once written.")
        number, previous = row[0], row[4]


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
    _check(fields)
    delta = Delta(
        unpacked(fields["added"]), unpacked(fields["removed"]), _graphs(fields["created"]), _graphs(fields["dropped"])
    )
    return Commit(_summary(fields), delta, report_from_json(json.loads(zlib.decompress(fields["report"]))))

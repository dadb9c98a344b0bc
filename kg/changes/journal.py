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

from kg.changes.locks import lock_with_timeout
from kg.engine.protocol import Delta
from kg.errors import ConflictError, InputError, IntegrityError, JournalError, KgError, NotFoundError
from kg.rdf.formats import NQUADS
from kg.rdf.io import NamedNode, Quad, parse_stream, serialize
from kg.validation.report import ValidationReport
from kg.validation.report_json import report_from_json, report_to_json

JOURNAL_FILE: Final = "journal.db"
BASE_MANIFEST: Final = "build.json"
"""The file beside the journal that names the digest of the dataset before the first commit."""
BASE_HASH: Final = hashlib.sha256(b"").hexdigest()
"""What stands before the first commit where that dataset is not kept."""
IDEMPOTENCY_KEY_LIFETIME: Final = timedelta(hours=48)
"""How long a request's Idempotency-Key is remembered."""

_MAX_SQLITE_INTEGER: Final = 2**63 - 1
"""The largest number that SQLite knows."""
_SCHEMA_VERSION: Final = 2
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
PRAGMA user_version = {_SCHEMA_VERSION};
COMMIT;
"""
_COMMIT_COLUMNS: Final = (
    "number", "time", "agent", "message", "reason", "added", "removed", "created", "dropped", "report",
    "added_count", "removed_count", "reverts", "previous", "hash",
)  # fmt: skip
_SUMMARY_COLUMNS: Final = (
    "number", "time", "agent", "message", "reason", "added_count", "removed_count", "reverts", "previous", "hash",
)  # fmt: skip
_BUSY_TIMEOUT: Final = 10.0
"""Seconds to wait for another writer."""
_RETRY_INTERVAL: Final = 0.01
_WRITE_LOCK_FILE: Final = "writing.lock"
_WRITE_LOCK_TIMEOUT: Final = 90.0
"""Seconds to wait for the turn of others, of which each may be that of a long change."""
_UNWRITABLE_ERROR_NAMES: Final = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR_SHM")
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
class CommitDraft:
    """What is to be committed; `release` is there if the commit brings a new release."""

    agent: str
    message: str
    reason: str
    delta: Delta
    report: ValidationReport
    reverts: int | None = None
    key: IdempotencyKey | None = None
    release: Release | None = None


@dataclass(frozen=True)
class CommitSummary:
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

    summary: CommitSummary
    delta: Delta
    report: ValidationReport

    @property
    def number(self) -> int:
        """Its number, which is the generation of the dataset after it."""
        return self.summary.number


@dataclass(frozen=True)
class _ProcessConnection:
    """A connection of one process; a fork's child must not touch it, not even to close it."""

    process: int
    connection: sqlite3.Connection


_inherited_connections: Final[list[_ProcessConnection]] = []
"""Connections that were inherited by a fork, kept from being closed."""


class Journal:
    """The journal of a data folder; safe for many threads and processes, forked ones too."""

    def __init__(self, folder: Path) -> None:
        """Open it, or begin one. Raises JournalError if that cannot be done.

        In a folder that may not be written, a journal that is there can be read all the same.
        """
        self._folder = folder
        self._path = folder / JOURNAL_FILE
        self._local = threading.local()
        self._base = read_base_digest(folder)
        with _translate_errors(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            with self._connection() as connection:
                if _read_schema_version(connection) < _SCHEMA_VERSION:
                    connection.executescript(_SCHEMA)

    @property
    def base_digest(self) -> str | None:
        """The digest of the dataset before the first commit; None while there is no commit."""
        with self._read_connection() as connection:
            row = connection.execute("SELECT previous FROM commits WHERE number = 1").fetchone()
        return None if row is None else str(row[0])

    @property
    def last_number(self) -> int:
        """The number of the newest commit, 0 if there is none."""
        with self._read_connection() as connection:
            return int(connection.execute("SELECT COALESCE(MAX(number), 0) FROM commits").fetchone()[0])

    @property
    def head_hash(self) -> str:
        """The hash of the newest commit."""
        with self._read_connection() as connection:
            return _newest_commit(connection, self._base)[1]

    @contextlib.contextmanager
    def write_lock(self) -> Iterator[None]:
        """Let other writers of the folder wait meanwhile, so that short changes do not overtake a long one forever.

        Without it nothing goes wrong: a journal takes a commit only upon the one that its writer knew. Raises
        ConflictError if others take too long.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lock_with_timeout(self._folder / _WRITE_LOCK_FILE, _WRITE_LOCK_TIMEOUT))
            except TimeoutError:
                raise ConflictError("Other changes take too long; nothing was changed. Send it once more.") from None
            yield

    def append(self, entry: CommitDraft, expected: int) -> Commit:
        """Commit, if the newest commit is the expected one; the commit is on the disk when this returns.

        Raises ConflictError if it is another one or the commit that is undone was undone already, InputError if the
        key was used for something else, JournalError if nothing can be written, or if the dataset under the first
        commit was built anew since the journal was opened. Nothing is changed then.
        """
        with self._transaction() as connection:
            number, previous = _newest_commit(connection, self._base)
            if number == 0 and read_base_digest(self._folder) != self._base:
                raise JournalError("The graph was built anew meanwhile; restart what has it open. Nothing was changed.")
            if number != expected:
                raise ConflictError(
                    f"The dataset is of generation {number}, not {expected}: another change came first."
                )
            return _insert_commit(connection, entry, number + 1, previous)

    def read_commit(self, number: int) -> Commit:
        """One commit; raises NotFoundError, and IntegrityError if it is not what was once written."""
        row = self._row("WHERE number = ?", number)
        if row is None:
            raise NotFoundError(f"There is no commit {number}.")
        return _decode_commit(row)

    def commits_since(self, number: int) -> Iterator[Commit]:
        """The commits after a number, in order; raises IntegrityError at one that is not what was once written."""
        known = self._row("WHERE number = ?", number)
        previous = None if known is None else known["hash"]
        while (row := self._row("WHERE number > ? ORDER BY number LIMIT 1", number)) is not None:
            if row["number"] != number + 1 or previous not in {None, row["previous"]}:
                raise _integrity_error(number + 1)
            number, previous = row["number"], row["hash"]
            yield _decode_commit(row)

    def _row(self, condition: str, number: int) -> dict[str, Any] | None:
        if number > _MAX_SQLITE_INTEGER:
            return None
        with self._read_connection() as connection:
            row = connection.execute(f"{_select_clause(_COMMIT_COLUMNS)} {condition}", (number,)).fetchone()
        return None if row is None else dict(zip(_COMMIT_COLUMNS, row, strict=True))

    def list_summaries(self, before: int | None, limit: int) -> tuple[CommitSummary, ...]:
        """The newest commits below a number, the newest first, without their content."""
        with self._read_connection() as connection:
            rows = connection.execute(
                f"{_select_clause(_SUMMARY_COLUMNS)} WHERE ? IS NULL OR number < ? ORDER BY number DESC LIMIT ?",
                (before, before, limit),
            ).fetchall()
        return tuple(_decode_summary(dict(zip(_SUMMARY_COLUMNS, row, strict=True))) for row in rows)

    def reverted_by(self, number: int) -> int | None:
        """The commit that undid a commit, if any did."""
        with self._read_connection() as connection:
            row = connection.execute("SELECT number FROM commits WHERE reverts = ?", (number,)).fetchone()
        return None if row is None else int(row[0])

    def find_by_key(self, key: IdempotencyKey) -> Commit | None:
        """The commit that a request with the same key made; raises InputError if the request was another one."""
        with self._read_connection() as connection:
            row = _find_key(connection, key)
        return None if row is None else self.read_commit(row)

    def record_event(self, event: str) -> None:
        """Note what is no commit but belongs into the log: who was given a token, and who lost it."""
        with self._transaction() as connection:
            row = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
            number, previous = (0, BASE_HASH) if row is None else row
            fields = (number + 1, datetime.now(UTC).isoformat(), event, previous)
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", (*fields, _json_digest(fields)))

    def events(self) -> tuple[tuple[datetime, str], ...]:
        """What was noted, in order."""
        with self._read_connection() as connection:
            rows = connection.execute("SELECT time, event FROM audit ORDER BY number").fetchall()
        return tuple((datetime.fromisoformat(time), event) for time, event in rows)

    @property
    def release_fingerprint(self) -> str | None:
        """The fingerprint of the newest release that came as a commit; None if none did."""
        with self._read_connection() as connection:
            row = connection.execute("SELECT fingerprint FROM releases ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else str(row[0])

    def read_release(self) -> Release | None:
        """The newest release that came as a commit, or was adopted; raises IntegrityError if it cannot be read."""
        with self._read_connection() as connection:
            row = connection.execute("SELECT fingerprint, dataset FROM releases ORDER BY id DESC LIMIT 1").fetchone()
        try:
            return None if row is None else Release(row[0], unpack_quads(row[1]))
        except (zlib.error, ValueError, KgError) as error:
            raise IntegrityError("The release that the journal keeps is not what was once written.") from error

    def adopt_release(self, release: Release) -> None:
        """Take a release as the one that the dataset has, without a commit: it changes nothing."""
        with self._transaction() as connection:
            _store_release(connection, release)

    def verify(self) -> int:
        """Check every commit's hash and how the numbers follow each other; returns how many commits there are.

        What was noted is checked too. Raises IntegrityError that names the first commit that is not what was once
        written, or says that the journal is that of another dataset than the one that is kept beside it.
        """
        number, previous = 0, None
        with self._read_connection() as connection:
            for row in connection.execute(f"{_select_clause(_COMMIT_COLUMNS)} ORDER BY number"):
                fields = dict(zip(_COMMIT_COLUMNS, row, strict=True))
                if fields["number"] != number + 1 or previous not in {None, fields["previous"]}:
                    raise _integrity_error(number + 1)
                _verify_commit(fields)
                number, previous = fields["number"], fields["hash"]
            _verify_audit(connection)
        if self.base_digest not in {None, BASE_HASH, read_base_digest(self._folder)}:
            raise IntegrityError("The journal is that of another dataset than the one that is kept beside it.")
        return number

    def close(self) -> None:
        """Close this thread's connection."""
        connected: _ProcessConnection | None = getattr(self._local, "connected", None)
        if connected is None:
            return
        self._local.connected = None
        if connected.process == os.getpid():
            connected.connection.close()
        else:
            _inherited_connections.append(connected)

    @contextlib.contextmanager
    def _read_connection(self) -> Iterator[sqlite3.Connection]:
        with _translate_errors(self._path), self._connection() as connection:
            yield connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that the block does is on the disk afterwards, or nothing if it raises."""
        with _translate_errors(self._path), self._connection() as connection:
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
        connected: _ProcessConnection | None = getattr(self._local, "connected", None)
        if connected is None or connected.process != os.getpid():
            self.close()
            connected = self._connect()
        try:
            yield connected.connection
        except sqlite3.Error:
            self.close()
            raise
        finally:
            if getattr(self._local, "connected", None) is not connected:
                connected.connection.close()

    def _connect(self) -> _ProcessConnection:
        """Connect; where only reading is possible, for once, since what others write would not be seen."""
        connected = _ProcessConnection(
            os.getpid(), sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT, isolation_level=None)
        )
        try:
            _enable_write_ahead_log(connected.connection)
        except sqlite3.Error as error:
            connected.connection.close()
            ahead = self._path.with_name(f"{JOURNAL_FILE}-wal")
            unwritable = getattr(error, "sqlite_errorname", "").startswith(_UNWRITABLE_ERROR_NAMES)
            if not unwritable or not self._path.exists() or (ahead.exists() and ahead.stat().st_size):
                raise
            address = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
            return _ProcessConnection(os.getpid(), sqlite3.connect(address, uri=True, isolation_level=None))
        self._local.connected = connected
        return connected


def read_base_digest(folder: Path) -> str:
    """The digest of the dataset that a data folder was built with, BASE_HASH if it keeps none."""
    try:
        return str(json.loads((folder / BASE_MANIFEST).read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return BASE_HASH


def _read_schema_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _enable_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Set the write-ahead mode; SQLite does not wait by itself for another program that does so just now."""
    end = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > end:
                raise
            time.sleep(_RETRY_INTERVAL)
    connection.execute("PRAGMA synchronous = FULL")
    _read_schema_version(connection)


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


@contextlib.contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    """Let what SQLite and the operating system say be a JournalError that helps."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(
            f"The journal {path} cannot be used: {_explain_error(error)}. Nothing was changed."
        ) from error


def _explain_error(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_SHM")) or name == "SQLITE_IOERR_WRITE":
        return "the disk is full"
    if _is_busy(error):
        return f"another program has had it locked for {_BUSY_TIMEOUT:g} seconds"
    if name.startswith(_UNWRITABLE_ERROR_NAMES):
        return "its folder is read-only, or cannot be opened"
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return "the file is damaged; restore it from a backup"
    return str(error)


def _select_clause(columns: tuple[str, ...]) -> str:
    return f"SELECT {', '.join(columns)} FROM commits"  # noqa: S608 - the names are constants


def _newest_commit(connection: sqlite3.Connection, base: str) -> tuple[int, str]:
    row = connection.execute("SELECT number, hash FROM commits ORDER BY number DESC LIMIT 1").fetchone()
    return (0, base) if row is None else (int(row[0]), str(row[1]))


def _insert_commit(connection: sqlite3.Connection, entry: CommitDraft, number: int, previous: str) -> Commit:
    now = datetime.now(UTC).replace(microsecond=0)
    fields = _commit_fields(entry, number, now, previous)
    _refuse_second_revert(connection, entry)
    if entry.key is not None:
        _store_key(connection, entry.key, number, now)
    if entry.release is not None:
        _store_release(connection, entry.release)
    marks = ", ".join("?" for _ in _COMMIT_COLUMNS)
    connection.execute(
        f"INSERT INTO commits ({', '.join(_COMMIT_COLUMNS)}) VALUES ({marks})",  # noqa: S608 - the names are constants
        tuple(fields[name] for name in _COMMIT_COLUMNS),
    )
    return Commit(_decode_summary(fields), entry.delta, entry.report)


def _store_release(connection: sqlite3.Connection, release: Release) -> None:
    connection.execute("DELETE FROM releases")
    connection.execute(
        "INSERT INTO releases (fingerprint, dataset) VALUES (?, ?)", (release.fingerprint, pack_quads(release.quads))
    )


def _refuse_second_revert(connection: sqlite3.Connection, entry: CommitDraft) -> None:
    row = connection.execute("SELECT number FROM commits WHERE reverts = ?", (entry.reverts,)).fetchone()
    if row is not None:
        raise ConflictError(f"Commit {entry.reverts} was undone already, by commit {row[0]}.")


def _store_key(connection: sqlite3.Connection, key: IdempotencyKey, number: int, now: datetime) -> None:
    connection.execute("DELETE FROM keys WHERE time < ?", ((now - IDEMPOTENCY_KEY_LIFETIME).isoformat(),))
    if _find_key(connection, key) is not None:
        raise ConflictError("The same request is being answered already.")
    connection.execute(
        "INSERT INTO keys (agent, key, digest, number, time) VALUES (?, ?, ?, ?, ?)",
        (key.agent, key.key, key.digest, number, now.isoformat()),
    )


def _find_key(connection: sqlite3.Connection, key: IdempotencyKey) -> int | None:
    row = connection.execute(
        "SELECT digest, number FROM keys WHERE agent = ? AND key = ?", (key.agent, key.key)
    ).fetchone()
    if row is None:
        return None
    if row[0] != key.digest:
        raise InputError("The Idempotency-Key was used for another request; nothing was changed.")
    return int(row[1])


def _commit_fields(entry: CommitDraft, number: int, now: datetime, previous: str) -> dict[str, Any]:
    delta = entry.delta
    fields = {
        "number": number,
        "time": now.isoformat(),
        "agent": entry.agent,
        "message": entry.message,
        "reason": entry.reason,
        "added": pack_quads(delta.added),
        "removed": pack_quads(delta.removed),
        "created": _encode_graph_names(delta.created),
        "dropped": _encode_graph_names(delta.dropped),
        "report": zlib.compress(json.dumps(report_to_json(entry.report), ensure_ascii=False).encode()),
        "added_count": len(delta.added),
        "removed_count": len(delta.removed),
        "reverts": entry.reverts,
        "previous": previous,
    }
    return {**fields, "hash": _commit_hash(fields)}


def _commit_hash(fields: dict[str, Any]) -> str:
    """SHA-256 over all that a commit says, its content unpacked: one JSON array."""
    return _json_digest(
        zlib.decompress(fields[name]).decode() if isinstance(fields[name], bytes) else fields[name]
        for name in _COMMIT_COLUMNS
        if name != "hash"
    )


def _json_digest(content: Iterable[object]) -> str:
    text = json.dumps(list(content), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _verify_commit(fields: dict[str, Any]) -> None:
    """Raise IntegrityError for a commit that has another hash than it was given."""
    try:
        good = fields["hash"] == _commit_hash(fields)
    except (zlib.error, ValueError) as error:
        raise _integrity_error(fields["number"]) from error
    if not good:
        raise _integrity_error(fields["number"])


def _integrity_error(number: int) -> IntegrityError:
    return IntegrityError(f"Commit {number} of the journal is not what was once written.")


def _verify_audit(connection: sqlite3.Connection) -> None:
    number, previous = 0, BASE_HASH
    for row in connection.execute("SELECT number, time, event, previous, hash FROM audit ORDER BY number"):
        if row[0] != number + 1 or row[3] != previous or row[4] != _json_digest(row[:4]):
            raise IntegrityError(f"Event {number + 1} of the journal is not what was once written.")
        number, previous = row[0], row[4]


def pack_quads(quads: Iterable[Quad]) -> bytes:
    """Quads as sorted, compressed N-Quads; blank nodes keep their names."""
    return zlib.compress(b"\n".join(sorted(serialize(quads, NQUADS).splitlines())) + b"\n")


def unpack_quads(data: bytes) -> frozenset[Quad]:
    """The quads that `packed` packed."""
    return frozenset(parse_stream(io.BytesIO(zlib.decompress(data)), NQUADS))


def _encode_graph_names(graphs: Iterable[NamedNode]) -> str:
    return json.dumps(sorted(graph.value for graph in graphs), ensure_ascii=False)


def _decode_graph_names(names: str) -> frozenset[NamedNode]:
    return frozenset(map(NamedNode, json.loads(names)))


def _decode_summary(fields: dict[str, Any]) -> CommitSummary:
    return CommitSummary(
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


def _decode_commit(fields: dict[str, Any]) -> Commit:
    _verify_commit(fields)
    delta = Delta(
        unpack_quads(fields["added"]),
        unpack_quads(fields["removed"]),
        _decode_graph_names(fields["created"]),
        _decode_graph_names(fields["dropped"]),
    )
    return Commit(_decode_summary(fields), delta, report_from_json(json.loads(zlib.decompress(fields["report"]))))

"""Open the journal's SQLite database, run transactions on it, and turn its errors into JournalError."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kg.changes.sqlite_connection import ThreadConnection
from kg.errors import JournalError

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
_BUSY_TIMEOUT: Final = 10.0
"""Seconds to wait for another writer."""
_RETRY_INTERVAL: Final = 0.01
_UNWRITABLE_ERROR_NAMES: Final = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR_SHM")
"""Prefixes of SQLite's error names for a folder in which it cannot create its shared-memory file."""


class JournalConnection:
    """Connections to one journal, one per thread and process."""

    def __init__(self, path: Path) -> None:
        """Create the folder and the tables if they are missing. Raises JournalError."""
        self._path = path
        self._connections = ThreadConnection()
        with self._translate_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._connection() as connection:
                if _read_schema_version(connection) < _SCHEMA_VERSION:
                    connection.executescript(_SCHEMA)

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection for reading."""
        with self._translate_errors(), self._connection() as connection:
            yield connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block as a write transaction: durable when the block ends, rolled back if it raises."""
        with self.read() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close this thread's connection."""
        self._connections.close()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection; after an SQLite error it is closed, and the next call opens a new one."""
        current = self._connections.current
        connection = self._open() if current is None else current.connection
        try:
            yield connection
        except sqlite3.Error:
            self.close()
            raise
        finally:
            current = self._connections.current
            if current is None or current.connection is not connection:
                connection.close()

    def _open(self) -> sqlite3.Connection:
        """Connect in write-ahead mode, or read-only if the folder cannot be written.

        A read-only connection is not kept for the thread: it is opened as immutable, so SQLite would not notice what
        other processes write later. It is also refused while the write-ahead log holds commits, which it cannot read.
        """
        connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT, isolation_level=None)
        try:
            _enable_write_ahead_log(connection)
        except sqlite3.Error as error:
            connection.close()
            log = self._path.with_name(f"{self._path.name}-wal")
            unwritable = getattr(error, "sqlite_errorname", "").startswith(_UNWRITABLE_ERROR_NAMES)
            if not unwritable or not self._path.exists() or (log.exists() and log.stat().st_size):
                raise
            address = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
            return sqlite3.connect(address, uri=True, isolation_level=None)
        return self._connections.replace(self._path, connection).connection

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise JournalError(
                f"The journal {self._path} cannot be used: {_explain_error(error)}. Nothing was changed."
            ) from error


def _read_schema_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _enable_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Set the write-ahead mode. SQLite's own busy timeout does not cover this statement, so retry here."""
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_INTERVAL)
    connection.execute("PRAGMA synchronous = FULL")
    _read_schema_version(connection)  # the first read reports a folder that cannot be written


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


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

"""The journal: the durable log of commits from which a data folder's dataset is derived.

It is an SQLite database in write-ahead mode, synchronised to the disk at every commit. A commit's number is the
generation of the dataset after it. Commits form a hash chain: each hash covers the commit and the previous hash, so an
altered, removed or inserted commit is detected. The chain starts with the digest of the dataset that the first commit
changes, so that a journal cannot be combined with another dataset. Events about tokens form a chain of their own.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kg.changes.commit_rows import (
    COMMIT_COLUMNS,
    SUMMARY_COLUMNS,
    Commit,
    CommitDraft,
    CommitSummary,
    IdempotencyKey,
    Release,
    SqlRow,
    commit_integrity_error,
    decode_commit,
    decode_summary,
    encode_commit,
    verify_commit,
)
from kg.changes.journal_connection import JournalConnection
from kg.changes.journal_tables import (
    EMPTY_HASH,
    append_event,
    find_commit_by_key,
    read_events,
    read_release,
    read_release_fingerprint,
    store_key,
    store_release,
    verify_events,
)
from kg.changes.locks import lock_with_timeout
from kg.engine.embedded import EmbeddedEngine
from kg.errors import ConflictError, IntegrityError, JournalError, NotFoundError

JOURNAL_FILE: Final = "journal.db"
BASE_MANIFEST: Final = "build.json"
"""The file beside the journal that holds the digest of the dataset before the first commit."""
BASE_HASH: Final = EMPTY_HASH
"""The hash before the first commit if the folder has no such file."""

_MAX_SQLITE_INTEGER: Final = 2**63 - 1
_WRITE_LOCK_FILE: Final = "writing.lock"
_WRITE_LOCK_TIMEOUT: Final = 90.0
"""Seconds to wait for other writers; each of them may hold the lock for a long change."""


class Journal:
    """The journal of a data folder; safe for many threads and processes, including forked ones."""

    def __init__(self, folder: Path) -> None:
        """Open the journal, or create it. Raises JournalError.

        An existing journal can be read in a folder that cannot be written.
        """
        self._folder = folder
        self._base = read_base_digest(folder)
        self._connection = JournalConnection(folder / JOURNAL_FILE)

    @property
    def base_digest(self) -> str | None:
        """The digest of the dataset before the first commit; None while there is no commit."""
        with self._connection.read() as connection:
            row = connection.execute("SELECT previous FROM commits WHERE number = 1").fetchone()
        return None if row is None else str(row[0])

    @property
    def last_number(self) -> int:
        """The number of the newest commit, 0 if there is none."""
        with self._connection.read() as connection:
            return _newest_commit(connection, self._base)[0]

    @contextlib.contextmanager
    def write_lock(self) -> Iterator[None]:
        """Make other writers of the folder wait during the block. Raises ConflictError if others take too long.

        The lock gives fairness, not safety: without it, short changes could overtake a long one again and again.
        `append` itself refuses a commit that was computed against an older generation.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lock_with_timeout(self._folder / _WRITE_LOCK_FILE, _WRITE_LOCK_TIMEOUT))
            except TimeoutError:
                raise ConflictError("Other changes take too long; nothing was changed. Send it once more.") from None
            yield

    def append(self, draft: CommitDraft, expected: int) -> Commit:
        """Append a commit after commit number `expected`; it is durable when this returns.

        Raises ConflictError if another commit is the newest or if the commit to revert was reverted already,
        InputError if the idempotency key belongs to a different request, and JournalError if the journal cannot be
        written or the base dataset was rebuilt since the journal was opened. Nothing is changed then.
        """
        with self._connection.transaction() as connection:
            number, previous = _newest_commit(connection, self._base)
            if number == 0 and read_base_digest(self._folder) != self._base:
                raise JournalError("The graph was built anew meanwhile; restart what has it open. Nothing was changed.")
            if number != expected:
                raise ConflictError(
                    f"The dataset is of generation {number}, not {expected}: another change came first."
                )
            return _insert_commit(connection, draft, number + 1, previous)

    def read_commit(self, number: int) -> Commit:
        """Return a commit. Raises NotFoundError, and IntegrityError if it was altered."""
        row = self._row("WHERE number = ?", number)
        if row is None:
            raise NotFoundError(f"There is no commit {number}.")
        return decode_commit(row)

    def commits_since(self, number: int) -> Iterator[Commit]:
        """Yield the commits after a number, in order. Raises IntegrityError at the first that breaks the chain."""
        row = self._row("WHERE number = ?", number)
        previous = None if row is None else row["hash"]
        while (row := self._row("WHERE number > ? ORDER BY number LIMIT 1", number)) is not None:
            _verify_link(row, number, previous)
            number, previous = row["number"], row["hash"]
            yield decode_commit(row)

    def _row(self, condition: str, number: int) -> SqlRow | None:
        if number > _MAX_SQLITE_INTEGER:
            return None
        with self._connection.read() as connection:
            values = connection.execute(f"{_select_clause(COMMIT_COLUMNS)} {condition}", (number,)).fetchone()
        return None if values is None else dict(zip(COMMIT_COLUMNS, values, strict=True))

    def list_summaries(self, before: int | None, limit: int) -> tuple[CommitSummary, ...]:
        """Return the summaries of the newest commits below a number, newest first."""
        with self._connection.read() as connection:
            rows = connection.execute(
                f"{_select_clause(SUMMARY_COLUMNS)} WHERE ? IS NULL OR number < ? ORDER BY number DESC LIMIT ?",
                (before, before, limit),
            ).fetchall()
        return tuple(decode_summary(dict(zip(SUMMARY_COLUMNS, row, strict=True))) for row in rows)

    def commit_hash(self, number: int) -> str:
        """Return the hash of a commit, "" if there is none with this number."""
        return next((item.hash for item in self.list_summaries(number + 1, 1) if item.number == number), "")

    def reverted_by(self, number: int) -> int | None:
        """Return the number of the commit that reverted a commit, or None."""
        with self._connection.read() as connection:
            return _reverting_commit(connection, number)

    def find_by_key(self, key: IdempotencyKey) -> Commit | None:
        """Return the commit of a request with the same key. Raises InputError if it was a different request."""
        with self._connection.read() as connection:
            number = find_commit_by_key(connection, key)
        return None if number is None else self.read_commit(number)

    def record_event(self, event: str) -> None:
        """Append an event that is not a commit: a token was created or revoked."""
        with self._connection.transaction() as connection:
            append_event(connection, event)

    def events(self) -> tuple[tuple[datetime, str], ...]:
        """Return the time and the text of every recorded event, in order."""
        with self._connection.read() as connection:
            return read_events(connection)

    @property
    def release_fingerprint(self) -> str | None:
        """The fingerprint of the newest release that was committed or adopted; None if there is none."""
        with self._connection.read() as connection:
            return read_release_fingerprint(connection)

    def read_release(self) -> Release | None:
        """Return the newest release that was committed or adopted. Raises IntegrityError if it cannot be read."""
        with self._connection.read() as connection:
            return read_release(connection)

    def adopt_release(self, release: Release) -> None:
        """Record a release that changes nothing in the dataset, without a commit."""
        with self._connection.transaction() as connection:
            store_release(connection, release)

    def verify(self) -> int:
        """Check the hash chains of commits and events; return the number of commits.

        Raises IntegrityError that names the first commit or event that was altered, or says that the journal belongs
        to another dataset than the one in the folder.
        """
        number, previous = 0, None
        with self._connection.read() as connection:
            for values in connection.execute(f"{_select_clause(COMMIT_COLUMNS)} ORDER BY number"):
                row = dict(zip(COMMIT_COLUMNS, values, strict=True))
                _verify_link(row, number, previous)
                verify_commit(row)
                number, previous = row["number"], row["hash"]
            verify_events(connection)
        if self.base_digest not in {None, BASE_HASH, read_base_digest(self._folder)}:
            raise IntegrityError("The journal is that of another dataset than the one that is kept beside it.")
        return number

    def close(self) -> None:
        """Close this thread's connection."""
        self._connection.close()


def read_base_digest(folder: Path) -> str:
    """Return the digest of the dataset that a data folder was built with, BASE_HASH if it holds none."""
    try:
        return str(json.loads((folder / BASE_MANIFEST).read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return BASE_HASH


def replay(engine: EmbeddedEngine, journal: Journal) -> None:
    """Apply to an engine all commits after its generation."""
    for commit in journal.commits_since(engine.generation):
        engine.apply_commit(commit.delta, commit.number)


def _select_clause(columns: tuple[str, ...]) -> str:
    return f"SELECT {', '.join(columns)} FROM commits"  # noqa: S608 - the names are constants


def _newest_commit(connection: sqlite3.Connection, base: str) -> tuple[int, str]:
    """Return the number and the hash of the newest commit."""
    row = connection.execute("SELECT number, hash FROM commits ORDER BY number DESC LIMIT 1").fetchone()
    return (0, base) if row is None else (int(row[0]), str(row[1]))


def _reverting_commit(connection: sqlite3.Connection, number: int | None) -> int | None:
    row = connection.execute("SELECT number FROM commits WHERE reverts = ?", (number,)).fetchone()
    return None if row is None else int(row[0])


def _verify_link(row: SqlRow, number: int, previous: str | None) -> None:
    """Raise IntegrityError unless a row follows commit `number`; `previous` is its hash, None if unknown."""
    if row["number"] != number + 1 or previous not in {None, row["previous"]}:
        raise commit_integrity_error(number + 1)


def _insert_commit(connection: sqlite3.Connection, draft: CommitDraft, number: int, previous: str) -> Commit:
    now = datetime.now(UTC).replace(microsecond=0)
    row = encode_commit(draft, number, now, previous)
    reverting = _reverting_commit(connection, draft.reverts)
    if reverting is not None:
        raise ConflictError(f"Commit {draft.reverts} was undone already, by commit {reverting}.")
    if draft.key is not None:
        store_key(connection, draft.key, number, now)
    if draft.release is not None:
        store_release(connection, draft.release)
    marks = ", ".join("?" for _ in COMMIT_COLUMNS)
    connection.execute(
        f"INSERT INTO commits ({', '.join(COMMIT_COLUMNS)}) VALUES ({marks})",  # noqa: S608 - the names are constants
        tuple(row[name] for name in COMMIT_COLUMNS),
    )
    return Commit(decode_summary(row), draft.delta, draft.report)

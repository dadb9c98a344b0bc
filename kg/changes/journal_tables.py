"""The journal's tables beside the commits: idempotency keys, the release, and events about tokens."""

import hashlib
import sqlite3
import zlib
from datetime import UTC, datetime, timedelta
from typing import Final

from kg.changes.commit_rows import IdempotencyKey, Release, json_digest, pack_quads, unpack_quads
from kg.errors import ConflictError, InputError, IntegrityError, KgError

IDEMPOTENCY_KEY_LIFETIME: Final = timedelta(hours=48)
"""How long a request's Idempotency-Key is remembered."""

EMPTY_HASH: Final = hashlib.sha256(b"").hexdigest()
"""The `previous` hash of the first row of a chain."""


def store_key(connection: sqlite3.Connection, key: IdempotencyKey, number: int, now: datetime) -> None:
    """Record the key of commit `number` and delete expired keys. Raises ConflictError if the key is in use."""
    connection.execute("DELETE FROM keys WHERE time < ?", ((now - IDEMPOTENCY_KEY_LIFETIME).isoformat(),))
    if find_commit_by_key(connection, key) is not None:
        raise ConflictError("The same request is being answered already.")
    connection.execute(
        "INSERT INTO keys (agent, key, digest, number, time) VALUES (?, ?, ?, ?, ?)",
        (key.agent, key.key, key.digest, number, now.isoformat()),
    )


def find_commit_by_key(connection: sqlite3.Connection, key: IdempotencyKey) -> int | None:
    """Return the number of the commit with a key. Raises InputError if it belongs to a different request."""
    row = connection.execute(
        "SELECT digest, number FROM keys WHERE agent = ? AND key = ?", (key.agent, key.key)
    ).fetchone()
    if row is None:
        return None
    if row[0] != key.digest:
        raise InputError("The Idempotency-Key was used for another request; nothing was changed.")
    return int(row[1])


def store_release(connection: sqlite3.Connection, release: Release) -> None:
    """Replace the stored release."""
    connection.execute("DELETE FROM releases")
    connection.execute(
        "INSERT INTO releases (fingerprint, dataset) VALUES (?, ?)", (release.fingerprint, pack_quads(release.quads))
    )


def read_release_fingerprint(connection: sqlite3.Connection) -> str | None:
    """Return the fingerprint of the stored release."""
    row = connection.execute("SELECT fingerprint FROM releases ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else str(row[0])


def read_release(connection: sqlite3.Connection) -> Release | None:
    """Return the stored release. Raises IntegrityError if its dataset cannot be read."""
    row = connection.execute("SELECT fingerprint, dataset FROM releases ORDER BY id DESC LIMIT 1").fetchone()
    try:
        return None if row is None else Release(row[0], unpack_quads(row[1]))
    except (zlib.error, ValueError, KgError) as error:
        raise IntegrityError("The release that the journal keeps is not what was once written.") from error


def append_event(connection: sqlite3.Connection, text: str) -> None:
    """Append an event, chained by hash to the previous one."""
    row = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    number, previous = (0, EMPTY_HASH) if row is None else row
    fields = (number + 1, datetime.now(UTC).isoformat(), text, previous)
    connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", (*fields, json_digest(fields)))


def read_events(connection: sqlite3.Connection) -> tuple[tuple[datetime, str], ...]:
    """Return the time and the text of every event, in order."""
    rows = connection.execute("SELECT time, event FROM audit ORDER BY number")
    return tuple((datetime.fromisoformat(time), event) for time, event in rows)


def verify_events(connection: sqlite3.Connection) -> None:
    """Raise IntegrityError that names the first event that was altered, removed or inserted."""
    number, previous = 0, EMPTY_HASH
    for row in connection.execute("SELECT number, time, event, previous, hash FROM audit ORDER BY number"):
        if row[0] != number + 1 or row[3] != previous or row[4] != json_digest(row[:4]):
            raise IntegrityError(f"Event {number + 1} of the journal is not what was once written.")
        number, previous = row[0], row[4]

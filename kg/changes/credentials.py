"""Tokens: who may write. Only hashes are kept, so a copy of the file opens nothing.

A token is 256 random bits; nothing slower than SHA-256 is needed to keep it from being guessed from its hash.
"""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from kg.errors import ConfigurationError, InputError, NotFoundError
from kg.rdf.terms import NamedNode

TOKENS_FILE: Final = "tokens.json"
TOKEN_PREFIX: Final = "hpkg_"  # noqa: S105 - what tokens begin with opens nothing
"""What every token begins with, so that scanners for leaked secrets find it."""
TokenScope = Literal["write", "admin"]

_LOCK_FILE: Final = ".tokens.lock"
_FREE_FAILURES: Final = 3
_MAX_DELAY: Final = 8.0
_FORGET_AFTER: Final = 600.0
_MAX_STORED_FAILURES: Final = 10_000
_BUSY_TIMEOUT: Final = 1.0
"""Seconds to wait for another process that notes a failure."""
_FAILURES_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS failures (
  id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT UNIQUE NOT NULL, count INTEGER NOT NULL, last REAL NOT NULL
) STRICT
"""


@dataclass(frozen=True)
class Credential:
    """Who may do what: `graphs` are those that may be written, None for all; `created` is in UTC."""

    name: str
    scope: TokenScope
    graphs: tuple[str, ...] | None
    created: str


@dataclass(frozen=True)
class _StoredCredential:
    credential: Credential
    digest: str


class CredentialStore:
    """The tokens of a data folder, as its file has them at the moment; safe for many threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / TOKENS_FILE
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._kept: tuple[_StoredCredential, ...] = ()

    def create(
        self,
        name: str,
        scope: TokenScope = "write",
        graphs: Iterable[str] | None = None,
        note: Callable[[], None] = lambda: None,
    ) -> str:
        """Make a token and return it, which nobody can do again.

        `note` is called before it is kept, so that no token opens anything of which there is no note. Raises
        InputError if the name is taken, empty or unprintable, or a graph is no IRI; and what `note` raises.
        """
        if not name.strip() or not name.isprintable():
            raise InputError("A token needs a name, by which the log will know it.")
        text = TOKEN_PREFIX + secrets.token_urlsafe(32)
        limited = None if graphs is None else tuple(sorted(set(map(_require_iri, graphs))))
        now = datetime.now(UTC).replace(microsecond=0).isoformat()
        with self._exclusive_lock():
            kept = self._read_stored()
            if any(item.credential.name == name for item in kept):
                raise InputError(f"There is a token {name!r} already; revoke it first, or choose another name.")
            note()
            self._write((*kept, _StoredCredential(Credential(name, scope, limited, now), _token_digest(text))))
        return text

    def revoke(self, name: str) -> None:
        """Let a token open nothing any more; raises NotFoundError."""
        with self._exclusive_lock():
            kept = self._read_stored()
            left = tuple(item for item in kept if item.credential.name != name)
            if left == kept:
                raise NotFoundError(f"There is no token {name!r}.")
            self._write(left)

    def list_credentials(self) -> tuple[Credential, ...]:
        """Whom tokens were made for."""
        return tuple(item.credential for item in self._read_stored())

    def authenticate(self, text: str) -> Credential | None:
        """Whose token a text is; every token is compared, in constant time, whichever fits."""
        digest, found = _token_digest(text), None
        for item in self._read_stored():
            if hmac.compare_digest(item.digest, digest):
                found = item.credential
        return found

    def _read_stored(self) -> tuple[_StoredCredential, ...]:
        with self._lock:
            try:
                stat = self._path.stat()
                seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
                if seen != self._seen:
                    self._kept, self._seen = _decode_stored(self._path.read_bytes()), seen
            except FileNotFoundError:
                self._kept, self._seen = (), None
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ConfigurationError(f"The tokens in {self._path} cannot be read: {error}") from error
            return self._kept

    @contextlib.contextmanager
    def _exclusive_lock(self) -> Iterator[None]:
        """Keep others from changing the tokens while the block does; readers need not wait."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path.with_name(_LOCK_FILE), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, kept: tuple[_StoredCredential, ...]) -> None:
        data = [{**asdict(item.credential), "sha256": item.digest} for item in kept]
        try:
            file, temporary = tempfile.mkstemp(prefix=f".{TOKENS_FILE}.", dir=self._path.parent)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            with os.fdopen(file, "w", encoding="utf-8") as output:
                json.dump(data, output, ensure_ascii=False, indent=1)
                output.flush()
                os.fsync(output.fileno())
            Path(temporary).replace(self._path)
        except OSError as error:
            Path(temporary).unlink(missing_ok=True)
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(f"The tokens cannot be written to {self._path}: {error.strerror}")


def _decode_stored(data: bytes) -> tuple[_StoredCredential, ...]:
    return tuple(_StoredCredential(_decode_credential(item), str(item["sha256"])) for item in json.loads(data))


def _decode_credential(item: dict[str, Any]) -> Credential:
    """A credential as it was kept; one that cannot be what was written is refused, as it might allow too much."""
    name, scope, graphs = item["name"], item["scope"], item["graphs"]
    if not isinstance(name, str) or scope not in get_args(TokenScope) or not isinstance(graphs, list | None):
        raise ValueError(f"{name!r} is described in a way that is not known")
    return Credential(name, scope, None if graphs is None else tuple(graphs), item["created"])


def _require_iri(text: str) -> str:
    try:
        return NamedNode(text).value
    except ValueError:
        raise InputError(f"<{text}> is no IRI of a graph.") from None


def _token_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Throttle:
    """Slows down who keeps failing: after a few free failures, each one doubles the wait.

    All who are given the same file know of the same failures, without one it is this object alone; of 10 000 failures,
    the last ones. Where the file cannot be used nobody is slowed: it is the length of the tokens that protects them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, path: Path | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._ready = False

    def delay(self, source: str) -> float:
        """The seconds that a source has to wait before it may try again."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            failures, last = _read_failures(self._table(), source) or (0, 0.0)
            return max(0.0, last + _backoff_delay(failures) - self._clock()) if failures > _FREE_FAILURES else 0.0
        return 0.0

    def record_failure(self, source: str) -> None:
        """Note a failure; one that was quiet for ten minutes begins anew."""
        with self._lock, contextlib.suppress(sqlite3.Error), _transaction(self._table()) as table:
            now = self._clock()
            failures, last = _read_failures(table, source) or (0, now)
            count = 1 if now - last > _FORGET_AFTER else failures + 1
            table.execute("DELETE FROM failures WHERE source = ?", (source,))
            table.execute("INSERT INTO failures (source, count, last) VALUES (?, ?, ?)", (source, count, now))
            table.execute(
                "DELETE FROM failures WHERE id <= (SELECT MAX(id) FROM failures) - ?", (_MAX_STORED_FAILURES,)
            )

    def record_success(self, source: str) -> None:
        """Note that a source is who it says; nothing is written if it never failed."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            if _read_failures(self._table(), source) is not None:
                self._table().execute("DELETE FROM failures WHERE source = ?", (source,))

    def _table(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(
                self._path or ":memory:", timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            weakref.finalize(self, self._connection.close)
        if not self._ready:
            self._connection.execute("PRAGMA synchronous = OFF")  # it need not outlive the service
            self._connection.execute(_FAILURES_SCHEMA)
            self._ready = True
        return self._connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Let nobody else change the table while the block does."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _read_failures(connection: sqlite3.Connection, source: str) -> tuple[int, float] | None:
    row = connection.execute("SELECT count, last FROM failures WHERE source = ?", (source,)).fetchone()
    return None if row is None else (int(row[0]), float(row[1]))


def _backoff_delay(failures: int) -> float:
    return float(min(2.0 ** min(failures - _FREE_FAILURES - 1, 16), _MAX_DELAY))

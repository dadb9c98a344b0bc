"""Access tokens for writers. The tokens file holds only their hashes, so a copy of it grants no access.

A token has 256 random bits, so its SHA-256 cannot be reversed by guessing and no slower hash is needed. For the same
reason wrong tokens are not throttled.
"""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from kg.changes.atomic_files import write_atomically
from kg.errors import ConfigurationError, InputError, NotFoundError
from kg.rdf.terms import parse_iri

TOKENS_FILE: Final = "tokens.json"
TOKEN_PREFIX: Final = "hpkg_"  # noqa: S105 - a prefix is no secret
"""The prefix of every token, by which scanners for leaked secrets recognise one."""
TokenScope = Literal["write", "admin"]

_LOCK_FILE: Final = ".tokens.lock"
_FILE_MODE: Final = 0o600


@dataclass(frozen=True)
class Credential:
    """The permissions of a token: `graphs` are the IRIs that it may write, None for all; `created` is in UTC."""

    name: str
    scope: TokenScope
    graphs: tuple[str, ...] | None
    created: str


@dataclass(frozen=True)
class _StoredCredential:
    credential: Credential
    digest: str


class CredentialStore:
    """The tokens of a data folder. Changes to the file take effect at once; safe for many threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / TOKENS_FILE
        self._lock = threading.Lock()
        self._cache_key: tuple[int, int, int] | None = None
        self._cache: tuple[_StoredCredential, ...] = ()

    def create(
        self,
        name: str,
        scope: TokenScope = "write",
        graphs: Iterable[str] | None = None,
        note: Callable[[], None] = lambda: None,
    ) -> str:
        """Create a token and return its text, which cannot be read again later.

        `note` is called before the token is stored, so that every valid token is recorded. Raises InputError if the
        name is taken, empty or unprintable, or if a graph is not an IRI, and whatever `note` raises.
        """
        if not name.strip() or not name.isprintable():
            raise InputError("A token needs a printable name, which the log shows.")
        text = TOKEN_PREFIX + secrets.token_urlsafe(32)
        allowed = None if graphs is None else tuple(sorted({parse_iri(graph).value for graph in graphs}))
        now = datetime.now(UTC).replace(microsecond=0).isoformat()
        with self._exclusive_lock():
            stored = self._read_stored()
            if any(item.credential.name == name for item in stored):
                raise InputError(f"There is a token {name!r} already; revoke it first, or choose another name.")
            note()
            self._write((*stored, _StoredCredential(Credential(name, scope, allowed, now), _token_digest(text))))
        return text

    def revoke(self, name: str) -> None:
        """Delete a token. Raises NotFoundError."""
        with self._exclusive_lock():
            stored = self._read_stored()
            remaining = tuple(item for item in stored if item.credential.name != name)
            if remaining == stored:
                raise NotFoundError(f"There is no token {name!r}.")
            self._write(remaining)

    def list_credentials(self) -> tuple[Credential, ...]:
        """Return all credentials in the order of their creation."""
        return tuple(item.credential for item in self._read_stored())

    def authenticate(self, text: str) -> Credential | None:
        """Return the credential of a token, or None if it is unknown.

        Every stored token is compared in constant time, so the time taken does not depend on which one matches.
        """
        digest, credential = _token_digest(text), None
        for item in self._read_stored():
            if hmac.compare_digest(item.digest, digest):
                credential = item.credential
        return credential

    def _read_stored(self) -> tuple[_StoredCredential, ...]:
        with self._lock:
            try:
                stat = self._path.stat()
                key = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
                if key != self._cache_key:
                    self._cache, self._cache_key = _decode_stored(self._path.read_bytes()), key
            except FileNotFoundError:
                self._cache, self._cache_key = (), None
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ConfigurationError(f"The tokens in {self._path} cannot be read: {error}") from error
            return self._cache

    @contextlib.contextmanager
    def _exclusive_lock(self) -> Iterator[None]:
        """Exclude other writers of the tokens during the block; readers do not wait."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path.with_name(_LOCK_FILE), os.O_RDWR | os.O_CREAT, _FILE_MODE)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, stored: tuple[_StoredCredential, ...]) -> None:
        data = [{**asdict(item.credential), "sha256": item.digest} for item in stored]
        try:
            write_atomically(self._path, json.dumps(data, ensure_ascii=False, indent=1).encode(), _FILE_MODE)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(f"The tokens cannot be written to {self._path}: {error.strerror}")


def _decode_stored(data: bytes) -> tuple[_StoredCredential, ...]:
    return tuple(_StoredCredential(_decode_credential(item), str(item["sha256"])) for item in json.loads(data))


def _decode_credential(item: dict[str, Any]) -> Credential:
    """Decode a stored credential. Raises ValueError for an unknown form, which might otherwise allow too much."""
    name, scope, graphs = item["name"], item["scope"], item["graphs"]
    if not isinstance(name, str) or scope not in get_args(TokenScope) or not isinstance(graphs, list | None):
        raise ValueError(f"the entry {name!r} has an unknown form")
    return Credential(name, scope, None if graphs is None else tuple(graphs), item["created"])


def _token_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

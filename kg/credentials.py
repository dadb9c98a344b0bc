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
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from kg.errors import ConfigurationError, InputError, NotFoundError
from kg.rdf import NamedNode

FILE: Final = "tokens.json"
PREFIX: Final = "hpkg_"
"""What every token begins with, so that scanners for leaked secrets find it."""
Scope = Literal["write", "admin"]

_LOCK: Final = ".tokens.lock"
_FREE_FAILURES: Final = 3
_LONGEST_DELAY: Final = 8.0
_FORGET_AFTER: Final = 600.0
_SOURCES: Final = 10_000


@dataclass(frozen=True)
class Credential:
    """Who may do what: `graphs` are those that may be written, None for all; `created` is in UTC."""

    name: str
    scope: Scope
    graphs: tuple[str, ...] | None
    created: str


@dataclass(frozen=True)
class _Kept:
    credential: Credential
    digest: str


class Credentials:
    """The tokens of a data folder, as its file has them at the moment; safe for many threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._kept: tuple[_Kept, ...] = ()

    def create(
        self,
        name: str,
        scope: Scope = "write",
        graphs: Iterable[str] | None = None,
        note: Callable[[], None] = lambda: None,
    ) -> str:
        """Make a token and return it, which nobody can do again.

        `note` is called before it is kept, so that no token opens anything of which there is no note. Raises
        InputError if the name is taken, empty or unprintable, or a graph is no IRI; and what `note` raises.
        """
        if not name.strip() or not name.isprintable():
            raise InputError("A token needs a name, by which the log will know it.")
        text = PREFIX + secrets.token_urlsafe(32)
        limited = None if graphs is None else tuple(sorted(set(map(_iri, graphs))))
        now = datetime.now(UTC).replace(microsecond=0).isoformat()
        with self._alone():
            kept = self._current()
            if any(item.credential.name == name for item in kept):
                raise InputError(f"There is a token {name!r} already; revoke it first, or choose another name.")
            note()
            self._write((*kept, _Kept(Credential(name, scope, limited, now), _digest(text))))
        return text

    def revoke(self, name: str) -> None:
        """Let a token open nothing any more; raises NotFoundError."""
        with self._alone():
            kept = self._current()
            left = tuple(item for item in kept if item.credential.name != name)
            if left == kept:
                raise NotFoundError(f"There is no token {name!r}.")
            self._write(left)

    def all(self) -> tuple[Credential, ...]:
        """Whom tokens were made for."""
        return tuple(item.credential for item in self._current())

    def authenticate(self, text: str) -> Credential | None:
        """Whose token a text is; every token is compared, in constant time, whichever fits."""
        digest, found = _digest(text), None
        for item in self._current():
            if hmac.compare_digest(item.digest, digest):
                found = item.credential
        return found

    def _current(self) -> tuple[_Kept, ...]:
        with self._lock:
            try:
                stat = self._path.stat()
                seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
                if seen != self._seen:
                    self._kept, self._seen = _read(self._path.read_bytes()), seen
            except FileNotFoundError:
                self._kept, self._seen = (), None
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ConfigurationError(f"The tokens in {self._path} cannot be read: {error}") from error
            return self._kept

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from changing the tokens while the block does; readers need not wait."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path.with_name(_LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, kept: tuple[_Kept, ...]) -> None:
        data = [{**asdict(item.credential), "sha256": item.digest} for item in kept]
        try:
            file, temporary = tempfile.mkstemp(prefix=f".{FILE}.", dir=self._path.parent)
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


def _read(data: bytes) -> tuple[_Kept, ...]:
    return tuple(_Kept(_credential(item), str(item["sha256"])) for item in json.loads(data))


def _credential(item: dict[str, Any]) -> Credential:
    """A credential as it was kept; one that cannot be what was written is refused, as it might allow too much."""
    name, scope, graphs = item["name"], item["scope"], item["graphs"]
    if not isinstance(name, str) or scope not in get_args(Scope) or not isinstance(graphs, list | None):
        raise ValueError(f"{name!r} is described in a way that is not known")
    return Credential(name, scope, None if graphs is None else tuple(graphs), item["created"])


def _iri(text: str) -> str:
    try:
        return NamedNode(text).value
    except ValueError:
        raise InputError(f"<{text}> is no IRI of a graph.") from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Throttle:
    """Slows down who keeps failing: after a few free failures, each one doubles the wait.

    It knows the sources of one process, at most 10 000 of them: those that failed last.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[int, float]] = {}

    def delay(self, source: str) -> float:
        """The seconds that a source has to wait before it may try again."""
        with self._lock:
            failures, last = self._failures.get(source, (0, 0.0))
            return max(0.0, last + _wait(failures) - self._clock()) if failures > _FREE_FAILURES else 0.0

    def failed(self, source: str) -> None:
        """Note a failure; one that was quiet for ten minutes begins anew."""
        with self._lock:
            now = self._clock()
            failures, last = self._failures.pop(source, (0, now))
            self._failures[source] = (1 if now - last > _FORGET_AFTER else failures + 1, now)
            if len(self._failures) > _SOURCES:
                del self._failures[next(iter(self._failures))]

    def passed(self, source: str) -> None:
        """Note that a source is who it says."""
        with self._lock:
            self._failures.pop(source, None)


def _wait(failures: int) -> float:
    return float(min(2.0 ** min(failures - _FREE_FAILURES - 1, 16), _LONGEST_DELAY))

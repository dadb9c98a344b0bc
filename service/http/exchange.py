"""The record of one HTTP exchange: what the access log, the metrics and the response headers report about it.

It is kept in the WSGI environ, so that middleware, views and error handlers write to the same record.
"""

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPMethod
from typing import TYPE_CHECKING, Final, Literal

from flask import request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CacheOutcome = Literal["hit", "miss", "revalidated", "bypass"]
"""The caches sent a stored response, lacked one, confirmed the client's copy (304), or were not used."""

_EXCHANGE_KEY: Final = "hpkg.exchange"
_REQUEST_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS: Final = frozenset(method.value for method in HTTPMethod)


@dataclass(slots=True)
class Exchange:
    """A request and what is known of its response; `started_at` is in seconds of `time.perf_counter`."""

    method: str
    id: str
    has_generated_id: bool
    started_at: float = field(default_factory=time.perf_counter)
    endpoint: str = "none"
    cache_outcome: CacheOutcome | None = None
    engine_seconds: float | None = None
    error_code: str | None = None
    has_wrong_token: bool = False
    status: int = 500
    length: int = 0
    media_type: str | None = None

    @property
    def instance(self) -> str:
        """The id as a URI reference, for problem details (RFC 9457, section 3.1.5)."""
        return f"urn:uuid:{self.id}" if self.has_generated_id else self.id


def current_exchange() -> Exchange:
    """Return the exchange of Flask's current request."""
    return exchange_from_environ(request.environ)


def exchange_from_environ(environ: "WSGIEnvironment") -> Exchange:
    """Return the exchange of a request, created at the first call.

    Its id is the client's X-Request-ID if that has 1 to 64 letters, digits, dots, hyphens or underscores, else a UUID.
    """
    existing = environ.get(_EXCHANGE_KEY)
    if isinstance(existing, Exchange):
        return existing
    method, sent_id = environ["REQUEST_METHOD"], environ.get("HTTP_X_REQUEST_ID", "")
    usable = _REQUEST_ID_PATTERN.fullmatch(sent_id) is not None
    exchange = Exchange(
        method if method in _METHODS else "other", sent_id if usable else str(uuid.uuid4()), has_generated_id=not usable
    )
    environ[_EXCHANGE_KEY] = exchange
    return exchange


@contextmanager
def measure_engine_time() -> Iterator[None]:
    """Add the time spent inside to the engine time of the current request."""
    exchange, started_at = current_exchange(), time.perf_counter()
    try:
        yield
    finally:
        exchange.engine_seconds = (exchange.engine_seconds or 0.0) + time.perf_counter() - started_at

"""WSGI middleware that identifies, times, counts and logs every request.

It wraps the whole application, so it also sees responses from the cache and failures.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from werkzeug.wsgi import ClosingIterator

from service.http.access_log import log_exchange
from service.http.exchange import CacheOutcome, Exchange, exchange_from_environ
from service.http.metrics import Metrics
from service.http.wsgi import Headers, map_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REQUEST_ID: Final = "X-Request-ID"
_CACHE_STATUS: Final[dict[CacheOutcome, str]] = {
    "hit": "haiphong-kg; hit",
    "revalidated": 'haiphong-kg; hit; detail="not modified"',
    "miss": "haiphong-kg; fwd=miss",
    "bypass": "haiphong-kg; fwd=bypass",
}
"""The value of the header Cache-Status (RFC 9211, section 2) by outcome."""


class ObservabilityMiddleware:
    """Adds X-Request-ID, Server-Timing and Cache-Status to responses, and counts and logs the exchange."""

    def __init__(self, app: "WSGIApplication", metrics: Metrics, log: logging.Logger | None) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        exchange = exchange_from_environ(environ)
        self._metrics.in_flight.inc()

        def complete(status: str, headers: Headers) -> Headers:
            return self.complete_headers(exchange, status, headers)

        def finish() -> None:
            self._metrics.in_flight.dec()
            self.finish_request(environ, exchange)

        try:
            body = self._app(environ, map_headers(start_response, complete))
        except BaseException:
            finish()
            raise
        return ClosingIterator(body, finish)

    @staticmethod
    def complete_headers(exchange: Exchange, status: str, headers: Headers) -> Headers:
        """Record a response on its exchange, and return its headers with those about the exchange."""
        _record_response(exchange, status, headers)
        return [*headers, *_exchange_headers(exchange)]

    def finish_request(self, environ: "WSGIEnvironment", exchange: Exchange) -> None:
        """Count and log an answered request."""
        seconds = time.perf_counter() - exchange.started_at
        self._metrics.record_request(exchange, seconds)
        if self._log is not None:
            log_exchange(self._log, environ, exchange, seconds)


def _record_response(exchange: Exchange, status: str, headers: Headers) -> None:
    exchange.status = int(status[:3])
    for name, value in headers:
        match name.lower():
            case "content-length" if exchange.method != "HEAD":
                exchange.length = int(value)
            case "content-type":
                exchange.media_type = value.partition(";")[0]


def _exchange_headers(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """The headers about an exchange; the times of Server-Timing are in milliseconds."""
    total = f"total;dur={(time.perf_counter() - exchange.started_at) * 1000:.2f}"
    engine = "" if exchange.engine_seconds is None else f"engine;dur={exchange.engine_seconds * 1000:.2f}, "
    yield REQUEST_ID, exchange.id
    yield "Server-Timing", engine + total
    if exchange.cache_outcome is not None:
        yield "Cache-Status", _CACHE_STATUS[exchange.cache_outcome]

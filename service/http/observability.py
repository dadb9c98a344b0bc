"""What an operator sees of each request: its id, its times, a line of the access log, and numbers for Prometheus.

`Observer` stands around the whole application, so that answers from the cache and failures are seen as well. What
only a view or an error handler knows, they write on the `Exchange` of the request.
"""

import json
import logging
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPMethod
from os import getpid
from typing import TYPE_CHECKING, Final, Literal

from flask import request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from werkzeug.wsgi import ClosingIterator

from kg.engine.protocol import Engine
from kg.errors import KgError

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ACCESS_LOG: Final = "hpkg.access"
"""The name of the access log's logger."""
REQUEST_ID: Final = "X-Request-ID"
METRICS_MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of Prometheus's text format."""
CacheOutcome = Literal["hit", "miss", "revalidated", "bypass"]
"""What the cache did: answered, asked the engine, told the client that its copy is good, or was not to be used."""

_EXCHANGE_KEY: Final = "hpkg.exchange"
_REQUEST_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS: Final = frozenset(method.value for method in HTTPMethod)
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds at which the histogram of latencies is cut."""
_CACHE_STATUS: Final[dict[CacheOutcome, str]] = {
    "hit": "haiphong-kg; hit",
    "revalidated": 'haiphong-kg; hit; detail="not modified"',
    "miss": "haiphong-kg; fwd=miss",
    "bypass": "haiphong-kg; fwd=bypass",
}
"""What the header Cache-Status says (RFC 9211, section 2)."""
_to_json: Final = json.JSONEncoder(ensure_ascii=False).encode
_COUNTER_NAMES: Final = frozenset({"killed", "outcomes", "forked"})
"""Numbers of an engine's status that only grow while it lives; the others go up and down."""


@dataclass(slots=True)
class Exchange:
    """What is known of a request and its answer; times are in seconds, `started` on the monotonic clock."""

    method: str
    id: str
    has_generated_id: bool
    started_at: float = field(default_factory=time.perf_counter)
    endpoint: str = "none"
    cache_outcome: CacheOutcome | None = None
    engine_seconds: float | None = None
    error_code: str | None = None
    status: int = 500
    length: int = 0
    media_type: str | None = None

    @property
    def instance(self) -> str:
        """The id as a URI reference, for problem details (RFC 9457, section 3.1.5)."""
        return f"urn:uuid:{self.id}" if self.has_generated_id else self.id


def current_exchange() -> Exchange:
    """The exchange of the current request of Flask."""
    return exchange_from_environ(request.environ)


def exchange_from_environ(environ: "WSGIEnvironment") -> Exchange:
    """The exchange of a request, which is begun if nobody did: with the client's id if usable, else with a new one."""
    found = environ.get(_EXCHANGE_KEY)
    if isinstance(found, Exchange):
        return found
    method, sent = environ["REQUEST_METHOD"], environ.get("HTTP_X_REQUEST_ID", "")
    usable = _REQUEST_ID_PATTERN.fullmatch(sent) is not None
    begun = Exchange(
        method if method in _METHODS else "other", sent if usable else str(uuid.uuid4()), has_generated_id=not usable
    )
    environ[_EXCHANGE_KEY] = begun
    return begun


@contextmanager
def measure_engine_time() -> Iterator[None]:
    """Count what happens inside as time that the current request spent with the engine."""
    current, began = current_exchange(), time.perf_counter()
    try:
        yield
    finally:
        current.engine_seconds = (current.engine_seconds or 0.0) + time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class _RequestMetrics:
    """The numbers that requests of one kind add to, found once."""

    requests: Counter
    seconds: Histogram
    bytes: Counter
    cache: Counter | None


class Metrics:
    """The numbers of one worker process, and those that the engine tells, which are the same in every worker."""

    def __init__(self, engine: Callable[[], Engine], cache_sizes: Callable[[], Mapping[str, int]]) -> None:
        self.registry = CollectorRegistry()
        self._request_metrics = dict[tuple[str, str, int, CacheOutcome | None], _RequestMetrics]()
        self._worker = str(getpid())
        labels = ("worker", "method", "endpoint", "status")
        self._requests = Counter("hpkg_requests", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "hpkg_request_seconds", "Seconds until an answer was sent or handed to the web server.",
            ("worker", "endpoint"), buckets=_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._bytes = Counter("hpkg_response_bytes", "Bytes of bodies.", ("worker", "endpoint"), registry=self.registry)
        self._cache = Counter("hpkg_cache", "What the cache did.", ("worker", "outcome"), registry=self.registry)
        in_flight = Gauge("hpkg_requests_in_flight", "Requests being answered.", ("worker",), registry=self.registry)
        self.in_flight = in_flight.labels(self._worker)
        self.registry.register(_CacheCollector(self._worker, cache_sizes))
        self.registry.register(_EngineCollector(engine))

    def record_request(self, done: Exchange, seconds: float) -> None:
        """Count an answered request."""
        key = (done.method, done.endpoint, done.status, done.cache_outcome)
        counted = self._request_metrics.get(key)
        if counted is None:
            counted = self._request_metrics[key] = self._create_request_metrics(done)
        counted.requests.inc()
        counted.seconds.observe(seconds)
        counted.bytes.inc(done.length)
        if counted.cache is not None:
            counted.cache.inc()

    def _create_request_metrics(self, done: Exchange) -> "_RequestMetrics":
        worker, endpoint = self._worker, done.endpoint
        return _RequestMetrics(
            self._requests.labels(worker, done.method, endpoint, str(done.status)),
            self._seconds.labels(worker, endpoint),
            self._bytes.labels(worker, endpoint),
            None if done.cache_outcome is None else self._cache.labels(worker, done.cache_outcome),
        )

    def text(self) -> bytes:
        """All numbers in Prometheus's text format, METRICS_TYPE."""
        return generate_latest(self.registry)


class _CacheCollector(Collector):
    """How much the caches hold at the moment."""

    def __init__(self, worker: str, sizes: Callable[[], Mapping[str, int]]) -> None:
        self._worker = worker
        self._sizes = sizes

    def collect(self) -> Iterable[Metric]:
        found = GaugeMetricFamily("hpkg_cache_bytes", "Bytes that a cache holds.", labels=("worker", "cache"))
        for name, size in self._sizes().items():
            found.add_metric((self._worker, name), size)
        yield found


class _EngineCollector(Collector):
    """Every number of the engine's status: `hpkg_engine_NAME`, with the label `kind` for numbers within a number."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand, so that registering asks the engine nothing."""
        return ()

    def collect(self) -> Iterable[Metric]:
        try:
            status = self._engine().status()
        except KgError:
            status = {}
        yield GaugeMetricFamily("hpkg_engine_up", "Whether the engine answers.", value=float(bool(status)))
        for name, value in status.items():
            values = value if isinstance(value, Mapping) else {"": value}
            numbers = {str(kind): float(n) for kind, n in values.items() if isinstance(n, int | float)}
            if numbers:
                yield _metric_family(name, numbers)


def _metric_family(name: str, numbers: Mapping[str, float]) -> Metric:
    """One metric of the engine: a counter if the number only grows, else a gauge."""
    labels = () if "" in numbers else ("kind",)
    family = CounterMetricFamily if name in _COUNTER_NAMES else GaugeMetricFamily
    metric = family(f"hpkg_engine_{name}", f"The engine's own count: {name}.", labels=labels)
    for kind, number in numbers.items():
        metric.add_metric((kind,) if labels else (), number)
    return metric


class _StandardErrorHandler(logging.Handler):
    """Writes each message as a line to what is standard error at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{record.getMessage()}\n")
        except (OSError, ValueError):
            self.handleError(record)


def access_logger() -> logging.Logger:
    """The logger of the access log; unless somebody gave it a handler, it writes to standard error."""
    logger = logging.getLogger(ACCESS_LOG)
    if not logger.handlers:
        logger.addHandler(_StandardErrorHandler())
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger


class ObservabilityMiddleware:
    """WSGI middleware that gives every answer its id and its times, counts it and logs it."""

    def __init__(self, app: "WSGIApplication", metrics: Metrics, log: logging.Logger | None) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        current = exchange_from_environ(environ)
        self._metrics.in_flight.inc()

        def start(
            status: str, headers: list[tuple[str, str]], failure: "OptExcInfo | None" = None
        ) -> Callable[[bytes], object]:
            return start_response(status, self.complete_headers(current, status, headers), failure)

        def finish() -> None:
            self._metrics.in_flight.dec()
            self.finish_request(environ, current)

        try:
            body = self._app(environ, start)
        except BaseException:
            finish()
            raise
        return ClosingIterator(body, finish)

    @staticmethod
    def complete_headers(current: Exchange, status: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """An answer's headers with those that tell of the exchange, which notes the answer."""
        _record_response(current, status, headers)
        return [*headers, *_exchange_headers(current)]

    def finish_request(self, environ: "WSGIEnvironment", done: Exchange) -> None:
        """Count and log a request that was answered."""
        seconds = time.perf_counter() - done.started_at
        self._metrics.record_request(done, seconds)
        if self._log is not None:
            log = self._log  # without the search for the caller, which nobody reads
            log.handle(log.makeRecord(log.name, logging.INFO, "", 0, _log_line(environ, done, seconds), (), None))


def _record_response(current: Exchange, status: str, headers: list[tuple[str, str]]) -> None:
    current.status = int(status[:3])
    for name, value in headers:
        match name.lower():
            case "content-length" if current.method != "HEAD":
                current.length = int(value)
            case "content-type":
                current.media_type = value.partition(";")[0]


def _exchange_headers(current: Exchange) -> Iterator[tuple[str, str]]:
    """The id, the times in milliseconds (Server-Timing), and what the cache did."""
    total = f"total;dur={(time.perf_counter() - current.started_at) * 1000:.2f}"
    engine = "" if current.engine_seconds is None else f"engine;dur={current.engine_seconds * 1000:.2f}, "
    yield REQUEST_ID, current.id
    yield "Server-Timing", engine + total
    if current.cache_outcome is not None:
        yield "Cache-Status", _CACHE_STATUS[current.cache_outcome]


def _log_line(environ: "WSGIEnvironment", done: Exchange, seconds: float) -> str:
    """A request as one line of JSON: `time` in UTC, `seconds` and `engine` in seconds; what is not known is null."""
    facts = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "id": done.id,
        "method": done.method,
        "path": environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace"),
        "status": done.status,
        "bytes": done.length,
        "seconds": round(seconds, 6),
        "format": done.media_type,
        "cache": done.cache_outcome,
        "engine": None if done.engine_seconds is None else round(done.engine_seconds, 6),
        "error": done.error_code,
    }
    return _to_json(facts)

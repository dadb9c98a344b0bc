"""Metrics in Prometheus's text format: those of this web process, and those of the engine."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import getpid
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kg.errors import KgError
from service.http.exchange import CacheOutcome, Exchange

METRICS_MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of Prometheus's text format."""

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds in seconds of the latency histogram's buckets."""
_COUNTER_NAMES: Final = frozenset({"killed", "outcomes", "forked"})
"""Numbers of an engine's status that only grow (counters); all others are gauges."""


@dataclass(frozen=True, slots=True)
class _RequestMetrics:
    """The labelled metrics that requests of one kind update; looking them up each time is slow."""

    requests: Counter
    seconds: Histogram
    bytes: Counter
    cache: Counter | None


class Metrics:
    """The metrics of one web process (label `worker`), and those of the engine, which every process reports alike.

    `engine_status` returns the engine's numbers by name, `cache_sizes` the bytes in each cache by name.
    """

    def __init__(
        self, engine_status: Callable[[], Mapping[str, object]], cache_sizes: Callable[[], Mapping[str, int]]
    ) -> None:
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
        wrong_tokens = Counter("hpkg_wrong_tokens", "Requests with a wrong token.", ("worker",), registry=self.registry)
        self._wrong_tokens = wrong_tokens.labels(self._worker)
        in_flight = Gauge("hpkg_requests_in_flight", "Requests being answered.", ("worker",), registry=self.registry)
        self.in_flight = in_flight.labels(self._worker)
        self.registry.register(_CacheCollector(self._worker, cache_sizes))
        self.registry.register(_EngineCollector(engine_status))

    def record_request(self, exchange: Exchange, seconds: float) -> None:
        """Count an answered request."""
        key = (exchange.method, exchange.endpoint, exchange.status, exchange.cache_outcome)
        metrics = self._request_metrics.get(key)
        if metrics is None:
            metrics = self._request_metrics[key] = self._create_request_metrics(exchange)
        metrics.requests.inc()
        metrics.seconds.observe(seconds)
        metrics.bytes.inc(exchange.length)
        if exchange.has_wrong_token:
            self._wrong_tokens.inc()
        if metrics.cache is not None:
            metrics.cache.inc()

    def _create_request_metrics(self, exchange: Exchange) -> "_RequestMetrics":
        worker, endpoint = self._worker, exchange.endpoint
        return _RequestMetrics(
            self._requests.labels(worker, exchange.method, endpoint, str(exchange.status)),
            self._seconds.labels(worker, endpoint),
            self._bytes.labels(worker, endpoint),
            None if exchange.cache_outcome is None else self._cache.labels(worker, exchange.cache_outcome),
        )

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format, METRICS_MEDIA_TYPE."""
        return generate_latest(self.registry)


class _CacheCollector(Collector):
    """Reports the current sizes of the caches."""

    def __init__(self, worker: str, sizes: Callable[[], Mapping[str, int]]) -> None:
        self._worker = worker
        self._sizes = sizes

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("hpkg_cache_bytes", "Bytes that a cache holds.", labels=("worker", "cache"))
        for name, size in self._sizes().items():
            family.add_metric((self._worker, name), size)
        yield family


class _EngineCollector(Collector):
    """Reports each number of the engine's status as `hpkg_engine_NAME`; numbers in a mapping get the label `kind`."""

    def __init__(self, status: Callable[[], Mapping[str, object]]) -> None:
        self._status = status

    def describe(self) -> Iterable[Metric]:
        """Describe nothing, so that registration does not query the engine."""
        return ()

    def collect(self) -> Iterable[Metric]:
        try:
            status = self._status()
        except KgError:
            status = {}
        yield GaugeMetricFamily("hpkg_engine_up", "Whether the engine answers.", value=float(bool(status)))
        for name, value in status.items():
            values = value if isinstance(value, Mapping) else {"": value}
            numbers = {str(kind): float(n) for kind, n in values.items() if isinstance(n, int | float)}
            if numbers:
                yield _metric_family(name, numbers)


def _metric_family(name: str, numbers: Mapping[str, float]) -> Metric:
    """Return a metric of the engine: a counter if the number only grows, else a gauge."""
    labels = () if "" in numbers else ("kind",)
    family = CounterMetricFamily if name in _COUNTER_NAMES else GaugeMetricFamily
    metric = family(f"hpkg_engine_{name}", f"The engine's own count: {name}.", labels=labels)
    for kind, number in numbers.items():
        metric.add_metric((kind,) if labels else (), number)
    return metric

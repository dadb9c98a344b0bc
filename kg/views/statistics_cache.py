"""Statistics of an engine's dataset, computed once for each version of it."""

import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from kg.engine.protocol import Engine
from kg.engine.statistics import DatasetStatistics
from kg.engine.statistics_queries import compute_statistics

T = TypeVar("T")


class _ValuePerVersion(Generic[T]):
    """A value that depends on the dataset only, computed once for each version; thread-safe.

    The lock is held during the computation, so that concurrent requests wait for one result instead of each computing
    their own.
    """

    def __init__(self, engine: Engine, compute: Callable[[], T]) -> None:
        self._engine = engine
        self._compute = compute
        self._lock = threading.Lock()
        self._cached: tuple[str, T] | None = None

    def get(self) -> T:
        """Return the value for the current version of the dataset."""
        with self._lock:
            version = self._engine.version
            if self._cached is None or self._cached[0] != version:
                self._cached = version, self._compute()
            return self._cached[1]


class StatisticsCache:
    """The statistics of an engine's dataset: the engine's own where it has them, else counted by queries."""

    def __init__(self, engine: Engine) -> None:
        self._graphs = _ValuePerVersion(engine, engine.graph_sizes)
        self._counts = _ValuePerVersion(engine, lambda: engine.statistics() or compute_statistics(engine))

    def graph_sizes(self) -> Mapping[str, int]:
        """Return the number of triples in each named graph, by IRI."""
        return self._graphs.get()

    def current(self) -> DatasetStatistics:
        """Return all statistics."""
        return self._counts.get()

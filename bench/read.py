"""Measure the budgets of reading: each function measures some rows over one dataset.

Compared servers are measured in turns, round by round, so that noise on the machine affects all; a figure is the
median of the rounds. Every query that must not come from the cache has a unique text.
"""

import itertools
import math
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import psutil

from bench import load, peers, queries, write
from bench.generate import SIZES, Dataset
from bench.load import BackgroundThread, Connection, Herd, Load
from bench.own import OwnEngine
from bench.processes import HPKG, Server, serving
from bench.report import Row, at_least, at_most, milliseconds, skipped

SLOW: Final = 2.0
"""A query that takes more seconds than this is run once."""
DEADLINE: Final = 2.0
"""The time limit of queries, in seconds, where runaways are measured."""
PATIENT: Final = 120
"""The time limit of queries, in seconds, everywhere else."""
MEMORY_LIMIT_MIB: Final = 1024
GATE_RUNS: Final = 200
RDFLIB_TRIPLES: Final = 200_000
"""Above this number of triples rdflib needs more than a minute to load and is left out."""

_fresh = itertools.count(1)


@dataclass(frozen=True)
class Effort:
    """The effort for one figure: rounds, seconds of load in each, runs of one query."""

    rounds: int
    seconds: float
    runs: int


THOROUGH: Final = Effort(rounds=3, seconds=3.0, runs=9)
QUICK: Final = Effort(rounds=1, seconds=1.0, runs=3)


class Bench:
    """A dataset and the servers over it, each started on first use; as a context manager it stops them all."""

    def __init__(self, dataset: Dataset, effort: Effort) -> None:
        self.dataset = dataset
        self.effort = effort
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def options(self) -> frozenset[str]:
        """The output of `hpkg serve --help`, so that rows about a missing option are skipped, not failed."""
        said = subprocess.run([HPKG, "serve", "--help"], check=True, capture_output=True, text=True).stdout
        return frozenset(word.strip(",") for word in said.split() if word.startswith("--"))

    @cached_property
    def hpkg(self) -> Server:
        """Our service, with long deadlines, since slow queries are measured too."""
        options = ("--timeout", str(PATIENT)) if "--timeout" in self.options else ()
        return self._stack.enter_context(serving(self.dataset.folder, *options))

    @cached_property
    def own(self) -> OwnEngine:
        return self._stack.enter_context(OwnEngine(self.dataset.dataset))

    @cached_property
    def bare(self) -> Server:
        return self._stack.enter_context(peers.bare_flask(self.dataset, 1))

    @cached_property
    def oxigraph(self) -> Server:
        return self._stack.enter_context(peers.oxigraph(self.dataset))

    @cached_property
    def rdflib(self) -> Server | None:
        if self.dataset.triples > RDFLIB_TRIPLES:
            return None
        return self._stack.enter_context(peers.rdflib_endpoint(self.dataset))

    @cached_property
    def virtuoso(self) -> Server | None:
        try:
            return self._stack.enter_context(peers.virtuoso(self.dataset))
        except peers.UnavailableError:
            return None


def lookup(bench: Bench) -> Iterator[Row]:
    """Measure point lookups over 8 connections, beside Flask + pyoxigraph, rdflib-endpoint and `oxigraph serve`."""
    what = "point lookup, 8 connections"
    with peers.bare_flask(bench.dataset, 2) as twice, peers.bare_flask(bench.dataset, 1, 8) as threaded:
        peer_servers = (bench.bare, twice, threaded, bench.oxigraph, bench.rdflib)
        servers = [bench.hpkg, *(server for server in peer_servers if server is not None)]
        loads = _in_turns(bench.effort, {server.name: _lookups(bench, server) for server in servers})
    rates = {name: statistics.median(load.rate for load in done) for name, done in loads.items()}
    ours, bare = rates[bench.hpkg.name], bench.bare.name
    yield at_least(what, ours, rates[bare], 0.7, bare)
    if bench.rdflib is None:
        yield skipped(f"{what}, beside rdflib-endpoint", f"it loads more than {RDFLIB_TRIPLES:,} triples too slowly")
    else:
        yield at_least(what, ours, rates[bench.rdflib.name], 10, bench.rdflib.name)
    for name in (threaded.name, twice.name, bench.oxigraph.name):
        yield at_least(what, ours, rates[name], None, name)
    yield Row("point lookup, p50 · p95", _latencies(loads[bench.hpkg.name]), f"{_latencies(loads[bare])} ({bare})")


def cached(bench: Bench) -> Iterator[Row]:
    """Measure repeated queries: from the cache, and as 304 by ETag; beside new lookups."""
    query = queries.lookup(bench.dataset, next(_fresh))
    endpoint, again = bench.hpkg.endpoint, load.get(bench.hpkg.endpoint, query)
    connection = Connection(endpoint)
    _require(connection.ask(again), 200)
    etag = connection.header("ETag")
    connection.close()
    ways: dict[str, Callable[[float], Load]] = {
        "new": _lookups(bench, bench.hpkg),
        "again": lambda seconds: load.saturate(endpoint, load.endless([again]), seconds).require(200),
    }
    if etag is not None:
        known = load.get(endpoint, query, If_None_Match=etag)
        ways["304"] = lambda seconds: load.saturate(endpoint, load.endless([known]), seconds).require(304)
    loads = _in_turns(bench.effort, ways)
    rates = {name: statistics.median(load.rate for load in done) for name, done in loads.items()}
    yield at_least("the same lookup again, from the cache", rates["again"], rates["new"], 1.5, "new lookups")
    if etag is None:
        yield skipped("304 by If-None-Match", "the answer has no ETag")
    else:
        yield at_least("304 by If-None-Match", rates["304"], rates["new"], 1.5, "new lookups")


def aggregate(bench: Bench) -> Iterator[Row]:
    """Measure sums over all figures by indicator and period over HTTP, beside the engine's own time."""
    served, own = [], []
    with _asking(bench.hpkg) as ask:
        for _ in range(bench.effort.runs):
            text = queries.numbered(queries.AGGREGATE, next(_fresh))
            own.append(bench.own.seconds(text))
            served.append(ask(text))
    yield at_most(
        "aggregate over everything, over HTTP", statistics.median(served), statistics.median(own), 1.15, "pyoxigraph"
    )


def planning(bench: Bench) -> Iterator[Row]:
    """Measure queries that the engine plans badly or joins slowly, beside Virtuoso, `oxigraph serve` and `--plan off`.

    A budget beside Virtuoso is for the median: the slowest run is the fourth, in which columns are loaded.
    """
    kinds = (
        ("NOT EXISTS", queries.NOT_EXISTS, 1.5),
        ("OPTIONAL + GROUP BY", queries.OPTIONAL_GROUP, 1.5),
        ("nested OPTIONAL", queries.NESTED_OPTIONAL, None),
        ("top ten by a sum", queries.TOP_TEN, None),
        ("aggregate over everything", queries.AGGREGATE, None),
    )
    effort = replace(bench.effort, runs=3 * bench.effort.runs)
    unplanned = serving(bench.dataset.folder, "--timeout", str(PATIENT), "--plan", "off")
    with peers.oxigraph(bench.dataset, PATIENT) as oxigraph, unplanned as plain:
        for what, query, budget in kinds:
            times = _times(bench.hpkg, query, effort)
            ours = statistics.median(times)
            if bench.virtuoso is None:
                yield skipped(f"{what}, beside Virtuoso", "virtuoso-t is not installed (Debian: virtuoso-opensource)")
            else:
                yield at_most(what, ours, _median(bench.virtuoso, query, effort), budget, bench.virtuoso.name)
            yield at_most(what, ours, _median(oxigraph, query, effort), None, oxigraph.name)
            yield at_most(what, ours, _median(plain, query, effort), 1.2, "not planned")
            yield Row(f"{what}: slowest run", milliseconds(max(times)))
        number = next(_fresh)
        for what, query in (
            ("point lookup", queries.lookup(bench.dataset, number)),
            ("ASK", queries.trivial(bench.dataset, number)),
        ):
            yield at_most(
                f"one {what}", _median(bench.hpkg, query, effort), _median(plain, query, effort), 1.2, "not planned"
            )


def runaway(bench: Bench) -> Iterator[Row]:
    """Measure runaway queries: when their clients get an error, and the latency of others meanwhile."""
    if not {"--timeout", "--memory-limit", "--cells"} <= bench.options:
        yield skipped("runaway queries", "hpkg serve has no --timeout, --memory-limit, --cells")
        return
    workers = psutil.cpu_count() or 1
    options = ("--timeout", f"{DEADLINE:g}", "--memory-limit", str(MEMORY_LIMIT_MIB), "--cells", str(workers))
    with serving(bench.dataset.folder, *options) as server:
        seconds = bench.effort.seconds * 3
        alone = _trivial(bench, server, seconds)
        before = server.resident_mib()
        for clients in (2, 200):
            yield from _beside(bench, server, clients, alone, (before, workers))
        yield _left_running(server)


def _beside(bench: Bench, server: Server, clients: int, alone: Load, baseline: tuple[float, int]) -> Iterator[Row]:
    """Measure some runaways at once; `baseline` is the memory in MiB before, and the number of query workers."""
    before, workers = baseline
    with Herd(server.endpoint, lambda number: load.get(server.endpoint, queries.runaway(number)), clients) as herd:
        time.sleep(0.5)
        beside = _trivial(bench, server, bench.effort.seconds * 3)
        with _PeakMemory(server) as peak:
            time.sleep(DEADLINE * 2)
    late = max(herd.load.latencies) - DEADLINE
    yield Row(
        f"{clients} runaways: worst answer after the deadline",
        f"{late:+.2f} s",
        _outcomes(herd.load),
        budget="≤ 0.5 s",
        met=late <= 0.5,
    )
    yield at_most(
        f"{clients} runaways: p95 of a trivial ASK beside them", beside.percentile(95), alone.percentile(95), 2, "alone"
    )
    yield Row(
        f"{clients} runaways: worst trivial ASK beside them",
        milliseconds(max(beside.latencies)),
        _outcomes(beside),
        budget="< 1 s",
        met=max(beside.latencies) < 1 and set(beside.outcomes) == {"200"},
    )
    grown, allowed = peak.mib - before, MEMORY_LIMIT_MIB * workers + 200
    yield Row(
        f"{clients} runaways: memory, above that before",
        f"{grown:,.0f} MiB",
        budget=f"≤ {allowed:,} MiB",
        met=grown <= allowed,
    )


def _left_running(server: Server) -> Row:
    """Measure the processor time a second after the runaway clients have disconnected."""
    time.sleep(1)
    before = server.processor_seconds()
    time.sleep(1)
    busy = server.processor_seconds() - before
    return Row(
        "after the runaways: processor time in a second", f"{busy:.2f} s", budget="≤ 0.05 s", met=abs(busy) <= 0.05
    )


class _PeakMemory(BackgroundThread):
    """The largest PSS of a server's processes, sampled five times a second while the block runs."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.mib = 0.0
        self._server = server

    def run(self) -> None:
        while not self._ended.wait(0.2):
            self.mib = max(self.mib, self._server.resident_mib())


def memory(bench: Bench) -> Iterator[Row]:
    """Measure memory per triple and per query worker at light and heavy work, and the speed of loading."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([HPKG, "build", "--data", folder], check=True, stdout=subprocess.DEVNULL)
        with serving(Path(folder), *_worker_options(bench, 1)) as server:
            bare_start = server.seconds_to_answer
    with serving(bench.dataset.folder, *_worker_options(bench, 1)) as server:
        seconds = server.seconds_to_answer - bare_start
        one = _memory_at_work(bench, server)
    yield _per_triple(bench, one[0])
    if "--cells" in bench.options:
        with serving(bench.dataset.folder, *_worker_options(bench, 3)) as server:
            three = _memory_at_work(bench, server)
        for work, less, more in zip(("lookups", "scans of everything"), one, three, strict=True):
            yield _one_more_worker(bench, work, (more - less) / 2, one[0])
    else:
        yield skipped("one more query worker", "hpkg serve has no --cells")
    rate, own = bench.dataset.triples / max(seconds, 1e-3), bench.dataset.triples / bench.own.load_seconds
    yield Row(
        "load, triples a second, without the bare start",
        f"{rate:,.0f}/s",
        f"{own:,.0f}/s (pyoxigraph's bulk loader)",
        f"{rate / own:.2f}",
        "≥ 300,000/s",
        _judged(bench, rate >= 300_000),
    )


def _one_more_worker(bench: Bench, work: str, extra: float, all_of_it: float) -> Row:
    """Measure the memory in MiB that another query worker adds under some work, beside all memory with one worker."""
    return Row(
        f"one more query worker, after {work}" if work == "lookups" else f"one more query worker, at {work}",
        f"{extra:.0f} MiB",
        f"{all_of_it:.0f} MiB (all, with one)",
        f"{extra / all_of_it:.3f}",
        "≤ 0.1 ×",
        _judged(bench, extra / all_of_it <= 0.1),
    )


def _worker_options(bench: Bench, workers: int) -> tuple[str, ...]:
    return ("--cells", str(workers)) if "--cells" in bench.options else ()


def _memory_at_work(bench: Bench, server: Server) -> tuple[float, float]:
    """Return the PSS in MiB after lookups in every process, and its peak while every worker sums over everything.

    The store counts references to what it reads, so a worker that reads a page writes to it and stops sharing it.
    """
    _lookups(bench, server)(bench.effort.seconds)
    light = server.resident_mib()
    scans = (load.get(server.endpoint, queries.numbered(queries.AGGREGATE, number)) for number in _fresh)
    with _PeakMemory(server) as peak:
        load.saturate(server.endpoint, scans, bench.effort.seconds).require(200)
    return light, peak.mib


def _per_triple(bench: Bench, mib: float) -> Row:
    """Return the memory of all processes per triple, in kB."""
    value, peer = (size * 2**20 / 1000 / bench.dataset.triples for size in (mib, bench.oxigraph.resident_mib()))
    return Row(
        "memory for a triple, all processes (PSS)",
        f"{value:.2f} kB",
        f"{peer:.2f} kB ({bench.oxigraph.name})",
        f"{value / peer:.2f}",
        "≤ 0.7 kB",
        _judged(bench, value <= 0.7),
    )


def _judged(bench: Bench, met: bool) -> bool | None:
    """Return a verdict, or None if the graph is so small that Python itself decides it."""
    return met if bench.dataset.triples >= SIZES["1M"] else None


def _lookups(bench: Bench, server: Server) -> Callable[[float], Load]:
    """Run a load of point lookups, each with a unique text."""
    made = (load.get(server.endpoint, queries.lookup(bench.dataset, number)) for number in _fresh)
    return lambda seconds: load.saturate(server.endpoint, made, seconds).require(200)


def _trivial(bench: Bench, server: Server, seconds: float) -> Load:
    """Send trivial queries one after another for some seconds, about eighty per second."""
    made = (load.get(server.endpoint, queries.trivial(bench.dataset, number)) for number in _fresh)
    return load.paced(server.endpoint, made, seconds, pause=0.01)


def _in_turns(effort: Effort, ways: dict[str, Callable[[float], Load]]) -> dict[str, list[Load]]:
    """Measure each candidate once in each round, after a short warm-up."""
    done: dict[str, list[Load]] = {name: [] for name in ways}
    for measure in ways.values():
        measure(effort.seconds / 4)
    for _ in range(effort.rounds):
        for name, measure in ways.items():
            done[name].append(measure(effort.seconds))
    return done


@contextmanager
def _asking(server: Server) -> Iterator[Callable[[str], float]]:
    """Return a function that sends a query over one connection and returns its seconds, infinite without a 200."""
    connection = Connection(server.endpoint)

    def ask(query: str) -> float:
        status = connection.ask(load.get(server.endpoint, query))
        return time.perf_counter() - connection.began if status == 200 else math.inf

    yield ask
    connection.close()


def _median(server: Server, query: str, effort: Effort) -> float:
    return statistics.median(_times(server, query, effort))


def _times(server: Server, query: str, effort: Effort) -> list[float]:
    """Return the times of a query over HTTP, each run with a unique text; a slow query is run once."""
    times = list[float]()
    with _asking(server) as ask:
        while len(times) < effort.runs and max(times, default=0) < SLOW:
            times.append(ask(queries.numbered(query, next(_fresh))))
    return times


def _latencies(done: list[Load]) -> str:
    halves = (statistics.median(load.percentile(percent) for load in done) for percent in (50, 95))
    return " · ".join(map(milliseconds, halves))


def _outcomes(done: Load) -> str:
    return ", ".join(f"{outcome} ×{count:,}" for outcome, count in sorted(done.outcomes.items()))


def _require(status: int, wanted: int) -> None:
    if status != wanted:
        raise RuntimeError(f"{status} where {wanted} was expected")


def gate(bench: Bench) -> Iterator[Row]:
    """Measure the gate for one new observation, beside full validation where that ends in time."""
    return write.gate(bench.dataset, GATE_RUNS)


def commit(bench: Bench) -> Iterator[Row]:
    """Measure a durable commit over HTTP, on a copy of the data folder."""
    with tempfile.TemporaryDirectory(prefix="hpkg-bench-") as folder:
        copied = Path(shutil.copytree(bench.dataset.folder, Path(folder) / "data"))
        yield from write.commits(replace(bench.dataset, folder=copied), GATE_RUNS)


ROWS: Final[dict[str, Callable[[Bench], Iterator[Row]]]] = {
    "lookup": lookup,
    "cached": cached,
    "aggregate": aggregate,
    "planning": planning,
    "runaway": runaway,
    "memory": memory,
    "gate": gate,
    "commit": commit,
}
"""The values of `--only`."""

"""Measure search by name over HTTP in a graph of a million names; every request is new to the caches."""

import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import requests

from bench.generate import write_names
from bench.processes import Server, serving
from bench.report import Row, milliseconds

BUDGET: Final = 0.050
"""The budget of an answer in seconds, at the 95th percentile."""
LABELS: Final = 1_000_000
QUICK_LABELS: Final = 50_000
RUNS: Final = 400
QUICK_RUNS: Final = 60
PATIENCE: Final = 300.0
"""Seconds within which the index must exist."""
_QUESTIONS: Final = {
    "unmarked Vietnamese, some words": (
        "khu cong nghiep", "kkt kinh te", "quan ly dau tu", "nha may xay dung", "hoa binh tan phu", "thanh pho cang",
        "dich vu thuong mai", "nghiep cong khu",
    ),
    "unmarked Vietnamese with a number": tuple(f"khu {number}" for number in range(1000, 1100)),
    "broad: a word of a quarter of all names": ("khu", "zone", "kkt", "zone of", "khu 1"),
    "one letter": tuple("abcdeghiklmnopqrstuvxyz"),
    "words that no name has together": ("khu zone x", "nghiep zone", "kinh te zone khu of cong nghiep thuong x"),
}  # fmt: skip

_fresh = itertools.count(1)


def measure(*, quick: bool) -> Iterator[Row]:
    """Measure `/search` and `/suggest` over a graph of names only, one request after another."""
    with tempfile.TemporaryDirectory(prefix="hpkg-bench-") as folder:
        labels = QUICK_LABELS if quick else LABELS
        write_names(Path(folder), labels)
        with serving(Path(folder)) as server, requests.Session() as session:
            yield Row(f"the index of {labels:,} names, after the first answer", f"{_awaited(session, server):.1f} s")
            file = next(Path(folder).glob("search-*.db"))
            yield Row("the same, on the disk", f"{file.stat().st_size / 2**20:,.0f} MiB")
            for path in ("search", "suggest"):
                for what, texts in _QUESTIONS.items():
                    times = list(_times(session, server, path, texts, QUICK_RUNS if quick else RUNS))
                    yield _row(f"/{path}, {what}", times)


def _awaited(session: requests.Session, server: Server) -> float:
    """Return the seconds until the index of names exists."""
    began = time.perf_counter()
    while (answer := _get(session, server, "search", "khu")).status_code != requests.codes.ok:
        if time.perf_counter() - began > PATIENCE:
            raise RuntimeError(f"no index: {answer.text[:500]}")
        time.sleep(0.05)
    return time.perf_counter() - began


def _times(session: requests.Session, server: Server, path: str, texts: Iterable[str], runs: int) -> Iterator[float]:
    """Return the seconds of each request, in shuffled order."""
    chosen = random.Random(1)  # noqa: S311 - the same questions every time, nothing is secret
    pool = tuple(texts)
    for _ in range(runs):
        text = chosen.choice(pool)
        began = time.perf_counter()
        answer = _get(session, server, path, text)
        took = time.perf_counter() - began
        if answer.status_code != requests.codes.ok:
            raise RuntimeError(f"{answer.status_code}: {answer.text[:500]}")
        yield took


def _get(session: requests.Session, server: Server, path: str, text: str) -> requests.Response:
    """Send a request with a meaningless parameter that keeps it from being cached."""
    url = f"{server.endpoint.removesuffix('sparql')}{path}"
    return session.get(url, params={"q": text, "fresh": str(next(_fresh))}, timeout=60)


def _row(what: str, times: list[float]) -> Row:
    late = sorted(times)[int(len(times) * 0.95)]
    value = f"{milliseconds(statistics.median(times))} · {milliseconds(late)}"
    return Row(f"{what}, p50 · p95", value, budget=f"p95 ≤ {milliseconds(BUDGET)}", met=late <= BUDGET)

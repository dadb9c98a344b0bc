"""Measure the build, start and memory of the article's graph."""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.processes import HPKG, serving
from bench.report import Row

RUNS = 5


def build_seconds(data: Path) -> float:
    began = time.perf_counter()
    subprocess.run([HPKG, "build", "--data", data], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        builds = [build_seconds(data) for _ in range(RUNS)]
        starts, memory, largest = [], 0.0, 0.0
        for _ in range(RUNS):
            with serving(data) as server:
                starts.append(server.seconds_to_answer)
                memory = max(memory, server.resident_mib())
                largest = max(largest, server.resident_mib_largest())
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        from_nothing = server.seconds_to_answer
    return [
        _row("hpkg build, with validation (median)", statistics.median(builds), 3, "s"),
        _row("hpkg serve to the first answer, graph built (median)", statistics.median(starts), 2, "s"),
        _row("hpkg serve to the first answer, from nothing", from_nothing, 2, "s"),
        _row("resident memory, all processes (PSS)", memory, 200, "MiB"),
        _row("resident memory, largest process (RSS)", largest, 200, "MiB"),
    ]


def _row(what: str, value: float, budget: float, unit: str) -> Row:
    shown = f"{value:.2f} {unit}" if unit == "s" else f"{value:.0f} {unit}"
    return Row(what, shown, budget=f"≤ {budget} {unit}", met=value <= budget)

"""The article's graph: how long a build takes, how soon the service answers, how much memory it holds."""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.processes import HPKG, serving

RUNS = 5


def build_seconds(data: Path) -> float:
    began = time.perf_counter()
    subprocess.run([HPKG, "build", "--data", data], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def measure() -> list[tuple[str, str, str]]:
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
        ("hpkg build, with validation (median)", f"{statistics.median(builds):.2f} s", "3 s"),
        ("hpkg serve to the first answer, graph built (median)", f"{statistics.median(starts):.2f} s", "2 s"),
        ("hpkg serve to the first answer, from nothing", f"{from_nothing:.2f} s", "2 s"),
        ("resident memory, all processes (PSS)", f"{memory:.0f} MiB", "200 MiB"),
        ("resident memory, largest process (RSS)", f"{largest:.0f} MiB", "200 MiB"),
    ]

"""Start the service as a user does, and look at its processes from outside."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

HPKG = Path(sys.executable).with_name("hpkg")


@dataclass(frozen=True)
class Server:
    """A running service: its address, its first process and the seconds until it first answered."""

    url: str
    process: psutil.Process
    seconds_to_answer: float

    def resident_mib(self) -> float:
        """The unshared memory of all its processes plus the shared pages once (PSS), in MiB."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(member.memory_full_info().pss for member in family) / 2**20

    def resident_mib_largest(self) -> float:
        """The resident set of its largest process, in MiB."""
        family = [self.process, *self.process.children(recursive=True)]
        return max(member.memory_info().rss for member in family) / 2**20


def free_port() -> int:
    """Ask the kernel for a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(data: Path, *options: str) -> Iterator[Server]:
    """Run `hpkg serve` until the block ends; it is ready when it has answered one query."""
    port = free_port()
    began = time.perf_counter()
    with subprocess.Popen(
        [HPKG, "serve", "--data", data, "--port", str(port), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        try:
            url = f"http://127.0.0.1:{port}"
            _first_answer(url, running)
            yield Server(url, psutil.Process(running.pid), time.perf_counter() - began)
        finally:
            running.terminate()


def _first_answer(url: str, running: subprocess.Popen[bytes]) -> None:
    query = {"query": "ASK { ?s ?p ?o }"}
    while running.poll() is None:
        try:
            if requests.get(f"{url}/sparql", params=query, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.01)
    raise RuntimeError(f"the service ended with {running.returncode}")

"""Start servers as a user does, and measure their processes from outside."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import requests

HPKG: Final = Path(sys.executable).with_name("hpkg")
PATIENCE: Final = 300.0
"""Seconds within which a server must answer once."""


@dataclass(frozen=True)
class Server:
    """A running server: its SPARQL endpoint, its first process and the seconds until it first answered."""

    name: str
    endpoint: str
    process: psutil.Process
    seconds_to_answer: float

    def family(self) -> list[psutil.Process]:
        """The first process and all its descendants."""
        return [self.process, *self.process.children(recursive=True)]

    def resident_mib(self) -> float:
        """The proportional set size (PSS) of all processes, in MiB."""
        return sum(_pss(member) for member in self.family()) / 2**20

    def resident_mib_largest(self) -> float:
        """The resident set size of the largest process, in MiB."""
        return max(member.memory_info().rss for member in self.family()) / 2**20

    def processor_seconds(self) -> float:
        """The processor time of the living processes, in seconds."""
        return sum(sum(member.cpu_times()[:2]) for member in self.family())


def _pss(process: psutil.Process) -> int:
    """Return the proportional set size of a process in bytes, 0 if it has ended."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(data: Path, *options: str) -> Iterator[Server]:
    """Run `hpkg serve` until the block ends."""
    port = free_port()
    command = [HPKG, "serve", "--data", data, "--port", str(port), *options]
    with running("hpkg serve", command, f"http://127.0.0.1:{port}/sparql") as server:
        yield server


@contextmanager
def running(
    name: str, command: Sequence[str | Path], endpoint: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a server until the block ends; it is ready when it has answered one query.

    Raise RuntimeError with the end of its output if it stops before.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(environment or {})})
        server = psutil.Process(process.pid)
        try:
            if not _answered(endpoint, process, began + PATIENCE):
                log.seek(0)
                said = log.read().decode(errors="replace")[-2000:]
                raise RuntimeError(f"{name} did not start ({process.poll()}): {said}")
            yield Server(name, endpoint, server, time.perf_counter() - began)
        finally:
            _stop(process, server)


def _answered(endpoint: str, process: subprocess.Popen[bytes], until: float) -> bool:
    query = {"query": "ASK { ?s ?p ?o }"}
    while process.poll() is None and time.perf_counter() < until:
        try:
            if requests.get(endpoint, params=query, timeout=60).ok:
                return True
        except requests.ConnectionError:
            time.sleep(0.01)
    return False


def _stop(process: subprocess.Popen[bytes], server: psutil.Process) -> None:
    """Stop a server and the descendants that outlive it."""
    family = server.children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for member in psutil.wait_procs(family, 5)[1]:
        member.kill()

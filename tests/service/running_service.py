"""Run the service in its own session, so that a test can find and kill all of its processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

HPKG = (str(Path(sys.executable).with_name("hpkg")),)
PLACE_TURTLE = """
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
<https://w3id.org/hpez/id/place/{name}> a <https://schema.org/Place> ; rdfs:label "Đồ {name}"@vi, "Do {name}"@en ;
  skos:prefLabel "Đồ {name}"@vi, "Do {name}"@en .
"""
"""Five triples about a place, which conform to the shapes."""


@dataclass(frozen=True)
class RunningService:
    """A running service: its first process, its base URL and its data folder."""

    process: subprocess.Popen[bytes]
    url: str
    data: Path

    @property
    def process_groups(self) -> dict[int, int]:
        """The process groups of the service's live processes, by process id.

        The dispatcher has its own session, and a process that writes a snapshot has no parent in the service.
        """
        table = live_processes()
        found = {pid for pid, (parent, _) in table.items() if self.process.pid in {pid, parent}}
        groups = {table[pid][1] for pid in found}
        return {pid: group for pid, (_, group) in table.items() if group in groups}

    @property
    def generation(self) -> int:
        return int(requests.get(f"{self.url}/health", timeout=30).json()["generation"])

    def add_place(self, session: requests.Session, name: str, **headers: str) -> requests.Response:
        sent = {"Content-Type": "text/turtle", **headers}
        return session.post(f"{self.url}/facts", PLACE_TURTLE.format(name=name).encode(), headers=sent, timeout=60)

    def has_place(self, name: str) -> bool:
        query = f"ASK {{ <https://w3id.org/hpez/id/place/{name}> ?p ?o }}"
        return bool(requests.get(f"{self.url}/sparql", {"query": query}, timeout=30).json()["boolean"])

    def kill(self) -> None:
        """Kill all processes at once, and return when none is left."""
        groups = set(self.process_groups.values())
        for group in groups:
            os.killpg(group, signal.SIGKILL)
        self.process.wait(120)
        end = time.monotonic() + 30
        while any(group in groups for _, group in live_processes().values()):
            assert time.monotonic() < end, "a process of the service is still alive"
            time.sleep(0.01)


def live_processes() -> dict[int, tuple[int, int]]:
    """The parent and the process group of each live process of this machine."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            states = {_stat_fields(path)[0] for path in folder.glob("task/*/stat")}
            _, parent, group = _stat_fields(folder / "stat")
        except OSError:
            continue
        if states - {"Z", "X"}:
            found[int(folder.name)] = int(parent), int(group)
    return found


def _stat_fields(path: Path) -> tuple[str, str, str]:
    """The state, the parent and the process group of a process or of one of its threads."""
    state, parent, group = path.read_text().rpartition(")")[2].split()[:3]
    return state, parent, group


@contextmanager
def run_service(
    folder: Path, *prefix: str, hpkg: Sequence[str] = HPKG, working_folder: Path | None = None
) -> Iterator[RunningService]:
    """Run `hpkg serve` with the subfolder `data` of a folder; its temporary files are in the folder too.

    `prefix` is a command that runs another command, `hpkg` the command to run.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, log = listener.getsockname()[1], folder / "log"
    command = [*prefix, *hpkg, "serve", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--data", str(folder / "data")],
            env={**os.environ, "TMPDIR": str(folder)},
            cwd=working_folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    served = RunningService(process, f"http://127.0.0.1:{port}", folder / "data")
    try:
        _wait_until_ready(served, log)
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(120)


def _wait_until_ready(served: RunningService, log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            requests.get(f"{served.url}/health", timeout=5)
        except requests.ConnectionError:
            assert served.process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        else:
            return

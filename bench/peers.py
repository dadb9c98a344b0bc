"""Other servers over the same data on loopback, each started as its documentation says.

All use the union of the graphs as default graph, as `hpkg serve` does.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil
import requests

from bench import bare
from bench.generate import Dataset
from bench.processes import Server, free_port, running

_BIN: Final = Path(sys.executable).parent
_BUFFER_BYTES: Final = 8700
"""Bytes of memory for a page of Virtuoso, by its documentation."""


class UnavailableError(Exception):
    """A peer that cannot run here, with the reason."""


@contextmanager
def bare_flask(dataset: Dataset, processes: int, threads: int = 1) -> Iterator[Server]:
    """Run Flask around pyoxigraph on granian; each process has its own copy of the data.

    One thread in a process is fastest, but a slow query then blocks all others; eight threads compete for the
    interpreter lock.
    """
    port = free_port()
    command = [
        _BIN / "granian", "--interface", "wsgi", "--factory", "--host", "127.0.0.1", "--port", str(port),
        "--workers", str(processes), "--blocking-threads", str(threads), "bench.bare:application",
    ]  # fmt: skip
    endpoint, environment = f"http://127.0.0.1:{port}/sparql", {bare.DATASET: str(dataset.dataset)}
    name = f"Flask + pyoxigraph, {processes} × {threads} thread{'s' if threads > 1 else ''}"
    with running(name, command, endpoint, environment) as server:
        yield server


@contextmanager
def oxigraph(dataset: Dataset, timeout: int | None = None) -> Iterator[Server]:
    """Run `oxigraph serve` in memory, filled by its bulk loader over HTTP; `timeout` is in seconds.

    With a timeout, each query leaves a thread that sleeps until then, and a load of lookups ends the process
    (0.5.13: "Resource temporarily unavailable"). So the timeout is for slow queries only.
    """
    port = free_port()
    command = [_BIN / "oxigraph", "serve", "--bind", f"127.0.0.1:{port}", "--union-default-graph"]
    if timeout is not None:
        command += ["--timeout-s", str(timeout)]
    with running("oxigraph serve", command, f"http://127.0.0.1:{port}/query") as server:
        began = time.perf_counter()
        with dataset.dataset.open("rb") as body:
            requests.post(
                f"http://127.0.0.1:{port}/store?no_transaction",
                data=body,
                headers={"Content-Type": "application/n-quads"},
                timeout=600,
            ).raise_for_status()
        yield replace(server, seconds_to_answer=time.perf_counter() - began)


@contextmanager
def rdflib_endpoint(dataset: Dataset) -> Iterator[Server]:
    """Run rdflib-endpoint with rdflib's own store, which is its default."""
    port = free_port()
    command = [_BIN / "rdflib-endpoint", "serve", "--host", "127.0.0.1", "--port", str(port), dataset.dataset]
    with running("rdflib-endpoint", command, f"http://127.0.0.1:{port}/") as server:
        yield server


@contextmanager
def virtuoso(dataset: Dataset) -> Iterator[Server]:
    """Run Virtuoso in a temporary folder, with a quarter of the memory as buffers, warmed by its bulk loader.

    Raise UnavailableError if `virtuoso-t` is not installed.
    """
    if shutil.which("virtuoso-t") is None or shutil.which("isql-vt") is None:
        raise UnavailableError("virtuoso-t is not installed (Debian: virtuoso-opensource)")
    sql, http = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "virtuoso.ini"
        configuration.write_text(_virtuoso_ini(Path(folder), dataset.folder, sql, http), encoding="utf-8")
        command = ["virtuoso-t", "+configfile", configuration, "+foreground"]
        with running("Virtuoso", command, f"http://127.0.0.1:{http}/sparql") as server:
            yield replace(server, seconds_to_answer=_virtuoso_load(dataset, sql))


def _virtuoso_load(dataset: Dataset, port: int) -> float:
    """Load the data by Virtuoso's bulk loader and return the seconds."""
    statements = f"ld_dir('{dataset.folder}', '{dataset.dataset.name}', 'urn:bench'); rdf_loader_run(); checkpoint;"
    began = time.perf_counter()
    subprocess.run(
        ["isql-vt", f"127.0.0.1:{port}", "dba", "dba", f"exec={statements}"],  # noqa: S607 - found on the path above
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def _virtuoso_ini(folder: Path, data: Path, sql: int, http: int) -> str:
    buffers = psutil.virtual_memory().total // 4 // _BUFFER_BYTES
    return f"""
[Database]
DatabaseFile = {folder}/virtuoso.db
ErrorLogFile = {folder}/virtuoso.log
LockFile = {folder}/virtuoso.lck
TransactionFile = {folder}/virtuoso.trx
xa_persistent_file = {folder}/virtuoso.pxa
FileExtend = 200
TempStorage = TempDatabase
[TempDatabase]
DatabaseFile = {folder}/virtuoso-temp.db
TransactionFile = {folder}/virtuoso-temp.trx
[Parameters]
ServerPort = 127.0.0.1:{sql}
DirsAllowed = {data}
NumberOfBuffers = {buffers}
MaxDirtyBuffers = {buffers * 3 // 4}
MaxClientConnections = 50
ThreadsPerQuery = {psutil.cpu_count()}
AsyncQueueMaxThreads = {psutil.cpu_count()}
CheckpointInterval = 0
MaxQueryMem = 2G
[HTTPServer]
ServerPort = 127.0.0.1:{http}
ServerRoot = {folder}
ServerThreads = 20
MaxKeepAlives = 20
KeepAliveTimeout = 60
"""

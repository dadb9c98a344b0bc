"""A dispatcher in a separate process, with operations for every kind of failure."""

import faulthandler
import io
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kg.errors import InputError, ResultTooLargeError
from kg.workers.dispatcher import Dispatcher
from kg.workers.dispatcher_folder import VersionFile, open_listener
from kg.workers.pool_engine import PoolEngine
from kg.workers.worker import JobResult, WorkerLimits
from kg.workers.worker_pool import PoolConfig

MIB = 1024 * 1024


def sleep(header: dict[str, Any], _: bytes) -> JobResult:
    time.sleep(header["seconds"])
    return JobResult({"pid": os.getpid()})


def allocate(_: dict[str, Any], __: bytes) -> JobResult:
    pieces = []
    while True:
        pieces.append(bytearray(8 * MIB))


def abort(_: dict[str, Any], __: bytes) -> JobResult:
    os.abort()


def crash(_: dict[str, Any], __: bytes) -> JobResult:
    os.kill(os.getpid(), signal.SIGSEGV)
    return JobResult({})


def refuse(_: dict[str, Any], __: bytes) -> JobResult:
    raise InputError("not like that")


def fail(_: dict[str, Any], __: bytes) -> JobResult:
    raise KeyError("oops")


def large(header: dict[str, Any], _: bytes) -> JobResult:
    body = tempfile.TemporaryFile()  # noqa: SIM115 - the worker closes it
    try:
        for _number in range(header["mib"]):
            body.write(b"x" * MIB)
        body.flush()
    except OSError as error:
        raise ResultTooLargeError from error
    body.seek(0)
    return JobResult({}, body, header["mib"] * MIB)


def echo(_: dict[str, Any], payload: bytes) -> JobResult:
    return JobResult({"pid": os.getpid()}, io.BytesIO(payload), len(payload))


def connect(header: dict[str, Any], _: bytes) -> JobResult:
    with socket.create_connection(("127.0.0.1", header["port"]), timeout=5):
        return JobResult({})


def nap(header: dict[str, Any], payload: bytes) -> JobResult:
    time.sleep(header["seconds"])
    return echo(header, payload)


def query(_: dict[str, Any], payload: bytes) -> JobResult:
    """Perform another operation as a query; the text is its name and its number."""
    name, _, number = payload.decode().partition(" ")
    header = {"seconds": float(number), "mib": int(float(number))} if number else {}
    answer = OPERATIONS[name](header, number.encode())
    kind = {"kind": "solutions", "media_type": "text/plain"}
    return JobResult({**answer.header, **kind}, answer.body or io.BytesIO(), answer.length)


OPERATIONS = {
    "sleep": sleep, "allocate": allocate, "abort": abort, "crash": crash, "refuse": refuse, "fail": fail,
    "large": large, "echo": echo, "nap": nap, "query": query, "connect": connect,
}  # fmt: skip
POOL_CONFIG = PoolConfig(
    workers=2, max_queued=4, spool_bytes=12 * MIB, limits=WorkerLimits(memory_bytes=200 * MIB, result_bytes=5 * MIB)
)


@contextmanager
def forked_dispatcher(config: PoolConfig = POOL_CONFIG, timeout: float = 2.0) -> Iterator[tuple[PoolEngine, int]]:
    """Fork a dispatcher; yield an engine that is connected to it, and its process id."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        VersionFile(folder).write(7, "abc")
        read, write = os.pipe()
        listener = open_listener(folder)
        pid = os.fork()
        if pid == 0:
            faulthandler.disable()
            os.close(write)
            try:
                Dispatcher(listener, OPERATIONS, config, lambda: {"triples": 0}).run(os.fdopen(read))
            finally:
                os._exit(0)
        os.close(read)
        listener.close()
        engine = PoolEngine(folder, timeout)
        try:
            yield engine, pid
        finally:
            engine.close()
            os.close(write)
            os.waitpid(pid, 0)


@contextmanager
def closing_event() -> Iterator[threading.Event]:
    """An event that is set at the end, so that waiting clients give up."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


def worker_pids(pid: int) -> list[int]:
    """The process ids of a dispatcher's workers."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(part) for part in text.split()]


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true, at most ten seconds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)

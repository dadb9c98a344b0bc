"""The keeper and its cells with jobs of the test's own: limits, fairness, and deaths of every kind."""

import faulthandler
import io
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kg.engine.cell import Answer, Limits
from kg.engine.cells import CellsEngine, VersionFile, listening
from kg.engine.keeper import House, Keeper
from kg.engine.protocol import QueryRequest
from kg.errors import (
    CellCrashError,
    DeadlineError,
    EngineError,
    InputError,
    MemoryLimitError,
    QueueFullError,
    ResultTooLargeError,
    SpoolFullError,
    UnreachableError,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cells need Linux")
MIB = 1024 * 1024


def sleep(header: dict[str, Any], _: bytes) -> Answer:
    time.sleep(header["seconds"])
    return Answer({"pid": os.getpid()})


def allocate(_: dict[str, Any], __: bytes) -> Answer:
    pieces = []
    while True:
        pieces.append(bytearray(8 * MIB))


def abort(_: dict[str, Any], __: bytes) -> Answer:
    os.abort()


def crash(_: dict[str, Any], __: bytes) -> Answer:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Answer({})


def refuse(_: dict[str, Any], __: bytes) -> Answer:
    raise InputError("not like that")


def fail(_: dict[str, Any], __: bytes) -> Answer:
    raise KeyError("oops")


def large(header: dict[str, Any], _: bytes) -> Answer:
    body = tempfile.TemporaryFile()  # noqa: SIM115 - the cell closes it
    try:
        for _number in range(header["mib"]):
            body.write(b"x" * MIB)
        body.flush()
    except OSError as error:
        raise ResultTooLargeError from error
    body.seek(0)
    return Answer({}, body, header["mib"] * MIB)


def echo(_: dict[str, Any], payload: bytes) -> Answer:
    return Answer({"pid": os.getpid()}, io.BytesIO(payload), len(payload))


OPERATIONS = {
    "sleep": sleep, "allocate": allocate, "abort": abort, "crash": crash, "refuse": refuse, "fail": fail,
    "large": large, "echo": echo,
}  # fmt: skip
HOUSE = House(cells=2, waiting=4, spool=12 * MIB, limits=Limits(memory=200 * MIB, result=5 * MIB))


@contextmanager
def keeping(house: House = HOUSE, timeout: float = 2.0) -> Iterator[tuple[CellsEngine, int]]:
    """A keeper in a process of its own, and an engine that reaches it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        VersionFile(folder).write(7, "abc")
        read, write = os.pipe()
        listener = listening(folder)
        pid = os.fork()
        if pid == 0:
            faulthandler.disable()
            os.close(write)
            try:
                Keeper(listener, OPERATIONS, house, {"triples": 0}).run(os.fdopen(read))
            finally:
                os._exit(0)
        os.close(read)
        listener.close()
        engine = CellsEngine(folder, timeout)
        try:
            yield engine, pid
        finally:
            engine.close()
            os.close(write)
            os.waitpid(pid, 0)


@pytest.fixture
def engine() -> Iterator[CellsEngine]:
    with keeping() as (engine, _):
        yield engine


def call(
    engine: CellsEngine, op: str, payload: bytes = b"", timeout: float | None = None, **header: object
) -> tuple[dict[str, Any], bytes]:
    answer, body = engine.call({"op": op, **header}, payload, QueryRequest("", timeout=timeout))
    with body:
        return answer, body.read()


def echoes(engine: CellsEngine) -> bool:
    return bool(call(engine, "echo", b"hello")[1] == b"hello")


@pytest.mark.parametrize(
    ("op", "error"),
    [
        ("allocate", MemoryLimitError),
        ("abort", MemoryLimitError),
        ("crash", CellCrashError),
        ("refuse", InputError),
        ("fail", EngineError),
    ],
)
def test_each_end_has_its_error_and_the_next_job_works(engine: CellsEngine, op: str, error: type[Exception]) -> None:
    for _ in range(3):
        with pytest.raises(error):
            call(engine, op)
        assert echoes(engine)


def test_deadline(engine: CellsEngine) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineError):
        call(engine, "sleep", seconds=60, timeout=0.6)
    assert time.monotonic() - began >= 0.6
    assert engine.status()["killed"] == {"deadline": 1}
    assert echoes(engine)


def test_a_client_can_only_shorten_the_deadline(engine: CellsEngine) -> None:
    with pytest.raises(DeadlineError):
        call(engine, "sleep", seconds=60, timeout=1000)


def test_jobs_survive_becoming_slow(engine: CellsEngine) -> None:
    assert call(engine, "sleep", seconds=0.6)[0]["pid"]


def test_a_cheap_job_passes_expensive_ones(engine: CellsEngine) -> None:
    with ThreadPoolExecutor(8) as pool:
        slow = [pool.submit(call, engine, "sleep", seconds=60) for _ in range(4)]
        time.sleep(0.4)
        for _ in range(5):
            began = time.monotonic()
            assert echoes(engine)
            assert time.monotonic() - began < 1.9, "it waited for a deadline of the others"
        for job in slow:
            assert isinstance(job.exception(), DeadlineError)
    assert engine.status()["killed"]["requeued"] >= 1  # type: ignore[index]


def test_a_job_that_was_stopped_for_others_is_done_later(engine: CellsEngine) -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(call, engine, "sleep", seconds=0.5) for _ in range(3)]
        assert all(job.result()[0]["pid"] for job in jobs)


def test_when_too_many_wait_the_oldest_is_turned_away(engine: CellsEngine) -> None:
    with ThreadPoolExecutor(40) as pool:
        jobs = [pool.submit(call, engine, "sleep", seconds=60) for _ in range(40)]
        errors = [job.exception() for job in jobs]
    kinds = {type(error) for error in errors}
    assert kinds == {DeadlineError, QueueFullError}
    assert echoes(engine)


def test_results_in_memory_and_in_files(engine: CellsEngine) -> None:
    payload = os.urandom(MIB)
    assert call(engine, "echo", payload)[1] == payload
    assert len(call(engine, "large", mib=4)[1]) == 4 * MIB


def test_a_result_beyond_its_limit(engine: CellsEngine) -> None:
    with pytest.raises(ResultTooLargeError):
        call(engine, "large", mib=7)
    assert echoes(engine)


def test_unread_results_are_bounded_and_freed(engine: CellsEngine) -> None:
    bodies = [engine.call({"op": "large", "mib": 4})[1] for _ in range(2)]
    with pytest.raises(ResultTooLargeError):
        engine.call({"op": "large", "mib": 5})
    bodies.append(engine.call({"op": "large", "mib": 4})[1])
    with pytest.raises(SpoolFullError):
        engine.call({"op": "large", "mib": 4})
    assert engine.status()["spooled_bytes"] == 12 * MIB
    for body in bodies:
        body.close()
    with engine.call({"op": "large", "mib": 4})[1] as body:
        assert len(body.read()) == 4 * MIB


def test_an_abandoned_job_is_killed(engine: CellsEngine) -> None:
    gone = threading.Event()
    threading.Timer(0.3, gone.set).start()
    with pytest.raises(UnreachableError):
        engine.call({"op": "sleep", "seconds": 60}, b"", QueryRequest("", abandoned=gone.is_set))
    assert engine.status()["killed"] == {"abandoned": 1}


def test_many_threads(engine: CellsEngine) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: call(engine, "echo", b"%d" % number)[1], range(400)))
    assert answers == [b"%d" % number for number in range(400)]
    assert engine.status()["killed"] == {}


def test_killed_cells_are_replaced() -> None:
    with keeping() as (engine, keeper):
        for _ in range(5):
            for pid in children(keeper):
                os.kill(pid, signal.SIGKILL)
            assert echoes(engine)
        assert len(children(keeper)) == HOUSE.cells


def test_cells_die_with_the_keeper() -> None:
    with keeping() as (engine, keeper):
        assert echoes(engine)
        cells = children(keeper)
        os.kill(keeper, signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in cells))
        with pytest.raises(UnreachableError):
            echoes(engine)


def test_running_jobs_end_before_the_keeper_goes() -> None:
    with keeping() as (engine, _), ThreadPoolExecutor(1) as pool:
        job = pool.submit(call, engine, "sleep", seconds=0.8)
        time.sleep(0.2)
    assert job.result()[0]["pid"]


def test_the_version_needs_no_message() -> None:
    with keeping() as (engine, keeper):
        os.kill(keeper, signal.SIGSTOP)
        assert (engine.version, engine.generation) == ("abc-7", 7)
        os.kill(keeper, signal.SIGCONT)


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(part) for part in text.split()]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)

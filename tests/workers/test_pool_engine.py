"""The dispatcher and its workers: limits, fairness, and processes that die."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kg.engine.protocol import QueryRequest
from kg.errors import (
    DeadlineError,
    EngineError,
    InputError,
    MemoryLimitError,
    QueueFullError,
    ResultTooLargeError,
    SpoolFullError,
    UnreachableError,
    WorkerCrashError,
)
from kg.workers import sandbox
from kg.workers.framing import Message, send_message
from kg.workers.pool_engine import PoolEngine
from kg.workers.scheduling import SHORT_TIME_SLICE, TIME_SLICE
from tests.workers.dispatcher_process import (
    MIB,
    POOL_CONFIG,
    closing_event,
    forked_dispatcher,
    wait_until,
    worker_pids,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")


@pytest.fixture
def engine() -> Iterator[PoolEngine]:
    with forked_dispatcher() as (engine, _):
        yield engine


def call(
    engine: PoolEngine,
    op: str,
    payload: bytes = b"",
    timeout: float | None = None,
    until: threading.Event | None = None,
    **header: object,
) -> tuple[dict[str, Any], bytes]:
    """Perform a job; the client gives up once `until` is set."""
    request = QueryRequest("", timeout=timeout, is_abandoned=until and until.is_set)
    answer, body = engine.call({"op": op, **header}, payload, request)
    with body:
        return answer, body.read()


def number(engine: PoolEngine, group: str, name: str) -> int:
    """A number of the dispatcher's status."""
    found: Any = engine.status()[group]
    return int(found.get(name, 0))


def echoes(engine: PoolEngine) -> bool:
    return bool(call(engine, "echo", b"hello")[1] == b"hello")


@pytest.mark.parametrize(
    ("op", "error"),
    [
        ("allocate", MemoryLimitError),
        ("abort", MemoryLimitError),
        ("crash", WorkerCrashError),
        ("refuse", InputError),
        ("fail", EngineError),
    ],
)
def test_each_failure_has_its_error_and_the_next_job_succeeds(
    engine: PoolEngine, op: str, error: type[Exception]
) -> None:
    for _ in range(3):
        with pytest.raises(error):
            call(engine, op)
        assert echoes(engine)


def test_a_job_beyond_its_deadline_is_killed(engine: PoolEngine) -> None:
    with pytest.raises(DeadlineError):
        call(engine, "sleep", seconds=60, timeout=0.6)
    assert engine.status()["killed"] == {"deadline": 1}
    assert echoes(engine)


def test_a_client_can_only_shorten_the_deadline(engine: PoolEngine) -> None:
    with pytest.raises(DeadlineError):
        call(engine, "sleep", seconds=60, timeout=1000)


def test_slow_jobs_still_return_their_results(engine: PoolEngine) -> None:
    assert call(engine, "sleep", seconds=0.6)[0]["pid"]


def test_a_cheap_job_overtakes_expensive_ones() -> None:
    with (
        forked_dispatcher(timeout=60) as (engine, _),
        ThreadPoolExecutor(8) as pool,
        closing_event() as end,
    ):
        slow = [pool.submit(call, engine, "sleep", seconds=60, until=end) for _ in range(4)]
        wait_until(lambda: number(engine, "killed", "requeued") >= 1)
        assert all(echoes(engine) for _ in range(5))
        assert not any(job.done() for job in slow)


def test_queries_with_a_slow_fingerprint_wait_for_slow_places() -> None:
    """Queries with the fingerprint of a slow query wait for the slow places and leave the other worker free."""
    with (
        forked_dispatcher(replace(POOL_CONFIG, max_queued=64), timeout=60) as (engine, _),
        ThreadPoolExecutor(32) as pool,
        closing_event() as end,
    ):
        with pytest.raises(DeadlineError):
            call(engine, "sleep", seconds=60, shape="wild", timeout=1)
        wild = [pool.submit(call, engine, "sleep", seconds=60, shape="wild", until=end) for _ in range(30)]
        wait_until(lambda: number(engine, "waiting", "slow") == 29)
        assert all(echoes(engine) for _ in range(20))
        assert not any(job.done() for job in wild)
        assert number(engine, "killed", "requeued") == 0


def test_a_fingerprint_is_fast_again_after_a_fast_query() -> None:
    with forked_dispatcher(timeout=1.5) as (engine, _):
        call(engine, "sleep", seconds=0.4, shape="moody")
        call(engine, "sleep", seconds=0, shape="moody")
        with ThreadPoolExecutor(8) as pool:
            wild = [pool.submit(call, engine, "sleep", seconds=60) for _ in range(2)]
            wait_until(lambda: number(engine, "waiting", "slow") == 1)
            assert call(engine, "sleep", seconds=0, shape="moody")[0]["pid"]
            assert all(isinstance(job.exception(), DeadlineError) for job in wild)


def test_a_requeued_job_is_performed_later(engine: PoolEngine) -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(call, engine, "sleep", seconds=0.5) for _ in range(3)]
        assert all(job.result()[0]["pid"] for job in jobs)


def test_a_full_queue_rejects_the_oldest_job(engine: PoolEngine) -> None:
    with ThreadPoolExecutor(40) as pool:
        jobs = [pool.submit(call, engine, "sleep", seconds=60) for _ in range(40)]
        errors = [job.exception() for job in jobs]
    kinds = {type(error) for error in errors}
    assert kinds == {DeadlineError, QueueFullError}
    assert echoes(engine)


def test_results_in_memory_and_in_files(engine: PoolEngine) -> None:
    payload = os.urandom(MIB)
    assert call(engine, "echo", payload)[1] == payload
    assert len(call(engine, "large", mib=4)[1]) == 4 * MIB


def test_a_result_beyond_its_limit(engine: PoolEngine) -> None:
    with pytest.raises(ResultTooLargeError):
        call(engine, "large", mib=7)
    assert echoes(engine)


def test_unread_results_are_bounded_and_freed(engine: PoolEngine) -> None:
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


def test_an_abandoned_job_is_killed(engine: PoolEngine) -> None:
    gone = threading.Event()
    threading.Timer(0.3, gone.set).start()
    with pytest.raises(UnreachableError):
        engine.call({"op": "sleep", "seconds": 60}, b"", QueryRequest("", is_abandoned=gone.is_set))
    assert engine.status()["killed"] == {"abandoned": 1}


def test_many_threads_get_their_own_answers(engine: PoolEngine) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: call(engine, "echo", b"%d" % number)[1], range(400)))
    assert answers == [b"%d" % number for number in range(400)]
    assert engine.status()["killed"] == {}


def test_a_result_at_the_end_of_a_time_slice_is_sent_once() -> None:
    """A job that ends at the end of its time slice is answered once, to its own client."""
    lengths = [end + step / 1000 for end in (SHORT_TIME_SLICE, TIME_SLICE) for step in range(-4, 5)]

    def one(number: int) -> bool:
        seconds = lengths[number % len(lengths)]
        return call(engine, "nap", b"%d" % number, seconds=seconds)[1] == b"%d" % number

    with (
        forked_dispatcher(replace(POOL_CONFIG, workers=3, max_queued=64), timeout=20) as (engine, _),
        ThreadPoolExecutor(8) as pool,
    ):
        assert all(pool.map(one, range(160)))


def test_an_answer_to_another_request_is_refused() -> None:
    with forked_dispatcher() as (engine, _):
        assert echoes(engine)
        connection = engine._idle.get()
        connection.job_count += 1
        engine._idle.put(connection)
        send_message(connection.socket, Message({"op": "echo", "timeout": 1, "id": connection.job_count}, b"stale"))
        assert connection.poller.poll(5000)
        with pytest.raises(EngineError, match="does not match the request"):
            echoes(engine)
        assert echoes(engine)


def test_killed_workers_are_replaced() -> None:
    with forked_dispatcher() as (engine, dispatcher):
        for _ in range(5):
            for pid in worker_pids(dispatcher):
                os.kill(pid, signal.SIGKILL)
            assert echoes(engine)
        # A request is answered as soon as one worker runs; the other may be between its end and its replacement.
        wait_until(lambda: len(worker_pids(dispatcher)) == POOL_CONFIG.workers)


@pytest.mark.skipif(not sandbox.is_available(), reason="the kernel has no Landlock for the network (Linux 6.7)")
def test_workers_may_not_connect_unless_allowed() -> None:
    """The kernel refuses connections even if the check of SERVICE clauses has a bug."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with forked_dispatcher() as (engine, _), pytest.raises(EngineError, match="PermissionError"):
            call(engine, "connect", port=port)
        allowed = replace(POOL_CONFIG, limits=replace(POOL_CONFIG.limits, allow_connections=True))
        with forked_dispatcher(allowed) as (engine, _):
            call(engine, "connect", port=port)


def test_workers_die_with_the_dispatcher() -> None:
    with forked_dispatcher() as (engine, dispatcher):
        assert echoes(engine)
        workers = worker_pids(dispatcher)
        os.kill(dispatcher, signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in workers))
        with pytest.raises(UnreachableError):
            echoes(engine)


def test_running_jobs_end_before_the_dispatcher_exits() -> None:
    with forked_dispatcher() as (engine, _), ThreadPoolExecutor(1) as pool:
        job = pool.submit(call, engine, "sleep", seconds=0.8)
        wait_until(lambda: number(engine, "cells", "busy") == 1)
    assert job.result()[0]["pid"]


def test_the_version_is_read_without_a_message() -> None:
    with forked_dispatcher() as (engine, dispatcher):
        os.kill(dispatcher, signal.SIGSTOP)
        assert (engine.version, engine.generation) == ("abc-7", 7)
        os.kill(dispatcher, signal.SIGCONT)

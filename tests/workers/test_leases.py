"""Leases of workers, and longer jobs that the dispatcher adopts."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from kg.engine.protocol import QueryRequest, QueryResult
from kg.errors import DeadlineError, InputError, KgError, MemoryLimitError, UnreachableError, WorkerCrashError
from kg.workers.leases import LeaseClient, PendingResult, acquire_lease
from kg.workers.pool_engine import PoolEngine
from tests.workers.dispatcher_process import (
    MIB,
    POOL_CONFIG,
    closing_event,
    forked_dispatcher,
    wait_until,
    worker_pids,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")
SLOW = QueryRequest("sleep 0.4")


def number(engine: PoolEngine, *names: str) -> object:
    """A number of the dispatcher's status."""
    found: object = engine.status()
    for name in names:
        found = found.get(name, 0) if isinstance(found, dict) else found
    return found


async def lease_client(engine: PoolEngine) -> LeaseClient:
    """A client that holds a lease."""
    client = LeaseClient(engine)
    while await client.submit(QueryRequest("echo 1")) is None:
        await asyncio.sleep(0.01)
    return client


async def submit(client: LeaseClient, text: str) -> PendingResult | None:
    return await client.submit(QueryRequest(text))


def submitted(engine: PoolEngine, text: str) -> PendingResult:
    """A query that was sent to a leased worker."""

    async def begin() -> PendingResult | None:
        client = await lease_client(engine)
        found = await submit(client, text)
        await client.close()
        return found

    found = asyncio.run(begin())
    assert found is not None
    return found


def finished(engine: PoolEngine, text: str, timeout: float | None = None) -> QueryResult:
    return submitted(engine, text)(QueryRequest(text, timeout=timeout))


def test_short_jobs_are_answered_at_once_in_order() -> None:
    async def talk(engine: PoolEngine) -> list[bytes]:
        client = await lease_client(engine)
        answers = await asyncio.gather(*(submit(client, f"echo {value}") for value in range(100)))
        assert number(engine, "cells", "leased") == 1
        await client.close()
        return [found.answer.payload for found in answers if found is not None and found.answer is not None]

    with forked_dispatcher() as (engine, _):
        assert asyncio.run(talk(engine)) == [b"%d" % value for value in range(100)]
        assert number(engine, "outcomes", "answered") == 101
        assert number(engine, "leases") == 1
        wait_until(lambda: number(engine, "cells", "idle") == POOL_CONFIG.workers)


def test_the_result_of_a_leased_worker() -> None:
    with forked_dispatcher() as (engine, _):
        result = finished(engine, "echo 5")
        assert (result.kind, result.media_type, result.length, result.body.read()) == (
            "solutions",
            "text/plain",
            1,
            b"5",
        )


def test_a_longer_job_continues_without_the_lease() -> None:
    async def talk(engine: PoolEngine) -> PendingResult | None:
        client = await lease_client(engine)
        first, second = await asyncio.gather(submit(client, SLOW.text), submit(client, "echo 1"))
        assert second is None, "a job that waits for the worker goes through the dispatcher"
        assert await submit(client, "echo 2") is None, "there is no lease"
        await client.close()
        return first

    with forked_dispatcher() as (engine, _):
        found = asyncio.run(talk(engine))
        assert found is not None
        assert found.answer is None
        result = found(SLOW)
        assert result.media_type == "text/plain"
        assert number(engine, "killed") == {}
        wait_until(lambda: number(engine, "cells", "busy") == 0)


def test_a_job_may_end_before_it_is_adopted() -> None:
    with forked_dispatcher() as (engine, _):
        found = submitted(engine, "sleep 0.1")
        wait_until(lambda: number(engine, "outcomes", "answered") == 2)
        assert found(QueryRequest("sleep 0.1")).kind == "solutions"
        assert finished(engine, "echo 1").body.read() == b"1"


def test_the_deadline_of_an_adopted_job() -> None:
    with forked_dispatcher(timeout=0.7) as (engine, _):
        with pytest.raises(DeadlineError):
            finished(engine, "sleep 60")
        assert number(engine, "killed") == {"deadline": 1}
        assert finished(engine, "echo 1").body.read() == b"1"


@pytest.mark.parametrize(("text", "error"), [("refuse 1", InputError), ("fail 1", KgError)])
def test_the_error_of_a_short_job_is_raised(text: str, error: type[Exception]) -> None:
    with forked_dispatcher() as (engine, _), pytest.raises(error):
        finished(engine, text)


@pytest.mark.parametrize(("text", "error"), [("abort 1", MemoryLimitError), ("crash 1", WorkerCrashError)])
def test_a_job_whose_worker_dies_is_retried_through_the_dispatcher(text: str, error: type[Exception]) -> None:
    async def talk(engine: PoolEngine) -> PendingResult | None:
        client = await lease_client(engine)
        found = await submit(client, text)
        await client.close()
        return found

    with forked_dispatcher() as (engine, _):
        assert asyncio.run(talk(engine)) is None
        with pytest.raises(error):
            engine.evaluate(QueryRequest(text))
        assert number(engine, "killed", error.code) == 2  # type: ignore[attr-defined]


def test_a_leased_worker_is_killed_from_outside() -> None:
    with forked_dispatcher() as (engine, dispatcher):
        found = submitted(engine, SLOW.text)
        for pid in worker_pids(dispatcher):
            os.kill(pid, signal.SIGKILL)
        assert found(SLOW).kind == "solutions"
        assert len(worker_pids(dispatcher)) == POOL_CONFIG.workers


def test_an_adopted_job_fails_if_the_dispatcher_dies() -> None:
    with forked_dispatcher() as (engine, dispatcher), ThreadPoolExecutor(1) as pool:
        found = submitted(engine, "sleep 60")
        job = pool.submit(found, QueryRequest("sleep 60"))
        wait_until(lambda: number(engine, "cells", "busy") == 1)
        os.kill(dispatcher, signal.SIGKILL)
        assert isinstance(job.exception(), KgError)


def test_an_adopted_job_without_a_slow_place_starts_again() -> None:
    with forked_dispatcher(replace(POOL_CONFIG, workers=3), timeout=5.0) as (engine, _), ThreadPoolExecutor(4) as pool:
        found = submitted(engine, "sleep 0.7")
        others = [pool.submit(engine.evaluate, QueryRequest("sleep 0.7")) for _ in range(3)]
        assert found(QueryRequest("sleep 0.7")).kind == "solutions"
        assert all(other.result().kind == "solutions" for other in others)
        assert number(engine, "killed", "requeued") != 0


def test_a_lease_is_recalled_when_other_jobs_wait() -> None:
    async def hold(engine: PoolEngine, meanwhile: Callable[[], object]) -> None:
        client = await lease_client(engine)
        await asyncio.to_thread(meanwhile)
        assert await submit(client, "echo 1") is None
        await client.close()

    def occupy_all(engine: PoolEngine) -> None:
        with ThreadPoolExecutor(2) as pool, closing_event() as closed:
            request = QueryRequest("sleep 60", is_abandoned=closed.is_set)
            jobs = [pool.submit(engine.evaluate, request) for _ in range(2)]
            wait_until(lambda: number(engine, "cells", "busy") == 2)
            closed.set()
            assert all(isinstance(job.exception(), UnreachableError) for job in jobs)

    with forked_dispatcher(timeout=60.0) as (engine, _):
        asyncio.run(hold(engine, lambda: occupy_all(engine)))


def test_the_last_worker_is_not_leased() -> None:
    with forked_dispatcher(replace(POOL_CONFIG, workers=1)) as (engine, _):
        assert acquire_lease(engine) is None


def test_closing_a_pending_result_ends_its_job() -> None:
    with forked_dispatcher() as (engine, _):
        submitted(engine, "sleep 60").close()
        wait_until(lambda: number(engine, "killed") == {"abandoned": 1})
        assert finished(engine, "echo 1").body.read() == b"1"


def test_an_adopted_job_ends_when_its_client_disconnects() -> None:
    with forked_dispatcher() as (engine, _):
        with pytest.raises(KgError):
            submitted(engine, "sleep 60")(QueryRequest("sleep 60", is_abandoned=lambda: True))
        wait_until(lambda: number(engine, "killed") == {"abandoned": 1})


def test_a_lease_holder_that_hangs_does_not_keep_its_worker_busy() -> None:
    with forked_dispatcher() as (engine, _):
        lease = acquire_lease(engine)
        assert lease is not None
        lease.send_query(QueryRequest("sleep 60"))
        wait_until(lambda: number(engine, "killed") == {"abandoned": 1})
        lease.close()


def test_long_results_are_counted_and_freed() -> None:
    async def talk(engine: PoolEngine) -> None:
        client = await lease_client(engine)
        found = await submit(client, "large 3")
        assert found is not None
        result = found(QueryRequest("large 3"))
        assert number(engine, "spooled_bytes") == 3 * MIB
        with result.body as body:
            assert len(body.read()) == 3 * MIB
        wait_until(lambda: number(engine, "spooled_bytes") == 0)
        await client.close()

    with forked_dispatcher(replace(POOL_CONFIG, spool_bytes=4 * MIB)) as (engine, _):
        asyncio.run(talk(engine))


def test_no_lease_while_the_spool_is_scarce() -> None:
    with forked_dispatcher(replace(POOL_CONFIG, spool_bytes=4 * MIB)) as (engine, _):
        with engine.evaluate(QueryRequest("large 3")).body:
            assert acquire_lease(engine) is None
        wait_until(lambda: number(engine, "spooled_bytes") == 0)
        lease = acquire_lease(engine)
        assert lease is not None
        lease.close()

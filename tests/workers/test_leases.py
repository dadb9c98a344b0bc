"""Cells that are leased: the short way, and how a job leaves it that is not short."""

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

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cells need Linux")
SLOW = QueryRequest("sleep 0.4")


def number(engine: PoolEngine, *names: str) -> object:
    """A number of the keeper's status."""
    found: object = engine.status()
    for name in names:
        found = found.get(name, 0) if isinstance(found, dict) else found
    return found


async def leased(engine: PoolEngine) -> LeaseClient:
    """A lane that has its cell."""
    lane = LeaseClient(engine)
    while await lane.submit(QueryRequest("echo 1")) is None:
        await asyncio.sleep(0.01)
    return lane


async def through(lane: LeaseClient, text: str) -> PendingResult | None:
    return await lane.submit(QueryRequest(text))


def begun(engine: PoolEngine, text: str) -> PendingResult:
    """An evaluation that was begun on the short way."""

    async def begin() -> PendingResult | None:
        lane = await leased(engine)
        found = await through(lane, text)
        await lane.close()
        return found

    found = asyncio.run(begin())
    assert found is not None
    return found


def finished(engine: PoolEngine, text: str, timeout: float | None = None) -> QueryResult:
    return begun(engine, text)(QueryRequest(text, timeout=timeout))


def test_short_jobs_are_answered_at_once_in_order() -> None:
    async def talk(engine: PoolEngine) -> list[bytes]:
        lane = await leased(engine)
        answers = await asyncio.gather(*(through(lane, f"echo {value}") for value in range(100)))
        assert number(engine, "cells", "leased") == 1
        await lane.close()
        return [found.answer.payload for found in answers if found is not None and found.answer is not None]

    with forked_dispatcher() as (engine, _):
        assert asyncio.run(talk(engine)) == [b"%d" % value for value in range(100)]
        assert number(engine, "outcomes", "answered") == 101
        assert number(engine, "leases") == 1
        wait_until(lambda: number(engine, "cells", "idle") == POOL_CONFIG.workers)


def test_a_result_of_the_short_way_is_a_result() -> None:
    with forked_dispatcher() as (engine, _):
        result = finished(engine, "echo 5")
        assert (result.kind, result.media_type, result.length, result.body.read()) == (
            "solutions",
            "text/plain",
            1,
            b"5",
        )


def test_a_longer_job_goes_on_without_the_lane() -> None:
    async def talk(engine: PoolEngine) -> PendingResult | None:
        lane = await leased(engine)
        first, second = await asyncio.gather(through(lane, SLOW.text), through(lane, "echo 1"))
        assert second is None, "what waits for the cell goes another way"
        assert await through(lane, "echo 2") is None, "there is no lease"
        await lane.close()
        return first

    with forked_dispatcher() as (engine, _):
        found = asyncio.run(talk(engine))
        assert found is not None
        assert found.answer is None
        result = found(SLOW)
        assert result.media_type == "text/plain"
        assert number(engine, "killed") == {}
        wait_until(lambda: number(engine, "cells", "busy") == 0)


def test_a_job_may_be_done_before_it_is_adopted() -> None:
    with forked_dispatcher() as (engine, _):
        found = begun(engine, "sleep 0.1")
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
def test_what_a_short_job_raises(text: str, error: type[Exception]) -> None:
    with forked_dispatcher() as (engine, _), pytest.raises(error):
        finished(engine, text)


@pytest.mark.parametrize(("text", "error"), [("abort 1", MemoryLimitError), ("crash 1", WorkerCrashError)])
def test_a_job_that_takes_its_cell_along_goes_the_other_way(text: str, error: type[Exception]) -> None:
    async def talk(engine: PoolEngine) -> PendingResult | None:
        lane = await leased(engine)
        found = await through(lane, text)
        await lane.close()
        return found

    with forked_dispatcher() as (engine, _):
        assert asyncio.run(talk(engine)) is None
        with pytest.raises(error):
            engine.evaluate(QueryRequest(text))
        assert number(engine, "killed", error.code) == 2  # type: ignore[attr-defined]


def test_a_leased_cell_is_killed_from_outside() -> None:
    with forked_dispatcher() as (engine, keeper):
        found = begun(engine, SLOW.text)
        for pid in worker_pids(keeper):
            os.kill(pid, signal.SIGKILL)
        assert found(SLOW).kind == "solutions"
        assert len(worker_pids(keeper)) == POOL_CONFIG.workers


def test_the_keeper_dies_while_it_has_adopted() -> None:
    with forked_dispatcher() as (engine, keeper), ThreadPoolExecutor(1) as pool:
        found = begun(engine, "sleep 60")
        job = pool.submit(found, QueryRequest("sleep 60"))
        wait_until(lambda: number(engine, "cells", "busy") == 1)
        os.kill(keeper, signal.SIGKILL)
        assert isinstance(job.exception(), KgError)


def test_an_adopted_job_for_which_there_is_no_room_begins_anew() -> None:
    with forked_dispatcher(replace(POOL_CONFIG, workers=3), timeout=5.0) as (engine, _), ThreadPoolExecutor(4) as pool:
        found = begun(engine, "sleep 0.7")
        others = [pool.submit(engine.evaluate, QueryRequest("sleep 0.7")) for _ in range(3)]
        assert found(QueryRequest("sleep 0.7")).kind == "solutions"
        assert all(other.result().kind == "solutions" for other in others)
        assert number(engine, "killed", "requeued") != 0


def test_a_lease_is_recalled_when_others_wait() -> None:
    async def hold(engine: PoolEngine, meanwhile: Callable[[], object]) -> None:
        lane = await leased(engine)
        await asyncio.to_thread(meanwhile)
        assert await through(lane, "echo 1") is None
        await lane.close()

    def occupy_all(engine: PoolEngine) -> None:
        with ThreadPoolExecutor(2) as pool, closing_event() as closed:
            request = QueryRequest("sleep 60", is_abandoned=closed.is_set)
            jobs = [pool.submit(engine.evaluate, request) for _ in range(2)]
            wait_until(lambda: number(engine, "cells", "busy") == 2)
            closed.set()
            assert all(isinstance(job.exception(), UnreachableError) for job in jobs)

    with forked_dispatcher(timeout=60.0) as (engine, _):
        asyncio.run(hold(engine, lambda: occupy_all(engine)))


def test_no_lease_of_the_last_cell() -> None:
    with forked_dispatcher(replace(POOL_CONFIG, workers=1)) as (engine, _):
        assert acquire_lease(engine) is None


def test_who_gives_up_a_begun_job_ends_it() -> None:
    with forked_dispatcher() as (engine, _):
        begun(engine, "sleep 60").close()
        wait_until(lambda: number(engine, "killed") == {"abandoned": 1})
        assert finished(engine, "echo 1").body.read() == b"1"


def test_a_client_that_leaves_an_adopted_job_ends_it() -> None:
    with forked_dispatcher() as (engine, _):
        with pytest.raises(KgError):
            begun(engine, "sleep 60")(QueryRequest("sleep 60", is_abandoned=lambda: True))
        wait_until(lambda: number(engine, "killed") == {"abandoned": 1})


def test_a_lessee_that_hangs_does_not_keep_its_cell_busy() -> None:
    with forked_dispatcher() as (engine, _):
        lease = acquire_lease(engine)
        assert lease is not None
        lease.send_query(QueryRequest("sleep 60"))
        wait_until(lambda: number(engine, "killed") == {"abandoned": 1})
        lease.close()


def test_long_results_are_counted_and_freed() -> None:
    async def talk(engine: PoolEngine) -> None:
        lane = await leased(engine)
        found = await through(lane, "large 3")
        assert found is not None
        result = found(QueryRequest("large 3"))
        assert number(engine, "spooled_bytes") == 3 * MIB
        with result.body as body:
            assert len(body.read()) == 3 * MIB
        wait_until(lambda: number(engine, "spooled_bytes") == 0)
        await lane.close()

    with forked_dispatcher(replace(POOL_CONFIG, spool_bytes=4 * MIB)) as (engine, _):
        asyncio.run(talk(engine))


def test_while_the_spool_is_full_nothing_goes_the_short_way() -> None:
    with forked_dispatcher(replace(POOL_CONFIG, spool_bytes=4 * MIB)) as (engine, _):
        with engine.evaluate(QueryRequest("large 3")).body:
            assert acquire_lease(engine) is None
        wait_until(lambda: number(engine, "spooled_bytes") == 0)
        lease = acquire_lease(engine)
        assert lease is not None
        lease.close()

"""The short way from an event loop to a cell: jobs that take a moment need neither a thread nor the keeper.

One cell is leased at a time, and does one job after another. A job that is not done within a moment goes on, but
the lease is over: whoever asked finishes the evaluation as one waits for any long one, with the keeper watching it.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from kg.engine.protocol import QueryRequest, QueryResult
from kg.errors import KgError
from kg.workers.framing import FramingError, Message
from kg.workers.pool_engine import PoolEngine, WorkerLease

SHORT_JOB_SECONDS: Final = 0.025
"""Seconds after which a job is no longer short."""
MAX_QUEUED: Final = 256
"""Jobs that may wait for the leased cell."""
MAX_QUERY_LENGTH: Final = 64 * 1024
"""Code points of query text that go this way: what is longer might not fit into the socket at once."""
_LEASE_RETRY_DELAY: Final = 0.02
"""Seconds before a lease that was refused is asked for again."""


class PendingResult:
    """An evaluation that was begun here and is finished by calling it, in a thread, or given up by closing it."""

    def __init__(self, engine: PoolEngine, lease: WorkerLease, answer: Message | None, deadline: float) -> None:
        self._engine = engine
        self._lease = lease
        self._deadline = deadline
        self._used = False
        self.answer = answer

    def __call__(self, request: QueryRequest) -> QueryResult:
        """Finish it; raises what the evaluation raises."""
        if self._used:
            return self._engine.evaluate(replace(request, pending_result=None))
        self._used = True
        if self.answer is not None:
            return self._engine.result_of_lease(self._lease, self.answer)
        return self._engine.hand_over(self._lease, request, max(self._deadline - time.monotonic(), 0.0))

    def close(self) -> None:
        """Give up what nobody finished."""
        if not self._used and self.answer is None:
            self._used = True
            self._lease.close()


@dataclass(eq=False)
class _LeasedJob:
    request: QueryRequest
    outcome: "asyncio.Future[PendingResult | None]"
    deadline: float
    timer: asyncio.TimerHandle | None = None


class LeaseClient:
    """The jobs of one event loop; to be used only in it."""

    def __init__(self, engine: PoolEngine) -> None:
        self._engine = engine
        self._lease: WorkerLease | None = None
        self._current: _LeasedJob | None = None
        self._waiting: deque[_LeasedJob] = deque()
        self._lease_request: asyncio.Future[None] | None = None

    async def submit(self, request: QueryRequest) -> PendingResult | None:
        """Begin to evaluate a query, and wait a moment for its answer; None if it must go another way."""
        if self._lease is None:
            self._request_lease()
            return None
        if len(self._waiting) >= MAX_QUEUED or len(request.text) > MAX_QUERY_LENGTH:
            return None
        deadline = time.monotonic() + self._engine.job_timeout(request)
        job = _LeasedJob(request, asyncio.get_running_loop().create_future(), deadline)
        if self._current is None:
            self._start_job(self._lease, job)
        else:
            self._waiting.append(job)
        return await job.outcome

    async def close(self) -> None:
        """Give the cell back."""
        if self._lease_request is not None:
            await self._lease_request
        if self._lease is not None:
            self._end_lease(self._lease)

    def _start_job(self, lease: WorkerLease, job: _LeasedJob) -> None:
        self._current = job
        job.timer = asyncio.get_running_loop().call_later(SHORT_JOB_SECONDS, self._detach_job, lease, job)
        try:
            lease.send_query(job.request)
        except OSError:
            self._end_lease(lease)

    def _read_answer(self, lease: WorkerLease) -> None:
        """Take the answer of the current job, and begin the next one before anybody looks at it."""
        try:
            alive = lease.reader.fill()
            answer = lease.reader.next_message()
        except (OSError, FramingError, ValueError):
            alive, answer = False, None
        job = self._current
        if answer is not None and job is not None:
            self._current = None
            if self._waiting:
                self._start_job(lease, self._waiting.popleft())
            _resolve_job(job, PendingResult(self._engine, lease, answer, job.deadline))
        elif not alive:
            self._end_lease(lease)

    def _detach_job(self, lease: WorkerLease, job: _LeasedJob) -> None:
        """Let a job go on without this lane, and those that wait for its cell go another way."""
        if self._current is job and self._lease is lease:
            self._current = None
            self._forget_lease(lease)
            _resolve_job(job, PendingResult(self._engine, lease, None, job.deadline))
            self._reject_queued()

    def _end_lease(self, lease: WorkerLease) -> None:
        """The cell is gone, or recalled: all jobs go another way."""
        if self._lease is lease:
            self._forget_lease(lease)
            lease.close()
            job, self._current = self._current, None
            if job is not None:
                _resolve_job(job, None)
            self._reject_queued()

    def _forget_lease(self, lease: WorkerLease) -> None:
        self._lease = None
        asyncio.get_running_loop().remove_reader(lease.channel)

    def _reject_queued(self) -> None:
        while self._waiting:
            _resolve_job(self._waiting.popleft(), None)

    def _request_lease(self) -> None:
        """Have a cell leased in the background, unless somebody is at it."""
        if self._lease_request is None or self._lease_request.done():
            self._lease_request = asyncio.ensure_future(self._acquire_lease())

    async def _acquire_lease(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            lease = await loop.run_in_executor(None, self._engine.acquire_lease)
        except (OSError, KgError):
            lease = None
        if lease is None:
            await asyncio.sleep(_LEASE_RETRY_DELAY)
            return
        self._lease = lease
        loop.add_reader(lease.channel, self._read_answer, lease)


def _resolve_job(job: _LeasedJob, outcome: PendingResult | None) -> None:
    if job.timer is not None:
        job.timer.cancel()
    if not job.outcome.done():
        job.outcome.set_result(outcome)
    elif outcome is not None:
        outcome.close()

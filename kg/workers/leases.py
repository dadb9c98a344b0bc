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
from kg.workers.framing import Message, WireError
from kg.workers.pool_engine import CellsEngine, Lease

MOMENT: Final = 0.025
"""Seconds after which a job is no longer short."""
WAITING: Final = 256
"""Jobs that may wait for the leased cell."""
LONGEST: Final = 64 * 1024
"""Code points of query text that go this way: what is longer might not fit into the socket at once."""
_PAUSE: Final = 0.02
"""Seconds before a lease that was refused is asked for again."""


class Begun:
    """An evaluation that was begun here and is finished by calling it, in a thread, or given up by closing it."""

    def __init__(self, engine: CellsEngine, lease: Lease, answer: Message | None, deadline: float) -> None:
        self._engine = engine
        self._lease = lease
        self._deadline = deadline
        self._used = False
        self.answer = answer

    def __call__(self, request: QueryRequest) -> QueryResult:
        """Finish it; raises what the evaluation raises."""
        if self._used:
            return self._engine.evaluate(replace(request, begun=None))
        self._used = True
        if self.answer is not None:
            return self._engine.answered(self._lease, self.answer)
        return self._engine.adopted(self._lease, request, max(self._deadline - time.monotonic(), 0.0))

    def close(self) -> None:
        """Give up what nobody finished."""
        if not self._used and self.answer is None:
            self._used = True
            self._lease.close()


@dataclass(eq=False)
class _Job:
    request: QueryRequest
    done: "asyncio.Future[Begun | None]"
    deadline: float
    timer: asyncio.TimerHandle | None = None


class Lane:
    """The jobs of one event loop; to be used only in it."""

    def __init__(self, engine: CellsEngine) -> None:
        self._engine = engine
        self._lease: Lease | None = None
        self._current: _Job | None = None
        self._waiting: deque[_Job] = deque()
        self._asking: asyncio.Future[None] | None = None

    async def begin(self, request: QueryRequest) -> Begun | None:
        """Begin to evaluate a query, and wait a moment for its answer; None if it must go another way."""
        if self._lease is None:
            self._ask()
            return None
        if len(self._waiting) >= WAITING or len(request.text) > LONGEST:
            return None
        deadline = time.monotonic() + self._engine.time_for(request)
        job = _Job(request, asyncio.get_running_loop().create_future(), deadline)
        if self._current is None:
            self._start(self._lease, job)
        else:
            self._waiting.append(job)
        return await job.done

    async def close(self) -> None:
        """Give the cell back."""
        if self._asking is not None:
            await self._asking
        if self._lease is not None:
            self._end(self._lease)

    def _start(self, lease: Lease, job: _Job) -> None:
        self._current = job
        job.timer = asyncio.get_running_loop().call_later(MOMENT, self._take_away, lease, job)
        try:
            lease.begin(job.request)
        except OSError:
            self._end(lease)

    def _read(self, lease: Lease) -> None:
        """Take the answer of the current job, and begin the next one before anybody looks at it."""
        try:
            alive = lease.reader.fill()
            answer = lease.reader.next()
        except (OSError, WireError, ValueError):
            alive, answer = False, None
        job = self._current
        if answer is not None and job is not None:
            self._current = None
            if self._waiting:
                self._start(lease, self._waiting.popleft())
            _tell(job, Begun(self._engine, lease, answer, job.deadline))
        elif not alive:
            self._end(lease)

    def _take_away(self, lease: Lease, job: _Job) -> None:
        """Let a job go on without this lane, and those that wait for its cell go another way."""
        if self._current is job and self._lease is lease:
            self._current = None
            self._leave(lease)
            _tell(job, Begun(self._engine, lease, None, job.deadline))
            self._turn_away()

    def _end(self, lease: Lease) -> None:
        """The cell is gone, or recalled: all jobs go another way."""
        if self._lease is lease:
            self._leave(lease)
            lease.close()
            job, self._current = self._current, None
            if job is not None:
                _tell(job, None)
            self._turn_away()

    def _leave(self, lease: Lease) -> None:
        self._lease = None
        asyncio.get_running_loop().remove_reader(lease.channel)

    def _turn_away(self) -> None:
        while self._waiting:
            _tell(self._waiting.popleft(), None)

    def _ask(self) -> None:
        """Have a cell leased in the background, unless somebody is at it."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._lease_one())

    async def _lease_one(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            lease = await loop.run_in_executor(None, self._engine.lease)
        except (OSError, KgError):
            lease = None
        if lease is None:
            await asyncio.sleep(_PAUSE)
            return
        self._lease = lease
        loop.add_reader(lease.channel, self._read, lease)


def _tell(job: _Job, outcome: Begun | None) -> None:
    if job.timer is not None:
        job.timer.cancel()
    if not job.done.done():
        job.done.set_result(outcome)
    elif outcome is not None:
        outcome.close()

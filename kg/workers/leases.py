"""Leases of workers: the fast path from an event loop to a worker, without a thread and without the dispatcher.

An event loop leases one worker at a time, which performs one job after another. A job that is not done within
SHORT_JOB_SECONDS goes on, but the lease ends: the job is handed over to the dispatcher, which enforces its deadline,
and a thread waits for the result. The dispatcher's side is in `kg.workers.lease_grants`, the worker's in
`kg.workers.worker`.
"""

import asyncio
import io
import select
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from kg.engine.protocol import QueryDataset, QueryRequest, QueryResult
from kg.errors import KgError, WorkerCrashError
from kg.rdf.formats import RdfFormat, ResultFormat
from kg.workers.framing import (
    FramingError,
    Message,
    MessageReader,
    encode_header,
    error_from_header,
    send_encoded,
    send_message,
)
from kg.workers.pool_engine import (
    REPLY_GRACE,
    DispatcherConnection,
    PoolEngine,
    SpooledFile,
    await_answer,
    query_header,
    query_job,
    query_result,
    read_answer,
)

SHORT_JOB_SECONDS: Final = 0.025
"""Seconds after which a job no longer counts as short."""
MAX_QUEUED: Final = 256
"""Jobs that may wait for the leased worker."""
MAX_LEASED_QUERY_LENGTH: Final = 64 * 1024
"""Code points of the longest query: a longer one may exceed the socket's buffer and block the event loop."""
_LEASE_RETRY_DELAY: Final = 0.02
"""Seconds before a refused lease is requested again."""


class WorkerLease:
    """A worker that this process may send jobs to directly, one at a time, until the dispatcher recalls the lease.

    `channel` is connected to the worker and `connection` to the dispatcher; `reader` reads from the channel.
    """

    def __init__(self, connection: DispatcherConnection, worker_pid: int, file: int) -> None:
        self.connection = connection
        self.worker_pid = worker_pid
        self.channel = socket.socket(fileno=file)
        self.reader = MessageReader(self.channel)
        self.job_count = 0

    def send_query(self, request: QueryRequest) -> None:
        """Start a job; raises OSError when the lease has ended."""
        self.job_count += 1
        header = _encode_query_header(request.dataset, request.solutions, request.boolean, request.graph)
        send_encoded(self.channel, header, request.text.encode())

    def release_spool(self, length: int) -> None:
        """Report to the dispatcher that the file of a result is closed."""
        with suppress(OSError):
            send_message(self.connection.socket, Message({"op": "release", "bytes": length}))

    def close(self) -> None:
        """End the lease."""
        self.reader.close()
        self.connection.reader.close()


@lru_cache(maxsize=256)
def _encode_query_header(
    dataset: QueryDataset, solutions: ResultFormat | None, boolean: ResultFormat | None, graph: RdfFormat | None
) -> bytes:
    """Encode the header of a query; cached, since most queries have equal headers."""
    return encode_header(query_header(QueryRequest("", dataset, solutions, boolean, graph)))


def acquire_lease(engine: PoolEngine) -> WorkerLease | None:
    """Ask the dispatcher for a lease; None if no worker can be spared. Raises OSError while the dispatcher is away."""
    connection = DispatcherConnection(engine.socket_path)
    try:
        send_message(connection.socket, Message({"op": "lease"}))
        answer = await_answer(connection, REPLY_GRACE, None)
    except BaseException:
        connection.reader.close()
        raise
    if answer.file is None:
        connection.reader.close()
        return None
    return WorkerLease(connection, answer.header["cell"], answer.file)


def result_of_lease(lease: WorkerLease, answer: Message) -> QueryResult:
    """Make a result of an answer that a leased worker sent; raises what the job raised."""
    if "error" in answer.header:
        raise error_from_header(answer.header["error"])
    if answer.file is None:
        return query_result(answer.header, io.BytesIO(answer.payload))
    return query_result(answer.header, SpooledFile(answer.file, answer.header["length"], lease.release_spool))


def hand_over(engine: PoolEngine, lease: WorkerLease, request: QueryRequest, seconds_left: float) -> QueryResult:
    """Hand the lease's last job over to the dispatcher and wait for its result; this ends the lease."""
    header, payload = query_job(request)
    job = {**header, "timeout": seconds_left}
    order = {"op": "adopt", "cell": lease.worker_pid, "number": lease.job_count, "job": job}
    try:
        send_message(lease.connection.socket, Message(order, payload))
        answer = _await_adopted_job(lease, seconds_left + REPLY_GRACE, request)
    except (ConnectionError, FramingError):
        lease.close()
        return query_result(*engine.call(header, payload, replace(request, timeout=max(seconds_left, 0.001))))
    except BaseException:
        lease.close()
        raise
    lease.reader.close()
    return query_result(*engine.unwrap_answer(lease.connection, answer))


def _await_adopted_job(lease: WorkerLease, timeout: float, request: QueryRequest) -> Message:
    """Wait for the dispatcher: it sends the answer if the job had to start again, else "done".

    After "done" the answer comes from the worker. Raises as `await_answer` does.
    """
    dispatcher, worker = lease.connection.reader, lease.reader
    poller = select.poll()
    poller.register(lease.connection.socket, select.POLLIN)
    poller.register(lease.channel, select.POLLIN)

    def wait_and_fill(seconds: float) -> bool:
        for file, _ in poller.poll(seconds * 1000):
            if file != lease.channel.fileno():
                if not dispatcher.fill():
                    return False
            elif not worker.fill():
                poller.unregister(lease.channel)
        return True

    message = read_answer(dispatcher, wait_and_fill, timeout, request)
    if message is None:
        raise WorkerCrashError if worker.is_within_message else ConnectionResetError
    return message if "done" not in message.header else _read_rest(worker)


def _read_rest(reader: MessageReader) -> Message:
    """Read a message that was sent completely, unless its worker died meanwhile."""
    while (answer := reader.next_message()) is None:
        if not reader.fill():
            raise WorkerCrashError
    return answer


class PendingResult:
    """A query that a leased worker evaluates: call it in a thread to wait for the result, or close it to give up."""

    def __init__(self, engine: PoolEngine, lease: WorkerLease, answer: Message | None, deadline: float) -> None:
        self._engine = engine
        self._lease = lease
        self._deadline = deadline
        self._used = False
        self.answer = answer

    def __call__(self, request: QueryRequest) -> QueryResult:
        """Return the result; raises what the evaluation raises."""
        if self._used:
            return self._engine.evaluate(replace(request, pending_result=None))
        self._used = True
        if self.answer is not None:
            return result_of_lease(self._lease, self.answer)
        return hand_over(self._engine, self._lease, request, max(self._deadline - time.monotonic(), 0.0))

    def close(self) -> None:
        """Give the evaluation up if its result was not read."""
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
    """Sends the short jobs of one event loop; not thread-safe."""

    def __init__(self, engine: PoolEngine) -> None:
        self._engine = engine
        self._lease: WorkerLease | None = None
        self._current: _LeasedJob | None = None
        self._waiting: deque[_LeasedJob] = deque()
        self._lease_request: asyncio.Future[None] | None = None

    async def submit(self, request: QueryRequest) -> PendingResult | None:
        """Start a query and wait at most SHORT_JOB_SECONDS for its answer; None if the dispatcher must evaluate it."""
        if self._lease is None:
            self._request_lease()
            return None
        if len(self._waiting) >= MAX_QUEUED or len(request.text) > MAX_LEASED_QUERY_LENGTH:
            return None
        deadline = time.monotonic() + self._engine.job_timeout(request)
        job = _LeasedJob(request, asyncio.get_running_loop().create_future(), deadline)
        if self._current is None:
            self._start_job(self._lease, job)
        else:
            self._waiting.append(job)
        return await job.outcome

    async def close(self) -> None:
        """End the lease."""
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
        """Read the answer of the current job, and start the next job before the answer is processed."""
        answers, is_open = lease.reader.drain()
        job = self._current
        if answers and job is not None:
            self._current = None
            if self._waiting:
                self._start_job(lease, self._waiting.popleft())
            _resolve_job(job, PendingResult(self._engine, lease, answers[0], job.deadline))
        elif not is_open:
            self._end_lease(lease)

    def _detach_job(self, lease: WorkerLease, job: _LeasedJob) -> None:
        """End the lease while its job goes on; the jobs that wait for the worker go through the dispatcher."""
        if self._current is job and self._lease is lease:
            self._current = None
            self._forget_lease(lease)
            _resolve_job(job, PendingResult(self._engine, lease, None, job.deadline))
            self._reject_queued()

    def _end_lease(self, lease: WorkerLease) -> None:
        """Handle a recalled lease or a dead worker: all jobs go through the dispatcher."""
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
        """Request a lease in the background, unless a request is under way."""
        if self._lease_request is None or self._lease_request.done():
            self._lease_request = asyncio.ensure_future(self._acquire_lease())

    async def _acquire_lease(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            lease = await loop.run_in_executor(None, acquire_lease, self._engine)
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

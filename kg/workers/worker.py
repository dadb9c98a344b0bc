"""A worker: a forked process that has a copy of the dispatcher's dataset and performs one job at a time under limits.

The dispatcher sends each job with the connection of the client, to which the worker sends the result. While the worker
is leased, jobs come from the lease holder directly, over a separate connection.
"""

import ctypes
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from kg.engine.result_writer import SPOOL_MEMORY
from kg.errors import EngineError, KgError, MemoryLimitError
from kg.workers.framing import Header, Message, MessageReader, error_to_header, send_message
from kg.workers.sandbox import deny_connections
from kg.workers.shared_status import SharedStatus

MAX_INLINE_BYTES: Final = SPOOL_MEMORY
"""Bytes of the largest result that is sent within the message; a larger result is sent as an open file."""

LONG_JOB_SECONDS: Final = 0.02
"""Seconds after which a job is long enough that the worker checks its memory."""
SIZE_CHECK_INTERVAL: Final = 64
"""Jobs after which a worker checks its memory even if all of them were short."""

_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True)
class JobResult:
    """The result of a job; a `body` of more than MAX_INLINE_BYTES is backed by a file."""

    header: Header
    body: IO[bytes] | None = None
    length: int = 0


Operation = Callable[[Header, bytes], JobResult]
"""Performs a job, given its header and payload; raises KgError for errors that the client receives."""


@dataclass(frozen=True)
class WorkerLimits:
    """Limits of a worker: bytes of memory beyond what it inherits, bytes of one result, and whether it may connect."""

    memory_bytes: int
    result_bytes: int
    allow_connections: bool = False


class WorkerLoop:
    """The main loop of a worker process.

    The worker reports to the dispatcher: {"spools": bytes} before it sends a file to a client, and {"leaves": bool}
    after each job of the dispatcher and at the end of a lease. If "leaves" is true, the process exits.
    """

    def __init__(
        self,
        channel: socket.socket,
        shared_status: SharedStatus,
        operations: Mapping[str, Operation],
        limits: WorkerLimits,
    ) -> None:
        self._channel = channel
        self._order_reader = MessageReader(channel)
        self._shared_status = shared_status
        self._operations = operations
        self._limits = limits
        self._lease: socket.socket | None = None
        self._holder_reader: MessageReader | None = None
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._memory_threshold = 0
        self._jobs_done = 0

    def run(self) -> None:
        """Perform jobs until the dispatcher is gone or the process is above its memory threshold; then exit."""
        self._memory_threshold = _apply_limits(self._limits)
        while True:
            ready = {file for file, _ in self._poll.poll()}
            if self._channel.fileno() in ready:
                self._handle_orders()
            elif self._holder_reader is not None:
                self._serve_lease_holder(self._holder_reader)

    def _handle_orders(self) -> None:
        """Carry out the dispatcher's orders: begin or end a lease, apply a commit, or perform a job."""
        orders, is_open = self._order_reader.drain()
        if not is_open:
            os._exit(0)
        for order in orders:
            match order.header["op"]:
                case "lease":
                    self._begin_lease(order)
                case "recall":
                    if self._lease is not None:
                        self._end_lease(exits=False)
                case "follow":
                    self._operations["follow"](order.header, order.payload)
                case _:
                    self._report_idle(exits=self._perform_for_dispatcher(order))

    def _begin_lease(self, order: Message) -> None:
        if order.file is None:
            raise RuntimeError("a lease came without the connection of its holder")
        self._limit_file(order)
        self._shared_status.begin_lease()
        self._lease = socket.socket(fileno=order.file)
        self._holder_reader = MessageReader(self._lease)
        self._poll.register(self._lease, select.POLLIN)

    def _end_lease(self, *, exits: bool) -> None:
        if self._lease is not None:
            self._poll.unregister(self._lease)
            self._lease.close()
        self._lease = self._holder_reader = None
        self._report_idle(exits=exits)

    def _serve_lease_holder(self, holder_reader: MessageReader) -> None:
        """Perform the jobs of the lease holder; end the lease if it has closed its connection."""
        jobs, is_open = holder_reader.drain()
        if not is_open:
            self._end_lease(exits=False)
            return
        for job in jobs:
            if self._lease is None:
                return
            self._shared_status.is_delivering = False
            self._shared_status.begin_job(self._shared_status.last_job_number + 1)
            exits = self._perform(job, self._lease)
            self._shared_status.end_job()
            if exits:
                self._end_lease(exits=True)

    def _perform_for_dispatcher(self, job: Message) -> bool:
        if job.file is None:
            raise RuntimeError("a job came without the connection of its client")
        self._limit_file(job)
        with socket.socket(fileno=job.file) as client:
            return self._perform(job, client)

    def _limit_file(self, order: Message) -> None:
        allowed = min(self._limits.result_bytes, int(order.header["spool_left"]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, resource.RLIM_INFINITY))

    def _perform(self, job: Message, client: socket.socket) -> bool:
        """Perform a job; return whether the process is above its memory threshold afterwards."""
        began = time.monotonic()
        self._shared_status.count_outcome(self._send_result(job, client))
        self._jobs_done += 1
        took_long = time.monotonic() - began > LONG_JOB_SECONDS
        return (
            took_long or self._jobs_done % SIZE_CHECK_INTERVAL == 0
        ) and _address_space_bytes() > self._memory_threshold

    def _send_result(self, job: Message, client: socket.socket) -> str:
        """Perform a job, send its result or error to the client and return the outcome.

        The worker reports a file to the dispatcher before the client receives it, so that the file is counted before
        the client's next job starts.
        """
        answer = _run_operation(job, self._operations)
        try:
            message = _result_message(answer, job.header.get("id"))
            if message.file is not None:
                send_message(self._channel, Message({"spools": answer.length}))
            self._shared_status.is_delivering = True
            send_message(client, message)
        except OSError:
            return "abandoned"
        finally:
            if answer.body is not None:
                answer.body.close()
        return str(answer.header["error"]["code"]) if "error" in answer.header else "answered"

    def _report_idle(self, *, exits: bool) -> None:
        send_message(self._channel, Message({"leaves": exits}))
        if exits:
            os._exit(0)


def _apply_limits(limits: WorkerLimits) -> int:
    """Limit this process: it dies with the dispatcher, ignores its signals, dumps no core, and may not connect.

    RLIMIT_AS bounds the memory. Returns the memory threshold: the size of the address space in bytes above which the
    worker exits after a job.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # an allocator prints a message before it aborts
    if not limits.allow_connections:
        deny_connections()
    inherited = _address_space_bytes()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (inherited + limits.memory_bytes,) * 2)
    return inherited + limits.memory_bytes // 4


def _run_operation(job: Message, operations: Mapping[str, Operation]) -> JobResult:
    try:
        return operations[job.header["op"]](job.header, job.payload)
    except MemoryError:
        return JobResult({"error": error_to_header(MemoryLimitError())})
    except KgError as error:
        return JobResult({"error": error_to_header(error)})
    except Exception as error:  # noqa: BLE001 - the client gets an error and the worker goes on
        return JobResult({"error": error_to_header(EngineError(f"{type(error).__name__}: {error}"))})


def _result_message(answer: JobResult, job: int | None) -> Message:
    """Make the message of a result; it repeats the id of the job, if the job has one."""
    header = answer.header if job is None else {**answer.header, "id": job}
    if answer.body is None:
        return Message(header)
    if answer.length <= MAX_INLINE_BYTES:
        return Message(header, answer.body.read())
    return Message({**header, "length": answer.length}, file=answer.body.fileno())


def _address_space_bytes() -> int:
    """Return the size of this process's address space in bytes, which RLIMIT_AS limits."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()

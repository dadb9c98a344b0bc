"""A cell: a forked process that holds a copy of the keeper's store and performs one job at a time under limits.

Jobs come from the keeper, each with the connection of the client that waits; or, while the cell is leased, straight
from the lessee, over a connection of its own.
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

from kg.errors import EngineError, KgError, MemoryLimitError
from kg.workers.framing import Header, Message, MessageReader, error_to_header, send_message
from kg.workers.sandbox import deny_connections
from kg.workers.shared_status import SharedStatus

MAX_INLINE_BYTES: Final = 1024 * 1024
"""Bytes of an answer that travel within the message; a longer answer goes as an open file."""

LONG_JOB_SECONDS: Final = 0.02
"""Seconds from which a job may have left the cell fat."""
SIZE_CHECK_INTERVAL: Final = 64
"""Jobs after which a cell looks at its size even if they were all short."""

_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True)
class JobResult:
    """What a job comes to; a `body` longer than INLINE has a file behind it."""

    header: Header
    body: IO[bytes] | None = None
    length: int = 0


Operation = Callable[[Header, bytes], JobResult]
"""Performs a job from its header and payload; raises KgError for what the client is to know."""


@dataclass(frozen=True)
class WorkerLimits:
    """What a cell may use: bytes of memory beyond what it inherits, bytes of one answer, and connections of its own."""

    memory_bytes: int
    result_bytes: int
    allow_connections: bool = False


class WorkerLoop:
    """The life of a cell, in its own process.

    To the keeper it says {"spools"} before a file of so many bytes goes to a client, {"leaves"} after each of the
    keeper's jobs, and {"leaves"} when a lease is over; if that is true it ends.
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
        self._lessee_reader: MessageReader | None = None
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._memory_threshold = 0
        self._jobs_done = 0

    def run(self) -> None:
        """Perform jobs until the keeper is gone or the cell has grown fat; the process then ends."""
        self._memory_threshold = _apply_limits(self._limits)
        while True:
            ready = {file for file, _ in self._poll.poll()}
            if self._channel.fileno() in ready:
                self._handle_orders()
            elif self._lessee_reader is not None:
                self._serve_lessee(self._lessee_reader)

    def _handle_orders(self) -> None:
        """Do what the keeper says: perform a job, take a lessee, leave the lessee."""
        if not self._order_reader.fill():
            os._exit(0)
        while (order := self._order_reader.next_message()) is not None:
            match order.header["op"]:
                case "lease":
                    self._begin_lease(order)
                case "recall":
                    if self._lease is not None:
                        self._end_lease(leaves=False)
                case "follow":
                    self._operations["follow"](order.header, order.payload)
                case _:
                    self._report_idle(self._perform_for_dispatcher(order))

    def _begin_lease(self, order: Message) -> None:
        if order.file is None:
            raise RuntimeError("a lease came without its lessee")
        self._limit_file(order)
        self._shared_status.begin_lease()
        self._lease = socket.socket(fileno=order.file)
        self._lessee_reader = MessageReader(self._lease)
        self._poll.register(self._lease, select.POLLIN)

    def _end_lease(self, *, leaves: bool) -> None:
        if self._lease is not None:
            self._poll.unregister(self._lease)
            self._lease.close()
        self._lease = self._lessee_reader = None
        self._report_idle(leaves)

    def _serve_lessee(self, lessee_reader: MessageReader) -> None:
        """Do what the lessee wants, unless it is gone."""
        try:
            alive = lessee_reader.fill()
        except OSError:
            alive = False
        if not alive:
            self._end_lease(leaves=False)
            return
        while self._lease is not None and (job := lessee_reader.next_message()) is not None:
            self._shared_status.is_delivering = False
            self._shared_status.begin_job(self._shared_status.last_job_number + 1)
            leaves = self._perform(job, self._lease)
            self._shared_status.end_job()
            if leaves:
                self._end_lease(leaves=True)

    def _perform_for_dispatcher(self, job: Message) -> bool:
        if job.file is None:
            raise RuntimeError("a job came without its client")
        self._limit_file(job)
        with socket.socket(fileno=job.file) as client:
            return self._perform(job, client)

    def _limit_file(self, order: Message) -> None:
        allowed = min(self._limits.result_bytes, int(order.header["spool_left"]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, resource.RLIM_INFINITY))

    def _perform(self, job: Message, client: socket.socket) -> bool:
        """Do a job, and say whether it left the cell fat."""
        began = time.monotonic()
        self._shared_status.count_outcome(self._send_result(job, client))
        self._jobs_done += 1
        took_long = time.monotonic() - began > LONG_JOB_SECONDS
        return (
            took_long or self._jobs_done % SIZE_CHECK_INTERVAL == 0
        ) and _address_space_bytes() > self._memory_threshold

    def _send_result(self, job: Message, client: socket.socket) -> str:
        """Send a job's answer to the client; what goes wrong within the job is an answer too.

        The keeper hears of a file before the client does, so that it counts it before the client's next job.
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

    def _report_idle(self, leaves: bool) -> None:
        send_message(self._channel, Message({"leaves": leaves}))
        if leaves:
            os._exit(0)


def _apply_limits(limits: WorkerLimits) -> int:
    """Die with the keeper, leave its signals, write no core, call nobody, take no more memory than allowed.

    Returns the size of the address space from which the cell counts as fat.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what an allocator says when it gives up is counted, not printed
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
    except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the cell goes on
        return JobResult({"error": error_to_header(EngineError(f"{type(error).__name__}: {error}"))})


def _result_message(answer: JobResult, job: int | None) -> Message:
    """An answer as it is sent; it names the job, if that has a name."""
    header = answer.header if job is None else {**answer.header, "id": job}
    if answer.body is None:
        return Message(header)
    if answer.length <= MAX_INLINE_BYTES:
        return Message(header, answer.body.read())
    return Message({**header, "length": answer.length}, file=answer.body.fileno())


def _address_space_bytes() -> int:
    """The size of this process's address space in bytes, which RLIMIT_AS limits."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()

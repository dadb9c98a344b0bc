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
from kg.workers.framing import Header, Message, Reader, described, send
from kg.workers.sandbox import deny_connections
from kg.workers.shared_status import Board

INLINE: Final = 1024 * 1024
"""Bytes of an answer that travel within the message; a longer answer goes as an open file."""

LONG: Final = 0.02
"""Seconds from which a job may have left the cell fat."""
LOOK_EVERY: Final = 64
"""Jobs after which a cell looks at its size even if they were all short."""

_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True)
class Answer:
    """What a job comes to; a `body` longer than INLINE has a file behind it."""

    header: Header
    body: IO[bytes] | None = None
    length: int = 0


Operation = Callable[[Header, bytes], Answer]
"""Performs a job from its header and payload; raises KgError for what the client is to know."""


@dataclass(frozen=True)
class Limits:
    """What a cell may use: bytes of memory beyond what it inherits, bytes of one answer, and connections of its own."""

    memory: int
    result: int
    connections: bool = False


class Resident:
    """The life of a cell, in its own process.

    To the keeper it says {"spools"} before a file of so many bytes goes to a client, {"leaves"} after each of the
    keeper's jobs, and {"leaves"} when a lease is over; if that is true it ends.
    """

    def __init__(
        self, channel: socket.socket, board: Board, operations: Mapping[str, Operation], limits: Limits
    ) -> None:
        self._channel = channel
        self._orders = Reader(channel)
        self._board = board
        self._operations = operations
        self._limits = limits
        self._lease: socket.socket | None = None
        self._wishes: Reader | None = None
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._fat = 0
        self._done = 0

    def live(self) -> None:
        """Perform jobs until the keeper is gone or the cell has grown fat; the process then ends."""
        self._fat = _confine(self._limits)
        while True:
            ready = {file for file, _ in self._poll.poll()}
            if self._channel.fileno() in ready:
                self._obey()
            elif self._wishes is not None:
                self._serve(self._wishes)

    def _obey(self) -> None:
        """Do what the keeper says: perform a job, take a lessee, leave the lessee."""
        if not self._orders.fill():
            os._exit(0)
        while (order := self._orders.next()) is not None:
            match order.header["op"]:
                case "lease":
                    self._take_lessee(order)
                case "recall":
                    if self._lease is not None:
                        self._leave_lessee(leaves=False)
                case "follow":
                    self._operations["follow"](order.header, order.payload)
                case _:
                    self._report(self._perform_for_keeper(order))

    def _take_lessee(self, order: Message) -> None:
        if order.file is None:
            raise RuntimeError("a lease came without its lessee")
        self._limit_file(order)
        self._board.clear()
        self._lease = socket.socket(fileno=order.file)
        self._wishes = Reader(self._lease)
        self._poll.register(self._lease, select.POLLIN)

    def _leave_lessee(self, *, leaves: bool) -> None:
        if self._lease is not None:
            self._poll.unregister(self._lease)
            self._lease.close()
        self._lease = self._wishes = None
        self._report(leaves)

    def _serve(self, wishes: Reader) -> None:
        """Do what the lessee wants, unless it is gone."""
        try:
            alive = wishes.fill()
        except OSError:
            alive = False
        if not alive:
            self._leave_lessee(leaves=False)
            return
        while self._lease is not None and (job := wishes.next()) is not None:
            self._board.delivering = False
            self._board.begin(self._board.begun + 1)
            leaves = self._perform(job, self._lease)
            self._board.end()
            if leaves:
                self._leave_lessee(leaves=True)

    def _perform_for_keeper(self, job: Message) -> bool:
        if job.file is None:
            raise RuntimeError("a job came without its client")
        self._limit_file(job)
        with socket.socket(fileno=job.file) as client:
            return self._perform(job, client)

    def _limit_file(self, order: Message) -> None:
        allowed = min(self._limits.result, int(order.header["spool_left"]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, resource.RLIM_INFINITY))

    def _perform(self, job: Message, client: socket.socket) -> bool:
        """Do a job, and say whether it left the cell fat."""
        began = time.monotonic()
        self._board.count(self._answer(job, client))
        self._done += 1
        took_long = time.monotonic() - began > LONG
        return (took_long or self._done % LOOK_EVERY == 0) and _address_space() > self._fat

    def _answer(self, job: Message, client: socket.socket) -> str:
        """Send a job's answer to the client; what goes wrong within the job is an answer too.

        The keeper hears of a file before the client does, so that it counts it before the client's next job.
        """
        answer = _result(job, self._operations)
        try:
            message = _message(answer, job.header.get("id"))
            if message.file is not None:
                send(self._channel, Message({"spools": answer.length}))
            self._board.delivering = True
            send(client, message)
        except OSError:
            return "abandoned"
        finally:
            if answer.body is not None:
                answer.body.close()
        return str(answer.header["error"]["code"]) if "error" in answer.header else "answered"

    def _report(self, leaves: bool) -> None:
        send(self._channel, Message({"leaves": leaves}))
        if leaves:
            os._exit(0)


def _confine(limits: Limits) -> int:
    """Die with the keeper, leave its signals, write no core, call nobody, take no more memory than allowed.

    Returns the size of the address space from which the cell counts as fat.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what an allocator says when it gives up is counted, not printed
    if not limits.connections:
        deny_connections()
    inherited = _address_space()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (inherited + limits.memory,) * 2)
    return inherited + limits.memory // 4


def _result(job: Message, operations: Mapping[str, Operation]) -> Answer:
    try:
        return operations[job.header["op"]](job.header, job.payload)
    except MemoryError:
        return Answer({"error": described(MemoryLimitError())})
    except KgError as error:
        return Answer({"error": described(error)})
    except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the cell goes on
        return Answer({"error": described(EngineError(f"{type(error).__name__}: {error}"))})


def _message(answer: Answer, job: int | None) -> Message:
    """An answer as it is sent; it names the job, if that has a name."""
    header = answer.header if job is None else {**answer.header, "id": job}
    if answer.body is None:
        return Message(header)
    if answer.length <= INLINE:
        return Message(header, answer.body.read())
    return Message({**header, "length": answer.length}, file=answer.body.fileno())


def _address_space() -> int:
    """The size of this process's address space in bytes, which RLIMIT_AS limits."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()

"""A cell: a forked process that holds a copy of the keeper's store and performs one job at a time under limits."""

import ctypes
import mmap
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from kg.engine.wire import Header, Message, Reader, described, send
from kg.errors import EngineError, KgError, MemoryLimitError

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
    """What a cell may use: bytes of memory beyond what it inherits, and bytes of one answer."""

    memory: int
    result: int


def live(channel: socket.socket, delivering: mmap.mmap, operations: Mapping[str, Operation], limits: Limits) -> None:
    """Perform jobs until the keeper is gone or the cell has grown fat; the process then ends.

    A job's message brings the connection of the client that waits, as an open file. The answer goes there, and
    while it does the byte `delivering` is set: a cell that is stopped then would leave half an answer.
    """
    fat = _confine(limits)
    reader, done = Reader(channel), 0
    while (job := reader.receive()) is not None:
        began = time.monotonic()
        report = _perform(job, channel, delivering, operations, limits)
        done += 1
        took_long = time.monotonic() - began > LONG
        leaves = (took_long or done % LOOK_EVERY == 0) and _address_space() > fat
        send(channel, Message({**report, "leaves": leaves}))
        if leaves:
            break
    os._exit(0)


def _confine(limits: Limits) -> int:
    """Die with the keeper, leave its signals, write no core, take no more memory than allowed.

    Returns the size of the address space from which the cell counts as fat.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what an allocator says when it gives up is counted, not printed
    inherited = _address_space()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (inherited + limits.memory,) * 2)
    return inherited + limits.memory // 4


def _perform(
    job: Message, channel: socket.socket, delivering: mmap.mmap, operations: Mapping[str, Operation], limits: Limits
) -> Header:
    """Do a job and send its answer to the client; what goes wrong within it is an answer too.

    The keeper hears of a file before the client does, so that it counts it before the client's next job.
    """
    if job.file is None:
        raise RuntimeError("a job came without its client")
    allowed = min(limits.result, int(job.header["spool_left"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, resource.RLIM_INFINITY))
    with socket.socket(fileno=job.file) as client:
        answer = _answer(job, operations)
        try:
            message = _message(answer)
            if message.file is not None:
                send(channel, Message({"spools": answer.length}))
            delivering[0] = 1
            send(client, message)
        except OSError:
            return {"outcome": "abandoned"}
        finally:
            delivering[0] = 0
            if answer.body is not None:
                answer.body.close()
    return {"outcome": answer.header.get("error", {}).get("code", "answered")}


def _answer(job: Message, operations: Mapping[str, Operation]) -> Answer:
    try:
        return operations[job.header["op"]](job.header, job.payload)
    except MemoryError:
        return Answer({"error": described(MemoryLimitError())})
    except KgError as error:
        return Answer({"error": described(error)})
    except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the cell goes on
        return Answer({"error": described(EngineError(f"{type(error).__name__}: {error}"))})


def _message(answer: Answer) -> Message:
    if answer.body is None:
        return Message(answer.header)
    if answer.length <= INLINE:
        return Message(answer.header, answer.body.read())
    return Message({**answer.header, "length": answer.length}, file=answer.body.fileno())


def _address_space() -> int:
    """The size of this process's address space in bytes, which RLIMIT_AS limits."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()

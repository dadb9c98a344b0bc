"""The keeper: one single-threaded process that holds the store, forks cells from it and hands them jobs.

A job waits among the fresh ones until a cell is free, and then has the cell to itself. Once it has run for a slice
of time it counts as slow. Slow jobs may fill all cells but one, which stays for fresh jobs; a job that becomes slow
when there is no room for it is stopped, waits among the slow and starts again. So a cheap question is answered
while expensive ones fill the house. Fresh jobs are taken newest and oldest in turn; when too many wait, the oldest
is turned away.
"""

import mmap
import os
import selectors
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from kg.engine.cell import Limits, Operation, live
from kg.engine.wire import Header, Message, Reader, WireError, described, send
from kg.errors import CellCrashError, DeadlineError, KgError, MemoryLimitError, QueueFullError, SpoolFullError

SLICE: Final = 0.25
"""Seconds after which a job counts as slow."""
DELIVERY: Final = 5.0
"""Seconds that a cell may take, past the deadline, to hand over an answer that is ready."""
SPOOL_MINIMUM: Final = 1024 * 1024
"""Bytes of spool that must be left for a job to start."""


@dataclass(frozen=True)
class House:
    """How many cells there are, how many jobs may wait in each queue, how many bytes of answers may be unread."""

    cells: int
    waiting: int
    spool: int
    limits: Limits


class _Files(Protocol):
    def fileno(self) -> int: ...


@dataclass(eq=False)
class Client:
    """A connection of the service, which has at most one job at a time; `spooled` is the size of its unread file."""

    connection: socket.socket
    reader: Reader
    job: "Job | None" = None
    spooled: int = 0


@dataclass(eq=False)
class Job:
    """What a client asked for; the deadline is in seconds of the monotonic clock."""

    request: Message
    client: Client
    deadline: float
    slow: bool = False
    retries: int = 0


@dataclass(eq=False)
class Cell:
    """A forked process, what it is doing and since when; `due` is when the keeper looks at it next."""

    pid: int
    channel: socket.socket
    reader: Reader
    delivering: mmap.mmap
    job: Job | None = None
    due: float = 0.0


@dataclass
class Counts:
    """What happened so far: jobs by outcome, cells killed by cause, cells forked."""

    outcomes: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    forked: int = 0


class Keeper:
    """Serves jobs on a listening Unix socket until the other end of its lifeline is closed."""

    def __init__(
        self,
        listener: socket.socket,
        operations: Mapping[str, Operation],
        house: House,
        facts: Mapping[str, object],
    ) -> None:
        """Keep a house; `facts` are what the status tells about the dataset."""
        self._listener = listener
        self._operations = operations
        self._house = house
        self._facts = facts
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()
        self._cells: set[Cell] = set()
        self._fresh: deque[Job] = deque()
        self._slow: deque[Job] = deque()
        self._newest_first = False
        self._counts = Counts()
        self._open = True

    def run(self, lifeline: _Files) -> None:
        """Serve until the lifeline ends; then let the jobs that run or wait end by their deadlines."""
        self._watch(self._listener, self._accept)
        self._watch(lifeline, lambda: self._stop(lifeline))
        for _ in range(self._house.cells):
            self._fork()
        while self._open or self._fresh or self._slow or any(cell.job for cell in self._cells):
            for key, _ in self._selector.select(self._pause()):
                key.data()
            self._enforce()
            self._dispatch()
        for cell in tuple(self._cells):
            os.kill(cell.pid, signal.SIGKILL)
            os.waitpid(cell.pid, 0)

    def _watch(self, file: _Files, react: Callable[[], None]) -> None:
        self._selector.register(file.fileno(), selectors.EVENT_READ, react)

    def _stop(self, lifeline: _Files) -> None:
        self._selector.unregister(lifeline.fileno())
        self._selector.unregister(self._listener.fileno())
        self._listener.close()
        self._open = False

    # Clients

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        client = Client(connection, Reader(connection))
        self._clients.add(client)
        self._watch(connection, lambda: self._hear(client))

    def _hear(self, client: Client) -> None:
        if client not in self._clients:
            return
        try:
            alive = client.reader.fill()
            while (message := client.reader.next()) is not None:
                self._take(client, message)
        except (OSError, WireError, ValueError, KeyError):
            alive = False
        if not alive and client in self._clients:
            self._forget(client)

    def _take(self, client: Client, message: Message) -> None:
        """Take a message: a job, or one of the two words that the keeper hears itself."""
        client.spooled = 0
        match message.header["op"]:
            case "status":
                self._reply(client, self._status())
            case "release":
                pass
            case _:  # a job before it may be answered already, while its cell's word of that is still on the way
                client.job = Job(message, client, time.monotonic() + float(message.header["timeout"]))
                self._fresh.append(client.job)
                if len(self._fresh) > self._house.waiting:
                    self._refuse(self._fresh.popleft(), QueueFullError())

    def _refuse(self, job: Job, cause: KgError) -> None:
        self._counts.outcomes[cause.code] += 1
        if job.client.job is job:
            job.client.job = None
            self._reply(job.client, {"error": described(cause)})

    def _reply(self, client: Client, header: Header) -> None:
        try:
            send(client.connection, Message(header))
        except OSError:
            self._forget(client)

    def _forget(self, client: Client) -> None:
        """A client has gone: its job is of no use to anybody."""
        self._selector.unregister(client.connection.fileno())
        self._clients.discard(client)
        client.reader.close()
        job, client.job = client.job, None
        if job is None:
            return
        for queue in (self._fresh, self._slow):
            with suppress(ValueError):
                queue.remove(job)
        for cell in [cell for cell in self._cells if cell.job is job]:
            cell.job = None
            self._kill(cell, "abandoned")

    # Cells

    def _fork(self) -> None:
        ours, theirs = socket.socketpair()
        delivering = mmap.mmap(-1, 1)
        pid = os.fork()
        if pid == 0:
            self._become_cell(ours, theirs, delivering)
        theirs.close()
        cell = Cell(pid, ours, Reader(ours), delivering)
        self._cells.add(cell)
        self._counts.forked += 1
        self._watch(ours, lambda: self._listen(cell))

    def _become_cell(self, ours: socket.socket, theirs: socket.socket, delivering: mmap.mmap) -> None:
        """In the forked process, let go of everything of the keeper's but the store."""
        try:
            self._selector.close()
            self._listener.close()
            ours.close()
            for client in self._clients:
                client.connection.close()
            for cell in self._cells:
                cell.channel.close()
            live(theirs, delivering, self._operations, self._house.limits)
        finally:
            os._exit(os.EX_SOFTWARE)

    def _listen(self, cell: Cell) -> None:
        """Hear that a cell has done its job, or that it has died."""
        if cell not in self._cells:
            return  # it was taken away by what else was heard at the same time
        try:
            alive = cell.reader.fill()
        except OSError:
            alive = False
        ends = not alive
        while (message := cell.reader.next()) is not None:
            if "spools" not in message.header:
                ends = self._done(cell, message.header) or ends
            elif cell.job is not None:
                cell.job.client.spooled = int(message.header["spools"])
        if ends:
            if alive:
                os.kill(cell.pid, signal.SIGKILL)
            self._bury(cell)

    def _done(self, cell: Cell, report: Header) -> bool:
        """Settle a job; says whether its cell is to end.

        A cell that has grown fat ends itself. One whose priority was lowered is of no more use: only root could
        raise it again.
        """
        job, cell.job = cell.job, None
        self._counts.outcomes[report["outcome"]] += 1
        if job is not None and job.client.job is job:
            job.client.job = None
        return bool(report["leaves"]) or (job is not None and job.slow)

    def _bury(self, cell: Cell) -> None:
        """Take a cell away that ends or has ended, tell its client if a job ended with it, and fork another one."""
        self._selector.unregister(cell.channel.fileno())
        self._cells.discard(cell)
        _, status = os.waitpid(cell.pid, 0)
        if cell.job is not None:
            self._fail(cell, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
        cell.reader.close()
        cell.delivering.close()
        if self._open:
            self._fork()

    def _fail(self, cell: Cell, by_signal: int) -> None:
        """Answer for a cell that died; if half an answer may be on its way, cut the connection.

        A cell that somebody killed from outside may have died before it began, and the next one with it: its job is
        tried again, as often as there are cells.
        """
        job, cell.job = cell.job, None
        if job is None:
            return
        if by_signal == signal.SIGKILL and not cell.delivering[0] and job.retries < self._house.cells:
            job.retries += 1
            (self._slow if job.slow else self._fresh).appendleft(job)
            return
        cause = MemoryLimitError() if by_signal == signal.SIGABRT else CellCrashError()
        self._counts.killed[cause.code] += 1
        if cell.delivering[0] and job.client.job is job:
            job.client.job = None
            self._counts.outcomes[cause.code] += 1
            self._forget(job.client)
        else:
            self._refuse(job, cause)

    def _kill(self, cell: Cell, cause: str) -> None:
        """End a cell whose job is settled."""
        self._counts.killed[cause] += 1
        os.kill(cell.pid, signal.SIGKILL)
        self._bury(cell)

    def _halted(self, cell: Cell) -> bool:
        """Stop a cell and say whether it may be killed: not while it hands over its answer."""
        os.kill(cell.pid, signal.SIGSTOP)
        state = os.waitid(os.P_PID, cell.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if state is None or state.si_code != os.CLD_STOPPED:
            return False
        if cell.delivering[0]:
            os.kill(cell.pid, signal.SIGCONT)
            return False
        return True

    # Time

    def _pause(self) -> float | None:
        """The seconds until something is due."""
        moments = [cell.due for cell in self._cells if cell.job is not None]
        moments += [job.deadline for queue in (self._fresh, self._slow) for job in queue]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _enforce(self) -> None:
        """Stop what is past its deadline, and what became slow while there is no room among the slow."""
        now = time.monotonic()
        for queue in (self._fresh, self._slow):
            for job in [job for job in queue if job.deadline <= now]:
                queue.remove(job)
                self._refuse(job, DeadlineError())
        for cell, job in [(cell, cell.job) for cell in self._cells if cell.job is not None and cell.due <= now]:
            if cell.job is not job:
                continue
            if job.deadline + DELIVERY <= now:
                self._overdue(cell, job)
            elif job.deadline <= now:
                self._expire(cell, job, now)
            elif not job.slow:
                self._slow_down(cell, job)

    def _expire(self, cell: Cell, job: Job, now: float) -> None:
        if not self._halted(cell):
            cell.due = now + DELIVERY
            return
        cell.job = None
        self._refuse(job, DeadlineError())
        self._kill(cell, DeadlineError.code)

    def _overdue(self, cell: Cell, job: Job) -> None:
        """The answer was ready, but the service does not take it."""
        self._counts.outcomes["abandoned"] += 1
        self._forget(job.client)
        if cell in self._cells:
            self._kill(cell, "abandoned")

    def _slow_down(self, cell: Cell, job: Job) -> None:
        if self._slow_running < self._slow_places:
            job.slow = True
            cell.due = job.deadline
            os.setpriority(os.PRIO_PROCESS, cell.pid, 10)
            return
        if not self._halted(cell):
            cell.due = job.deadline
            return
        cell.job, job.slow = None, True
        if len(self._slow) < self._house.waiting:
            self._slow.append(job)
            self._kill(cell, "requeued")
        else:
            self._refuse(job, QueueFullError())
            self._kill(cell, QueueFullError.code)

    # Jobs

    @property
    def _slow_running(self) -> int:
        return sum(cell.job is not None and cell.job.slow for cell in self._cells)

    @property
    def _slow_places(self) -> int:
        return max(self._house.cells - 1, 1)

    def _dispatch(self) -> None:
        for cell in [cell for cell in self._cells if cell.job is None]:
            job = self._next_job()
            if job is None:
                return
            self._hand(cell, job)

    def _next_job(self) -> Job | None:
        if self._slow and self._slow_running < self._slow_places:
            return self._slow.popleft()
        if not self._fresh:
            return None
        self._newest_first = not self._newest_first
        return self._fresh.pop() if self._newest_first else self._fresh.popleft()

    def _hand(self, cell: Cell, job: Job) -> None:
        left = self._house.spool - sum(client.spooled for client in self._clients)
        if left < SPOOL_MINIMUM:
            self._refuse(job, SpoolFullError())
            return
        cell.job = job
        cell.due = job.deadline if job.slow else min(job.deadline, time.monotonic() + SLICE)
        request = Message(
            {**job.request.header, "spool_left": left}, job.request.payload, job.client.connection.fileno()
        )
        try:
            send(cell.channel, request)
        except OSError:
            return  # it died, and its channel will say so
        if job.slow:
            os.setpriority(os.PRIO_PROCESS, cell.pid, 10)

    def _status(self) -> Header:
        return {
            **self._facts,
            "cells": {
                "idle": sum(cell.job is None for cell in self._cells),
                "busy": sum(cell.job is not None for cell in self._cells),
            },
            "waiting": {"fresh": len(self._fresh), "slow": len(self._slow)},
            "outcomes": dict(self._counts.outcomes),
            "killed": dict(self._counts.killed),
            "forked": self._counts.forked,
            "spooled_bytes": sum(client.spooled for client in self._clients),
        }

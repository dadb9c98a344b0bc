"""The keeper: one single-threaded process that holds the store, forks cells from it and hands them jobs.

A job waits among the fresh ones until a cell is free, and then has the cell to itself. Once it has run for a slice
of time it counts as slow. Slow jobs may fill all cells but one, which stays for fresh jobs; a job that becomes slow
when there is no room for it is stopped, waits among the slow and starts again. So a cheap question is answered
while expensive ones fill the house. Queries of a shape that was slow the last time wait among the slow at once, so
that a crowd of them costs nobody else a slice each. Fresh jobs are taken newest and oldest in turn; when too many
wait, the oldest is turned away.

A client may lease a cell that nobody needs and talk to it directly, which spares short jobs the way through the
keeper. It hands a job that turns out not to be short to the keeper for adoption. When others wait, a lease is
recalled: the cell ends it after the job at hand.

When the dataset has changed, the keeper catches up first and then orders every cell to follow, before it says that
it is done. A cell hears its orders before its next job; one that is busy and would have much to hear is replaced.
"""

import os
import selectors
import signal
import socket
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from kg.errors import CellCrashError, DeadlineError, KgError, MemoryLimitError, QueueFullError, SpoolFullError
from kg.workers.framing import Header, Message, Reader, WireError, described, send
from kg.workers.shared_status import Board
from kg.workers.worker import Limits, Operation, Resident

SLICE: Final = 0.25
"""Seconds after which a job counts as slow."""
SHORT_SLICE: Final = 0.05
"""The same while fresh jobs wait."""
YIELD_AFTER: Final = 1.0
"""Seconds after which a job runs with a lower priority."""
DELIVERY: Final = 5.0
"""Seconds that a cell may take, past the deadline, to hand over an answer that is ready."""
SPOOL_MINIMUM: Final = 1024 * 1024
"""Bytes of spool that must be left for a job to start."""
BEHIND: Final = 32 * 1024
"""Bytes of orders that may wait in the socket of a cell that is not listening."""
CATCH_UP: Final = 2.0
"""Seconds between two looks whether somebody else changed the dataset."""
WARM_AFTER: Final = 1.5
"""Seconds after the start from which the keeper prepares what is not needed for the first answers."""
SHAPES: Final = 4096
"""Shapes of slow queries that are remembered."""
LOOK: Final = 1.0
"""Seconds within which a lessee has its job adopted if it is not done; else its cell is killed."""


@dataclass(frozen=True)
class House:
    """How many cells there are, how many jobs may wait in each queue, how many bytes of answers may be unread."""

    cells: int
    waiting: int
    spool: int
    limits: Limits


CatchUp = Callable[[], Iterable[Message]]
"""Brings the keeper's own dataset up to date, and gives the orders by which cells do the same; publishes at the end."""


@dataclass(frozen=True)
class Chores:
    """What the keeper does beside its jobs: follow changes, and prepare in steps what cells will need."""

    catch_up: CatchUp
    prepare: Iterator[object]


class _Files(Protocol):
    def fileno(self) -> int: ...


@dataclass(eq=False)
class Client:
    """A connection of the service, which has at most one job at a time; `spooled` is the size of its unread files."""

    connection: socket.socket
    reader: Reader
    job: "Job | None" = None
    spooled: int = 0


@dataclass(eq=False)
class Job:
    """What a client asked for; the deadline is in seconds of the monotonic clock.

    `adopted` is the number, in its lease, of a job that a lessee began and the keeper took over; 0 for all others.
    """

    request: Message
    client: Client
    deadline: float
    slow: bool = False
    retries: int = 0
    adopted: int = 0

    @property
    def shape(self) -> str:
        """What it has in common with other queries; empty for what is no query."""
        return str(self.request.header.get("shape", ""))


@dataclass(eq=False)
class Lease:
    """Who talks to a cell directly; `seen` is the number of the job that was being done at the keeper's last look."""

    client: Client
    recalled: bool = False
    seen: int = 0


@dataclass(eq=False)
class Cell:
    """A forked process, what it is doing and since when; `due` is when the keeper looks at it next."""

    pid: int
    channel: socket.socket
    reader: Reader
    board: Board
    job: Job | None = None
    lease: Lease | None = None
    began: float = 0.0
    due: float = 0.0
    lowered: bool = False
    behind: int = 0
    stale: bool = False

    @property
    def free(self) -> bool:
        """Whether it can be given a job."""
        return self.job is None and self.lease is None


@dataclass
class Counts:
    """What happened so far: jobs by outcome, cells killed by cause, cells forked, leases given."""

    outcomes: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    forked: int = 0
    leases: int = 0


class Keeper:
    """Serves jobs on a listening Unix socket until the other end of its lifeline is closed."""

    def __init__(
        self,
        listener: socket.socket,
        operations: Mapping[str, Operation],
        house: House,
        facts: Callable[[], Mapping[str, object]],
        chores: "Chores | None" = None,
    ) -> None:
        """Keep a house; `facts` are what the status tells about the dataset at the moment."""
        self._listener = listener
        self._operations = operations
        self._house = house
        self._facts = facts
        self._chores = chores or Chores(tuple, iter(()))
        self._warming = True
        self._warm_from = time.monotonic() + WARM_AFTER
        self._caught_up = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()
        self._cells: set[Cell] = set()
        self._fresh: deque[Job] = deque()
        self._slow: deque[Job] = deque()
        self._newest_first = False
        self._slow_shapes = OrderedDict[str, None]()
        self._counts = Counts()
        self._open = True

    def run(self, lifeline: _Files) -> None:
        """Serve until the lifeline ends; then let the jobs that run or wait end by their deadlines."""
        self._watch(self._listener, self._accept)
        self._watch(lifeline, lambda: self._stop(lifeline))
        for _ in range(self._house.cells):
            self._fork()
        while self._open or self._fresh or self._slow or any(cell.job or cell.board.busy for cell in self._cells):
            for key, _ in self._selector.select(self._pause()):
                key.data()
            self._enforce()
            self._dispatch()
            self._warm()
        for cell in tuple(self._cells):
            os.kill(cell.pid, signal.SIGKILL)
            os.waitpid(cell.pid, 0)

    def _warm(self) -> None:
        """Take one step of what is to be prepared, unless somebody waits; then let all cells have what was made."""
        ready = self._warming and not self._fresh and time.monotonic() >= self._warm_from
        if ready and next(self._chores.prepare, self) is self:
            self._warming = False
            for cell in tuple(self._cells):
                cell.stale = True
                if cell.free:
                    os.kill(cell.pid, signal.SIGKILL)
                    self._bury(cell)
                else:
                    self._recall(cell)

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
        """Take a message: a job, or one of the words that the keeper hears itself.

        A job before it may be answered already, while its cell's word of that is still on the way.
        """
        match message.header["op"]:
            case "status":
                self._reply(client, self._status())
            case "release":
                client.spooled -= int(message.header["bytes"])
            case "lease":
                self._lease(client)
            case "follow":
                self._follow()
                self._reply(client, {"id": message.header.get("id")})
            case "adopt":
                self._adopt(client, message)
            case _:
                self._enter(self._job(client, message))

    def _job(self, client: Client, request: Message) -> Job:
        client.job = Job(request, client, time.monotonic() + float(request.header["timeout"]))
        return client.job

    def _enter(self, job: Job) -> None:
        if job.shape in self._slow_shapes:
            job.slow = True
            self._wait_among_slow(job)
            return
        self._fresh.append(job)
        for cell in self._cells:
            if cell.job is not None and not cell.job.slow:
                cell.due = min(cell.due, cell.began + SHORT_SLICE)
        if len(self._fresh) > self._house.waiting:
            self._refuse(self._fresh.popleft(), self._overcrowded())

    def _wait_among_slow(self, job: Job) -> None:
        if len(self._slow) < self._house.waiting:
            self._slow.append(job)
        else:
            self._refuse(job, self._overcrowded())

    def _learn(self, job: Job, *, slow: bool) -> None:
        """Remember how long queries of a shape took the last time."""
        self._slow_shapes.pop(job.shape, None)
        if slow and job.shape:
            self._slow_shapes[job.shape] = None
            if len(self._slow_shapes) > SHAPES:
                self._slow_shapes.popitem(last=False)

    def _overcrowded(self) -> QueueFullError:
        """Turn a job away for as long as it will take those that wait to have their turn."""
        now = time.monotonic()
        ahead = sum(max(0.0, job.deadline - now) for job in self._slow) / self._slow_places
        return QueueFullError(retry_after=round(min(max(ahead, 1), 30)))

    def _refuse(self, job: Job, cause: KgError) -> None:
        self._counts.outcomes[cause.code] += 1
        self._settle(job, {"error": described(cause)})

    def _settle(self, job: Job, word: Header) -> None:
        """Tell a client what became of its job, unless it has another one by now."""
        if job.client.job is job:
            job.client.job = None
            self._reply(job.client, {**word, "id": job.request.header.get("id")})

    def _reply(self, client: Client, header: Header, file: int | None = None) -> None:
        try:
            send(client.connection, Message(header, file=file))
        except OSError:
            self._forget(client)

    def _forget(self, client: Client) -> None:
        """A client has gone: its job is of no use to anybody."""
        if client not in self._clients:
            return
        self._selector.unregister(client.connection.fileno())
        self._clients.discard(client)
        client.reader.close()
        job, client.job = client.job, None
        for queue in (self._fresh, self._slow):
            with suppress(ValueError):
                if job is not None:
                    queue.remove(job)
        for cell in [cell for cell in self._cells if _works_for(cell, client, job)]:
            cell.job = None
            self._kill(cell, "abandoned")
        for cell in self._cells:
            if cell.lease is not None and cell.lease.client is client:
                self._recall(cell)

    # Leases

    def _lease(self, client: Client) -> None:
        """Let a client talk to a cell directly, if one is free that nobody waits for."""
        leased = sum(cell.lease is not None for cell in self._cells)
        cell = next((cell for cell in self._cells if cell.free), None)
        crowded = bool(self._fresh or self._slow) or self._spool_left < self._house.spool // 2
        if cell is None or crowded or leased >= self._house.cells - 1:
            self._reply(client, {"cell": None})
            return
        theirs, lessees = socket.socketpair()
        with theirs, lessees:
            cell.lease, cell.due = Lease(client), time.monotonic() + LOOK
            self._counts.leases += 1
            self._order(cell, Message({"op": "lease", "spool_left": self._spool_left}, file=theirs.fileno()))
            self._reply(client, {"cell": cell.pid}, lessees.fileno())

    def _recall(self, cell: Cell) -> None:
        if cell.lease is not None and not cell.lease.recalled:
            cell.lease.recalled = True
            self._order(cell, Message({"op": "recall"}))

    def _adopt(self, client: Client, message: Message) -> None:
        """Take over a job that a lessee began, and with it the cell; what cannot be taken over begins anew."""
        header = message.header
        job = self._job(client, Message(header["job"], message.payload))
        cell = next((cell for cell in self._cells if cell.pid == header["cell"] and cell.lease is not None), None)
        if cell is None or cell.lease is None or cell.lease.client is not client:
            self._enter(job)
        elif cell.board.begun >= header["number"] and not cell.board.busy:
            self._settle(job, {"done": True})
        else:
            job.adopted = header["number"]
            self._begin(cell, job)
            self._recall(cell)

    # Changes

    def _follow(self) -> None:
        """Catch up, and let all cells do so."""
        self._caught_up = time.monotonic()
        for order in self._chores.catch_up():
            for cell in self._cells:
                self._let_follow(cell, order)

    def _let_follow(self, cell: Cell, order: Message) -> None:
        if cell.stale:
            return
        cell.behind += 0 if cell.free else len(order.payload)
        if cell.behind > BEHIND:
            cell.stale = True
            self._recall(cell)
        else:
            self._order(cell, order)

    @staticmethod
    def _order(cell: Cell, message: Message) -> None:
        with suppress(OSError):  # it died, and its channel will say so
            send(cell.channel, message)

    # Cells

    def _fork(self) -> None:
        ours, theirs = socket.socketpair()
        board = Board()
        pid = os.fork()
        if pid == 0:
            self._become_cell(ours, theirs, board)
        theirs.close()
        cell = Cell(pid, ours, Reader(ours), board)
        self._cells.add(cell)
        self._counts.forked += 1
        self._watch(ours, lambda: self._listen(cell))

    def _become_cell(self, ours: socket.socket, theirs: socket.socket, board: Board) -> None:
        """In the forked process, let go of everything of the keeper's but the store."""
        try:
            self._selector.close()
            self._listener.close()
            ours.close()
            for client in self._clients:
                client.connection.close()
            for cell in self._cells:
                cell.channel.close()
            Resident(theirs, board, self._operations, self._house.limits).live()
        finally:
            os._exit(os.EX_SOFTWARE)

    def _listen(self, cell: Cell) -> None:
        """Hear that a cell has done its job or ended its lease, or that it has died."""
        if cell not in self._cells:
            return  # it was taken away by what else was heard at the same time
        try:
            alive = cell.reader.fill()
        except OSError:
            alive = False
        ends = not alive
        while (message := cell.reader.next()) is not None:
            if "spools" in message.header:
                self._spooled(cell, int(message.header["spools"]))
            else:
                ends = self._done(cell, leaves=message.header["leaves"]) or ends
        if ends:
            if alive:
                os.kill(cell.pid, signal.SIGKILL)
            self._bury(cell)

    def _spooled(self, cell: Cell, size: int) -> None:
        """Count a file that goes to a client; when there is little room left, all go through the keeper."""
        if cell.job is not None:
            cell.job.client.spooled += size
        elif cell.lease is not None:
            cell.lease.client.spooled += size
        if self._spool_left < self._house.spool // 2:
            for other in self._cells:
                self._recall(other)

    def _done(self, cell: Cell, *, leaves: bool) -> bool:
        """Settle what a cell did; says whether it is to end.

        A cell that has grown fat ends itself. One whose priority was lowered is of no more use where only root could
        raise it again.
        """
        job, lease, cell.behind = cell.job, cell.lease, 0
        if job is not None and time.monotonic() - cell.began < SHORT_SLICE:
            self._learn(job, slow=False)
        cell.job = cell.lease = None
        if job is not None and lease is None:
            if job.client.job is job:
                job.client.job = None
        elif job is not None and cell.board.begun >= job.adopted:
            self._settle(job, {"done": True})
        elif job is not None:
            job.adopted = 0
            self._fresh.appendleft(job)
        return leaves or cell.stale or not _raised(cell)

    def _bury(self, cell: Cell) -> None:
        """Take a cell away that ends or has ended, tell its client if a job ended with it, and fork another one."""
        self._selector.unregister(cell.channel.fileno())
        self._cells.discard(cell)
        _, status = os.waitpid(cell.pid, 0)
        by_signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if cell.job is not None:
            self._fail(cell, by_signal)
        elif cell.lease is not None and cell.board.busy and by_signal != signal.SIGKILL:
            self._counts.killed[_cause(by_signal).code] += 1
        self._counts.outcomes += cell.board.counts()
        cell.reader.close()
        cell.board.close()
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
        job.adopted = 0
        if by_signal == signal.SIGKILL and not cell.board.delivering and job.retries < self._house.cells:
            job.retries += 1
            (self._slow if job.slow else self._fresh).appendleft(job)
            return
        cause = _cause(by_signal)
        self._counts.killed[cause.code] += 1
        if cell.board.delivering and job.client.job is job:
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
        """Stop a cell and say whether it may be killed: not if its answer is on its way."""
        os.kill(cell.pid, signal.SIGSTOP)
        state = os.waitid(os.P_PID, cell.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if state is None or state.si_code != os.CLD_STOPPED:
            return False
        if cell.board.delivering or (cell.lease is not None and not cell.board.busy):
            os.kill(cell.pid, signal.SIGCONT)
            return False
        return True

    # Time

    def _pause(self) -> float:
        """The seconds until something is due."""
        moments = [cell.due for cell in self._cells if not cell.free]
        moments += [job.deadline for queue in (self._fresh, self._slow) for job in queue]
        moments += [self._warm_from] if self._warming else []
        return max(0.0, min([*moments, self._caught_up + CATCH_UP]) - time.monotonic())

    def _enforce(self) -> None:
        """Stop what is past its deadline, and what became slow while there is no room among the slow."""
        now = time.monotonic()
        if self._caught_up + CATCH_UP <= now:
            self._follow()
        for queue in (self._fresh, self._slow):
            for job in [job for job in queue if job.deadline <= now]:
                queue.remove(job)
                self._refuse(job, DeadlineError())
        for cell in [cell for cell in self._cells if not cell.free and cell.due <= now]:
            if cell not in self._cells or cell.free:
                continue
            if cell.job is None:
                self._look_at_lease(cell, now)
            elif cell.job.deadline + DELIVERY <= now:
                self._overdue(cell, cell.job)
            elif cell.job.deadline <= now:
                self._expire(cell, cell.job, now)
            elif not cell.job.slow:
                self._slow_down(cell, cell.job)
            else:
                self._yield(cell, cell.job)

    def _look_at_lease(self, cell: Cell, now: float) -> None:
        """See that no job runs on in a leased cell: a lessee that lives would have had it adopted by now."""
        lease, board = cell.lease, cell.board
        if lease is None:
            return
        if board.busy and board.begun == lease.seen and self._halted(cell):
            self._kill(cell, "abandoned")
            return
        lease.seen = board.begun if board.busy else 0
        cell.due = now + LOOK

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
        self._learn(job, slow=True)
        if self._slow_running < self._slow_places:
            job.slow = True
            cell.due = min(job.deadline, time.monotonic() + YIELD_AFTER)
            return
        if not self._halted(cell):
            cell.due = job.deadline
            return
        cell.job, job.slow, job.adopted = None, True, 0
        self._wait_among_slow(job)
        self._kill(cell, "requeued")

    @staticmethod
    def _yield(cell: Cell, job: Job) -> None:
        os.setpriority(os.PRIO_PROCESS, cell.pid, 10)
        cell.lowered, cell.due = True, job.deadline

    # Jobs

    @property
    def _slice(self) -> float:
        return SHORT_SLICE if self._fresh else SLICE

    @property
    def _spool_left(self) -> int:
        return self._house.spool - sum(client.spooled for client in self._clients)

    @property
    def _slow_running(self) -> int:
        return sum(cell.job is not None and cell.job.slow for cell in self._cells)

    @property
    def _slow_places(self) -> int:
        return max(self._house.cells - 1, 1)

    def _dispatch(self) -> None:
        """Give the jobs that wait to free cells, and recall leases for those that remain."""
        for cell in [cell for cell in self._cells if cell.free]:
            job = self._next_job()
            if job is None:
                return
            self._hand(cell, job)
        waiting = len(self._fresh) + (len(self._slow) if self._slow_running < self._slow_places else 0)
        leased = [cell for cell in self._cells if cell.lease is not None and cell.job is None]
        waiting -= sum(cell.lease is not None and cell.lease.recalled for cell in leased)
        for cell in sorted(leased, key=lambda cell: cell.board.busy)[: max(waiting, 0)]:
            self._recall(cell)

    def _next_job(self) -> Job | None:
        if self._slow and self._slow_running < self._slow_places:
            return self._slow.popleft()
        if not self._fresh:
            return None
        self._newest_first = not self._newest_first
        return self._fresh.pop() if self._newest_first else self._fresh.popleft()

    def _hand(self, cell: Cell, job: Job) -> None:
        left = self._spool_left
        if left < SPOOL_MINIMUM:
            self._refuse(job, SpoolFullError())
            return
        self._begin(cell, job)
        cell.board.delivering = False
        client = job.client.connection.fileno()
        self._order(cell, Message({**job.request.header, "spool_left": left}, job.request.payload, client))

    def _begin(self, cell: Cell, job: Job) -> None:
        cell.job, cell.began = job, time.monotonic()
        cell.due = min(job.deadline, cell.began + (YIELD_AFTER if job.slow else self._slice))

    def _status(self) -> Header:
        outcomes = sum((cell.board.counts() for cell in self._cells), self._counts.outcomes)
        return {
            **self._facts(),
            "cells": {
                "idle": sum(cell.free for cell in self._cells),
                "busy": sum(cell.job is not None for cell in self._cells),
                "leased": sum(cell.lease is not None and cell.job is None for cell in self._cells),
            },
            "waiting": {"fresh": len(self._fresh), "slow": len(self._slow)},
            "outcomes": dict(outcomes),
            "killed": dict(self._counts.killed),
            "forked": self._counts.forked,
            "leases": self._counts.leases,
            "spooled_bytes": sum(client.spooled for client in self._clients),
        }


def _works_for(cell: Cell, client: Client, job: Job | None) -> bool:
    """Whether all that a cell does is done for a client that has gone."""
    if cell.job is not None:
        return cell.job is job
    return cell.lease is not None and cell.lease.client is client and cell.board.busy


def _cause(by_signal: int) -> MemoryLimitError | CellCrashError:
    """What a death by a signal means: the allocators abort when they get no more."""
    return MemoryLimitError() if by_signal == signal.SIGABRT else CellCrashError()


def _raised(cell: Cell) -> bool:
    """Give a cell its priority back, and say whether it has it."""
    if cell.lowered:
        try:
            os.setpriority(os.PRIO_PROCESS, cell.pid, 0)
        except OSError:
            return False
        cell.lowered = False
    return True

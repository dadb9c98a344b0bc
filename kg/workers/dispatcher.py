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

from kg.errors import DeadlineError, KgError, MemoryLimitError, QueueFullError, SpoolFullError, WorkerCrashError
from kg.workers.framing import FramingError, Header, Message, MessageReader, error_to_header, send_message
from kg.workers.shared_status import SharedStatus
from kg.workers.worker import Operation, WorkerLimits, WorkerLoop

TIME_SLICE: Final = 0.25
"""Seconds after which a job counts as slow."""
SHORT_TIME_SLICE: Final = 0.05
"""The same while fresh jobs wait."""
LOWER_PRIORITY_AFTER: Final = 1.0
"""Seconds after which a job runs with a lower priority."""
DELIVERY_TIMEOUT: Final = 5.0
"""Seconds that a cell may take, past the deadline, to hand over an answer that is ready."""
MIN_SPOOL_BYTES: Final = 1024 * 1024
"""Bytes of spool that must be left for a job to start."""
MAX_UNREAD_ORDER_BYTES: Final = 32 * 1024
"""Bytes of orders that may wait in the socket of a cell that is not listening."""
CATCH_UP_INTERVAL: Final = 2.0
"""Seconds between two looks whether somebody else changed the dataset."""
WARM_UP_DELAY: Final = 1.5
"""Seconds after the start from which the keeper prepares what is not needed for the first answers."""
MAX_SLOW_FINGERPRINTS: Final = 4096
"""Shapes of slow queries that are remembered."""
LEASE_CHECK_INTERVAL: Final = 1.0
"""Seconds within which a lessee has its job adopted if it is not done; else its cell is killed."""


@dataclass(frozen=True)
class PoolConfig:
    """How many cells there are, how many jobs may wait in each queue, how many bytes of answers may be unread."""

    workers: int
    max_queued: int
    spool_bytes: int
    limits: WorkerLimits


CatchUp = Callable[[], Iterable[Message]]
"""Brings the keeper's own dataset up to date, and gives the orders by which cells do the same; publishes at the end."""


@dataclass(frozen=True)
class Hooks:
    """What the keeper does beside its jobs: follow changes, and prepare in steps what cells will need."""

    catch_up: CatchUp
    prepare: Iterator[object]


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


@dataclass(eq=False)
class Client:
    """A connection of the service, which has at most one job at a time; `spooled` is the size of its unread files."""

    connection: socket.socket
    reader: MessageReader
    job: "Job | None" = None
    spooled_bytes: int = 0


@dataclass(eq=False)
class Job:
    """What a client asked for; the deadline is in seconds of the monotonic clock.

    `adopted` is the number, in its lease, of a job that a lessee began and the keeper took over; 0 for all others.
    """

    request: Message
    client: Client
    deadline: float
    is_slow: bool = False
    retries: int = 0
    adopted_number: int = 0

    @property
    def fingerprint(self) -> str:
        """What it has in common with other queries; empty for what is no query."""
        return str(self.request.header.get("shape", ""))


@dataclass(eq=False)
class GrantedLease:
    """Who talks to a cell directly; `seen` is the number of the job that was being done at the keeper's last look."""

    client: Client
    is_recalled: bool = False
    last_seen_job: int = 0


@dataclass(eq=False)
class WorkerProcess:
    """A forked process, what it is doing and since when; `due` is when the keeper looks at it next."""

    pid: int
    channel: socket.socket
    reader: MessageReader
    shared_status: SharedStatus
    job: Job | None = None
    lease: GrantedLease | None = None
    started_at: float = 0.0
    next_check: float = 0.0
    has_low_priority: bool = False
    unread_order_bytes: int = 0
    is_stale: bool = False

    @property
    def is_free(self) -> bool:
        """Whether it can be given a job."""
        return self.job is None and self.lease is None


@dataclass
class PoolCounters:
    """What happened so far: jobs by outcome, cells killed by cause, cells forked, leases given."""

    outcomes: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    forked: int = 0
    leases: int = 0


class Dispatcher:
    """Serves jobs on a listening Unix socket until the other end of its lifeline is closed."""

    def __init__(
        self,
        listener: socket.socket,
        operations: Mapping[str, Operation],
        config: PoolConfig,
        dataset_status: Callable[[], Mapping[str, object]],
        hooks: "Hooks | None" = None,
    ) -> None:
        """Keep a house; `facts` are what the status tells about the dataset at the moment."""
        self._listener = listener
        self._operations = operations
        self._config = config
        self._dataset_status = dataset_status
        self._hooks = hooks or Hooks(tuple, iter(()))
        self._warming = True
        self._warm_from = time.monotonic() + WARM_UP_DELAY
        self._last_catch_up = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()
        self._workers: set[WorkerProcess] = set()
        self._fresh: deque[Job] = deque()
        self._slow: deque[Job] = deque()
        self._newest_first = False
        self._slow_fingerprints = OrderedDict[str, None]()
        self._counters = PoolCounters()
        self._open = True

    def run(self, lifeline: _HasFileno) -> None:
        """Serve until the lifeline ends; then let the jobs that run or wait end by their deadlines."""
        self._watch(self._listener, self._accept)
        self._watch(lifeline, lambda: self._stop(lifeline))
        for _ in range(self._config.workers):
            self._fork_worker()
        while (
            self._open
            or self._fresh
            or self._slow
            or any(cell.job or cell.shared_status.is_busy for cell in self._workers)
        ):
            for key, _ in self._selector.select(self._select_timeout()):
                key.data()
            self._enforce_deadlines()
            self._dispatch()
            self._warm_up()
        for cell in tuple(self._workers):
            os.kill(cell.pid, signal.SIGKILL)
            os.waitpid(cell.pid, 0)

    def _warm_up(self) -> None:
        """Take one step of what is to be prepared, unless somebody waits; then let all cells have what was made."""
        ready = self._warming and not self._fresh and time.monotonic() >= self._warm_from
        if ready and next(self._hooks.prepare, self) is self:
            self._warming = False
            for cell in tuple(self._workers):
                cell.is_stale = True
                if cell.is_free:
                    os.kill(cell.pid, signal.SIGKILL)
                    self._reap(cell)
                else:
                    self._recall_lease(cell)

    def _watch(self, file: _HasFileno, react: Callable[[], None]) -> None:
        self._selector.register(file.fileno(), selectors.EVENT_READ, react)

    def _stop(self, lifeline: _HasFileno) -> None:
        self._selector.unregister(lifeline.fileno())
        self._selector.unregister(self._listener.fileno())
        self._listener.close()
        self._open = False

    # Clients

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        client = Client(connection, MessageReader(connection))
        self._clients.add(client)
        self._watch(connection, lambda: self._read_client(client))

    def _read_client(self, client: Client) -> None:
        if client not in self._clients:
            return
        try:
            alive = client.reader.fill()
            while (message := client.reader.next_message()) is not None:
                self._handle_message(client, message)
        except (OSError, FramingError, ValueError, KeyError):
            alive = False
        if not alive and client in self._clients:
            self._drop_client(client)

    def _handle_message(self, client: Client, message: Message) -> None:
        """Take a message: a job, or one of the words that the keeper hears itself.

        A job before it may be answered already, while its cell's word of that is still on the way.
        """
        match message.header["op"]:
            case "status":
                self._reply(client, self._status())
            case "release":
                client.spooled_bytes -= int(message.header["bytes"])
            case "lease":
                self._grant_lease(client)
            case "follow":
                self._catch_up()
                self._reply(client, {"id": message.header.get("id")})
            case "adopt":
                self._adopt_job(client, message)
            case _:
                self._enqueue(self._create_job(client, message))

    def _create_job(self, client: Client, request: Message) -> Job:
        client.job = Job(request, client, time.monotonic() + float(request.header["timeout"]))
        return client.job

    def _enqueue(self, job: Job) -> None:
        if job.fingerprint in self._slow_fingerprints:
            job.is_slow = True
            self._enqueue_slow(job)
            return
        self._fresh.append(job)
        for cell in self._workers:
            if cell.job is not None and not cell.job.is_slow:
                cell.next_check = min(cell.next_check, cell.started_at + SHORT_TIME_SLICE)
        if len(self._fresh) > self._config.max_queued:
            self._reject(self._fresh.popleft(), self._queue_full_error())

    def _enqueue_slow(self, job: Job) -> None:
        if len(self._slow) < self._config.max_queued:
            self._slow.append(job)
        else:
            self._reject(job, self._queue_full_error())

    def _remember_speed(self, job: Job, *, slow: bool) -> None:
        """Remember how long queries of a shape took the last time."""
        self._slow_fingerprints.pop(job.fingerprint, None)
        if slow and job.fingerprint:
            self._slow_fingerprints[job.fingerprint] = None
            if len(self._slow_fingerprints) > MAX_SLOW_FINGERPRINTS:
                self._slow_fingerprints.popitem(last=False)

    def _queue_full_error(self) -> QueueFullError:
        """Turn a job away for as long as it will take those that wait to have their turn."""
        now = time.monotonic()
        ahead = sum(max(0.0, job.deadline - now) for job in self._slow) / self._max_slow_running
        return QueueFullError(retry_after=round(min(max(ahead, 1), 30)))

    def _reject(self, job: Job, cause: KgError) -> None:
        self._counters.outcomes[cause.code] += 1
        self._reply_to_job(job, {"error": error_to_header(cause)})

    def _reply_to_job(self, job: Job, word: Header) -> None:
        """Tell a client what became of its job, unless it has another one by now."""
        if job.client.job is job:
            job.client.job = None
            self._reply(job.client, {**word, "id": job.request.header.get("id")})

    def _reply(self, client: Client, header: Header, file: int | None = None) -> None:
        try:
            send_message(client.connection, Message(header, file=file))
        except OSError:
            self._drop_client(client)

    def _drop_client(self, client: Client) -> None:
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
        for cell in [cell for cell in self._workers if _works_for(cell, client, job)]:
            cell.job = None
            self._kill_worker(cell, "abandoned")
        for cell in self._workers:
            if cell.lease is not None and cell.lease.client is client:
                self._recall_lease(cell)

    # Leases

    def _grant_lease(self, client: Client) -> None:
        """Let a client talk to a cell directly, if one is free that nobody waits for."""
        leased = sum(cell.lease is not None for cell in self._workers)
        cell = next((cell for cell in self._workers if cell.is_free), None)
        crowded = bool(self._fresh or self._slow) or self._spool_left < self._config.spool_bytes // 2
        if cell is None or crowded or leased >= self._config.workers - 1:
            self._reply(client, {"cell": None})
            return
        theirs, lessees = socket.socketpair()
        with theirs, lessees:
            cell.lease, cell.next_check = GrantedLease(client), time.monotonic() + LEASE_CHECK_INTERVAL
            self._counters.leases += 1
            self._send_order(cell, Message({"op": "lease", "spool_left": self._spool_left}, file=theirs.fileno()))
            self._reply(client, {"cell": cell.pid}, lessees.fileno())

    def _recall_lease(self, cell: WorkerProcess) -> None:
        if cell.lease is not None and not cell.lease.is_recalled:
            cell.lease.is_recalled = True
            self._send_order(cell, Message({"op": "recall"}))

    def _adopt_job(self, client: Client, message: Message) -> None:
        """Take over a job that a lessee began, and with it the cell; what cannot be taken over begins anew."""
        header = message.header
        job = self._create_job(client, Message(header["job"], message.payload))
        cell = next((cell for cell in self._workers if cell.pid == header["cell"] and cell.lease is not None), None)
        if cell is None or cell.lease is None or cell.lease.client is not client:
            self._enqueue(job)
        elif cell.shared_status.last_job_number >= header["number"] and not cell.shared_status.is_busy:
            self._reply_to_job(job, {"done": True})
        else:
            job.adopted_number = header["number"]
            self._start_job(cell, job)
            self._recall_lease(cell)

    # Changes

    def _catch_up(self) -> None:
        """Catch up, and let all cells do so."""
        self._last_catch_up = time.monotonic()
        for order in self._hooks.catch_up():
            for cell in self._workers:
                self._send_update_order(cell, order)

    def _send_update_order(self, cell: WorkerProcess, order: Message) -> None:
        if cell.is_stale:
            return
        cell.unread_order_bytes += 0 if cell.is_free else len(order.payload)
        if cell.unread_order_bytes > MAX_UNREAD_ORDER_BYTES:
            cell.is_stale = True
            self._recall_lease(cell)
        else:
            self._send_order(cell, order)

    @staticmethod
    def _send_order(cell: WorkerProcess, message: Message) -> None:
        with suppress(OSError):  # it died, and its channel will say so
            send_message(cell.channel, message)

    # Cells

    def _fork_worker(self) -> None:
        ours, theirs = socket.socketpair()
        board = SharedStatus()
        pid = os.fork()
        if pid == 0:
            self._run_worker(ours, theirs, board)
        theirs.close()
        cell = WorkerProcess(pid, ours, MessageReader(ours), board)
        self._workers.add(cell)
        self._counters.forked += 1
        self._watch(ours, lambda: self._read_worker(cell))

    def _run_worker(self, ours: socket.socket, theirs: socket.socket, board: SharedStatus) -> None:
        """In the forked process, let go of everything of the keeper's but the store."""
        try:
            self._selector.close()
            self._listener.close()
            ours.close()
            for client in self._clients:
                client.connection.close()
            for cell in self._workers:
                cell.channel.close()
            WorkerLoop(theirs, board, self._operations, self._config.limits).run()
        finally:
            os._exit(os.EX_SOFTWARE)

    def _read_worker(self, cell: WorkerProcess) -> None:
        """Hear that a cell has done its job or ended its lease, or that it has died."""
        if cell not in self._workers:
            return  # it was taken away by what else was heard at the same time
        try:
            alive = cell.reader.fill()
        except OSError:
            alive = False
        ends = not alive
        while (message := cell.reader.next_message()) is not None:
            if "spools" in message.header:
                self._record_spooled_file(cell, int(message.header["spools"]))
            else:
                ends = self._complete_job(cell, leaves=message.header["leaves"]) or ends
        if ends:
            if alive:
                os.kill(cell.pid, signal.SIGKILL)
            self._reap(cell)

    def _record_spooled_file(self, cell: WorkerProcess, size: int) -> None:
        """Count a file that goes to a client; when there is little room left, all go through the keeper."""
        if cell.job is not None:
            cell.job.client.spooled_bytes += size
        elif cell.lease is not None:
            cell.lease.client.spooled_bytes += size
        if self._spool_left < self._config.spool_bytes // 2:
            for other in self._workers:
                self._recall_lease(other)

    def _complete_job(self, cell: WorkerProcess, *, leaves: bool) -> bool:
        """Settle what a cell did; says whether it is to end.

        A cell that has grown fat ends itself. One whose priority was lowered is of no more use where only root could
        raise it again.
        """
        job, lease, cell.unread_order_bytes = cell.job, cell.lease, 0
        if job is not None and time.monotonic() - cell.started_at < SHORT_TIME_SLICE:
            self._remember_speed(job, slow=False)
        cell.job = cell.lease = None
        if job is not None and lease is None:
            if job.client.job is job:
                job.client.job = None
        elif job is not None and cell.shared_status.last_job_number >= job.adopted_number:
            self._reply_to_job(job, {"done": True})
        elif job is not None:
            job.adopted_number = 0
            self._fresh.appendleft(job)
        return leaves or cell.is_stale or not _restore_priority(cell)

    def _reap(self, cell: WorkerProcess) -> None:
        """Take a cell away that ends or has ended, tell its client if a job ended with it, and fork another one."""
        self._selector.unregister(cell.channel.fileno())
        self._workers.discard(cell)
        _, status = os.waitpid(cell.pid, 0)
        by_signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if cell.job is not None:
            self._handle_worker_death(cell, by_signal)
        elif cell.lease is not None and cell.shared_status.is_busy and by_signal != signal.SIGKILL:
            self._counters.killed[_error_for_signal(by_signal).code] += 1
        self._counters.outcomes += cell.shared_status.outcome_counts()
        cell.reader.close()
        cell.shared_status.close()
        if self._open:
            self._fork_worker()

    def _handle_worker_death(self, cell: WorkerProcess, by_signal: int) -> None:
        """Answer for a cell that died; if half an answer may be on its way, cut the connection.

        A cell that somebody killed from outside may have died before it began, and the next one with it: its job is
        tried again, as often as there are cells.
        """
        job, cell.job = cell.job, None
        if job is None:
            return
        job.adopted_number = 0
        if by_signal == signal.SIGKILL and not cell.shared_status.is_delivering and job.retries < self._config.workers:
            job.retries += 1
            (self._slow if job.is_slow else self._fresh).appendleft(job)
            return
        cause = _error_for_signal(by_signal)
        self._counters.killed[cause.code] += 1
        if cell.shared_status.is_delivering and job.client.job is job:
            job.client.job = None
            self._counters.outcomes[cause.code] += 1
            self._drop_client(job.client)
        else:
            self._reject(job, cause)

    def _kill_worker(self, cell: WorkerProcess, cause: str) -> None:
        """End a cell whose job is settled."""
        self._counters.killed[cause] += 1
        os.kill(cell.pid, signal.SIGKILL)
        self._reap(cell)

    def _try_to_stop(self, cell: WorkerProcess) -> bool:
        """Stop a cell and say whether it may be killed: not if its answer is on its way."""
        os.kill(cell.pid, signal.SIGSTOP)
        state = os.waitid(os.P_PID, cell.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if state is None or state.si_code != os.CLD_STOPPED:
            return False
        if cell.shared_status.is_delivering or (cell.lease is not None and not cell.shared_status.is_busy):
            os.kill(cell.pid, signal.SIGCONT)
            return False
        return True

    # Time

    def _select_timeout(self) -> float:
        """The seconds until something is due."""
        moments = [cell.next_check for cell in self._workers if not cell.is_free]
        moments += [job.deadline for queue in (self._fresh, self._slow) for job in queue]
        moments += [self._warm_from] if self._warming else []
        return max(0.0, min([*moments, self._last_catch_up + CATCH_UP_INTERVAL]) - time.monotonic())

    def _enforce_deadlines(self) -> None:
        """Stop what is past its deadline, and what became slow while there is no room among the slow."""
        now = time.monotonic()
        if self._last_catch_up + CATCH_UP_INTERVAL <= now:
            self._catch_up()
        for queue in (self._fresh, self._slow):
            for job in [job for job in queue if job.deadline <= now]:
                queue.remove(job)
                self._reject(job, DeadlineError())
        for cell in [cell for cell in self._workers if not cell.is_free and cell.next_check <= now]:
            if cell not in self._workers or cell.is_free:
                continue
            if cell.job is None:
                self._check_lease(cell, now)
            elif cell.job.deadline + DELIVERY_TIMEOUT <= now:
                self._abandon_delivery(cell, cell.job)
            elif cell.job.deadline <= now:
                self._expire_job(cell, cell.job, now)
            elif not cell.job.is_slow:
                self._mark_slow(cell, cell.job)
            else:
                self._lower_priority(cell, cell.job)

    def _check_lease(self, cell: WorkerProcess, now: float) -> None:
        """See that no job runs on in a leased cell: a lessee that lives would have had it adopted by now."""
        lease, board = cell.lease, cell.shared_status
        if lease is None:
            return
        if board.is_busy and board.last_job_number == lease.last_seen_job and self._try_to_stop(cell):
            self._kill_worker(cell, "abandoned")
            return
        lease.last_seen_job = board.last_job_number if board.is_busy else 0
        cell.next_check = now + LEASE_CHECK_INTERVAL

    def _expire_job(self, cell: WorkerProcess, job: Job, now: float) -> None:
        if not self._try_to_stop(cell):
            cell.next_check = now + DELIVERY_TIMEOUT
            return
        cell.job = None
        self._reject(job, DeadlineError())
        self._kill_worker(cell, DeadlineError.code)

    def _abandon_delivery(self, cell: WorkerProcess, job: Job) -> None:
        """The answer was ready, but the service does not take it."""
        self._counters.outcomes["abandoned"] += 1
        self._drop_client(job.client)
        if cell in self._workers:
            self._kill_worker(cell, "abandoned")

    def _mark_slow(self, cell: WorkerProcess, job: Job) -> None:
        self._remember_speed(job, slow=True)
        if self._slow_running < self._max_slow_running:
            job.is_slow = True
            cell.next_check = min(job.deadline, time.monotonic() + LOWER_PRIORITY_AFTER)
            return
        if not self._try_to_stop(cell):
            cell.next_check = job.deadline
            return
        cell.job, job.is_slow, job.adopted_number = None, True, 0
        self._enqueue_slow(job)
        self._kill_worker(cell, "requeued")

    @staticmethod
    def _lower_priority(cell: WorkerProcess, job: Job) -> None:
        os.setpriority(os.PRIO_PROCESS, cell.pid, 10)
        cell.has_low_priority, cell.next_check = True, job.deadline

    # Jobs

    @property
    def _time_slice(self) -> float:
        return SHORT_TIME_SLICE if self._fresh else TIME_SLICE

    @property
    def _spool_left(self) -> int:
        return self._config.spool_bytes - sum(client.spooled_bytes for client in self._clients)

    @property
    def _slow_running(self) -> int:
        return sum(cell.job is not None and cell.job.is_slow for cell in self._workers)

    @property
    def _max_slow_running(self) -> int:
        return max(self._config.workers - 1, 1)

    def _dispatch(self) -> None:
        """Give the jobs that wait to free cells, and recall leases for those that remain."""
        for cell in [cell for cell in self._workers if cell.is_free]:
            job = self._next_job()
            if job is None:
                return
            self._assign(cell, job)
        waiting = len(self._fresh) + (len(self._slow) if self._slow_running < self._max_slow_running else 0)
        leased = [cell for cell in self._workers if cell.lease is not None and cell.job is None]
        waiting -= sum(cell.lease is not None and cell.lease.is_recalled for cell in leased)
        for cell in sorted(leased, key=lambda cell: cell.shared_status.is_busy)[: max(waiting, 0)]:
            self._recall_lease(cell)

    def _next_job(self) -> Job | None:
        if self._slow and self._slow_running < self._max_slow_running:
            return self._slow.popleft()
        if not self._fresh:
            return None
        self._newest_first = not self._newest_first
        return self._fresh.pop() if self._newest_first else self._fresh.popleft()

    def _assign(self, cell: WorkerProcess, job: Job) -> None:
        left = self._spool_left
        if left < MIN_SPOOL_BYTES:
            self._reject(job, SpoolFullError())
            return
        self._start_job(cell, job)
        cell.shared_status.is_delivering = False
        client = job.client.connection.fileno()
        self._send_order(cell, Message({**job.request.header, "spool_left": left}, job.request.payload, client))

    def _start_job(self, cell: WorkerProcess, job: Job) -> None:
        cell.job, cell.started_at = job, time.monotonic()
        cell.next_check = min(
            job.deadline, cell.started_at + (LOWER_PRIORITY_AFTER if job.is_slow else self._time_slice)
        )

    def _status(self) -> Header:
        outcomes = sum((cell.shared_status.outcome_counts() for cell in self._workers), self._counters.outcomes)
        return {
            **self._dataset_status(),
            "cells": {
                "idle": sum(cell.is_free for cell in self._workers),
                "busy": sum(cell.job is not None for cell in self._workers),
                "leased": sum(cell.lease is not None and cell.job is None for cell in self._workers),
            },
            "waiting": {"fresh": len(self._fresh), "slow": len(self._slow)},
            "outcomes": dict(outcomes),
            "killed": dict(self._counters.killed),
            "forked": self._counters.forked,
            "leases": self._counters.leases,
            "spooled_bytes": sum(client.spooled_bytes for client in self._clients),
        }


def _works_for(cell: WorkerProcess, client: Client, job: Job | None) -> bool:
    """Whether all that a cell does is done for a client that has gone."""
    if cell.job is not None:
        return cell.job is job
    return cell.lease is not None and cell.lease.client is client and cell.shared_status.is_busy


def _error_for_signal(by_signal: int) -> MemoryLimitError | WorkerCrashError:
    """What a death by a signal means: the allocators abort when they get no more."""
    return MemoryLimitError() if by_signal == signal.SIGABRT else WorkerCrashError()


def _restore_priority(cell: WorkerProcess) -> bool:
    """Give a cell its priority back, and say whether it has it."""
    if cell.has_low_priority:
        try:
            os.setpriority(os.PRIO_PROCESS, cell.pid, 0)
        except OSError:
            return False
        cell.has_low_priority = False
    return True

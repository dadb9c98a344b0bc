"""The worker processes as the dispatcher sees them: fork them, send them orders, stop, kill and replace them."""

import os
import selectors
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from kg.workers.clients import Client, Job
from kg.workers.framing import Message, MessageReader, send_message
from kg.workers.shared_status import SharedStatus
from kg.workers.worker import Operation, WorkerLimits, WorkerLoop

MAX_UNREAD_ORDER_BYTES: Final = 32 * 1024
"""Bytes of update orders that may wait in the socket of a busy worker; a worker with more of them is replaced."""


@dataclass(frozen=True)
class PoolConfig:
    """The number of workers, the jobs that may wait in each queue, and the bytes that all unread results may have."""

    workers: int
    max_queued: int
    spool_bytes: int
    limits: WorkerLimits


@dataclass(eq=False)
class GrantedLease:
    """The lease of a worker to a client; `last_seen_job` is the number of the job that ran at the last check."""

    client: Client
    is_recalled: bool = False
    last_seen_job: int = 0


@dataclass(eq=False)
class WorkerProcess:
    """A forked process and its job; `next_check` is when the dispatcher looks at a busy worker again."""

    pid: int
    channel: socket.socket
    reader: MessageReader
    status: SharedStatus
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

    def start(self, job: Job, now: float, next_check: float) -> None:
        """Note that the worker runs a job from now on."""
        self.job, self.started_at, self.next_check = job, now, next_check

    def send_order(self, message: Message) -> None:
        """Send an order; if the worker has died, reading its channel reports that."""
        with suppress(OSError):
            send_message(self.channel, message)

    def lower_priority(self) -> None:
        """Give the process a lower priority."""
        os.setpriority(os.PRIO_PROCESS, self.pid, 10)
        self.has_low_priority = True

    def restore_priority(self) -> bool:
        """Give the process its priority back; return whether that worked, which may need root."""
        if self.has_low_priority:
            try:
                os.setpriority(os.PRIO_PROCESS, self.pid, 0)
            except OSError:
                return False
            self.has_low_priority = False
        return True

    def try_to_stop(self) -> bool:
        """Stop the process with SIGSTOP and return whether it may be killed; if not, it goes on.

        The worker is stopped before its status is read: a running worker could begin to send its result between the
        look and the kill, and the client would then receive half a message or two answers.
        """
        os.kill(self.pid, signal.SIGSTOP)
        state = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if state is None or state.si_code != os.CLD_STOPPED:
            return False
        if self.status.is_delivering or (self.lease is not None and not self.status.is_busy):
            os.kill(self.pid, signal.SIGCONT)
            return False
        return True


@dataclass
class PoolCounters:
    """Totals since the start: jobs by outcome, workers killed by cause, workers forked, leases granted."""

    outcomes: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    forked: int = 0
    leases: int = 0


class WorkerPool:
    """All worker processes.

    `on_readable` is called when a worker's channel has data. `on_exit` is called after a process was reaped, with the
    number of the signal that ended it or 0; then another worker is forked while `replaces_workers` is true.
    """

    def __init__(
        self,
        operations: Mapping[str, Operation],
        limits: WorkerLimits,
        selector: selectors.BaseSelector,
        on_readable: Callable[[WorkerProcess], None],
        on_exit: Callable[[WorkerProcess, int], None],
    ) -> None:
        self._operations = operations
        self._limits = limits
        self._selector = selector
        self._on_readable = on_readable
        self._on_exit = on_exit
        self._workers: set[WorkerProcess] = set()
        self.counters = PoolCounters()
        self.replaces_workers = True
        self.close_inherited: Callable[[], None] = lambda: None

    def __iter__(self) -> Iterator[WorkerProcess]:
        """Iterate over a copy, since killing a worker changes the set."""
        return iter(tuple(self._workers))

    def __contains__(self, worker: object) -> bool:
        return worker in self._workers

    @property
    def slow_running(self) -> int:
        """The number of slow jobs that run."""
        return sum(worker.job is not None and worker.job.is_slow for worker in self._workers)

    def outcomes(self) -> Counter[str]:
        """The number of jobs by outcome, those that the present workers counted included."""
        return sum((worker.status.outcome_counts() for worker in self._workers), self.counters.outcomes)

    def fork(self) -> None:
        """Fork a worker, which inherits the dataset."""
        ours, theirs = socket.socketpair()
        status = SharedStatus()
        pid = os.fork()
        if pid == 0:
            self._run_worker(ours, theirs, status)
        theirs.close()
        worker = WorkerProcess(pid, ours, MessageReader(ours), status)
        self._workers.add(worker)
        self.counters.forked += 1
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._on_readable(worker))

    def _run_worker(self, ours: socket.socket, theirs: socket.socket, status: SharedStatus) -> None:
        """Run the worker in the forked process, without the sockets of the dispatcher."""
        try:
            self._selector.close()
            self.close_inherited()
            ours.close()
            for other in self._workers:
                other.channel.close()
            WorkerLoop(theirs, status, self._operations, self._limits).run()
        finally:
            os._exit(os.EX_SOFTWARE)

    def kill(self, worker: WorkerProcess, cause: str) -> None:
        """Kill a worker, count the cause and fork another worker."""
        self.counters.killed[cause] += 1
        self.replace(worker)

    def replace(self, worker: WorkerProcess) -> None:
        """Kill a worker and fork another one."""
        os.kill(worker.pid, signal.SIGKILL)
        self.reap(worker)

    def reap(self, worker: WorkerProcess) -> None:
        """Wait for a worker that exits or was killed, and fork another one."""
        self._selector.unregister(worker.channel)
        self._workers.discard(worker)
        _, exit_status = os.waitpid(worker.pid, 0)
        self._on_exit(worker, os.WTERMSIG(exit_status) if os.WIFSIGNALED(exit_status) else 0)
        self.counters.outcomes += worker.status.outcome_counts()
        worker.reader.close()
        worker.status.close()
        if self.replaces_workers:
            self.fork()

    def kill_all(self) -> None:
        """Kill all workers when the dispatcher ends."""
        for worker in self._workers:
            os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)

    def send_update(self, order: Message) -> None:
        """Send an update of the dataset to all workers.

        A busy worker does not read its channel. The dispatcher must not block on it, so a worker with too many unread
        bytes is marked as stale instead, gets no more updates and is replaced after its job.
        """
        for worker in self._workers:
            if worker.is_stale:
                continue
            worker.unread_order_bytes += 0 if worker.is_free else len(order.payload)
            if worker.unread_order_bytes > MAX_UNREAD_ORDER_BYTES:
                worker.is_stale = True
            else:
                worker.send_order(order)

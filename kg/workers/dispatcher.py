"""The dispatcher: a single-threaded process that holds the dataset, forks workers from itself and gives them jobs.

A job waits until a worker is free and then has the worker to itself (see `kg.workers.scheduling`). The worker sends
the result to the client directly, over the client's connection, which the dispatcher passes on with the job.

When the dataset has changed, the dispatcher catches up first and then orders every worker to apply the same changes,
before it replies to the client that asked for it. Channels keep their order, so that a worker applies the changes
before its next job. `docs/architecture-workers.md` draws the states of jobs and workers.
"""

import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from kg.errors import DeadlineError, KgError, MemoryLimitError, SpoolFullError, WorkerCrashError
from kg.workers.clients import Client, ClientConnections, Job, SpoolBudget, create_job
from kg.workers.framing import Header, Message, error_to_header
from kg.workers.lease_grants import LeaseGrants
from kg.workers.scheduling import LOWER_PRIORITY_AFTER, SHORT_TIME_SLICE, JobQueues
from kg.workers.worker import Operation
from kg.workers.worker_pool import PoolConfig, WorkerPool, WorkerProcess

DELIVERY_TIMEOUT: Final = 5.0
"""Seconds past the deadline in which a worker may still hand over a result that is ready."""
CATCH_UP_INTERVAL: Final = 2.0
"""Seconds between two checks whether another process has changed the dataset."""
WARM_UP_DELAY: Final = 1.5
"""Seconds after the start when the dispatcher begins to prepare what the first results do not need."""


CatchUp = Callable[[], Iterable[Message]]
"""Apply changes to the dispatcher's dataset, yield the orders by which workers do the same; publish at the end."""


@dataclass(frozen=True)
class Hooks:
    """What the dispatcher does beside its jobs: `catch_up` applies changes, `prepare` prepares workers step by step."""

    catch_up: CatchUp
    prepare: Iterator[object]


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


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
        """Serve with a pool of workers; `dataset_status` describes the dataset for status requests."""
        self._config = config
        self._dataset_status = dataset_status
        self._hooks = hooks or Hooks(tuple, iter(()))
        self._is_warming = True
        self._warm_from = time.monotonic() + WARM_UP_DELAY
        self._last_catch_up = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._queues = JobQueues[Job](config.max_queued, config.workers)
        self._clients = ClientConnections(listener, self._selector, self._handle_message, self._abandon_client)
        self._spool = SpoolBudget(config.spool_bytes, self._clients.clients)
        self._pool = WorkerPool(operations, config.limits, self._selector, self._read_worker, self._settle_exit)
        self._pool.close_inherited = self._clients.close_inherited
        self._leases = LeaseGrants(config, self._pool, self._queues, self._clients, self._spool)
        self._is_open = True

    def run(self, lifeline: _HasFileno) -> None:
        """Serve until the lifeline ends; then let running and waiting jobs end by their deadlines."""
        self._selector.register(lifeline.fileno(), selectors.EVENT_READ, lambda: self._stop(lifeline))
        for _ in range(self._config.workers):
            self._pool.fork()
        while (
            self._is_open
            or not self._queues.is_empty
            or any(worker.job or worker.status.is_busy for worker in self._pool)
        ):
            for key, _ in self._selector.select(self._select_timeout()):
                key.data()
            self._enforce_deadlines()
            self._dispatch()
            self._warm_up()
        self._pool.kill_all()

    def _stop(self, lifeline: _HasFileno) -> None:
        self._selector.unregister(lifeline.fileno())
        self._clients.stop_accepting()
        self._is_open = self._pool.replaces_workers = False

    def _can_warm_up(self) -> bool:
        return self._is_warming and not self._queues.has_fresh

    def _warm_up(self) -> None:
        """Prepare one step unless a fresh job waits; after the last step replace all workers to hand on the result."""
        ready = self._can_warm_up() and time.monotonic() >= self._warm_from
        if ready and next(self._hooks.prepare, self) is self:
            self._is_warming = False
            for worker in self._pool:
                worker.is_stale = True
                if worker.is_free:
                    self._pool.replace(worker)
            self._leases.recall_stale()

    def _select_timeout(self) -> float:
        """The seconds until something is due.

        The warm-up counts only while it can proceed: otherwise the timeout would be 0 for as long as a fresh job
        waits, and the dispatcher would spin.
        """
        times = [self._last_catch_up + CATCH_UP_INTERVAL]
        times += [worker.next_check for worker in self._pool if not worker.is_free]
        times += [job.deadline for job in self._queues]
        times += [self._warm_from] if self._can_warm_up() else []
        return max(0.0, min(times) - time.monotonic())

    # Messages of clients

    def _handle_message(self, client: Client, message: Message) -> None:
        """Handle a request of the dispatcher's own, or queue a job.

        A client may send its next job before the dispatcher has read that the worker has finished the one before.
        """
        match message.header["op"]:
            case "status":
                self._clients.reply(client, self._status())
            case "release":
                client.spooled_bytes -= int(message.header["bytes"])
            case "lease":
                self._leases.grant(client)
            case "follow":
                self._catch_up()
                self._clients.reply(client, {"id": message.header.get("id")})
            case "adopt":
                job = create_job(client, Message(message.header["job"], message.payload))
                if not self._leases.adopt(job, message.header):
                    self._enqueue(job)
            case _:
                self._enqueue(create_job(client, message))

    def _enqueue(self, job: Job) -> None:
        rejected = self._queues.add(job)
        if not job.is_slow:
            for worker in self._pool:
                if worker.job is not None and not worker.job.is_slow:
                    worker.next_check = min(worker.next_check, worker.started_at + SHORT_TIME_SLICE)
        self._reject_for_full_queue(rejected)

    def _reject_for_full_queue(self, job: Job | None) -> None:
        if job is not None:
            self._reject(job, self._queues.queue_full_error(time.monotonic()))

    def _reject(self, job: Job, error: KgError) -> None:
        self._pool.counters.outcomes[error.code] += 1
        self._clients.finish_job(job, {"error": error_to_header(error)})

    def _abandon_client(self, client: Client) -> None:
        """Drop the job of a client that has gone: nobody reads its result."""
        job, client.job = client.job, None
        if job is not None:
            self._queues.remove(job)
            for worker in self._pool:
                if worker.job is job:
                    worker.job = None
                    self._pool.kill(worker, "abandoned")
        self._leases.release(client)

    def _catch_up(self) -> None:
        """Apply changes of the dataset, and order all workers to do so."""
        self._last_catch_up = time.monotonic()
        for order in self._hooks.catch_up():
            self._pool.send_update(order)
        self._leases.recall_stale()

    # Messages and exits of workers

    def _read_worker(self, worker: WorkerProcess) -> None:
        """Read what a worker reports: a spooled file, the end of its job or of its lease, or its exit."""
        if worker not in self._pool:
            return  # reaped by another event of the same round
        messages, is_alive = worker.reader.drain()
        exits = not is_alive
        for message in messages:
            if "spools" in message.header:
                self._count_spooled_file(worker, int(message.header["spools"]))
            else:
                exits = self._complete_job(worker, exits=message.header["leaves"]) or exits
        if exits and is_alive:
            self._pool.replace(worker)
        elif exits:
            self._pool.reap(worker)

    def _count_spooled_file(self, worker: WorkerProcess, size: int) -> None:
        """Count a result file; when the spool is scarce, recall all leases, since leased workers cannot be refused."""
        client = worker.job.client if worker.job is not None else worker.lease.client if worker.lease else None
        if client is not None:
            client.spooled_bytes += size
        if self._spool.is_scarce:
            self._leases.recall_all()

    def _complete_job(self, worker: WorkerProcess, *, exits: bool) -> bool:
        """Settle a finished job or an ended lease; return whether the worker must be replaced.

        A worker above its memory threshold exits by itself. A worker whose priority was lowered is replaced where
        only root could raise the priority again.
        """
        job, lease, worker.unread_order_bytes = worker.job, worker.lease, 0
        worker.job = worker.lease = None
        if job is not None:
            if time.monotonic() - worker.started_at < SHORT_TIME_SLICE:
                self._queues.remember_speed(job, slow=False)
            if lease is not None:
                self._leases.settle(worker, job)
            elif job.client.job is job:
                job.client.job = None
        return exits or worker.is_stale or not worker.restore_priority()

    def _settle_exit(self, worker: WorkerProcess, by_signal: int) -> None:
        """Settle the job of a worker that has exited.

        A worker that was killed from outside may have died before it began, and the next one with it: the job is tried
        again, as often as there are workers. Where part of the result may have been sent, the connection is closed:
        an error message would follow half a result.
        """
        job, worker.job = worker.job, None
        error = MemoryLimitError() if by_signal == signal.SIGABRT else WorkerCrashError()  # allocators abort
        if job is None:
            if worker.lease is not None and worker.status.is_busy and by_signal != signal.SIGKILL:
                self._pool.counters.killed[error.code] += 1
            return
        job.adopted_number = 0
        is_delivering = worker.status.is_delivering
        if by_signal == signal.SIGKILL and not is_delivering and job.retries < self._config.workers:
            job.retries += 1
            self._queues.put_back(job)
            return
        self._pool.counters.killed[error.code] += 1
        if is_delivering and job.client.job is job:
            job.client.job = None
            self._pool.counters.outcomes[error.code] += 1
            self._clients.drop(job.client)
        else:
            self._reject(job, error)

    # Deadlines and time slices

    def _enforce_deadlines(self) -> None:
        """End what is past its deadline, and stop jobs that have become slow while all slow places are taken."""
        now = time.monotonic()
        if self._last_catch_up + CATCH_UP_INTERVAL <= now:
            self._catch_up()
        for job in self._queues.take_expired(now):
            self._reject(job, DeadlineError())
        for worker in self._pool:
            if worker not in self._pool or worker.is_free or worker.next_check > now:
                continue
            if worker.job is not None:
                self._check_job(worker, worker.job, now)
            elif worker.lease is not None:
                self._leases.check(worker, worker.lease, now)

    def _check_job(self, worker: WorkerProcess, job: Job, now: float) -> None:
        if job.deadline + DELIVERY_TIMEOUT <= now:
            self._abandon_delivery(worker, job)
        elif job.deadline <= now:
            self._expire_job(worker, job, now)
        elif not job.is_slow:
            self._mark_slow(worker, job)
        else:
            worker.lower_priority()
            worker.next_check = job.deadline

    def _expire_job(self, worker: WorkerProcess, job: Job, now: float) -> None:
        if not worker.try_to_stop():
            worker.next_check = now + DELIVERY_TIMEOUT
            return
        worker.job = None
        self._reject(job, DeadlineError())
        self._pool.kill(worker, DeadlineError.code)

    def _abandon_delivery(self, worker: WorkerProcess, job: Job) -> None:
        """Drop a client that does not read a result that is ready."""
        self._pool.counters.outcomes["abandoned"] += 1
        self._clients.drop(job.client)
        if worker in self._pool:
            self._pool.kill(worker, "abandoned")

    def _mark_slow(self, worker: WorkerProcess, job: Job) -> None:
        """Let a job go on as a slow one, or stop it and queue it again if all slow places are taken."""
        self._queues.remember_speed(job, slow=True)
        if self._pool.slow_running < self._queues.max_slow_running:
            job.is_slow = True
            worker.next_check = min(job.deadline, time.monotonic() + LOWER_PRIORITY_AFTER)
            return
        if not worker.try_to_stop():
            worker.next_check = job.deadline
            return
        worker.job, job.adopted_number = None, 0
        self._reject_for_full_queue(self._queues.add_slow(job))
        self._pool.kill(worker, "requeued")

    # Jobs

    def _dispatch(self) -> None:
        """Give waiting jobs to free workers, and recall leases for the jobs that remain."""
        for worker in [worker for worker in self._pool if worker.is_free]:
            job = self._queues.take_next(self._pool.slow_running)
            if job is None:
                return
            self._assign(worker, job)
        self._leases.recall_for_waiting_jobs()

    def _assign(self, worker: WorkerProcess, job: Job) -> None:
        if self._spool.is_exhausted:
            self._reject(job, SpoolFullError())
            return
        now = time.monotonic()
        worker.start(job, now, self._queues.first_check(job, now))
        worker.status.is_delivering = False
        header = {**job.request.header, "spool_left": self._spool.left}
        worker.send_order(Message(header, job.request.payload, job.client.connection.fileno()))

    def _status(self) -> Header:
        counters = self._pool.counters
        return {
            **self._dataset_status(),
            "cells": {
                "idle": sum(worker.is_free for worker in self._pool),
                "busy": sum(worker.job is not None for worker in self._pool),
                "leased": sum(worker.lease is not None and worker.job is None for worker in self._pool),
            },
            "waiting": self._queues.counts(),
            "outcomes": dict(self._pool.outcomes()),
            "killed": dict(counters.killed),
            "forked": counters.forked,
            "leases": counters.leases,
            "spooled_bytes": self._spool.used,
        }

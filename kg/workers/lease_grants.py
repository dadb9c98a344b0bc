"""The dispatcher's side of leases: a client that holds a lease sends its jobs to one worker directly.

A lease spares short jobs the way through the dispatcher. A lease holder hands a job that is not short over to the
dispatcher ("adopt"), and the lease ends. When other jobs wait, the dispatcher recalls leases: the worker ends its
lease after the current job.
"""

import socket
import time
from typing import Final

from kg.workers.clients import Client, ClientConnections, Job, SpoolBudget
from kg.workers.framing import Header, Message
from kg.workers.scheduling import JobQueues
from kg.workers.worker_pool import GrantedLease, PoolConfig, WorkerPool, WorkerProcess

LEASE_CHECK_INTERVAL: Final = 1.0
"""Seconds within which a lease holder hands over an unfinished job; the worker is killed if it does not."""


class LeaseGrants:
    """Grants, recalls and checks leases."""

    def __init__(
        self,
        config: PoolConfig,
        pool: WorkerPool,
        queues: JobQueues[Job],
        clients: ClientConnections,
        spool: SpoolBudget,
    ) -> None:
        self._max_leases = config.workers - 1
        self._pool = pool
        self._queues = queues
        self._clients = clients
        self._spool = spool

    def grant(self, client: Client) -> None:
        """Lease a free worker to a client if no job waits for it; one worker is never leased."""
        leased = sum(worker.lease is not None for worker in self._pool)
        worker = next((worker for worker in self._pool if worker.is_free), None)
        if worker is None or not self._queues.is_empty or self._spool.is_scarce or leased >= self._max_leases:
            self._clients.reply(client, {"cell": None})
            return
        theirs, holders = socket.socketpair()
        with theirs, holders:
            worker.lease, worker.next_check = GrantedLease(client), time.monotonic() + LEASE_CHECK_INTERVAL
            self._pool.counters.leases += 1
            worker.send_order(Message({"op": "lease", "spool_left": self._spool.left}, file=theirs.fileno()))
            self._clients.reply(client, {"cell": worker.pid}, holders.fileno())

    def recall(self, worker: WorkerProcess) -> None:
        """Order a worker to end its lease, if it has one."""
        if worker.lease is not None and not worker.lease.is_recalled:
            worker.lease.is_recalled = True
            worker.send_order(Message({"op": "recall"}))

    def recall_all(self) -> None:
        """Recall all leases."""
        for worker in self._pool:
            self.recall(worker)

    def recall_stale(self) -> None:
        """Recall the leases of workers that are to be replaced."""
        for worker in self._pool:
            if worker.is_stale:
                self.recall(worker)

    def recall_for_waiting_jobs(self) -> None:
        """Recall as many leases as there are jobs that could start, idle leases first."""
        leased = [worker for worker in self._pool if worker.lease is not None and worker.job is None]
        needed = self._queues.startable(self._pool.slow_running)
        needed -= sum(worker.lease is not None and worker.lease.is_recalled for worker in leased)
        for worker in sorted(leased, key=lambda worker: worker.status.is_busy)[: max(needed, 0)]:
            self.recall(worker)

    def adopt(self, job: Job, header: Header) -> bool:
        """Take over a job that a lease holder began, with its worker; return False if the job must start again."""
        worker = next((worker for worker in self._pool if worker.pid == header["cell"]), None)
        if worker is None or worker.lease is None or worker.lease.client is not job.client:
            return False
        if worker.status.last_job_number >= header["number"] and not worker.status.is_busy:
            self._clients.finish_job(job, {"done": True})
            return True
        job.adopted_number, now = header["number"], time.monotonic()
        worker.start(job, now, self._queues.first_check(job, now))
        self.recall(worker)
        return True

    def settle(self, worker: WorkerProcess, job: Job) -> None:
        """Finish an adopted job when its lease has ended, or queue it again if the worker never received it."""
        if worker.status.last_job_number >= job.adopted_number:
            self._clients.finish_job(job, {"done": True})
        else:
            job.adopted_number = 0
            self._queues.put_back(job)

    def check(self, worker: WorkerProcess, lease: GrantedLease, now: float) -> None:
        """Kill a leased worker that still runs the job of the last check: a live lease holder hands it over earlier."""
        status = worker.status
        if status.is_busy and status.last_job_number == lease.last_seen_job and worker.try_to_stop():
            self._pool.kill(worker, "abandoned")
            return
        lease.last_seen_job = status.last_job_number if status.is_busy else 0
        worker.next_check = now + LEASE_CHECK_INTERVAL

    def release(self, client: Client) -> None:
        """End the leases of a client that has gone, and the job that it ran."""
        for worker in self._pool:
            if worker.lease is not None and worker.lease.client is client:
                if worker.job is None and worker.status.is_busy:
                    self._pool.kill(worker, "abandoned")
                else:
                    self.recall(worker)

"""Decide which job runs next, which one waits and which one is rejected; pure logic without sockets or a clock.

A new job is *fresh*. Once it has run for a time slice it is *slow*. Slow jobs may occupy all workers but one, which
stays available to fresh jobs, so that a cheap query is answered while slow queries occupy the other workers. A job
that becomes slow while no slow place is left is stopped, queued among the slow jobs and started again later. A query
whose fingerprint was slow the last time is queued among the slow jobs at once: a burst of such queries would otherwise
cost the other clients one time slice each.

Fresh jobs are taken newest and oldest in turn. When too many fresh jobs wait, the oldest is rejected.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from kg.errors import QueueFullError

TIME_SLICE: Final = 0.25
"""Seconds after which a job counts as slow."""
SHORT_TIME_SLICE: Final = 0.05
"""The time slice while fresh jobs wait."""
LOWER_PRIORITY_AFTER: Final = 1.0
"""Seconds after which a slow job runs at a lower process priority."""
MAX_SLOW_FINGERPRINTS: Final = 4096
"""Fingerprints of slow queries that are remembered."""
_MAX_RETRY_AFTER: Final = 30
"""The longest Retry-After, in seconds, that a rejected client is sent."""


@dataclass(eq=False, kw_only=True)
class QueuedJob:
    """What the scheduler knows of a job.

    `deadline` is in seconds of the monotonic clock. `fingerprint` is equal for queries that differ only in their
    constants; it is empty for a job that is not a query.
    """

    deadline: float
    fingerprint: str = ""
    is_slow: bool = False


JobT = TypeVar("JobT", bound=QueuedJob)


class JobQueues(Generic[JobT]):
    """The jobs that wait, fresh and slow, each queue with at most `max_queued` jobs."""

    def __init__(self, max_queued: int, workers: int) -> None:
        """Schedule for a number of workers; one of them is kept for fresh jobs unless it is the only one."""
        self._max_queued = max_queued
        self.max_slow_running = max(workers - 1, 1)
        self._fresh: deque[JobT] = deque()
        self._slow: deque[JobT] = deque()
        self._takes_newest = False
        self._slow_fingerprints = OrderedDict[str, None]()

    def __iter__(self) -> Iterator[JobT]:
        yield from self._fresh
        yield from self._slow

    @property
    def has_fresh(self) -> bool:
        """Whether a fresh job waits."""
        return bool(self._fresh)

    @property
    def is_empty(self) -> bool:
        """Whether no job waits."""
        return not self._fresh and not self._slow

    def counts(self) -> dict[str, int]:
        """The number of waiting jobs by queue."""
        return {"fresh": len(self._fresh), "slow": len(self._slow)}

    def add(self, job: JobT) -> JobT | None:
        """Queue a new job; return the job that must be rejected because its queue is full, if any."""
        if job.fingerprint in self._slow_fingerprints:
            return self.add_slow(job)
        self._fresh.append(job)
        return self._fresh.popleft() if len(self._fresh) > self._max_queued else None

    def add_slow(self, job: JobT) -> JobT | None:
        """Queue a job among the slow ones; return it when that queue is full and the job must be rejected."""
        job.is_slow = True
        if len(self._slow) >= self._max_queued:
            return job
        self._slow.append(job)
        return None

    def put_back(self, job: JobT) -> None:
        """Queue a job that was running ahead of all others of its queue."""
        (self._slow if job.is_slow else self._fresh).appendleft(job)

    def remove(self, job: JobT) -> None:
        """Remove a job if it waits."""
        for queue in (self._fresh, self._slow):
            if job in queue:
                queue.remove(job)

    def take_expired(self, now: float) -> list[JobT]:
        """Remove and return the jobs whose deadline has passed."""
        expired = [job for job in self if job.deadline <= now]
        for job in expired:
            self.remove(job)
        return expired

    def take_next(self, slow_running: int) -> JobT | None:
        """Remove and return the job that a free worker should run, given the number of slow jobs that run now."""
        if self._slow and slow_running < self.max_slow_running:
            return self._slow.popleft()
        if not self._fresh:
            return None
        self._takes_newest = not self._takes_newest
        return self._fresh.pop() if self._takes_newest else self._fresh.popleft()

    def startable(self, slow_running: int) -> int:
        """The number of waiting jobs that could start if enough workers were free."""
        return len(self._fresh) + (len(self._slow) if slow_running < self.max_slow_running else 0)

    def remember_speed(self, job: JobT, *, slow: bool) -> None:
        """Remember whether a query with this fingerprint was slow the last time."""
        self._slow_fingerprints.pop(job.fingerprint, None)
        if slow and job.fingerprint:
            self._slow_fingerprints[job.fingerprint] = None
            if len(self._slow_fingerprints) > MAX_SLOW_FINGERPRINTS:
                self._slow_fingerprints.popitem(last=False)

    def first_check(self, job: JobT, started_at: float) -> float:
        """When a job that starts now is looked at again: at the end of its time slice, or at its deadline."""
        time_slice = SHORT_TIME_SLICE if self._fresh else TIME_SLICE
        return min(job.deadline, started_at + (LOWER_PRIORITY_AFTER if job.is_slow else time_slice))

    def queue_full_error(self, now: float) -> QueueFullError:
        """The error for a rejected job, with the seconds that the slow jobs ahead of it may take at most."""
        seconds = sum(max(0.0, job.deadline - now) for job in self._slow) / self.max_slow_running
        return QueueFullError(retry_after=round(min(max(seconds, 1), _MAX_RETRY_AFTER)))

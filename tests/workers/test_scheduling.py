"""The job queues, without processes and without a clock."""

import pytest

from kg.workers.scheduling import (
    LOWER_PRIORITY_AFTER,
    MAX_SLOW_FINGERPRINTS,
    SHORT_TIME_SLICE,
    TIME_SLICE,
    JobQueues,
    QueuedJob,
)


def job(fingerprint: str = "", deadline: float = 100.0) -> QueuedJob:
    return QueuedJob(deadline=deadline, fingerprint=fingerprint)


def queues(max_queued: int = 4, workers: int = 3) -> JobQueues[QueuedJob]:
    return JobQueues(max_queued, workers)


def take_all(waiting: JobQueues[QueuedJob], slow_running: int = 0) -> list[QueuedJob]:
    found = []
    while (taken := waiting.take_next(slow_running)) is not None:
        found.append(taken)
    return found


def test_fresh_jobs_are_taken_newest_and_oldest_in_turn() -> None:
    waiting, jobs = queues(max_queued=5), [job() for _ in range(5)]
    assert [waiting.add(item) for item in jobs] == [None] * 5
    assert take_all(waiting) == [jobs[4], jobs[0], jobs[3], jobs[1], jobs[2]]
    assert waiting.is_empty


def test_a_full_queue_rejects_the_oldest_fresh_job() -> None:
    waiting, jobs = queues(max_queued=2), [job() for _ in range(4)]
    assert [waiting.add(item) for item in jobs] == [None, None, jobs[0], jobs[1]]
    assert list(waiting) == jobs[2:]


def test_a_queue_of_size_zero_rejects_every_job() -> None:
    waiting, fresh, slow = queues(max_queued=0), job(), job()
    assert waiting.add(fresh) is fresh
    assert waiting.add_slow(slow) is slow
    assert waiting.is_empty


def test_a_full_slow_queue_rejects_the_new_job_and_fresh_jobs_do_not_count() -> None:
    waiting, jobs = queues(max_queued=1), [job(), job(), job()]
    waiting.add(jobs[0])
    assert waiting.add_slow(jobs[1]) is None
    assert waiting.add_slow(jobs[2]) is jobs[2]
    assert waiting.counts() == {"fresh": 1, "slow": 1}


@pytest.mark.parametrize(("workers", "places"), [(1, 1), (2, 1), (3, 2), (8, 7)])
def test_slow_jobs_leave_one_worker_to_fresh_ones(workers: int, places: int) -> None:
    waiting, slow, fresh = queues(workers=workers), job(), job()
    waiting.add_slow(slow)
    waiting.add(fresh)
    assert waiting.max_slow_running == places
    assert waiting.startable(places) == 1
    assert waiting.startable(places - 1) == 2
    assert take_all(waiting, slow_running=places) == [fresh]
    assert take_all(waiting, slow_running=places - 1) == [slow]


def test_slow_jobs_are_taken_first_while_there_are_places() -> None:
    waiting, slow, fresh = queues(), job(), job()
    waiting.add(fresh)
    waiting.add_slow(slow)
    assert take_all(waiting) == [slow, fresh]


def test_a_slow_query_uses_the_slow_queue_until_it_runs_fast() -> None:
    waiting = queues()
    waiting.remember_speed(job("a"), slow=True)
    first, second = job("a"), job("a")
    waiting.add(first)
    assert first.is_slow
    waiting.remember_speed(first, slow=False)
    waiting.add(second)
    assert not second.is_slow


def test_jobs_that_are_not_queries_have_no_fingerprint() -> None:
    waiting, other = queues(), job()
    waiting.remember_speed(job(), slow=True)
    waiting.add(other)
    assert not other.is_slow


def test_the_least_recent_slow_fingerprints_are_evicted() -> None:
    waiting = queues()
    for number in range(MAX_SLOW_FINGERPRINTS):
        waiting.remember_speed(job(str(number)), slow=True)
    waiting.remember_speed(job("0"), slow=True)
    waiting.remember_speed(job("new"), slow=True)
    kept, forgotten, new = job("0"), job("1"), job("new")
    for item in (kept, forgotten, new):
        waiting.add(item)
    assert (kept.is_slow, forgotten.is_slow, new.is_slow) == (True, False, True)


def test_a_requeued_job_is_next_even_if_the_queue_is_full() -> None:
    waiting, jobs = queues(max_queued=1), [job(), job()]
    waiting.add_slow(jobs[0])
    jobs[1].is_slow = True
    waiting.put_back(jobs[1])
    assert take_all(waiting) == [jobs[1], jobs[0]]


def test_expired_jobs_leave_both_queues_at_their_deadline() -> None:
    waiting = queues()
    jobs = [job(deadline=5), job(deadline=5.001), job(deadline=4)]
    waiting.add(jobs[0])
    waiting.add(jobs[1])
    waiting.add_slow(jobs[2])
    assert waiting.take_expired(3.999) == []
    assert waiting.take_expired(5) == [jobs[0], jobs[2]]
    assert list(waiting) == [jobs[1]]


def test_jobs_are_compared_by_identity() -> None:
    waiting, first, second = queues(), job(), job()
    waiting.add(first)
    waiting.add(second)
    waiting.remove(first)
    waiting.remove(first)
    assert list(waiting) == [second]


def test_a_running_job_is_checked_after_its_time_slice_but_not_past_its_deadline() -> None:
    waiting, slow = queues(), job()
    slow.is_slow = True
    assert waiting.first_check(job(), 10.0) == 10.0 + TIME_SLICE
    assert waiting.first_check(slow, 10.0) == 10.0 + LOWER_PRIORITY_AFTER
    assert waiting.first_check(job(deadline=10.01), 10.0) == 10.01
    waiting.add(job())
    assert waiting.first_check(job(), 10.0) == 10.0 + SHORT_TIME_SLICE


@pytest.mark.parametrize(
    ("deadlines", "seconds"), [([], 1), ([10.0], 1), ([14.0], 2), ([9.0, 16.0], 3), ([1000.0], 30)]
)
def test_retry_after_is_the_time_until_a_slow_job_ends(deadlines: list[float], seconds: int) -> None:
    waiting = queues(workers=3)
    for deadline in deadlines:
        waiting.add_slow(job(deadline=deadline))
    assert waiting.queue_full_error(now=10.0).retry_after == seconds

"""A page of memory that the dispatcher shares with a worker.

The dispatcher must know the state of a worker that it has stopped, which cannot answer messages.
"""

import mmap
import struct
from collections import Counter
from typing import Final

from kg.workers.framing import ERROR_CODES

JOB_OUTCOMES: Final = ("answered", "abandoned", *sorted(ERROR_CODES))
"""The outcomes of a job: answered, abandoned by its client, or the code of an error."""

_NUMBER_STRUCT: Final = struct.Struct("@Q")
_DELIVERING_OFFSET: Final = 0
_BUSY_OFFSET: Final = 1
_JOB_OFFSET: Final = _NUMBER_STRUCT.size
_COUNTS_OFFSET: Final = 2 * _NUMBER_STRUCT.size


class SharedStatus:
    """The state of a worker: whether it sends a result, the current job of its lease, and counts of outcomes."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _COUNTS_OFFSET + _NUMBER_STRUCT.size * len(JOB_OUTCOMES))

    @property
    def is_delivering(self) -> bool:
        """Whether a result is being sent or was sent; the job then must not be taken away and answered again.

        The worker sets it. The dispatcher, or the worker for a job of a lease, clears it before the next job.
        """
        return bool(self._memory[_DELIVERING_OFFSET])

    @is_delivering.setter
    def is_delivering(self, value: bool) -> None:
        self._memory[_DELIVERING_OFFSET] = value

    @property
    def last_job_number(self) -> int:
        """The number, within the lease, of the last job that was started; 0 for none."""
        return int(_NUMBER_STRUCT.unpack_from(self._memory, _JOB_OFFSET)[0])

    @property
    def is_busy(self) -> bool:
        """Whether that job still runs."""
        return bool(self._memory[_BUSY_OFFSET])

    def begin_job(self, number: int) -> None:
        """Record that a job of the lease starts."""
        self._memory[_BUSY_OFFSET] = True
        _NUMBER_STRUCT.pack_into(self._memory, _JOB_OFFSET, number)

    def end_job(self) -> None:
        """Record that the result of the job of the lease was sent."""
        self._memory[_BUSY_OFFSET] = False

    def begin_lease(self) -> None:
        """Start numbering the jobs of a new lease from 1."""
        _NUMBER_STRUCT.pack_into(self._memory, _JOB_OFFSET, 0)

    def count_outcome(self, outcome: str) -> None:
        """Count a finished job."""
        place = _COUNTS_OFFSET + _NUMBER_STRUCT.size * JOB_OUTCOMES.index(outcome)
        _NUMBER_STRUCT.pack_into(self._memory, place, _NUMBER_STRUCT.unpack_from(self._memory, place)[0] + 1)

    def outcome_counts(self) -> Counter[str]:
        """Return the number of jobs by outcome."""
        numbers = struct.unpack_from(f"@{len(JOB_OUTCOMES)}Q", self._memory, _COUNTS_OFFSET)
        return Counter({outcome: number for outcome, number in zip(JOB_OUTCOMES, numbers, strict=True) if number})

    def close(self) -> None:
        """Unmap the memory."""
        self._memory.close()

"""A page of memory that the keeper shares with a cell, so that neither must ask the other what the cell is doing."""

import mmap
import struct
from collections import Counter
from typing import Final

from kg.workers.framing import ERROR_CODES

JOB_OUTCOMES: Final = ("answered", "abandoned", *sorted(ERROR_CODES))
"""How a job may end: well, without anybody to take the answer, or with an error of a code."""

_NUMBER_STRUCT: Final = struct.Struct("@Q")
_DELIVERING_OFFSET: Final = 0
_BUSY_OFFSET: Final = 1
_JOB_OFFSET: Final = _NUMBER_STRUCT.size
_COUNTS_OFFSET: Final = 2 * _NUMBER_STRUCT.size


class SharedStatus:
    """What a cell says of itself: whether it hands over an answer, which job of its lessee it does, how jobs ended."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _COUNTS_OFFSET + _NUMBER_STRUCT.size * len(JOB_OUTCOMES))

    @property
    def is_delivering(self) -> bool:
        """Whether an answer is on its way or was sent: who takes the job away now would answer it twice.

        The cell sets it; it is cleared by whoever gives the cell its next job.
        """
        return bool(self._memory[_DELIVERING_OFFSET])

    @is_delivering.setter
    def is_delivering(self, value: bool) -> None:
        self._memory[_DELIVERING_OFFSET] = value

    @property
    def last_job_number(self) -> int:
        """The number, in its lease, of the lessee's job that was begun last; 0 for none."""
        return int(_NUMBER_STRUCT.unpack_from(self._memory, _JOB_OFFSET)[0])

    @property
    def is_busy(self) -> bool:
        """Whether that job is still being done."""
        return bool(self._memory[_BUSY_OFFSET])

    def begin_job(self, number: int) -> None:
        """Note that a lessee's job begins."""
        self._memory[_BUSY_OFFSET] = True
        _NUMBER_STRUCT.pack_into(self._memory, _JOB_OFFSET, number)

    def end_job(self) -> None:
        """Note that the lessee's job is over, its answer sent."""
        self._memory[_BUSY_OFFSET] = False

    def begin_lease(self) -> None:
        """Begin a lease, whose jobs are numbered from 1."""
        _NUMBER_STRUCT.pack_into(self._memory, _JOB_OFFSET, 0)

    def count_outcome(self, outcome: str) -> None:
        """Count a job that ended."""
        place = _COUNTS_OFFSET + _NUMBER_STRUCT.size * JOB_OUTCOMES.index(outcome)
        _NUMBER_STRUCT.pack_into(self._memory, place, _NUMBER_STRUCT.unpack_from(self._memory, place)[0] + 1)

    def outcome_counts(self) -> Counter[str]:
        """How many jobs ended how."""
        numbers = struct.unpack_from(f"@{len(JOB_OUTCOMES)}Q", self._memory, _COUNTS_OFFSET)
        return Counter({outcome: number for outcome, number in zip(JOB_OUTCOMES, numbers, strict=True) if number})

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()

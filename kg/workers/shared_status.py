"""A page of memory that the keeper shares with a cell, so that neither must ask the other what the cell is doing."""

import mmap
import struct
from collections import Counter
from typing import Final

from kg.workers.framing import ERROR_CODES

OUTCOMES: Final = ("answered", "abandoned", *sorted(ERROR_CODES))
"""How a job may end: well, without anybody to take the answer, or with an error of a code."""

_NUMBER: Final = struct.Struct("@Q")
_DELIVERING: Final = 0
_BUSY: Final = 1
_JOB: Final = _NUMBER.size
_COUNTS: Final = 2 * _NUMBER.size


class Board:
    """What a cell says of itself: whether it hands over an answer, which job of its lessee it does, how jobs ended."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _COUNTS + _NUMBER.size * len(OUTCOMES))

    @property
    def delivering(self) -> bool:
        """Whether an answer is on its way or was sent: who takes the job away now would answer it twice.

        The cell sets it; it is cleared by whoever gives the cell its next job.
        """
        return bool(self._memory[_DELIVERING])

    @delivering.setter
    def delivering(self, value: bool) -> None:
        self._memory[_DELIVERING] = value

    @property
    def begun(self) -> int:
        """The number, in its lease, of the lessee's job that was begun last; 0 for none."""
        return int(_NUMBER.unpack_from(self._memory, _JOB)[0])

    @property
    def busy(self) -> bool:
        """Whether that job is still being done."""
        return bool(self._memory[_BUSY])

    def begin(self, number: int) -> None:
        """Note that a lessee's job begins."""
        self._memory[_BUSY] = True
        _NUMBER.pack_into(self._memory, _JOB, number)

    def end(self) -> None:
        """Note that the lessee's job is over, its answer sent."""
        self._memory[_BUSY] = False

    def clear(self) -> None:
        """Begin a lease, whose jobs are numbered from 1."""
        _NUMBER.pack_into(self._memory, _JOB, 0)

    def count(self, outcome: str) -> None:
        """Count a job that ended."""
        place = _COUNTS + _NUMBER.size * OUTCOMES.index(outcome)
        _NUMBER.pack_into(self._memory, place, _NUMBER.unpack_from(self._memory, place)[0] + 1)

    def counts(self) -> Counter[str]:
        """How many jobs ended how."""
        numbers = struct.unpack_from(f"@{len(OUTCOMES)}Q", self._memory, _COUNTS)
        return Counter({outcome: number for outcome, number in zip(OUTCOMES, numbers, strict=True) if number})

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()

"""Locks on files, which processes and threads share, and which end with whoever holds them."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SHORTEST_PAUSE: Final = 0.0005
_LONGEST_PAUSE: Final = 0.01


@contextlib.contextmanager
def if_free(path: Path) -> Iterator[bool]:
    """Hold the lock of a file meanwhile, if nobody has it: yields whether so. Raises OSError if it cannot be opened."""
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def in_turn(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock of a file meanwhile; raises TimeoutError if others have it for so many seconds.

    In a folder that cannot be written nobody waits: whatever needs the lock will say that nothing can be written.
    """
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    except OSError:
        yield
        return
    try:
        _wait_for(lock, time.monotonic() + patience)
        yield
    finally:
        os.close(lock)


def _wait_for(lock: int, end: float) -> None:
    pause = _SHORTEST_PAUSE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError from None
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return

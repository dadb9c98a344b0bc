"""Locks on files, which processes and threads share, and which end with whoever holds them."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MIN_RETRY_DELAY: Final = 0.0005
_MAX_RETRY_DELAY: Final = 0.01


@contextlib.contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold the lock of a file meanwhile, if nobody has it: yields whether so. Raises OSError if it cannot be opened."""
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def lock_with_timeout(path: Path, timeout: float) -> Iterator[None]:
    """Hold the lock of a file meanwhile; raises TimeoutError if others have it for so many seconds.

    In a folder that cannot be written nobody waits: whatever needs the lock will say that nothing can be written.
    """
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    except OSError:
        yield
        return
    try:
        _acquire(lock, time.monotonic() + timeout)
        yield
    finally:
        os.close(lock)


def _acquire(lock: int, end: float) -> None:
    pause = _MIN_RETRY_DELAY
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError from None
            time.sleep(pause)
            pause = min(pause * 2, _MAX_RETRY_DELAY)
        else:
            return

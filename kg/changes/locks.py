"""File locks (flock) between threads and processes; the kernel releases them when their holder ends."""

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
    """Hold the lock of a file during the block if it is free, and yield whether it is held.

    Raises OSError if the file cannot be opened.
    """
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def lock_with_timeout(path: Path, timeout: float) -> Iterator[None]:
    """Hold the lock of a file during the block. Raises TimeoutError if others hold it for `timeout` seconds.

    If the lock file cannot be created, the block runs without a lock: in a folder that cannot be written, the write
    itself reports the error.
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


def _acquire(lock: int, deadline: float) -> None:
    """Poll with increasing delays, since flock has no timeout."""
    delay = _MIN_RETRY_DELAY
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError from None
            time.sleep(delay)
            delay = min(delay * 2, _MAX_RETRY_DELAY)
        else:
            return

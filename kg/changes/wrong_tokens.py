"""Record wrong tokens in the audit."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kg.changes.journal import Journal
from kg.errors import JournalError

INTERVAL: Final = 60.0
"""The least seconds between two events, so that guesses cannot fill the journal."""


class WrongTokenAudit:
    """Counts the wrong tokens that a process receives, and records the count as an audit event; thread-safe.

    The first wrong token is recorded at once, those of the next INTERVAL together with the first one after it.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._count = 0
        self._next = -float("inf")

    def record(self) -> None:
        """Count a wrong token. A journal that cannot be written is ignored: the request is refused anyway."""
        with self._lock:
            self._count += 1
            now = self._clock()
            if now < self._next:
                return
            count, self._count, self._next = self._count, 0, now + INTERVAL
        with contextlib.suppress(JournalError), contextlib.closing(Journal(self._folder)) as journal:
            journal.record_event(f"{count} request{'' if count == 1 else 's'} with a wrong token")

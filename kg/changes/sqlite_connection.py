"""SQLite connections that stay within the thread and the process that opened them."""

import os
import sqlite3
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final


@dataclass(frozen=True)
class FileConnection:
    """A connection with the path of its file and the id of the process that opened it."""

    path: Path
    connection: sqlite3.Connection
    process: int = field(default_factory=os.getpid)


# A connection must not cross a fork. SQLite's locks are POSIX locks: a child does not inherit them, and closing any
# descriptor of a file drops all locks that the process holds on it. A child that used or closed its parent's connection
# could therefore write without a lock, or remove a write-ahead log that is in use (sqlite.org/howtocorrupt.html, 2.6).
# Python closes a connection that it garbage-collects, so this list keeps inherited ones alive until the process ends.
_inherited_connections: Final[list[FileConnection]] = []


class ThreadConnection:
    """Holds at most one open connection per thread; after a fork the child starts without any."""

    def __init__(self) -> None:
        self._local = threading.local()

    @property
    def current(self) -> FileConnection | None:
        """The connection of this thread in this process; None if there is none."""
        current: FileConnection | None = getattr(self._local, "current", None)
        if current is not None and current.process != os.getpid():
            _inherited_connections.append(current)
            self._local.current = current = None
        return current

    def replace(self, path: Path, connection: sqlite3.Connection) -> FileConnection:
        """Make a newly opened connection the current one, and close the previous one."""
        self.close()
        current = FileConnection(path, connection)
        self._local.current = current
        return current

    def close(self) -> None:
        """Close this thread's connection, if there is one."""
        current = self.current
        self._local.current = None
        if current is not None:
            current.connection.close()

"""A connection belongs to one thread of one process."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from kg.changes import sqlite_connection
from kg.changes.sqlite_connection import ThreadConnection


def test_a_thread_has_its_own_connection_and_closes_the_one_it_replaces(tmp_path: Path) -> None:
    connections, path = ThreadConnection(), tmp_path / "a.db"
    first = connections.replace(path, sqlite3.connect(path)).connection
    others = list[object]()
    thread = threading.Thread(target=lambda: others.append(connections.current))
    thread.start()
    thread.join()
    assert others == [None]
    second = connections.replace(path, sqlite3.connect(path))
    assert connections.current is second
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        first.execute("SELECT 1")
    connections.close()
    assert connections.current is None


def test_a_forked_child_keeps_the_connection_of_its_parent_open_and_unused(tmp_path: Path) -> None:
    connections, path = ThreadConnection(), tmp_path / "a.db"
    parent = connections.replace(path, sqlite3.connect(path))
    child = os.fork()
    if child == 0:
        connections.close()
        parent_is_kept = parent in sqlite_connection._inherited_connections
        os._exit(0 if connections.current is None and parent_is_kept else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert connections.current is parent
    connections.close()

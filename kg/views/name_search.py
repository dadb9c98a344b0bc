"""Search for things by their names in the index of a data folder, brought up to date with the journal."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kg.changes.journal import Journal
from kg.changes.sqlite_connection import ThreadConnection
from kg.errors import IndexingError, JournalError
from kg.sources import name_index
from kg.sources.name_lookup import find_names
from kg.sources.search_query import SearchQuery, SearchResult
from kg.views.name_index_builder import apply_journal

_INDEX_TIMEOUT: Final = 1.0
"""Seconds to wait for an index that another process builds."""
_POLL_INTERVAL: Final = 0.02
_DAMAGED_ERROR_PREFIXES: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_SCHEMA", "SQLITE_FORMAT")
"""The prefixes of SQLite error names that mean that a file is no index, or a damaged one."""


class NameSearch:
    """Search in the index of a data folder; safe to share between threads and forked processes."""

    def __init__(self, folder: Path, build: Callable[[], object] | None = None) -> None:
        """`build` builds a missing index; without it, the dispatcher is expected to build it."""
        self._folder = folder
        self._build = build
        self._connections = ThreadConnection()
        self._building = threading.Lock()

    def find(self, query: SearchQuery, version: str) -> SearchResult:
        """Search the names in a version of the dataset, as given by `Engine.version`.

        Raises IndexingError while there is no index of that version.
        """
        digest, _, generation = version.rpartition("-")
        try:
            return find_names(self._up_to_date_connection(digest, int(generation)), query)
        except sqlite3.Error as error:
            self._handle_error(error)
            raise IndexingError from error

    def _up_to_date_connection(self, digest: str, generation: int) -> sqlite3.Connection:
        """Return a connection to an index that contains the generation.

        A new connection always compares the index with the journal, even if the generation is equal: the index may
        have followed another journal.
        """
        previous = self._connections.current
        connection = self._thread_connection(digest)
        if self._connections.current is not previous or name_index.read_state(connection)[0] != generation:
            self._apply_journal(connection, generation)
        return connection

    def _apply_journal(self, connection: sqlite3.Connection, generation: int) -> None:
        try:
            with contextlib.closing(Journal(self._folder)) as journal:
                is_same_journal = apply_journal(connection, journal, generation)
        except JournalError as error:
            raise IndexingError from error
        if not is_same_journal:
            raise sqlite3.DatabaseError("the index follows another journal")

    def _thread_connection(self, digest: str) -> sqlite3.Connection:
        """Return this thread's connection to the index of a dataset; reconnects if the file was replaced."""
        current = self._connections.current
        if current is not None and current.path.name.startswith(f"search-{digest}-") and current.path.exists():
            return current.connection
        self.close()
        path = self._wait_for_index(digest)
        return self._connections.replace(path, name_index.open_index(path)).connection

    def _wait_for_index(self, digest: str) -> Path:
        if self._build is not None:
            with self._building, contextlib.suppress(OSError):
                self._build()
        end = time.monotonic() + _INDEX_TIMEOUT
        while (path := name_index.find_index(self._folder, digest)) is None:
            if time.monotonic() > end:
                raise IndexingError
            time.sleep(_POLL_INTERVAL)
        return path

    def _handle_error(self, error: sqlite3.Error) -> None:
        """Close the connection that failed; delete the file if it is damaged, so that it is built again."""
        current = self._connections.current
        self.close()
        name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
        if name.startswith(_DAMAGED_ERROR_PREFIXES):
            for path in [current.path] if current is not None else self._folder.glob("search-*.db"):
                name_index.delete_index(path)

    def close(self) -> None:
        """Close this thread's connection."""
        self._connections.close()

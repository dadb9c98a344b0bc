"""Start the keeper beside the web server, and start it again whenever it dies."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from kg.errors import ConfigurationError
from kg.workers.main import READY_LINE, DispatcherSettings

_STOP_GRACE: Final = 2.0
"""Seconds past the longest deadline that running jobs are given when the service stops."""
_RESTART_DELAY: Final = 0.05
"""Seconds before a keeper that died is started again, growing while it keeps dying at once."""


class Supervisor:
    """Keeps one keeper alive for the folder of a service."""

    def __init__(self, folder: Path, settings: DispatcherSettings, timeout: float) -> None:
        self._folder = folder
        self._settings = settings
        self._timeout = timeout
        self._stopping = threading.Event()
        self._process = self._start_process()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Close the keeper's lifeline: running jobs end by their deadlines, then it goes, or is made to."""
        self._stopping.set()
        with suppress(OSError):
            _require_pipe(self._process.stdin).close()
        try:
            self._process.wait(self._timeout + _STOP_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _require_pipe(self._process.stdout).close()

    def _start_process(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(  # noqa: S603 - it is this very program
            [sys.executable, "-m", "kg.workers.main", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        lifeline = _require_pipe(process.stdin)
        lifeline.write(self._settings.to_json() + "\n")
        lifeline.flush()
        said = _require_pipe(process.stdout).readline().strip()
        if said != READY_LINE:
            process.kill()
            process.wait()
            raise ConfigurationError(said or "The process that holds the graph did not start.")
        return process

    def _watch(self) -> None:
        """Wait for the keeper to die and start another one; its successor takes over the same socket."""
        pause = _RESTART_DELAY
        while True:
            began = time.monotonic()
            self._process.wait()
            if self._stopping.is_set():
                return
            pause = _RESTART_DELAY if time.monotonic() - began > 1 else min(pause * 2, 5)
            time.sleep(pause)
            with suppress(ConfigurationError, OSError):
                self._process = self._start_process()


def _require_pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the keeper was started without pipes")
    return pipe


@contextmanager
def running_dispatcher(settings: DispatcherSettings, timeout: float) -> Iterator[Path]:
    """Run a keeper while the block runs; yields the folder by which `CellsEngine` reaches it.

    Raises ConfigurationError when it cannot load the graph.
    """
    with tempfile.TemporaryDirectory(prefix="hpkg-") as folder:
        supervisor = Supervisor(Path(folder), settings, timeout)
        try:
            yield Path(folder)
        finally:
            supervisor.stop()

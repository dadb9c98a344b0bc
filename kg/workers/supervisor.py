"""Start the dispatcher beside the web server, and restart it whenever it dies."""

import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from kg.errors import ConfigurationError
from kg.workers.import_path import python_command
from kg.workers.main import READY_LINE, DispatcherSettings

_STOP_GRACE: Final = 2.0
"""Seconds past the longest deadline in which running jobs may end when the service stops."""
_RESTART_DELAY: Final = 0.05
"""Seconds before a dispatcher that died is restarted; doubled each time that it dies within a second."""
_MAX_RESTART_DELAY: Final = 5.0
"""The longest restart delay in seconds."""


class Supervisor:
    """Keeps one dispatcher running for the folder of a service."""

    def __init__(self, folder: Path, settings: DispatcherSettings, timeout: float) -> None:
        self._folder = folder
        self._settings = settings
        self._timeout = timeout
        self._stopping = threading.Event()
        self._process = self._start_process()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Close the dispatcher's lifeline, its standard input; it exits when its jobs have ended, or is killed."""
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
        process = subprocess.Popen(  # noqa: S603 - the command is a part of this program
            python_command("kg.workers.main", str(self._folder)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        lifeline = _require_pipe(process.stdin)
        lifeline.write(self._settings.to_json() + "\n")
        lifeline.flush()
        answer = _require_pipe(process.stdout).readline().strip()
        if answer != READY_LINE:
            process.kill()
            process.wait()
            raise ConfigurationError(answer or "The process that holds the graph did not start.")
        return process

    def _watch(self) -> None:
        """Wait until the dispatcher dies and start another one, which listens on the same socket path."""
        delay = _RESTART_DELAY
        while True:
            started_at = time.monotonic()
            self._process.wait()
            if self._stopping.is_set():
                return
            delay = _RESTART_DELAY if time.monotonic() - started_at > 1 else min(delay * 2, _MAX_RESTART_DELAY)
            time.sleep(delay)
            with suppress(ConfigurationError, OSError):
                self._process = self._start_process()


def _require_pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the dispatcher was started without pipes")
    return pipe


@contextmanager
def running_dispatcher(settings: DispatcherSettings, timeout: float) -> Iterator[Path]:
    """Run a dispatcher while the block runs; yield the folder by which `PoolEngine` reaches it.

    Raises ConfigurationError when the dispatcher cannot load the graph.
    """
    with tempfile.TemporaryDirectory(prefix="hpkg-") as folder:
        supervisor = Supervisor(Path(folder), settings, timeout)
        try:
            yield Path(folder)
        finally:
            supervisor.stop()

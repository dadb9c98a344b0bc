"""Start the dispatcher of `hpkg serve`: load the graph, fork workers and serve jobs.

`kg.workers.supervisor` calls `main` in a new process, with the folder of the socket as its argument and the settings
as one line of JSON on standard input. The line "ready" on standard output says that jobs are accepted; any other line
is the reason why not. The process ends when its standard input is closed.
"""

import gc
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from kg.changes.commit import propose
from kg.changes.data_folder import open_or_build, read_project_shapes
from kg.changes.fact_validation import EngineFactValidator
from kg.changes.journal import Journal
from kg.changes.snapshots import is_snapshot_due, write_snapshot
from kg.engine.embedded import EmbeddedEngine
from kg.engine.optimizer import default_optimizer
from kg.errors import IntegrityError, JournalError, KgError
from kg.validation.incremental import IncrementalValidator
from kg.validation.pyshacl_patches import load_pyshacl
from kg.views import name_index_builder
from kg.workers import change_codec
from kg.workers.dispatcher import Dispatcher, Hooks
from kg.workers.dispatcher_folder import VersionFile, open_listener
from kg.workers.framing import Message
from kg.workers.operations import WorkerOperations
from kg.workers.worker import WorkerLimits
from kg.workers.worker_pool import PoolConfig

MIB: Final = 1024 * 1024
READY_LINE: Final = "ready"


@dataclass(frozen=True)
class DispatcherSettings:
    """The data folder, the number of workers, limits in MiB and jobs, and whether planner and columns are used."""

    data: str
    workers: int
    memory_mib: int
    result_mib: int
    spool_mib: int
    max_queued: int
    services: tuple[str, ...]
    planning: bool = True
    columns: bool = True

    def to_json(self) -> str:
        """The settings as one line of JSON."""
        return json.dumps(asdict(self))


def run_dispatcher(folder: Path, settings: DispatcherSettings) -> None:
    """Load the graph and serve jobs on the socket of a folder until standard input is closed."""
    data = Path(settings.data)
    engine = open_or_build(data)
    engine.configure(
        services=settings.services,
        optimizer=default_optimizer(planning=settings.planning, columns=settings.columns),
    )

    def prepare_engine() -> None:
        engine.prepare(settings.memory_mib * MIB)

    prepare_engine()
    shapes = read_project_shapes()
    project_gate = IncrementalValidator(shapes)
    fact_validator = EngineFactValidator(engine, shapes, partial(propose, engine, project_gate))
    journal, version = Journal(data), VersionFile(folder)
    version.write(engine.generation, engine.digest)
    # The garbage collector of a worker would write to every object that the worker inherits, and so copy its page.
    gc.collect()
    gc.freeze()
    limits = WorkerLimits(
        settings.memory_mib * MIB, settings.result_mib * MIB, allow_connections=bool(settings.services)
    )
    with open_listener(folder) as listener:
        dispatcher = Dispatcher(
            listener,
            WorkerOperations(engine, project_gate, fact_validator),
            PoolConfig(settings.workers, settings.max_queued, settings.spool_mib * MIB, limits),
            engine.status,
            Hooks(lambda: _catch_up(engine, journal, version, data, prepare_engine), _warm_up_steps(project_gate)),
        )
        if name_index_builder.is_build_needed(engine, data):
            _run_detached(lambda: name_index_builder.build_index(engine, data))
        _print_line(READY_LINE)
        dispatcher.run(sys.stdin)


def _warm_up_steps(project_gate: IncrementalValidator) -> Iterator[None]:
    """Load pySHACL and analyse the shapes, one step per item."""
    load_pyshacl()
    yield
    yield from project_gate.prepare()


def _catch_up(
    engine: EmbeddedEngine, journal: Journal, version: VersionFile, data: Path, prepare_engine: Callable[[], None]
) -> Iterator[Message]:
    """Apply the journal's new commits, yield each as an order to the workers, and publish the new version at the end.

    `prepare_engine` is called when the dataset has changed. A snapshot and the index of names are written by detached
    processes when they are due.
    """
    before = engine.generation
    try:
        for commit in journal.commits_since(before):
            engine.apply_commit(commit.delta, commit.number)
            payload = json.dumps(change_codec.encode_delta(commit.delta), ensure_ascii=False).encode()
            yield Message({"op": "follow", "generation": commit.number}, payload)
    except (JournalError, IntegrityError) as error:
        sys.stderr.write(f"{error}\n")
    if engine.generation != before:
        version.write(engine.generation, engine.digest)
        prepare_engine()
        if is_snapshot_due(engine, data):
            _run_detached(lambda: write_snapshot(engine, journal, data))
    if name_index_builder.is_build_needed(engine, data):
        _run_detached(lambda: name_index_builder.build_index(engine, data))


def _run_detached(work: Callable[[], object]) -> None:
    """Run a function in a forked process, which has the dataset as it is now; do not wait for it.

    The process is forked twice, so that init adopts and reaps it.
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if os.fork() == 0:
            os.nice(10)
            work()
    except (KgError, OSError, sqlite3.Error) as error:
        sys.stderr.write(f"{error}\n")
    finally:
        os._exit(0)


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the settings and run the dispatcher; print the message of a KgError as one line."""
    folder = Path(sys.argv[1])
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    try:
        run_dispatcher(folder, DispatcherSettings(**settings))
    except KgError as error:
        _print_line(str(error))
        os._exit(1)

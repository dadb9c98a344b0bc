"""The command that serves the graph over HTTP: serve."""

import contextlib
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
from granian import Granian
from granian.constants import Interfaces

from kg.changes import data_folder
from kg.cli.options import READABLE_FILE, data_option
from kg.sources.source_texts import SourceTexts
from kg.workers.import_path import import_target
from kg.workers.main import DispatcherSettings
from kg.workers.pool_engine import PoolEngine
from kg.workers.supervisor import running_dispatcher

_STOP_GRACE: Final = 5
"""Seconds past the longest deadline that a process of the web server may take to end."""
_Command = Callable[..., None]
_ON_OR_OFF: Final[dict[str, Any]] = {"type": click.Choice(["on", "off"]), "default": "on"}


def _setting(
    name: str,
    variable: str,
    explanation: str,
    **attributes: Any,  # noqa: ANN401 - those of click.option
) -> Callable[[_Command], _Command]:
    """Return an option that an environment variable sets too."""
    return click.option(name, envvar=variable, help=explanation, **{"show_default": True, **attributes})


@click.command()
@_setting("--host", "HPKG_HOST", "The address to listen on.", default="127.0.0.1")
@_setting("--port", "HPKG_PORT", "The port to listen on.", default=8000)
@_setting(
    "--default-graph",
    "HPKG_DEFAULT_GRAPH",
    "What a query without a dataset sees: the union of all graphs, or only the unnamed graph.",
    type=click.Choice(["union", "strict"]),
    default="union",
)
@_setting("--timeout", "HPKG_TIMEOUT", "Seconds that a query may wait and run.", default=10.0)
@_setting("--write-timeout", "HPKG_WRITE_TIMEOUT", "Seconds that the validation of a change may take.", default=60.0)
@_setting("--memory-limit", "HPKG_MEMORY_LIMIT", "MiB of memory of a query.", default=1024)
@_setting("--result-limit", "HPKG_RESULT_LIMIT", "MiB of one result.", default=1024)
@_setting("--spool-limit", "HPKG_SPOOL_LIMIT", "MiB of all unread results.", default=4096)
@_setting(
    "--cells",
    "HPKG_CELLS",
    "Query workers (cells); 0 evaluates queries in the web server, without limits.",
    default=max(3, (os.cpu_count() or 1) + 1),
    show_default="processors + 1, at least 3",
)
@_setting("--queue", "HPKG_QUEUE", "Queries that may wait; more are refused.", default=64)
@_setting(
    "--services",
    "HPKG_SERVICES",
    "Hosts that SERVICE may call, as host or host:port, separated by commas.",
    default="",
    show_default=False,
)
@_setting("--plan", "HPKG_PLAN", "Rewrite queries to equal ones that are answered faster.", **_ON_OR_OFF)
@_setting(
    "--columns",
    "HPKG_COLUMNS",
    "Count the groups of aggregations from columns in memory; needs `--plan on`.",
    **_ON_OR_OFF,
)
@click.option(
    "--text",
    "texts",
    multiple=True,
    type=READABLE_FILE,
    envvar="HPKG_TEXT",
    help="The text of a source, identified by its digest; pages show evidence in its sentence. Repeatable.",
)
@_setting("--workers", "HPKG_WORKERS", "Processes of the web server.", default=2)
@data_option
def serve(
    *,
    host: str,
    port: int,
    workers: int,
    data: Path,
    timeout: float,
    write_timeout: float,
    default_graph: str,
    services: str,
    plan: str,
    columns: str,
    texts: tuple[Path, ...],
    **limits: int,
) -> None:
    """Serve the graph over HTTP: SPARQL, linked data, validation, pages. Builds it first where needed."""
    _require_free_address(host, port)
    # The processes of the web server read their settings from the environment.
    seconds = {"HPKG_TIMEOUT": str(timeout), "HPKG_WRITE_TIMEOUT": str(write_timeout)}
    os.environ.update({"HPKG_DATA": str(data), "HPKG_DEFAULT_GRAPH": default_graph, "HPKG_SERVICES": services})
    os.environ.update({**seconds, "HPKG_PLAN": plan, "HPKG_COLUMNS": columns})
    os.environ["HPKG_TEXT"] = os.pathsep.join(str(file.absolute()) for file in texts)
    longest = max(timeout, write_timeout)
    with _query_workers(
        _dispatcher_settings(data, services, plan, columns, limits), timeout, longest, SourceTexts(texts)
    ):
        click.echo(f"Serving on http://{host}:{port}/ from {data}", err=True)
        _serve_web(host, port, workers, math.ceil(longest) + _STOP_GRACE)


@contextlib.contextmanager
def _query_workers(settings: DispatcherSettings, timeout: float, longest: float, texts: SourceTexts) -> Iterator[None]:
    """Run the dispatcher and its query workers, if any are wanted and the platform can fork them.

    Raises EvidenceTextError for a text of an unknown source.
    """
    os.environ.pop("HPKG_KEEPER", None)
    if settings.workers > 0 and sys.platform == "linux":
        with running_dispatcher(settings, longest) as folder:
            os.environ["HPKG_KEEPER"] = str(folder)
            with contextlib.closing(PoolEngine(folder, timeout)) as engine:
                texts.require_known_sources(engine)
            yield
    else:
        click.echo("Queries run in the web server: no time limit, no memory limit, no isolation.", err=True)
        texts.require_known_sources(data_folder.open_or_build(Path(settings.data)))
        yield


def _require_free_address(host: str, port: int) -> None:
    """Refuse an address that is in use: the web server would share it with the other program (SO_REUSEPORT)."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise click.UsageError(f"http://{host}:{port}/ cannot be served: {error.strerror}.") from None


def _dispatcher_settings(
    data: Path, services: str, plan: str, columns: str, limits: dict[str, int]
) -> DispatcherSettings:
    return DispatcherSettings(
        data=str(data),
        workers=limits["cells"],
        memory_mib=limits["memory_limit"],
        result_mib=limits["result_limit"],
        spool_mib=limits["spool_limit"],
        max_queued=limits["queue"],
        services=tuple(host.strip().lower() for host in services.split(",") if host.strip()),
        planning=plan == "on",
        columns=columns == "on",
    )


def _serve_web(host: str, port: int, workers: int, stop_timeout: int) -> None:
    """Run the web server; when it stops, its processes have `stop_timeout` seconds to end."""
    os.register_at_fork(after_in_child=_restore_default_signals)
    Granian(
        "service.rsgi:application",
        host,
        port,
        interface=Interfaces.RSGI,
        workers=workers,
        respawn_failed_workers=True,
        respawn_interval=0.1,
        websockets=False,
        log_access=False,
        workers_kill_timeout=stop_timeout,
    ).serve(target_loader=import_target)


def _restore_default_signals() -> None:
    """Make signals end a process that was just forked.

    A forked process inherits the handlers of its parent. Until it installs its own, they would only record the signal,
    and the service would wait for the process forever.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)

"""The command `hpkg`: thin, each command calls kg and prints. Exit codes: 0 good, 1 findings, 2 usage."""

import contextlib
import io
import math
import os
import signal
import socket
import sys
from pathlib import Path
from typing import IO, Final

import click
from granian import Granian
from granian.constants import Interfaces
from rich.console import Console
from rich.table import Table

from kg import resources
from kg.changes import data_folder
from kg.cli import write_commands
from kg.cli.http_client import HttpClient
from kg.cli.printing import print_findings
from kg.engine import remote
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryDataset, QueryRequest
from kg.engine.query import check_query, evaluate_query
from kg.errors import KgError, UnknownGraphError, UnsupportedFormatError
from kg.rdf.formats import NQUADS, RDF_FORMATS, RESULT_FORMATS, TSV, TURTLE, RdfFormat, ResultFormat, format_by_name
from kg.rdf.io import NamedNode, Quad, canonical_nquads, canonical_turtle, compress, serialize
from kg.rdf.namespaces import compact, graph_name
from kg.sources import evidence as anchors
from kg.validation import shacl
from kg.workers.main import DispatcherSettings
from kg.workers.pool_engine import PoolEngine
from kg.workers.supervisor import running_dispatcher

_STOP_GRACE: Final = 5
"""Seconds past the longest deadline that a worker of the web server may take to end."""
_READABLE_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)

_data_option, _language_option = write_commands.data_option, write_commands.language_option
_endpoint_option: Final = write_commands.endpoint_option


class _CommandGroup(click.Group):
    """Turns the errors of kg into one line on standard error and exit code 2."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KgError as error:
            raise click.UsageError(str(error)) from error


@click.group(cls=_CommandGroup)
@click.version_option(package_name="haiphong-kg")
def main() -> None:
    """Build, check, query and serve the knowledge graph of Hải Phòng's economic zones."""


@main.command("build")
@_data_option
@_language_option
def build_command(data: Path, lang: str) -> None:
    """Assemble the graph, judge it against its shapes and keep it in the data folder."""
    console = Console()
    with console.status("Building and validating …"):
        result = data_folder.build_graph()
    _print_sizes(console, result.sizes)
    print_findings(result.report, lang)
    if not result.report.admissible:
        sys.exit(1)
    console.print(f"Kept in {data_folder.save(result, data)}", highlight=False, soft_wrap=True)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, envvar="HPKG_HOST", help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, envvar="HPKG_PORT", help="Port to listen on.")
@click.option(
    "--default-graph",
    type=click.Choice(["union", "strict"]),
    default="union",
    show_default=True,
    envvar="HPKG_DEFAULT_GRAPH",
    help="What a query without a dataset sees: the union of all graphs, or the unnamed graph only.",
)
@click.option(
    "--timeout", default=10.0, show_default=True, envvar="HPKG_TIMEOUT", help="Seconds that a query may take."
)
@click.option(
    "--write-timeout",
    default=60.0,
    show_default=True,
    envvar="HPKG_WRITE_TIMEOUT",
    help="Seconds that a change may take.",
)
@click.option(
    "--memory-limit", default=1024, show_default=True, envvar="HPKG_MEMORY_LIMIT", help="MiB that a query may take."
)
@click.option(
    "--result-limit", default=1024, show_default=True, envvar="HPKG_RESULT_LIMIT", help="MiB that one result may have."
)
@click.option(
    "--spool-limit", default=4096, show_default=True, envvar="HPKG_SPOOL_LIMIT", help="MiB of all unread results."
)
@click.option(
    "--cells",
    default=max(3, (os.cpu_count() or 1) + 1),
    show_default=True,
    envvar="HPKG_CELLS",
    help="Processes for queries; 0 evaluates in the web server, without limits.",
)
@click.option(
    "--queue", default=64, show_default=True, envvar="HPKG_QUEUE", help="Queries that may wait before some are refused."
)
@click.option(
    "--services", default="", envvar="HPKG_SERVICES", help="Hosts that SERVICE may call, with commas between."
)
@click.option(
    "--plan",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    envvar="HPKG_PLAN",
    help="Rewrite queries to equal ones that are answered faster.",
)
@click.option(
    "--columns",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    envvar="HPKG_COLUMNS",
    help="Count the groups of aggregations from columns in memory; needs `--plan on`.",
)
@click.option(
    "--text",
    "texts",
    multiple=True,
    type=_READABLE_FILE,
    envvar="HPKG_TEXT",
    help="The text of a source, in which pages show its evidence; may be repeated.",
)
@click.option("--workers", default=2, show_default=True, envvar="HPKG_WORKERS", help="Processes of the web server.")
@_data_option
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
    """Serve the graph over HTTP: SPARQL, linked data, validation."""
    _require_free_address(host, port)
    seconds = {"HPKG_TIMEOUT": str(timeout), "HPKG_WRITE_TIMEOUT": str(write_timeout)}
    os.environ.update({"HPKG_DATA": str(data), "HPKG_DEFAULT_GRAPH": default_graph, "HPKG_SERVICES": services})
    os.environ.update({**seconds, "HPKG_PLAN": plan, "HPKG_COLUMNS": columns})
    os.environ["HPKG_TEXT"] = os.pathsep.join(str(file.absolute()) for file in texts)
    os.environ.pop("HPKG_KEEPER", None)
    own_texts = anchors.SourceTexts(texts)
    with contextlib.ExitStack() as stack:
        if limits["cells"] > 0 and sys.platform == "linux":
            folder = stack.enter_context(
                running_dispatcher(_host_settings(data, services, plan, columns, limits), max(timeout, write_timeout))
            )
            os.environ["HPKG_KEEPER"] = str(folder)
            with contextlib.closing(PoolEngine(folder, timeout)) as engine:
                own_texts.require_known_sources(engine)
        else:
            own_texts.require_known_sources(data_folder.open_or_build(data))
            click.echo("Queries run in the web server: no time limit, no memory limit, no isolation.", err=True)
        click.echo(f"Serving on http://{host}:{port}/ from {data}", err=True)
        _serve_web(host, port, workers, math.ceil(max(timeout, write_timeout)) + _STOP_GRACE)


def _require_free_address(host: str, port: int) -> None:
    """Refuse an address that is taken: the web server's workers would silently share it with the other program."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise click.UsageError(f"http://{host}:{port}/ cannot be served: {error.strerror}.") from None


def _host_settings(data: Path, services: str, plan: str, columns: str, limits: dict[str, int]) -> DispatcherSettings:
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


def _serve_web(host: str, port: int, workers: int, patience: int) -> None:
    """Run the web server; at its end a worker has `patience` seconds."""
    os.register_at_fork(after_in_child=_restore_default_signals)
    Granian(
        "service.rsgi:application",
        host,
        port,
        interface=Interfaces.RSGI,
        factory=True,
        workers=workers,
        respawn_failed_workers=True,
        respawn_interval=0.1,
        websockets=False,
        log_access=False,
        workers_kill_timeout=patience,
    ).serve()


def _restore_default_signals() -> None:
    """Let a signal end a process that was just forked.

    A worker begins with the handlers of the first process. Until it sets its own these would only note a signal to end,
    and the service would wait for the worker forever.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@main.command()
@click.argument("query")
@click.option("--endpoint", metavar="URL", help="Ask this SPARQL endpoint instead of the data folder.")
@click.option("--format", "format_name", metavar="NAME", help="json, xml, csv, tsv; ttl, nt, jsonld, rdf, trig, nq.")
@click.option("--explain", is_flag=True, help="Do not run it; print it as it is planned, with what was done and why.")
@_data_option
def query(*, query: str, endpoint: str | None, format_name: str | None, explain: bool, data: Path) -> None:
    """Run QUERY: a file, `-` for standard input, or the text itself."""
    text = _read_query(query)
    if explain:
        if endpoint is not None:
            raise click.UsageError("--explain is about a data folder; an endpoint is asked with explain=true.")
        _print_plan(text, data)
        return
    solutions, graph = _chosen_formats(format_name)
    if endpoint is not None:
        _write_to_stdout(io.BytesIO(remote.query_endpoint(endpoint, text, solutions, graph)))
        return
    boolean = solutions if solutions.supports_boolean else RESULT_FORMATS[0]
    result = evaluate_query(
        data_folder.open_or_build(data), QueryRequest(text, QueryDataset(), solutions, boolean, graph)
    )
    with result.body as body:
        _write_to_stdout(body)


def _print_plan(text: str, data: Path) -> None:
    """Print a query as it is planned for the graph of a data folder, with what was done as comments."""
    check_query(QueryRequest(text))
    explained = data_folder.open_or_build(data).explain(text)
    click.echo(explained.text)
    for change in explained.notes:
        click.echo(f"# line {change.line}: {change.message}")


def _chosen_formats(name: str | None) -> tuple[ResultFormat, RdfFormat]:
    """The formats for solutions and for graphs; a name fixes one of them, and the other stays as it is by default."""
    results = {fmt.suffixes[-1]: fmt for fmt in RESULT_FORMATS}
    graphs = {fmt.suffixes[0]: fmt for fmt in RDF_FORMATS}
    if name is not None and name not in {*results, *graphs}:
        raise UnsupportedFormatError(f"{name!r} is no known format; choose one of {', '.join((*results, *graphs))}")
    return results.get(name or "", TSV), graphs.get(name or "", TURTLE)


def _write_to_stdout(body: IO[bytes]) -> None:
    """Copy an answer to standard output, ended by a newline as a terminal expects."""
    last = b"\n"
    while chunk := body.read(64 * 1024):
        sys.stdout.buffer.write(chunk)
        last = chunk[-1:]
    if last != b"\n":
        sys.stdout.buffer.write(b"\n")


def _read_query(argument: str) -> str:
    if argument == "-":
        return sys.stdin.buffer.read().decode()
    if any(char.isspace() for char in argument) and not Path(argument[:200]).is_file():
        return argument
    if not Path(argument).is_file():
        raise click.UsageError(f"There is no query file {argument}.")
    return Path(argument).read_text(encoding="utf-8")


@main.command()
@click.argument("files", nargs=-1, required=True, type=_READABLE_FILE)
@click.option("--alone", is_flag=True, help="Judge the files without the facts that are already known.")
@click.option("--shapes", "shape_files", multiple=True, type=_READABLE_FILE, help="Use these shapes, and no context.")
@_endpoint_option
@_language_option
@_data_option
def validate(
    *,
    files: tuple[Path, ...],
    alone: bool,
    shape_files: tuple[Path, ...],
    endpoint: str | None,
    lang: str,
    data: Path,
) -> None:
    """Judge RDF FILES against the shapes; nothing is stored."""
    if shape_files and endpoint is not None:
        raise click.UsageError("Other shapes need no service: use --shapes or --endpoint.")
    payload = [quad for file in files for quad in write_commands.parse_file(file)]
    if shape_files:
        shapes = shacl.read_shapes(quad for file in shape_files for quad in write_commands.parse_file(file))
        report = shacl.validate(payload, shapes)
    elif endpoint is not None:
        report = HttpClient(endpoint).validate(payload, alone=alone, language=lang)
    else:
        judge = write_commands.open_fact_validator(data)
        report = judge.validate_alone(payload) if alone else judge.validate_in_context(payload)
    print_findings(report, lang)
    if not report.admissible:
        sys.exit(1)


@main.group()
def evidence() -> None:
    """Work with the anchors that every claim cites."""


@evidence.command("verify")
@click.option("--text", "text_file", required=True, type=_READABLE_FILE, help="The source's text, UTF-8.")
@click.option("--source", metavar="SLUG", help="Which source it is; found by its digest if left out.")
@_data_option
def verify_command(text_file: Path, source: str | None, data: Path) -> None:
    """Check a text's digest, every anchor in it, and every figure against its anchor."""
    result = anchors.verify(data_folder.open_or_build(data), text_file.read_bytes(), source)
    for failure in result.failures:
        click.echo(f"{failure.iri}: {failure.reason}")
    verdict = f"{len(result.failures)} failed" if result.failures else "all hold"
    click.echo(
        f"{compact(result.source)}: {result.anchor_count} anchors and {result.figure_count} figures compared, {verdict}"
    )
    if result.failures:
        sys.exit(1)


@main.command()
@click.argument("files", nargs=-1, required=True, type=_READABLE_FILE)
@click.option("--check", is_flag=True, help="Change nothing; name the files that are not canonical.")
def fmt(files: tuple[Path, ...], check: bool) -> None:
    """Rewrite Turtle FILES in canonical form."""
    changed = 0
    for file in files:
        text = file.read_text(encoding="utf-8")
        canonical = canonical_turtle(text, str(file))
        if canonical == text:
            continue
        changed += 1
        click.echo(f"{'would rewrite' if check else 'rewrote'} {file}")
        if not check:
            file.write_text(canonical, encoding="utf-8")
    if check and changed:
        sys.exit(1)


@main.command()
@click.option(
    "--graph", metavar="NAME", help="Only this graph: a name such as entities or source/dnhn-94474, or an IRI."
)
@click.option("--format", "format_name", default="nq", show_default=True, help="nq, trig, ttl, nt, jsonld or rdf.")
@click.option("--gzip", "gzipped", is_flag=True, help="Compress.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of standard output.")
@_endpoint_option
@_data_option
def dump(
    *, graph: str | None, format_name: str, gzipped: bool, output: Path | None, endpoint: str | None, data: Path
) -> None:
    """Write everything, or one graph, as RDF; N-Quads come in canonical order."""
    quads = _quads_in_folder(graph, data) if endpoint is None else _quads_at_endpoint(graph, endpoint)
    chosen = format_by_name(RDF_FORMATS, format_name)
    content = canonical_nquads(quads) if chosen is NQUADS else serialize(quads, chosen)
    content = compress(content) if gzipped else content
    if output is None:
        sys.stdout.buffer.write(content)
    else:
        output.write_bytes(content)


def _quads_in_folder(graph: str | None, data: Path) -> list[Quad]:
    engine = data_folder.open_or_build(data)
    return list(engine.quads(None if graph is None else _require_held_graph(engine, graph)))


def _quads_at_endpoint(graph: str | None, endpoint: str) -> list[Quad]:
    return HttpClient(endpoint).quads(None if graph is None else write_commands.parse_graph_option(graph))


def _require_held_graph(engine: EmbeddedEngine, name: str) -> NamedNode:
    graph = write_commands.parse_graph_option(name)
    if graph.value not in engine.graph_sizes():
        known = ", ".join(graph_name(iri) or iri for iri in engine.graph_sizes())
        raise UnknownGraphError(f"There is no graph {name!r}; known are: {known}.")
    return graph


def _print_sizes(console: Console, sizes: dict[str, int]) -> None:
    table = Table(title=f"haiphong-kg {resources.project_version()}", title_justify="left")
    table.add_column("graph")
    table.add_column("triples", justify="right")
    for iri, count in sizes.items():
        table.add_row(graph_name(iri) or iri, str(count))
    table.add_row("all", str(sum(sizes.values())), style="bold")
    console.print(table)


for command in (
    write_commands.add,
    write_commands.load,
    write_commands.log,
    write_commands.revert,
    write_commands.shapes,
    write_commands.token,
):
    main.add_command(command)

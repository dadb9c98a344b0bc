"""The commands of who changes the graph: add, load, log, revert, token; on a data folder, or at a running service."""

import gzip
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

import click
from platformdirs import user_data_path

from kg.changes import data_folder
from kg.changes.changeset import ChangeSet, MultiGraphReplacement, QuadAddition
from kg.changes.commit import (
    SUBMISSION_GRAPH,
    CommitPipeline,
    EngineFactValidator,
    LocalProposer,
    Signature,
    Strictness,
    WriteOptions,
    WriteOutcome,
    in_submission_graph,
    protected_graphs_in,
    replacement_of_graphs,
)
from kg.changes.credentials import CredentialStore, TokenScope
from kg.changes.journal import CommitSummary, Journal
from kg.cli.http_client import HttpClient, ServiceResponse
from kg.cli.printing import print_findings
from kg.errors import ConfigurationError, InputError, RdfSyntaxError
from kg.rdf.formats import RdfFormat, rdf_format_of_file
from kg.rdf.io import NamedNode, Quad, parse, term_text
from kg.rdf.namespaces import graph_iri, graph_name
from kg.validation.incremental import IncrementalValidator
from kg.validation.shapes import read_shapes

_READABLE_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_GZIP_SUFFIX: Final = ".gz"
_EXIT_FINDINGS: Final = 1
"""The exit code when the gate refuses."""

data_option: Final = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: user_data_path("haiphong-kg"),
    envvar="HPKG_DATA",
    help="Data folder; by default the user's own.",
)
language_option: Final = click.option(
    "--lang", type=click.Choice(["vi", "en"]), default="en", help="Language of the messages."
)
endpoint_option: Final = click.option("--endpoint", metavar="URL", help="A running service instead of the data folder.")
_token_option: Final = click.option("--token", envvar="HPKG_TOKEN", default="", help="The token for the service.")
_agent_option: Final = click.option(
    "--agent", envvar="HPKG_AGENT", default="command line", show_default=True, help="Who signs the commit."
)
_severity_option: Final = click.option(
    "--severity",
    type=click.Choice(["violation", "warning", "info"]),
    default="violation",
    show_default=True,
    help="The least severity that refuses the facts.",
)
_message_option: Final = click.option("--message", "-m", default="", help="What the change is for.")


def open_commit_pipeline(data: Path) -> CommitPipeline:
    """The facts of a data folder, changed in this process."""
    engine, journal = data_folder.open_or_build(data), Journal(data)
    proposer = LocalProposer(engine, IncrementalValidator(data_folder.read_project_shapes()))
    return CommitPipeline(proposer, journal, lambda: data_folder.replay(engine, journal))


def open_fact_validator(data: Path) -> EngineFactValidator:
    """The judge of new facts for a data folder, in this process."""
    engine, shapes = data_folder.open_or_build(data), data_folder.read_project_shapes()
    return EngineFactValidator(engine, shapes, LocalProposer(engine, IncrementalValidator(shapes)))


@click.command()
@click.argument("files", nargs=-1, required=True, type=_READABLE_FILE)
@click.option("--graph", metavar="GRAPH", help="The graph for statements that name none: an IRI, or a name.")
@_severity_option
@_message_option
@_agent_option
@endpoint_option
@_token_option
@data_option
@language_option
def add(*, files: tuple[Path, ...], graph: str | None, severity: str, data: Path, lang: str, **how: str) -> None:
    """Add RDF FILES through the gate, all of them or nothing."""
    if how["endpoint"]:
        client = HttpClient(how["endpoint"], how["token"])
        home_iri = None if graph is None else parse_graph_option(graph).value
        for file in files:
            content, fmt = _read_file(file)
            sent = client.add(content, fmt.media_type, graph=home_iri, message=how["message"], severity=severity)
            _print_response(sent)
        return
    home = SUBMISSION_GRAPH if graph is None else parse_graph_option(graph)
    _commit_locally(
        QuadAddition(tuple(in_submission_graph(quad, home) for file in files for quad in parse_file(file))),
        data,
        severity,
        lang,
        how,
    )


@click.command()
@click.argument("files", nargs=-1, required=True, type=_READABLE_FILE)
@click.option("--graph", metavar="GRAPH", help="The graph for statements that name none: an IRI, or a name.")
@_severity_option
@_message_option
@_agent_option
@endpoint_option
@_token_option
@data_option
@language_option
def load(*, files: tuple[Path, ...], graph: str | None, severity: str, data: Path, lang: str, **how: str) -> None:
    """Put RDF FILES in the place of what the graphs that they name hold, through the gate, all of it or nothing."""
    home = None if graph is None else parse_graph_option(graph)
    quads = [quad for file in files for quad in _parse_into_graph(file, home)]
    made = protected_graphs_in(quads)
    if made:
        names = ", ".join(str(graph_name(iri)) for iri in made)
        click.echo(f"left out: {names}; rules make these graphs, or they come with a release", err=True)
    change = MultiGraphReplacement((home,), ()) if home is not None and not quads else replacement_of_graphs(quads)
    if how["endpoint"]:
        client = HttpClient(how["endpoint"], how["token"])
        _print_response(client.load(change, message=how["message"], severity=severity))
        return
    _commit_locally(change, data, severity, lang, how)


def _parse_into_graph(file: Path, home: NamedNode | None) -> list[Quad]:
    """The statements of a file, each in the graph that it is for; raises InputError where that is not said."""
    if home is not None:
        return [in_submission_graph(quad, home) for quad in parse_file(file)]
    if not _format_of(file).supports_datasets:
        raise InputError(f"{file} cannot name a graph; say with --graph which one it is to replace.")
    return parse_file(file)


def _commit_locally(change: ChangeSet, data: Path, severity: str, language: str, how: Mapping[str, str]) -> None:
    terms = WriteOptions(strictness=cast("Strictness", severity))
    _print_outcome(open_commit_pipeline(data).commit(change, Signature(how["agent"], how["message"]), terms), language)


@click.command()
@click.argument("number", type=int)
@_message_option
@_agent_option
@endpoint_option
@_token_option
@data_option
@language_option
def revert(*, number: int, data: Path, lang: str, **how: str) -> None:
    """Undo commit NUMBER by a new commit, through the gate."""
    message = how["message"] or f"Revert commit {number}"
    if how["endpoint"]:
        _print_response(HttpClient(how["endpoint"], how["token"]).revert(number, message))
        return
    _print_outcome(open_commit_pipeline(data).revert(number, Signature(how["agent"], message)), lang)


@click.command()
@click.option("--limit", default=20, show_default=True, help="Commits to list, the newest first.")
@click.option("--verify", is_flag=True, help="Check the hash of every commit and the chain that they form.")
@click.option("--audit", is_flag=True, help="List instead what was noted about tokens, in order.")
@endpoint_option
@_token_option
@data_option
def log(*, limit: int, verify: bool, audit: bool, endpoint: str | None, token: str, data: Path) -> None:
    """List the commits, the newest first."""
    if audit:
        lines = _local_events(data) if endpoint is None else _remote_events(HttpClient(endpoint, token))
    elif endpoint:
        lines = map(_format_commit, _require_success(HttpClient(endpoint).commits(limit)).content["commits"])
    elif verify:
        lines = iter((f"{Journal(data).verify()} commits, every hash fits",))
    else:
        lines = map(_format_summary, Journal(data).list_summaries(None, limit))
    for line in lines:
        click.echo(line)


def _local_events(data: Path) -> Iterator[str]:
    for time, text in Journal(data).events():
        yield f"{time:%Y-%m-%d %H:%M:%S}  {text}"


def _remote_events(client: HttpClient) -> Iterator[str]:
    for event in _require_success(client.events()).content["events"]:
        yield f"{datetime.fromisoformat(event['time']):%Y-%m-%d %H:%M:%S}  {event['text']}"


@click.group()
def shapes() -> None:
    """Tell about the shapes that the gate keeps."""


@shapes.command()
@click.argument("files", nargs=-1, type=_READABLE_FILE)
def explain(files: tuple[Path, ...]) -> None:
    """Say how the gate judges each shape, the project's or those of FILES: by what a change touches, or in full."""
    chosen = (
        read_shapes(quad for file in files for quad in parse_file(file)) if files else data_folder.read_project_shapes()
    )
    for item in IncrementalValidator(chosen).explain():
        constraint = "" if item.constraint is None else f" {term_text(item.constraint)}"
        how = "what a change touches" if item.reason is None else f"in full: {item.reason}"
        click.echo(f"{term_text(item.shape)}{constraint}: {how}")


@click.group()
def token() -> None:
    """Make and revoke the tokens that allow writing over HTTP."""


@token.command()
@click.argument("name")
@click.option("--scope", type=click.Choice(["write", "admin"]), default="write", show_default=True)
@click.option("--graph", "graphs", metavar="IRI", multiple=True, help="Only this graph may be written; repeatable.")
@data_option
def create(name: str, scope: str, graphs: tuple[str, ...], data: Path) -> None:
    """Make a token for NAME and print it: once, since only its hash is kept."""
    journal = Journal(data)
    event = f"token {name!r} was created, scope {scope}{_format_graph_limits(graphs)}"
    try:
        text = CredentialStore(data).create(
            name, cast("TokenScope", scope), graphs or None, lambda: journal.record_event(event)
        )
    except ConfigurationError:
        journal.record_event(f"token {name!r} could not be kept, it opens nothing")
        raise
    click.echo(text)


@token.command("list")
@data_option
def list_tokens(data: Path) -> None:
    """List for whom tokens were made."""
    for item in CredentialStore(data).list_credentials():
        click.echo(f"{item.name}\t{item.scope}\t{item.created}{_format_graph_limits(item.graphs or ())}")


@token.command()
@click.argument("name")
@data_option
def revoke(name: str, data: Path) -> None:
    """Let the token of NAME open nothing any more."""
    CredentialStore(data).revoke(name)
    Journal(data).record_event(f"token {name!r} was revoked")


def _format_graph_limits(graphs: tuple[str, ...]) -> str:
    return f", only {', '.join(f'<{graph}>' for graph in graphs)}" if graphs else ""


def parse_graph_option(text: str) -> NamedNode:
    """The graph that an option means: an IRI, or the name of one of the project's, such as `entities`."""
    try:
        return NamedNode(text if ":" in text else graph_iri(text))
    except ValueError:
        raise InputError(f"<{text}> is no IRI.") from None


def parse_file(file: Path) -> list[Quad]:
    """The statements of a file of RDF, which may be gzipped; what is wrong with it names the file."""
    content, fmt = _read_file(file)
    try:
        return parse(content, fmt, file.resolve().as_uri())
    except RdfSyntaxError as error:
        raise RdfSyntaxError(f"{file}: {error.message}", error.line, error.column) from None


def _format_of(file: Path) -> RdfFormat:
    return rdf_format_of_file(file.name.removesuffix(_GZIP_SUFFIX))


def _read_file(file: Path) -> tuple[bytes, RdfFormat]:
    """What a file holds, unpacked, and its format."""
    fmt, content = _format_of(file), file.read_bytes()
    if not file.name.endswith(_GZIP_SUFFIX):
        return content, fmt
    try:
        return gzip.decompress(content), fmt
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file} is no whole gzip file: {error}") from None


def _print_outcome(outcome: WriteOutcome, language: str) -> None:
    if outcome.report.findings:
        print_findings(outcome.report, language)
    if not outcome.admitted:
        click.echo("refused, nothing was changed", err=True)
        sys.exit(_EXIT_FINDINGS)
    click.echo("nothing to change" if outcome.commit is None else _format_summary(outcome.commit.summary))


def _print_response(answer: ServiceResponse) -> None:
    if answer.is_success:
        commit = answer.content.get("commit")
        click.echo("nothing to change" if commit is None else _format_commit(commit))
        return
    for item in answer.content.get("findings", ()):
        click.echo(f"{item['severity']} {item['focusNode']}: {item['message']}", err=True)
        for suggestion in item["suggestions"]:
            click.echo(f"  → {suggestion['message']}", err=True)
    click.echo(f"{answer.status}: {answer.content.get('detail') or answer.content.get('title', '')}", err=True)
    sys.exit(_EXIT_FINDINGS)


def _require_success(answer: ServiceResponse) -> ServiceResponse:
    """An answer that is no error; of one that is, it is told what."""
    if not answer.is_success:
        _print_response(answer)
    return answer


def _format_summary(item: CommitSummary) -> str:
    return _format_commit({**asdict(item), "time": item.time.isoformat()})


def _format_commit(commit: Mapping[str, Any]) -> str:
    """A commit in one line, here as there."""
    time = datetime.fromisoformat(commit["time"])
    undone = f" (undoes {commit['reverts']})" if commit["reverts"] else ""
    return (
        f"{commit['number']}  {time:%Y-%m-%d %H:%M:%S}  +{commit['added']} −{commit['removed']}  {commit['agent']}  "
        f"{commit['message']}{undone}"
    )

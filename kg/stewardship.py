"""The commands of who changes the graph: add, log, revert and token; on a data folder, or at a running service."""

import sys
from pathlib import Path
from typing import Any, Final, cast

import click
from platformdirs import user_data_path

from kg import build
from kg.client import Answer, Client
from kg.credentials import Credentials, Scope
from kg.delta import Addition
from kg.errors import InputError
from kg.facts import SUBMISSION, Facts, Judge, LocalProposer, Outcome, Signature, Strictness, Terms, placed
from kg.formats import rdf_format_of_file
from kg.gate import read_shapes
from kg.incremental import Gate
from kg.journal import Journal, Summary
from kg.rdf import NamedNode, Quad, parse, term_text
from kg.reports import print_findings

_READABLE_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_FINDINGS: Final = 1
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
_endpoint: Final = click.option("--endpoint", metavar="URL", help="A running service instead of the data folder.")
_token: Final = click.option("--token", envvar="HPKG_TOKEN", default="", help="The token for the service.")
_agent: Final = click.option(
    "--agent", envvar="HPKG_AGENT", default="command line", show_default=True, help="Who signs the commit."
)
_message: Final = click.option("--message", "-m", default="", help="What the change is for.")


def local_facts(data: Path) -> Facts:
    """The facts of a data folder, changed in this process."""
    engine, journal = build.open_or_build(data), Journal(data)
    proposer = LocalProposer(engine, Gate(build.own_shapes()))
    return Facts(proposer, journal, lambda: build.replay(engine, journal))


def local_judge(data: Path) -> Judge:
    """The judge of new facts for a data folder, in this process."""
    engine, shapes = build.open_or_build(data), build.own_shapes()
    return Judge(engine, shapes, LocalProposer(engine, Gate(shapes)))


@click.command()
@click.argument("files", nargs=-1, required=True, type=_READABLE_FILE)
@click.option("--graph", metavar="IRI", help="The graph for statements that name none.")
@click.option(
    "--severity",
    type=click.Choice(["violation", "warning", "info"]),
    default="violation",
    show_default=True,
    help="The least severity that refuses the facts.",
)
@_message
@_agent
@_endpoint
@_token
@data_option
@language_option
def add(*, files: tuple[Path, ...], graph: str | None, severity: str, data: Path, lang: str, **how: str) -> None:
    """Add RDF FILES through the gate, all of them or nothing."""
    if how["endpoint"]:
        client = Client(how["endpoint"], how["token"])
        for file in files:
            media_type = rdf_format_of_file(file.name).media_type
            _tell_answer(client.add(file.read_bytes(), media_type, graph=graph, message=how["message"]))
        return
    home = SUBMISSION if graph is None else _named(graph)
    quads = tuple(placed(quad, home) for file in files for quad in _parsed(file))
    outcome = local_facts(data).write(
        Addition(quads), Signature(how["agent"], how["message"]), Terms(strictness=cast("Strictness", severity))
    )
    _tell(outcome, lang)


@click.command()
@click.argument("number", type=int)
@_message
@_agent
@_endpoint
@_token
@data_option
@language_option
def revert(*, number: int, data: Path, lang: str, **how: str) -> None:
    """Undo commit NUMBER by a new commit, through the gate."""
    message = how["message"] or f"Revert commit {number}"
    if how["endpoint"]:
        _tell_answer(Client(how["endpoint"], how["token"]).revert(number, message))
        return
    _tell(local_facts(data).revert(number, Signature(how["agent"], message)), lang)


@click.command()
@click.option("--limit", default=20, show_default=True, help="Commits to list, the newest first.")
@click.option("--verify", is_flag=True, help="Check the hash of every commit and the chain that they form.")
@_endpoint
@data_option
def log(*, limit: int, verify: bool, endpoint: str | None, data: Path) -> None:
    """List the commits, the newest first."""
    if endpoint:
        _list_answer(Client(endpoint).commits(limit))
        return
    journal = Journal(data)
    if verify:
        click.echo(f"{journal.verify()} commits, every hash fits")
        return
    for item in journal.page(None, limit):
        click.echo(_line(item))


@click.group()
def shapes() -> None:
    """Tell about the shapes that the gate keeps."""


@shapes.command()
@click.argument("files", nargs=-1, type=_READABLE_FILE)
def explain(files: tuple[Path, ...]) -> None:
    """Say how the gate judges each shape, the project's or those of FILES: by what a change touches, or in full."""
    chosen = read_shapes(quad for file in files for quad in _parsed(file)) if files else build.own_shapes()
    for item in Gate(chosen).explain():
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
    text = Credentials(data).create(name, cast("Scope", scope), graphs or None)
    Journal(data).note(f"token {name!r} was created, scope {scope}{_limits(graphs)}")
    click.echo(text)


@token.command("list")
@data_option
def list_tokens(data: Path) -> None:
    """List for whom tokens were made."""
    for item in Credentials(data).all():
        click.echo(f"{item.name}\t{item.scope}\t{item.created}{_limits(item.graphs or ())}")


@token.command()
@click.argument("name")
@data_option
def revoke(name: str, data: Path) -> None:
    """Let the token of NAME open nothing any more."""
    Credentials(data).revoke(name)
    Journal(data).note(f"token {name!r} was revoked")


def _limits(graphs: tuple[str, ...]) -> str:
    return f", only {', '.join(f'<{graph}>' for graph in graphs)}" if graphs else ""


def _named(graph: str) -> NamedNode:
    try:
        return NamedNode(graph)
    except ValueError:
        raise InputError(f"<{graph}> is no IRI.") from None


def _parsed(file: Path) -> list[Quad]:
    return parse(file.read_bytes(), rdf_format_of_file(file.name), file.resolve().as_uri())


def _tell(outcome: Outcome, language: str) -> None:
    if outcome.report.findings:
        print_findings(outcome.report, language)
    if not outcome.admitted:
        click.echo("refused, nothing was changed", err=True)
        sys.exit(_FINDINGS)
    click.echo("nothing to change" if outcome.commit is None else _line(outcome.commit.summary))


def _tell_answer(answer: Answer) -> None:
    if answer.good:
        commit = answer.content.get("commit")
        click.echo("nothing to change" if commit is None else _row(commit))
        return
    for item in answer.content.get("findings", ()):
        click.echo(f"{item['severity']} {item['focusNode']}: {item['message']}", err=True)
        for suggestion in item["suggestions"]:
            click.echo(f"  → {suggestion['message']}", err=True)
    click.echo(f"{answer.status}: {answer.content.get('detail') or answer.content.get('title', '')}", err=True)
    sys.exit(_FINDINGS)


def _list_answer(answer: Answer) -> None:
    if not answer.good:
        _tell_answer(answer)
    for commit in answer.content["commits"]:
        click.echo(_row(commit))


def _line(item: Summary) -> str:
    undone = f" (undoes {item.reverts})" if item.reverts else ""
    return (
        f"{item.number}  {item.time:%Y-%m-%d %H:%M:%S}  +{item.added} −{item.removed}  {item.agent}  "
        f"{item.message}{undone}"
    )


def _row(commit: dict[str, Any]) -> str:
    time = commit["time"].replace("T", " ").removesuffix("+00:00")
    return (
        f"{commit['number']}  {time}  +{commit['added']} −{commit['removed']}  {commit['agent']}  {commit['message']}"
    )

"""The commands that create, list and revoke tokens."""

from pathlib import Path
from typing import cast

import click

from kg.changes.credentials import CredentialStore, TokenScope
from kg.changes.journal import Journal
from kg.cli.options import data_option
from kg.errors import ConfigurationError


@click.group()
def token() -> None:
    """Create, list and revoke the tokens that allow writing over HTTP."""


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["write", "admin"]),
    default="write",
    show_default=True,
    help="write changes the graph and undoes its own changes; admin undoes those of others too and reads the audit.",
)
@click.option("--graph", "graphs", metavar="IRI", multiple=True, help="Allow writing this graph only; repeatable.")
@data_option
def create(name: str, scope: str, graphs: tuple[str, ...], data: Path) -> None:
    """Create a token for NAME and print it. It is shown once: only its hash is stored."""
    journal = Journal(data)
    event = f"token {name!r} was created, scope {scope}{_format_graph_limits(graphs)}"
    try:
        text = CredentialStore(data).create(
            name, cast("TokenScope", scope), graphs or None, lambda: journal.record_event(event)
        )
    except ConfigurationError:
        journal.record_event(f"token {name!r} could not be stored, it opens nothing")
        raise
    click.echo(text)


@token.command("list")
@data_option
def list_tokens(data: Path) -> None:
    """List the tokens: name, scope, time of creation."""
    for item in CredentialStore(data).list_credentials():
        click.echo(f"{item.name}\t{item.scope}\t{item.created}{_format_graph_limits(item.graphs or ())}")


@token.command()
@click.argument("name")
@data_option
def revoke(name: str, data: Path) -> None:
    """Revoke the token of NAME."""
    CredentialStore(data).revoke(name)
    Journal(data).record_event(f"token {name!r} was revoked")


def _format_graph_limits(graphs: tuple[str, ...]) -> str:
    return f", only {', '.join(f'<{graph}>' for graph in graphs)}" if graphs else ""

"""The command that lists commits and audit events: log."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from kg.changes.journal import Journal
from kg.cli.http_client import HttpClient
from kg.cli.options import data_option, endpoint_option, token_option
from kg.cli.printing import format_commit, format_summary, require_success


@click.command()
@click.option("--limit", default=20, show_default=True, help="The number of commits to list.")
@click.option("--verify", is_flag=True, help="Verify the hash of every commit and the chain that they form.")
@click.option("--audit", is_flag=True, help="List the events about tokens instead, the oldest first.")
@endpoint_option
@token_option
@data_option
def log(*, limit: int, verify: bool, audit: bool, endpoint: str | None, token: str, data: Path) -> None:
    """List the commits, the newest first."""
    if audit:
        events = Journal(data).events() if endpoint is None else _remote_events(HttpClient(endpoint, token))
        lines: Iterator[str] = (f"{time:%Y-%m-%d %H:%M:%S}  {text}" for time, text in events)
    elif endpoint:
        lines = map(format_commit, require_success(HttpClient(endpoint).commits(limit)).content["commits"])
    elif verify:
        lines = iter((f"{Journal(data).verify()} commits, every hash fits",))
    else:
        lines = map(format_summary, Journal(data).list_summaries(None, limit))
    for line in lines:
        click.echo(line)


def _remote_events(client: HttpClient) -> Iterator[tuple[datetime, str]]:
    for event in require_success(client.events()).content["events"]:
        yield datetime.fromisoformat(event["time"]), event["text"]

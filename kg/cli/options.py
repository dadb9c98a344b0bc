"""Options that several commands share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from platformdirs import user_data_path

from kg.changes.commit import Signature
from kg.cli.http_client import HttpClient

READABLE_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)

data_option: Final = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: user_data_path("haiphong-kg"),
    show_default="the user's own data folder",
    envvar="HPKG_DATA",
    help="The data folder.",
)
language_option: Final = click.option(
    "--lang", type=click.Choice(["vi", "en"]), default="en", show_default=True, help="The language of messages."
)
endpoint_option: Final = click.option(
    "--endpoint", metavar="URL", help="Use the running service at this address instead of the data folder."
)
token_option: Final = click.option(
    "--token", envvar="HPKG_TOKEN", default="", help="The token for the service at --endpoint."
)
agent_option: Final = click.option(
    "--agent", envvar="HPKG_AGENT", default="command line", show_default=True, help="The name that signs the commit."
)
message_option: Final = click.option("--message", "-m", default="", help="The reason for the change.")
severity_option: Final = click.option(
    "--severity",
    type=click.Choice(["violation", "warning", "info"]),
    default="violation",
    show_default=True,
    help="Refuse the change if there are findings of this severity or worse.",
)
graph_option: Final = click.option(
    "--graph", metavar="GRAPH", help="The graph of statements that name none: an IRI, or a name such as entities."
)


def write_target_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a command that writes: those of a WriteTarget, and the language."""
    for option in (language_option, data_option, token_option, endpoint_option, agent_option, message_option):
        command = option(command)
    return command


@dataclass(frozen=True)
class WriteTarget:
    """Where a change goes and who signs it: the service at `endpoint` where there is one, else the data folder."""

    data: Path
    endpoint: str | None
    token: str
    agent: str
    message: str

    @property
    def client(self) -> HttpClient | None:
        """A client of the service, or None for the data folder."""
        return HttpClient(self.endpoint, self.token) if self.endpoint else None

    def signature(self, default_message: str = "") -> Signature:
        """The author and the message of a local commit."""
        return Signature(self.agent, self.message or default_message)

"""The command group `hpkg`. Each command calls kg and prints. Exit codes: 0 good, 1 findings, 2 wrong usage."""

import click

from kg.cli import check_commands, history_commands, read_commands, serve, token_commands, write_commands
from kg.errors import KgError


class _CommandGroup(click.Group):
    """Report errors of kg as one line on standard error, with exit code 2."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KgError as error:
            raise click.UsageError(str(error)) from error


@click.group(cls=_CommandGroup)
@click.version_option(package_name="haiphong-kg")
def main() -> None:
    """Build, check, query, change and serve the knowledge graph of Hải Phòng's economic zones."""


for command in (
    check_commands.build,
    check_commands.validate,
    check_commands.shapes,
    check_commands.fmt,
    read_commands.query,
    read_commands.dump,
    read_commands.evidence,
    write_commands.add,
    write_commands.load,
    write_commands.revert,
    history_commands.log,
    token_commands.token,
    serve.serve,
):
    main.add_command(command)

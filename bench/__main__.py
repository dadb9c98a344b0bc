"""Print every measured figure beside its budget."""

import platform
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from bench import article


def main() -> None:
    console = Console()
    now = datetime.now(UTC).date().isoformat()
    console.print(f"{now}, Python {platform.python_version()}, {platform.machine()}", highlight=False)
    table = Table("measured", "value", "budget")
    for row in article.measure():
        table.add_row(*row)
    console.print(table)


main()

"""Print every measured figure beside its budget and its peers; `python -m bench --help` says how to choose."""

import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import psutil
from rich.console import Console

from bench import article, read, search
from bench.generate import SIZES, write_folder
from bench.report import Row, table

ARTICLE = "article"
SEARCH = "search"
NAMES = (ARTICLE, *read.ROWS, SEARCH)


@click.command()
@click.option("--size", "sizes", multiple=True, type=click.Choice(list(SIZES)), help="Sizes; by default 100k and 1M.")
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Rows; by default all.")
@click.option("--quick", is_flag=True, help="One round of one second each: shows that it runs, not how fast.")
def main(sizes: tuple[str, ...], only: tuple[str, ...], quick: bool) -> None:
    """Measure the budgets beside peers in the same run."""
    console, began = Console(width=None if sys.stdout.isatty() else 140), time.perf_counter()
    console.print(machine(), highlight=False, soft_wrap=True)
    chosen = only or NAMES
    if ARTICLE in chosen:
        console.print(table("The article's graph", article.measure()))
    rows = [name for name in read.ROWS if name in chosen]
    for size in sizes or ("100k", "1M"):
        if rows:
            _measure(console, size, rows, read.QUICK if quick else read.THOROUGH)
    if SEARCH in chosen:
        console.print(table("Names", search.measure(quick=quick)))
    console.print(f"{time.perf_counter() - began:.0f} s in all", highlight=False)


def _measure(console: Console, size: str, names: list[str], effort: read.Effort) -> None:
    with tempfile.TemporaryDirectory(prefix="hpkg-bench-") as folder:
        dataset = write_folder(Path(folder), SIZES[size])
        title = f"{dataset.triples:,} triples, {dataset.zones:,} synthetic zones"
        rows = list[Row]()
        with read.Bench(dataset, effort) as bench:
            for name in names:
                with console.status(f"{size}: {name} …"):
                    rows.extend(_measured(name, bench))
        console.print(table(title, rows))


def _measured(name: str, bench: read.Bench) -> Iterator[Row]:
    """Measure the rows of one name; a server that fails under load fails its own rows only."""
    try:
        yield from read.ROWS[name](bench)
    except RuntimeError as error:
        yield Row(name, f"failed: {error}", met=False)


def machine() -> str:
    """Describe the day and the machine in one line, since figures depend on them."""
    memory = psutil.virtual_memory().total / 2**30
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    day = datetime.now(UTC).date().isoformat()
    return f"{day}, Python {platform.python_version()}, {psutil.cpu_count()} × {model}, {memory:.0f} GiB"


if __name__ == "__main__":
    main()

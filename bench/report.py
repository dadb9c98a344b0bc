"""A measured figure with its peer and its budget, and a table of such figures."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True)
class Row:
    """A line of the table: `ratio` compares the value with the peer's; `met` is None if there is no budget."""

    what: str
    value: str
    peer: str = ""
    ratio: str = ""
    budget: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        verdict = {True: "[green]yes[/]", False: "[bold red]no[/]", None: ""}[self.met]
        return self.what, self.value, self.peer, self.ratio, self.budget, verdict


def table(title: str, rows: Iterable[Row]) -> Table:
    """Return the rows as a table for a terminal; output to a pipe has no colours."""
    made = Table(title=title, title_justify="left")
    made.add_column("measured", overflow="fold", ratio=3)
    for name in ("value", "peer", "ratio", "budget"):
        made.add_column(name, justify="right", overflow="fold", ratio=2)
    made.add_column("met")
    for row in rows:
        made.add_row(*row.cells())
    return made


def at_least(what: str, value: float, peer: float, budget: float | None, name: str) -> Row:
    """Return a row of two rates in answers per second; value ÷ peer must be at least the budget, if there is one."""
    ratio = value / peer
    return Row(
        what,
        f"{value:,.0f}/s",
        f"{peer:,.0f}/s ({name})",
        f"{ratio:.2f}",
        "" if budget is None else f"≥ {budget:g} ×",
        None if budget is None else ratio >= budget,
    )


def at_most(what: str, value: float, peer: float, budget: float | None, name: str) -> Row:
    """Return a row of two times in seconds; value ÷ peer must be at most the budget, if there is one."""
    ratio = value / peer
    return Row(
        what,
        milliseconds(value),
        f"{milliseconds(peer)} ({name})",
        f"{ratio:.2f}",
        "" if budget is None else f"≤ {budget:g} ×",
        None if budget is None else ratio <= budget,
    )


def skipped(what: str, reason: str) -> Row:
    """Return a row for a figure that could not be measured."""
    return Row(what, f"skipped: {reason}")


def milliseconds(seconds: float) -> str:
    """Format a time in milliseconds, with one decimal below 100; infinite means no answer in time."""
    if math.isinf(seconds):
        return "no answer"
    shown = 1000 * seconds
    return f"{shown:,.1f} ms" if shown < 100 else f"{shown:,.0f} ms"

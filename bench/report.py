"""A measured figure beside its peer's and its budget, and how a table of them looks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One line: `ratio` compares the value with the peer's; `met` is None where there is nothing to judge."""

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
    """The rows as a table for a terminal; a pipe gets the same without colours."""
    made = Table(title=title, title_justify="left")
    made.add_column("measured", overflow="fold", ratio=3)
    for name in ("value", "peer", "ratio", "budget"):
        made.add_column(name, justify="right", overflow="fold", ratio=2)
    made.add_column("met")
    for row in rows:
        made.add_row(*row.cells())
    return made


def at_least(what: str, value: float, peer: float, budget: float | None, name: str) -> Row:
    """A row of two rates in answers a second, where more is better: value ÷ peer must reach the budget, if any."""
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
    """A row of two times in seconds, where less is better: value ÷ peer must not pass the budget, if any."""
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
    """A row for what could not be measured here."""
    return Row(what, f"skipped: {reason}")


def milliseconds(seconds: float) -> str:
    """A time in milliseconds, with one decimal below 100; infinite means that there was no answer in time."""
    if math.isinf(seconds):
        return "no answer"
    shown = 1000 * seconds
    return f"{shown:,.1f} ms" if shown < 100 else f"{shown:,.0f} ms"

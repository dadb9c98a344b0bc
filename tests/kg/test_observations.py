"""The figures that the graph holds."""

from decimal import Decimal

import pytest

from kg.build import Build
from kg.observations import observations
from kg.rdf import NamedNode
from kg.terms import ID

CLAIM = ID + "claim/dnhn-94474/"


def test_every_figure_of_the_article_is_there(built: Build) -> None:
    found = {item.claim: item for item in observations(built.engine, {})}
    assert len([claim for claim in found if claim.startswith(CLAIM) and found[claim].low != found[claim].high]) == 5
    fdi = found[CLAIM + "fdi-2024"]
    assert (fdi.low, fdi.high, fdi.speakers) == (Decimal(4350000000), Decimal(4350000000), (ID + "org/heza",))
    assert found[CLAIM + "fdi-term-forecast"].emended
    assert found[CLAIM + "fdi-2024-percent-of-plan"].ratio_of == CLAIM + "fdi-2024"


def test_the_newest_period_comes_first_and_what_has_none_last(built: Build) -> None:
    starts = [item.starts for item in observations(built.engine, {})]
    known = [start for start in starts if start]
    assert known == sorted(known, reverse=True)
    assert starts[len(known) :] == [None] * (len(starts) - len(known))


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"status": "status/forecast"}, 2),
        ({"indicator": "indicator/area", "period": "period/2025"}, 1),
        ({"about": "x"}, 0),
    ],
)
def test_figures_are_filtered(built: Build, filters: dict[str, str], count: int) -> None:
    nodes = {name: NamedNode(ID + iri) for name, iri in filters.items()}
    assert len(observations(built.engine, nodes)) == count


def test_figures_come_in_pages(built: Build) -> None:
    whole = {item.claim for item in observations(built.engine, {})}
    pages = [{item.claim for item in observations(built.engine, {}, first, 10)} for first in range(0, 40, 10)]
    assert set().union(*pages) == whole
    assert sum(map(len, pages)) == len(whole)

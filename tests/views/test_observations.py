"""Observations: the figures that the graph holds."""

from decimal import Decimal

import pytest

from kg.changes.data_folder import BuiltGraph
from kg.rdf.namespaces import ID
from kg.rdf.terms import NamedNode
from kg.views.observations import FILTER_NAMES, filter_choices, find_observations, load_page

CLAIM = ID + "claim/dnhn-94474/"


def test_all_figures_of_the_article(built: BuiltGraph) -> None:
    found = {item.claim: item for item in find_observations(built.engine, {})}
    assert len([claim for claim in found if claim.startswith(CLAIM) and found[claim].low != found[claim].high]) == 5
    fdi = found[CLAIM + "fdi-2024"]
    assert (fdi.low, fdi.high, fdi.speakers) == (Decimal(4350000000), Decimal(4350000000), (ID + "org/heza",))
    assert found[CLAIM + "fdi-term-forecast"].emended
    assert found[CLAIM + "fdi-2024-percent-of-plan"].ratio_of == CLAIM + "fdi-2024"


def test_the_newest_period_comes_first_and_no_period_last(built: BuiltGraph) -> None:
    starts = [item.period_start for item in find_observations(built.engine, {})]
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
def test_observations_are_filtered(built: BuiltGraph, filters: dict[str, str], count: int) -> None:
    nodes = {name: NamedNode(ID + iri) for name, iri in filters.items()}
    assert len(find_observations(built.engine, nodes)) == count


def test_observations_are_paged(built: BuiltGraph) -> None:
    whole = {item.claim for item in find_observations(built.engine, {})}
    pages = [{item.claim for item in find_observations(built.engine, {}, first, 10)} for first in range(0, 40, 10)]
    assert set().union(*pages) == whole
    assert sum(map(len, pages)) == len(whole)


def test_a_small_selection_is_sorted_before_paging(built: BuiltGraph) -> None:
    whole = find_observations(built.engine, {})
    first, second = load_page(built.engine, {}, 1, 20), load_page(built.engine, {}, 2, 20)
    assert [*first.items, *second.items] == whole
    assert (first.total, first.has_more, second.has_more) == (len(whole), True, False)
    assert load_page(built.engine, {}, 9, 20).items == ()


def test_a_large_selection_is_paged_in_the_engines_order(built: BuiltGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.views.observations.MAX_SORTED_FOR_PAGES", 5)
    whole = {item.claim for item in find_observations(built.engine, {})}
    pages = [load_page(built.engine, {}, number, 10) for number in (1, 2, 3)]
    assert {item.claim for part in pages for item in part.items} == whole
    assert [(part.total, part.has_more) for part in pages] == [(None, True), (None, True), (None, False)]
    monkeypatch.setattr("kg.views.observations.MAX_OFFSET", 10)
    assert [load_page(built.engine, {}, number, 10).has_more for number in (1, 2)] == [True, False]
    assert load_page(built.engine, {}, 3, 10).items == ()


@pytest.mark.parametrize("name", FILTER_NAMES)
def test_each_choice_selects_something(built: BuiltGraph, name: str) -> None:
    found = filter_choices(built.engine, name, 100)
    assert len(found) >= 3
    assert all(find_observations(built.engine, {name: node}) for node in found)
    assert len(filter_choices(built.engine, name, 2)) == 2

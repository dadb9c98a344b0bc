"""Amounts in each language, in short and in full."""

from dataclasses import replace
from decimal import Decimal

import pytest

from kg.rdf.namespaces import ID, PREFIXES
from kg.views.observations import Observation
from service.presentation.number_format import exact_amount, short_amount


def figure(low: str | None, high: str | None, unit: str, qualifier: str = "exact") -> Observation:
    bounds = [None if bound is None else Decimal(bound) for bound in (low, high)]
    return Observation(
        "urn:claim", "urn:about", "urn:indicator", PREFIXES["unit"] + unit, None, None, None,
        f"{ID}qualifier/{qualifier}", *bounds,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("item", "vietnamese", "english"),
    [
        (figure("4350000000", "4350000000", "CCY_USD"), "4,35 tỷ USD", "US$4.35 billion"),
        (figure("12350000000000", "12350000000000", "CCY_VND"), "12,35 nghìn tỷ đồng", "12.35 trillion dong"),
        (figure("20000", None, "HA", "more-than"), "hơn 20.000 ha", "more than 20,000 ha"),
        (figure(None, "80", "PERCENT", "up-to"), "tới 80%", "up to 80%"),
        (figure("2000000000", "2500000000", "CCY_USD", "range"), "2–2,5 tỷ USD", "US$2–2.5 billion"),
        (figure("900000000", "2e9", "CCY_USD", "range"), "900 triệu–2 tỷ USD", "US$900 million–2 billion"),
        (figure("30", "50", "PERCENT", "range"), "30–50%", "30–50%"),
        (figure("15", "26", "PERCENT", "trend"), "15 → 26%", "15 → 26%"),
        (figure("85.0746268656", "85.0746268656", "PERCENT"), "85,07%", "85.07%"),
        (figure("-5700000000", "-5700000000", "CCY_USD"), "-5,7 tỷ USD", "US$-5.7 billion"),
        (figure("15", "15", "NUM"), "15", "15"),
        (figure(None, None, "CCY_USD"), "", ""),
    ],
)
def test_short_amounts(item: Observation, vietnamese: str, english: str) -> None:
    assert (short_amount(item, "vi"), short_amount(item, "en")) == (vietnamese, english)


def test_stated_amounts_keep_all_digits() -> None:
    item = figure("1797520661.157024", "1797520661.157024", "CCY_USD")
    assert exact_amount(item, "vi") == "1.797.520.661,157024 USD"
    assert exact_amount(item, "en") == "US$1,797,520,661.157024"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        ("1797520661.157024", "1797520661.157024", "1.797.520.661 ha"),
        ("85.0746268656", "85.0746268656", "85,07 ha"),
        ("999999.126", "1000000.126", "999.999–1.000.000 ha"),
        ("1.005", None, "1 ha"),
    ],
)
def test_computed_amounts_are_rounded(low: str, high: str | None, text: str) -> None:
    assert exact_amount(replace(figure(low, high, "HA"), rule="urn:rule"), "vi") == text

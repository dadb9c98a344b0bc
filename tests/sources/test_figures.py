from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.sources.figures import Figure, read_figures

UNIT = "http://qudt.org/vocab/unit/"
SCALES = {"": 1, "nghìn ": 10**3, "triệu ": 10**6, "tỷ ": 10**9, "tỉ ": 10**9, "nghìn tỷ ": 10**12}
UNITS = {"USD": "CCY_USD", "đồng": "CCY_VND", "%": "PERCENT", "ha": "HA", "KCN": "NUM"}


def vietnamese(number: Decimal) -> str:
    """Format a number in Vietnamese notation: dots between thousands, a comma before decimals."""
    return f"{number:,f}".replace(",", " ").replace(".", ",").replace(" ", ".")


@pytest.mark.parametrize(
    ("text", "low", "high", "unit"),
    [
        ("4,35 tỷ USD", "4350000000", "4350000000", "CCY_USD"),
        ("2 - 2,5 tỷ USD", "2000000000", "2500000000", "CCY_USD"),
        ("2.608,66 triệu đồng", "2608660000", "2608660000", "CCY_VND"),
        ("12.350 tỷ đồng", "12350000000000", "12350000000000", "CCY_VND"),
        ("30 – 50%", "30", "50", "PERCENT"),
        ("242% kế hoạch năm", "242", "242", "PERCENT"),
        ("hơn 20.000 ha", "20000", "20000", "HA"),
        ("15 KCN mới", "15", "15", "NUM"),
        ("17 USD", "17", "17", "CCY_USD"),
        ("1.234 nghìn tỷ đồng", "1234000000000000", "1234000000000000", "CCY_VND"),
    ],
)
def test_reads_figures(text: str, low: str, high: str, unit: str) -> None:
    assert read_figures(text) == [Figure(Decimal(low), Decimal(high), UNIT + unit)]


@pytest.mark.parametrize("text", ["", "năm 2024", "USD", "3 hats", "1.23.4 USDT", "đồng 5"])
def test_reads_nothing_where_no_figure_is(text: str) -> None:
    assert read_figures(text) == []


numbers = st.decimals(min_value=0, max_value=10**9, places=2) | st.integers(0, 10**12).map(Decimal)


@given(numbers, st.sampled_from(sorted(SCALES)), st.sampled_from(sorted(UNITS)))
def test_reads_what_was_written(number: Decimal, scale: str, unit: str) -> None:
    value = number * SCALES[scale]
    assert read_figures(f"{vietnamese(number)} {scale}{unit}") == [Figure(value, value, UNIT + UNITS[unit])]


@given(numbers, numbers, st.sampled_from([" - ", "-", " – ", "–"]), st.sampled_from(sorted(UNITS)))
def test_reads_ranges(low: Decimal, high: Decimal, dash: str, unit: str) -> None:
    text = f"tăng {vietnamese(low)}{dash}{vietnamese(high)} {unit}."
    assert read_figures(text) == [Figure(low, high, UNIT + UNITS[unit])]


@given(st.text())
def test_never_fails(text: str) -> None:
    for figure in read_figures(text):
        assert figure.unit.startswith(UNIT)

"""Bar charts: their layout, and the SVG that the template draws from it."""

import re
from collections.abc import Sequence
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment, PackageLoader

from service.presentation.bar_chart import CHART_WIDTH, Bar, layout_bar_chart

MACROS = Environment(loader=PackageLoader("service"), autoescape=True).get_template("figures/bar_chart.html").module
ELEMENTS = {"svg", "title", "desc", "g", "rect", "line", "text"}
HOSTILE = ["<script>alert(1)</script>", "]]>", "\"'><img onerror=x>", "&amp;&#0;", "\x00\x1b\ud800\ufffe", "${x}", "\n"]
BILLION = Decimal(10**9)
FDI = Bar("Vốn FDI thu hút", 4 * BILLION, 4 * BILLION, "4 tỷ USD", "actual", 2 * BILLION, "Kế hoạch: 2 tỷ USD")
TARGET = Bar("Mục tiêu", 2 * BILLION, Decimal(25 * 10**8), "2–2,5 tỷ USD", "target")
AREA = Bar("Diện tích", Decimal(20000), None, "hơn 20.000 ha", "plan")
BALANCE = Bar("Cán cân", -3 * BILLION, -3 * BILLION, "-3 tỷ USD", "estimate")


def render_bar_chart(title: str, description: str, bars: Sequence[Bar]) -> str:
    return str(MACROS.bar_chart(layout_bar_chart(title, description, bars)))  # type: ignore[attr-defined] # a macro


def tree(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - drawn by the template


def texts(svg: str) -> list[str | None]:
    return [element.text for element in tree(svg).iter("text")]


def boxes(svg: str) -> list[tuple[float, float]]:
    """The left edge and the width of each bar."""
    return [(float(bar.attrib["x"]), float(bar.attrib["width"])) for bar in tree(svg).iter("rect")]


def ids(svg: str) -> list[str]:
    return [element.attrib["id"] for element in tree(svg).iter() if "id" in element.attrib]


def assert_harmless(svg: str) -> None:
    root = tree(svg)
    assert {element.tag for element in root.iter()} <= ELEMENTS
    names = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in names if name == "style" or name.startswith("on") or "href" in name]
    assert not re.search(r"https?://|url\(", svg)


def test_a_chart_has_labels_amounts_and_descriptions() -> None:
    svg = render_bar_chart("Tiền năm 2024", "Vốn FDI: 4 tỷ USD.", [FDI, TARGET])
    root = tree(svg)
    assert root.get("role") == "img"
    assert [root.find(tag).text for tag in ("title", "desc")] == ["Tiền năm 2024", "Vốn FDI: 4 tỷ USD."]  # type: ignore[union-attr]
    assert [root.get("aria-labelledby"), root.get("aria-describedby")] == ids(svg)
    assert {FDI.label, FDI.text, FDI.plan_text, TARGET.label, TARGET.text} == set(texts(svg))
    labels = [element.get("aria-label") for element in root.iter() if element.get("aria-label")]
    assert labels == ["Vốn FDI thu hút: 4 tỷ USD", "Mục tiêu: 2–2,5 tỷ USD"]
    assert_harmless(svg)


def test_colours_are_variables_of_the_style_sheet() -> None:
    svg = render_bar_chart("x", "y", [FDI, TARGET, Bar("?", Decimal(1), Decimal(1), "1", "</style>")])
    colours = {value for name in ("fill", "stroke") for value in re.findall(f'{name}="([^"]+)"', svg)}
    names = ("actual", "target", "plan", "ink", "soft", "paper")
    assert colours == {f"var(--{name})" for name in names}


def test_bars_are_proportional_to_their_numbers() -> None:
    half = Bar("half", 2 * BILLION, 2 * BILLION, "2 tỷ USD", "plan")
    (zero, whole), (_, shorter) = boxes(render_bar_chart("x", "y", [FDI, half]))
    assert shorter == pytest.approx(whole / 2, abs=0.2)
    assert zero + whole < CHART_WIDTH


def test_a_range_is_drawn_from_its_lower_to_its_upper_bound() -> None:
    (zero, whole), (start, width) = boxes(render_bar_chart("x", "y", [FDI, TARGET]))
    assert start - zero == pytest.approx(whole / 2, abs=0.2)
    assert width == pytest.approx(whole / 8, abs=0.2)


@pytest.mark.parametrize(("bar", "count"), [(AREA, 1), (BALANCE, 1), (Bar("?", None, None, "chưa rõ"), 0)])
def test_bars_of_open_negative_and_unknown_numbers(bar: Bar, count: int) -> None:
    svg = render_bar_chart("x", "y", [bar])
    assert len(boxes(svg)) == count
    assert bar.text in texts(svg)
    assert all(start >= 0 and start + width <= CHART_WIDTH for start, width in boxes(svg))


def test_a_zero_and_an_empty_chart() -> None:
    assert texts(render_bar_chart("x", "y", [Bar("none", Decimal(0), Decimal(0), "0")])) == ["none", "0"]
    assert texts(render_bar_chart("x", "y", [])) == []


def test_a_long_label_is_wrapped_and_cut() -> None:
    svg = render_bar_chart("x", "y", [Bar("một " * 2000, Decimal(1), Decimal(1), "1")])
    lines = texts(svg)[:-1]
    assert len(lines) == 3
    assert str(lines[-1]).endswith("…")


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels_are_escaped(label: str) -> None:
    hostile = Bar(label, Decimal(1), Decimal(1), label, label, Decimal(2), label)
    assert_harmless(render_bar_chart(label, label, [hostile]))


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=120), st.text(max_size=30), st.decimals(-(10**30), 10**30, places=3))
def test_any_label_and_number(label: str, text: str, number: Decimal) -> None:
    svg = render_bar_chart(label, text, [Bar(label, number, None, text, "actual"), FDI])
    assert_harmless(svg)
    assert all(start >= -0.2 and start + width <= CHART_WIDTH for start, width in boxes(svg))


def test_charts_of_one_page_have_different_ids() -> None:
    charts = [
        render_bar_chart("x", "y", [FDI]),
        render_bar_chart("x", "z", [FDI]),
        render_bar_chart("x", "y", [TARGET]),
        render_bar_chart("z", "y", [FDI]),
    ]
    found = [name for svg in charts for name in ids(svg)]
    assert len(found) == len(set(found)) == 8


def test_a_chart_is_the_same_each_time() -> None:
    assert render_bar_chart("x", "y", [FDI, TARGET]) == render_bar_chart("x", "y", (FDI, TARGET))

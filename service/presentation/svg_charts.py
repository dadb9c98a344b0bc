"""Figures as charts: SVG to stand within a page, drawn by Vega-Lite.

Colours are variables of the page's style (`var(--actual)`), so that a chart follows its theme. What comes out is text,
shapes and what they are called, nothing that a strict content policy forbids: no styles, scripts or references.
"""

import json
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from textwrap import wrap
from typing import Any, Final
from xml.etree.ElementTree import Element, fromstring, tostring

CHART_WIDTH: Final = 400
"""Pixels of a chart, which a phone shows nearly as they are."""
COLOURED_STATUSES: Final = frozenset({"actual", "estimate", "plan", "target", "forecast"})
"""The statuses that have a colour of their own."""

_LINE_HEIGHT: Final = 20
_BAR_HEIGHT: Final = 16
_BAR_GAP: Final = 14
_FONT_SIZE: Final = 15
_SMALL_FONT_SIZE: Final = 13
_LETTER_WIDTH: Final = 0.58
"""Width of a letter of a font without serifs, on the average and rather too much, as a share of the font size."""
_MAX_LABEL_LINES: Final = 3
"""Lines of a label at most."""
_TEXT_MARGIN: Final = 6
_MIN_LONGEST_BAR: Final = 90
"""Pixels that the longest bar has at least, however long the texts beside the bars are."""
_ALLOWED_ATTRIBUTES: Final = frozenset({
    "aria-hidden", "aria-label", "class", "d", "fill", "font-family", "font-size", "font-weight", "height", "stroke",
    "stroke-width", "text-anchor", "transform", "viewBox", "width", "x1", "x2", "y1", "y2",
})  # fmt: skip
_ALLOWED_ELEMENTS: Final = frozenset({"svg", "g", "path", "line", "text"})
_BACKGROUND_CLASSES: Final = {"background", "foreground"}
_render_lock: Final = threading.Lock()


@dataclass(frozen=True)
class Bar:
    """A figure as a bar: from zero to a number, or from `low` to `high` where they differ; None is an open bound.

    `label`, `text` (the amount) and `said` (all of it, for readers who hear the chart) are in the reader's language.
    `status` is the last part of the status's IRI, such as `actual`. A `plan` is drawn as a mark across the bar, with
    `plan_text` beneath it.
    """

    label: str
    low: Decimal | None
    high: Decimal | None
    text: str
    status: str | None = None
    plan: Decimal | None = None
    plan_text: str = ""
    description: str = ""

    @property
    def extent(self) -> tuple[Decimal, Decimal] | None:
        """Where the bar begins and ends, None if the figure has no number."""
        known = [bound for bound in (self.low, self.high) if bound is not None]
        if not known:
            return None
        known = known if len(set(known)) > 1 else [Decimal(0), *known]
        return min(known), max(known)

    @property
    def max_value(self) -> Decimal:
        """How far right the bar and its plan go."""
        ends = self.extent or (Decimal(0), Decimal(0))
        return ends[1] if self.plan is None else max(ends[1], self.plan)


def render_bar_chart(title: str, description: str, bars: Sequence[Bar]) -> str:
    """Draw figures of one unit as horizontal bars, in their order, each beneath its label and with its amount.

    `title` names the chart and `description` says its figures in words, both for readers who do not see it. The same
    chart must not stand twice in one page, since its parts would have the same ids.
    """
    specification = json.dumps(_vega_lite_specification(bars), ensure_ascii=False)
    return _add_title_and_description(_render_svg(specification), _clean_text(title), _clean_text(description))


def _add_title_and_description(svg: str, title: str, description: str) -> str:
    """Give a chart its name and description, under ids that no other chart has."""
    name = "chart-" + blake2b(repr((svg, title, description)).encode(), digest_size=6).hexdigest()
    root = fromstring(svg)  # noqa: S314 - written by `_drawn`
    for tag, text in (("desc", description), ("title", title)):
        part = Element(tag, {"id": f"{name}-{tag}"})
        part.text = text
        root.insert(0, part)
    names = {"aria-labelledby": f"{name}-title", "aria-describedby": f"{name}-desc"}
    root.attrib |= {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **names}
    return tostring(root, encoding="unicode")


@lru_cache(maxsize=256)
def _render_svg(specification: str) -> str:
    """The chart of a specification of Vega-Lite; a process's first takes half a second to load the library."""
    with _render_lock:
        from vl_convert import vegalite_to_svg  # noqa: PLC0415 - large, and not needed before a chart is drawn

        svg = vegalite_to_svg(specification, allowed_base_urls=[])
    return tostring(_sanitized_copy(fromstring(svg)), encoding="unicode")  # noqa: S314 - written by Vega


def _sanitized_copy(element: Element) -> Element:
    """A shape with nothing but what a page may show."""
    attributes = {name: value for name, value in element.attrib.items() if name in _ALLOWED_ATTRIBUTES}
    copy = Element(_local_name(element), attributes)
    copy.text = element.text
    if "aria-label" in attributes:
        copy.set("role", "graphics-symbol")
    copy.extend(
        _sanitized_copy(child)
        for child in element
        if _local_name(child) in _ALLOWED_ELEMENTS and child.get("class") not in _BACKGROUND_CLASSES
    )
    return copy


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _clean_text(text: str) -> str:
    """A text without what XML has no place for: control characters, halves of pairs and non-characters."""
    plain = "".join(" " if unicodedata.category(sign) in {"Cc", "Cs", "Cn"} else sign for sign in text)
    return unicodedata.normalize("NFC", " ".join(plain.split()))


def _vega_lite_specification(bars: Sequence[Bar]) -> dict[str, Any]:
    """A specification of Vega-Lite: shapes and texts with the places where they are."""
    chart = _ChartLayout(bars)
    shapes, ticks, texts = chart.shapes, chart.ticks, chart.texts
    across = {"type": "quantitative", "scale": {"domain": [0, CHART_WIDTH], "range": [0, CHART_WIDTH]}, "axis": None}
    down = {"type": "quantitative", "scale": {"domain": [0, chart.height], "range": [0, chart.height]}, "axis": None}
    place = {"x": {"field": "x", **across}, "y": {"field": "y", **down}}
    colour = {"field": "colour", "type": "nominal", "scale": None}
    downwards = {"y2": {"field": "y2"}, "color": colour}
    layers = [
        {
            "data": {"values": shapes},
            "mark": "rect",
            "encoding": {**place, **downwards, "x2": {"field": "x2"}, "description": {"field": "said"}},
        },
        {
            "data": {"values": ticks},
            "mark": {"type": "rule", "aria": False},
            "encoding": {**place, **downwards, "strokeWidth": {"field": "width", "type": "nominal", "scale": None}},
        },
        *(_text_layer([text for text in texts if text["align"] == align], place, align) for align in _ALIGNMENTS),
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": CHART_WIDTH,
        "height": chart.height,
        "padding": 0,
        "autosize": "none",
        "background": None,
        "config": {"view": {"stroke": None, "fill": None}, "font": "inherit"},
        "layer": layers,
    }


_ALIGNMENTS: Final = ("left", "right")


def _text_layer(texts: list[dict[str, Any]], place: dict[str, Any], align: str) -> dict[str, Any]:
    return {
        "data": {"values": texts},
        "mark": {"type": "text", "align": align, "baseline": "alphabetic", "aria": False, "limit": 0},
        "encoding": {
            **place,
            "text": {"field": "text", "type": "nominal"},
            "color": {"field": "colour", "type": "nominal", "scale": None},
            "size": {"field": "size", "type": "quantitative", "scale": None},
        },
    }


class _ChartLayout:
    """Where everything of a chart is, in pixels; the longest bar and the text beside it just fit into the width."""

    def __init__(self, bars: Sequence[Bar]) -> None:
        self.shapes: list[dict[str, Any]] = []
        self.ticks: list[dict[str, Any]] = []
        self.texts: list[dict[str, Any]] = []
        self.height = 0
        self._least, self._scale = _fit_scale(bars)
        for bar in bars:
            self._draw(bar)
        self.height = max(self.height - _BAR_GAP, 1)

    def _draw(self, bar: Bar) -> None:
        for line in _label_lines(bar.label):
            self._write(line, 0, self.height + _FONT_SIZE)
            self.height += _LINE_HEIGHT
        self.height += 2
        self._draw_shape(bar)
        self._write(_clean_text(bar.text), self._x(bar.max_value) + _TEXT_MARGIN, self.height + _BAR_HEIGHT - 3)
        if bar.plan is not None:
            self._draw_plan(bar.plan, _clean_text(bar.plan_text))
        self.height += _BAR_HEIGHT + _BAR_GAP

    def _draw_shape(self, bar: Bar) -> None:
        top, bottom, zero = self.height, self.height + _BAR_HEIGHT, self._x(Decimal(0))
        self._rule(zero, top - 2, bottom + 2, 1, "var(--soft)")
        if bar.extent is None:
            return
        first, last = map(self._x, bar.extent)
        colour = f"var(--{bar.status if bar.status in COLOURED_STATUSES else 'soft'})"
        said = _clean_text(bar.description or f"{bar.label}: {bar.text}")
        self.shapes.append({"x": first, "x2": last, "y": top, "y2": bottom, "colour": colour, "said": said})

    def _draw_plan(self, plan: Decimal, text: str) -> None:
        x = self._x(plan)
        for width, colour in ((7, "var(--paper)"), (3, "var(--plan)")):
            self._rule(x, self.height - 4, self.height + _BAR_HEIGHT + 4, width, colour)
        self.height += _LINE_HEIGHT
        room = _estimate_text_width(text, _SMALL_FONT_SIZE)
        align = "right" if x + room > CHART_WIDTH and x >= room else "left"
        start = x if align == "right" else max(min(x, CHART_WIDTH - room), 0)
        self._write(text, start, self.height + _BAR_HEIGHT, colour="plan", size=_SMALL_FONT_SIZE, align=align)

    def _rule(self, x: float, top: float, bottom: float, width: int, colour: str) -> None:
        self.ticks.append({"x": x, "y": top, "y2": bottom, "width": width, "colour": colour})

    def _write(
        self, text: str, x: float, y: float, *, colour: str = "ink", size: int = _FONT_SIZE, align: str = "left"
    ) -> None:
        self.texts.append({"text": text, "x": x, "y": y, "colour": f"var(--{colour})", "size": size, "align": align})

    def _x(self, amount: Decimal) -> float:
        return round(1 + float((amount - self._least) * self._scale), 1)


def _fit_scale(bars: Sequence[Bar]) -> tuple[Decimal, Decimal]:
    """The least number of a chart, zero or less, and the pixels of a unit: each bar has room for its text beside it."""
    starts = [number for bar in bars for number in (*(bar.extent or ()), bar.plan) if number is not None]
    least = min([Decimal(0), *starts])
    scales = [Decimal(_available_width(bar)) / (bar.max_value - least) for bar in bars if bar.max_value > least]
    return least, min(scales, default=Decimal(0))


def _available_width(bar: Bar) -> int:
    """Pixels that a bar may take, beside its amount."""
    return max(CHART_WIDTH - 2 - _TEXT_MARGIN - _estimate_text_width(bar.text, _FONT_SIZE), _MIN_LONGEST_BAR)


def _label_lines(label: str) -> list[str]:
    return wrap(
        _clean_text(label), int(CHART_WIDTH / _FONT_SIZE / _LETTER_WIDTH), max_lines=_MAX_LABEL_LINES, placeholder=" …"
    ) or [""]


def _estimate_text_width(text: str, size: int) -> int:
    """About how many pixels a text needs: marks stand above letters, letters of East Asia are twice as wide."""
    wide = sum(unicodedata.east_asian_width(sign) in {"W", "F"} for sign in text)
    return int((len(_clean_text(text)) + wide) * size * _LETTER_WIDTH)

"""The layout of a bar chart as plain data: where each bar, line and text is; `figures/bar_chart.html` draws the SVG."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from textwrap import wrap
from typing import Final

CHART_WIDTH: Final = 400
"""Width of a chart in pixels; a phone shows it at nearly this size."""
COLOURED_STATUSES: Final = frozenset({"actual", "estimate", "plan", "target", "forecast"})
"""The statuses that have their own colour in `style.css`."""

_LINE_HEIGHT: Final = 20
_BAR_HEIGHT: Final = 16
_BAR_GAP: Final = 14
_FONT_SIZE: Final = 15
_SMALL_FONT_SIZE: Final = 13
_LETTER_WIDTH: Final = 0.58
"""Average width of a letter in a sans-serif font as a share of the font size, rounded up."""
_MAX_LABEL_LINES: Final = 3
_TEXT_MARGIN: Final = 6
_MIN_LONGEST_BAR: Final = 90
"""Minimum length of the longest bar in pixels, however long the texts beside the bars are."""


@dataclass(frozen=True)
class Bar:
    """A figure to be drawn from zero to a number, or from `low` to `high` where they differ; None is an open bound.

    `label`, `text` (the amount) and `description` (label and amount for screen readers) are in the reader's language.
    `status` is the last segment of the status's IRI, such as `actual`. `plan` is drawn as a mark across the bar, with
    `plan_text` below it.
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
        """The numbers at the bar's ends, None if the figure has no number."""
        known = [bound for bound in (self.low, self.high) if bound is not None]
        if not known:
            return None
        known = known if len(set(known)) > 1 else [Decimal(0), *known]
        return min(known), max(known)

    @property
    def max_value(self) -> Decimal:
        """The largest number that the bar and its plan reach."""
        ends = self.extent or (Decimal(0), Decimal(0))
        return ends[1] if self.plan is None else max(ends[1], self.plan)


@dataclass(frozen=True)
class BarShape:
    """A bar as a rectangle in pixels; `colour` names a variable of `style.css`."""

    x: float
    y: int
    width: float
    height: int
    colour: str
    description: str


@dataclass(frozen=True)
class Line:
    """A vertical line: the zero line of a bar or the mark of a plan."""

    x: float
    top: int
    bottom: int
    width: int
    colour: str


@dataclass(frozen=True)
class Text:
    """A text with its baseline's start (`anchor` is `start`) or end (`end`) at x, y."""

    text: str
    x: float
    y: int
    colour: str = "ink"
    size: int = _FONT_SIZE
    anchor: str = "start"


@dataclass(frozen=True)
class BarChart:
    """A complete chart; lines are drawn over bars, and texts over both."""

    title: str
    description: str
    height: int
    shapes: tuple[BarShape, ...]
    lines: tuple[Line, ...]
    texts: tuple[Text, ...]
    width: int = CHART_WIDTH

    @property
    def id(self) -> str:
        """An HTML id that depends on the contents; a page must not contain the same chart twice."""
        return "chart-" + blake2b(repr(self).encode(), digest_size=6).hexdigest()


def layout_bar_chart(title: str, description: str, bars: Sequence[Bar]) -> BarChart:
    """Arrange figures of one unit as horizontal bars in the given order, each below its label and beside its amount.

    `title` names the chart and `description` states its figures in words, both for screen readers.
    """
    layout = _Layout(bars)
    shapes, lines, texts = tuple(layout.shapes), tuple(layout.lines), tuple(layout.texts)
    return BarChart(_clean_text(title), _clean_text(description), layout.height, shapes, lines, texts)


class _Layout:
    """Places bars from top to bottom, scaled so that the longest bar and the text beside it fill the width."""

    def __init__(self, bars: Sequence[Bar]) -> None:
        self.shapes = list[BarShape]()
        self.lines = list[Line]()
        self.texts = list[Text]()
        self.height = 0
        self._least, self._scale = _fit_scale(bars)
        for bar in bars:
            self._place(bar)
        self.height = max(self.height - _BAR_GAP, 1)

    def _place(self, bar: Bar) -> None:
        for line in _label_lines(bar.label):
            self.texts.append(Text(line, 0, self.height + _FONT_SIZE))
            self.height += _LINE_HEIGHT
        self.height += 2
        self._place_shape(bar)
        text_x = round(self._x(bar.max_value) + _TEXT_MARGIN, 1)
        self.texts.append(Text(_clean_text(bar.text), text_x, self.height + _BAR_HEIGHT - 3))
        if bar.plan is not None:
            self._place_plan(bar.plan, _clean_text(bar.plan_text))
        self.height += _BAR_HEIGHT + _BAR_GAP

    def _place_shape(self, bar: Bar) -> None:
        top = self.height
        self.lines.append(Line(self._x(Decimal(0)), top - 2, top + _BAR_HEIGHT + 2, 1, "soft"))
        if bar.extent is None:
            return
        first, last = map(self._x, bar.extent)
        colour = bar.status if bar.status in COLOURED_STATUSES else "soft"
        description = _clean_text(bar.description or f"{bar.label}: {bar.text}")
        self.shapes.append(BarShape(first, top, round(last - first, 1), _BAR_HEIGHT, colour or "", description))

    def _place_plan(self, plan: Decimal, text: str) -> None:
        x = self._x(plan)
        for width, colour in ((7, "paper"), (3, "plan")):
            self.lines.append(Line(x, self.height - 4, self.height + _BAR_HEIGHT + 4, width, colour))
        self.height += _LINE_HEIGHT
        needed = _estimate_text_width(text, _SMALL_FONT_SIZE)
        anchor = "end" if x + needed > CHART_WIDTH and x >= needed else "start"
        start = x if anchor == "end" else max(min(x, CHART_WIDTH - needed), 0)
        self.texts.append(Text(text, start, self.height + _BAR_HEIGHT, "plan", _SMALL_FONT_SIZE, anchor))

    def _x(self, amount: Decimal) -> float:
        return round(1 + float((amount - self._least) * self._scale), 1)


def _fit_scale(bars: Sequence[Bar]) -> tuple[Decimal, Decimal]:
    """Return the number at the left edge (zero or less) and the pixels per unit that leave room for each bar's text."""
    starts = [number for bar in bars for number in (*(bar.extent or ()), bar.plan) if number is not None]
    least = min([Decimal(0), *starts])
    scales = [Decimal(_available_width(bar)) / (bar.max_value - least) for bar in bars if bar.max_value > least]
    return least, min(scales, default=Decimal(0))


def _available_width(bar: Bar) -> int:
    """The pixels that a bar may take beside its amount."""
    return max(CHART_WIDTH - 2 - _TEXT_MARGIN - _estimate_text_width(bar.text, _FONT_SIZE), _MIN_LONGEST_BAR)


def _label_lines(label: str) -> list[str]:
    letters = int(CHART_WIDTH / _FONT_SIZE / _LETTER_WIDTH)
    return wrap(_clean_text(label), letters, max_lines=_MAX_LABEL_LINES, placeholder=" …") or [""]


def _estimate_text_width(text: str, size: int) -> int:
    """Estimate the width of a text in pixels; wide characters of East Asia count twice, composed marks not at all."""
    wide = sum(unicodedata.east_asian_width(character) in {"W", "F"} for character in text)
    return int((len(_clean_text(text)) + wide) * size * _LETTER_WIDTH)


def _clean_text(text: str) -> str:
    """Normalize a text (NFC, single spaces) and remove what XML forbids: controls, surrogates and non-characters."""
    plain = "".join(" " if unicodedata.category(character) in {"Cc", "Cs", "Cn"} else character for character in text)
    return unicodedata.normalize("NFC", " ".join(plain.split()))

"""Parse figures in Vietnamese notation: `2.608,66 triệu đồng`, `30 – 50%`, `hơn 20.000 ha`."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from kg.rdf.namespaces import PREFIXES

_UNIT_NAMESPACE: Final = PREFIXES["unit"]
_SCALES: Final = {
    "": Decimal(1),
    "nghìn": Decimal(10**3),
    "ngàn": Decimal(10**3),
    "triệu": Decimal(10**6),
    "tỷ": Decimal(10**9),
    "tỉ": Decimal(10**9),
    "nghìn tỷ": Decimal(10**12),
    "ngàn tỷ": Decimal(10**12),
}
_UNIT_NAMES: Final = {
    "USD": "CCY_USD",
    "đồng": "CCY_VND",
    "VND": "CCY_VND",
    "VNĐ": "CCY_VND",
    "%": "PERCENT",
    "ha": "HA",
    "KCN": "NUM",
}
_NUMBER_PATTERN: Final = r"\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d+(?:,\d+)?"
_FIGURE_PATTERN: Final = re.compile(
    rf"(?<![\d.,])(?P<low>{_NUMBER_PATTERN})(?:\s*[-–]\s*(?P<high>{_NUMBER_PATTERN}))?"
    rf"\s*(?P<scale>(?:nghìn|ngàn) tỷ|nghìn|ngàn|triệu|tỷ|tỉ|)\s*(?P<unit>{'|'.join(_UNIT_NAMES)})(?!\w)"
)


@dataclass(frozen=True)
class Figure:
    """An amount in a base unit, given by a QUDT IRI; `low` and `high` differ for a range."""

    low: Decimal
    high: Decimal
    unit: str


def read_figures(text: str) -> list[Figure]:
    """Return all figures with a unit in a text, in text order.

    "." is the thousands separator and "," the decimal separator; triệu is 10⁶, tỷ is 10⁹.
    """
    return [_parse_figure(match) for match in _FIGURE_PATTERN.finditer(text)]


def _parse_figure(match: re.Match[str]) -> Figure:
    scale = _SCALES[match["scale"]]
    low = _parse_number(match["low"])
    high = low if match["high"] is None else _parse_number(match["high"])
    return Figure(low * scale, high * scale, _UNIT_NAMESPACE + _UNIT_NAMES[match["unit"]])


def _parse_number(text: str) -> Decimal:
    return Decimal(text.replace(".", "").replace(",", "."))

"""Format amounts for readers in each language, in short and in full. Pure."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from babel.numbers import format_compact_decimal, format_decimal

from kg.rdf.namespaces import ID, PREFIXES
from kg.views.observations import Observation

_UNIT: Final = PREFIXES["unit"]
_QUALIFIER: Final = ID + "qualifier/"
_COMPACT_FROM: Final = Decimal(10**6)
"""From this number on, a short amount uses words such as million, and a computed amount has no decimals."""
_UNIT_PATTERNS: Final[dict[str, dict[str, str]]] = {
    "en": {"CCY_USD": "US${}", "CCY_VND": "{} dong", "HA": "{} ha", "PERCENT": "{}%", "NUM": "{}"},
    "vi": {"CCY_USD": "{} USD", "CCY_VND": "{} đồng", "HA": "{} ha", "PERCENT": "{}%", "NUM": "{}"},
}
_QUALIFIER_PATTERNS: Final[dict[str, dict[str, str]]] = {
    "en": {"more-than": "more than {}", "up-to": "up to {}"},
    "vi": {"more-than": "hơn {}", "up-to": "tới {}"},
}
_ARROW: Final = " → "
_DASH: Final = "–"


def short_amount(item: Observation, language: str) -> str:
    """Return an amount in few digits: `4,35 tỷ USD`, `US$4.35 billion`, `30–50%`; empty if the figure has no value."""
    return _format_bounds(item, language, _format_compact)


def exact_amount(item: Observation, language: str) -> str:
    """Return an amount in full: `4.350.000.000 USD`; empty if the figure has no value.

    A stated amount keeps all its digits. A computed one is rounded, since its further digits mean nothing: to two
    decimals, from one million on to a whole number.
    """
    bounds = [abs(bound) for bound in (item.low, item.high) if bound is not None]
    if item.rule and bounds:
        digits = 0 if max(bounds) >= _COMPACT_FROM else 2
        return _format_bounds(item, language, lambda amount, locale: _format_exact(round(amount, digits), locale))
    return _format_bounds(item, language, _format_exact)


def format_number(amount: Decimal, unit: str | None, language: str) -> str:
    """Return a single number with its unit, in few digits."""
    return _unit_pattern(unit, language).format(_format_compact(amount, language))


def _format_bounds(item: Observation, language: str, digits: Callable[[Decimal, str], str]) -> str:
    bounds = [bound for bound in (item.low, item.high) if bound is not None]
    texts = list(dict.fromkeys(digits(bound, language) for bound in bounds))
    if not texts:
        return ""
    qualifier = (item.qualifier or "").removeprefix(_QUALIFIER)
    joined = (_ARROW if qualifier == "trend" else _DASH).join(_drop_repeated_word(texts))
    amount = _unit_pattern(item.unit, language).format(joined)
    return _QUALIFIER_PATTERNS[language].get(qualifier, "{}").format(amount)


def _drop_repeated_word(texts: list[str]) -> list[str]:
    """Keep a word that all numbers share only at the last one: 2 and 2.5 billion."""
    words = {text.partition(" ")[2] for text in texts}
    return texts if len(words) > 1 else [*(text.partition(" ")[0] for text in texts[:-1]), texts[-1]]


def _unit_pattern(unit: str | None, language: str) -> str:
    known = _UNIT_PATTERNS[language]
    name = (unit or "").removeprefix(_UNIT)
    return known.get(name, f"{{}} {name}" if name else "{}")


def _format_compact(amount: Decimal, language: str) -> str:
    if abs(amount) < _COMPACT_FROM:
        return str(format_decimal(round(amount, 2), locale=language))
    return str(format_compact_decimal(amount, format_type="long", fraction_digits=2, locale=language))


def _format_exact(amount: Decimal, language: str) -> str:
    return str(format_decimal(amount, locale=language, decimal_quantization=False))

"""Values as pages show them: a text with an optional link and language."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from babel.dates import format_date
from babel.numbers import format_decimal
from flask_babel import gettext

from kg.rdf.namespaces import XSD
from kg.rdf.terms import Literal

MAX_NAME_LENGTH: Final = 240
"""Maximum number of characters of a name on a page."""
MAX_TEXT_LENGTH: Final = 1200
"""Maximum number of characters of any other text on a page."""


@dataclass(frozen=True)
class DisplayValue:
    """A text, the IRI that it links to, and its language tag where this differs from the page's language."""

    text: str
    iri: str | None = None
    language: str | None = None


def literal_value(literal: Literal, language: str) -> DisplayValue:
    """Return a literal for a page in a language."""
    return DisplayValue(
        literal_text(literal, language), language=literal.language if literal.language != language else None
    )


def literal_text(literal: Literal, language: str) -> str:
    """Format dates, numbers and booleans by the conventions of the language, and shorten long texts.

    A literal whose text does not fit its datatype is shown as it is.
    """
    text, datatype = literal.value, literal.datatype.value.removeprefix(XSD)
    try:
        if datatype == "date":
            return str(format_date(date.fromisoformat(text), "long", locale=language))
        if datatype in {"decimal", "integer"}:
            return str(format_decimal(Decimal(text), locale=language, decimal_quantization=False))
    except (ValueError, ArithmeticError):
        return shorten(text, MAX_TEXT_LENGTH)
    if datatype == "boolean":
        return str(gettext("yes") if text in {"true", "1"} else gettext("no"))
    return shorten(text, MAX_TEXT_LENGTH)


def shorten(text: str, most: int = MAX_NAME_LENGTH) -> str:
    """Cut a text to at most `most` characters, the last of which is "…"; the RDF formats have the full text."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"

"""What things, properties and classes are called on a page in one language."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from babel.dates import format_date
from babel.numbers import format_decimal
from flask_babel import gettext

from kg.engine.protocol import Engine
from kg.rdf.namespaces import ID, XSD, compact
from kg.rdf.terms import Literal, NamedNode
from kg.sources.folding import fold
from kg.views.description import load_labels
from service.presentation import labels as vocabulary

MAX_NAME_LENGTH: Final = 240
"""Characters of a name that pages show."""
MAX_TEXT_LENGTH: Final = 1200
"""Characters of any other text that pages show."""


class DisplayNames:
    """Names by IRI: by label in the reader's language, in another one where there is none in that, else the IRI."""

    def __init__(self, texts: Mapping[str, Mapping[str, str]], language: str) -> None:
        self._texts = texts
        self._language = language

    def __call__(self, iri: str) -> str:
        """The name of a thing."""
        texts = self._texts.get(iri, {})
        found = texts.get(self._language) or next(iter(texts.values()), None)
        return shorten(found or str(vocabulary.CLASS_LABELS.get(iri, "")) or fallback_name(iri))

    def language(self, iri: str) -> str | None:
        """The language of a name where it is not that of the page."""
        texts = self._texts.get(iri, {})
        return None if not texts or self._language in texts else next(iter(texts)) or None

    def other_name(self, iri: str, language: str) -> str | None:
        """The name in another language, where it differs."""
        found = self._texts.get(iri, {}).get(language)
        return shorten(found) if found and shorten(found) != self(iri) else None

    def capitalized(self, iri: str) -> str:
        """The name of a thing as it begins a line; an IRI stays as it is."""
        return _capitalize(self(iri), iri)

    def has_name(self, iri: str) -> bool:
        """Whether anything is called by a name."""
        return iri in self._texts

    def as_dict(self) -> dict[str, str]:
        """All names that are known, by IRI."""
        return {iri: self(iri) for iri in self._texts}

    def property_name(self, iri: str, direction: str = "out") -> str:
        """What a property says of the thing that has it, or of the one at the other end (`way` is "in")."""
        known = vocabulary.INVERSE_LABELS if direction == "in" else vocabulary.PROPERTY_LABELS
        return _capitalize(str(known.get(iri, "")) or self._own(iri, direction), iri)

    def _own(self, iri: str, way: str) -> str:
        return f"← {self(iri)}" if way == "in" else self(iri)


def load_names(engine: Engine, iris: Iterable[str], language: str) -> DisplayNames:
    """The names of some things."""
    nodes = {NamedNode(iri) for iri in iris}
    return DisplayNames(load_labels(engine, nodes)[0] if nodes else {}, language)


def _capitalize(text: str, iri: str) -> str:
    return text if text == fallback_name(iri) else text[:1].upper() + text[1:]


def alphabetical_key(text: str) -> tuple[str, str]:
    """A key by which texts are sorted as a reader looks for them: by their letters, then by the marks on these."""
    return fold(text), text


def shorten(text: str, most: int = MAX_NAME_LENGTH) -> str:
    """A text with … where it is too long to show; the whole of it is in the data."""
    return text if len(text) <= most else text[:most].rstrip() + "…"


def fallback_name(iri: str) -> str:
    """A name for what has no label: the path of an entity, else the IRI with its prefix."""
    return iri.removeprefix(ID) if iri.startswith(ID) else compact(iri).strip("<>")


def literal_text(literal: Literal, language: str) -> str:
    """A literal as people read it: dates and numbers in the manner of the language, long texts shortened."""
    text, kind = literal.value, literal.datatype.value.removeprefix(XSD)
    try:
        if kind == "date":
            return str(format_date(date.fromisoformat(text), "long", locale=language))
        if kind in {"decimal", "integer"}:
            return str(format_decimal(Decimal(text), locale=language, decimal_quantization=False))
    except (ValueError, ArithmeticError):  # not what its datatype says
        return shorten(text, MAX_TEXT_LENGTH)
    if kind == "boolean":
        return str(gettext("yes") if text in {"true", "1"} else gettext("no"))
    return shorten(text, MAX_TEXT_LENGTH)

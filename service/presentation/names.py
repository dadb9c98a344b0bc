"""What things, properties and classes are called on a page in one language."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from babel.dates import format_date
from babel.numbers import format_decimal
from flask_babel import gettext

from kg.engine.protocol import Engine
from kg.rdf.io import Literal, NamedNode
from kg.rdf.namespaces import ID, XSD, compact
from kg.sources.folding import fold
from kg.views.description import labels
from service.presentation import labels as vocabulary

LONGEST: Final = 240
"""Characters of a name that pages show."""
MOST_TEXT: Final = 1200
"""Characters of any other text that pages show."""


class Names:
    """Names by IRI: by label in the reader's language, in another one where there is none in that, else the IRI."""

    def __init__(self, texts: Mapping[str, Mapping[str, str]], language: str) -> None:
        self._texts = texts
        self._language = language

    def __call__(self, iri: str) -> str:
        """The name of a thing."""
        texts = self._texts.get(iri, {})
        found = texts.get(self._language) or next(iter(texts.values()), None)
        return shortened(found or str(vocabulary.CLASSES.get(iri, "")) or plain_name(iri))

    def language(self, iri: str) -> str | None:
        """The language of a name where it is not that of the page."""
        texts = self._texts.get(iri, {})
        return None if not texts or self._language in texts else next(iter(texts)) or None

    def other(self, iri: str, language: str) -> str | None:
        """The name in another language, where it differs."""
        found = self._texts.get(iri, {}).get(language)
        return shortened(found) if found and shortened(found) != self(iri) else None

    def capital(self, iri: str) -> str:
        """The name of a thing as it begins a line; an IRI stays as it is."""
        return _capital(self(iri), iri)

    def known(self, iri: str) -> bool:
        """Whether anything is called by a name."""
        return iri in self._texts

    def plain(self) -> dict[str, str]:
        """All names that are known, by IRI."""
        return {iri: self(iri) for iri in self._texts}

    def property(self, iri: str, way: str = "out") -> str:
        """What a property says of the thing that has it, or of the one at the other end (`way` is "in")."""
        known = vocabulary.INVERSE if way == "in" else vocabulary.PROPERTIES
        return _capital(str(known.get(iri, "")) or self._own(iri, way), iri)

    def _own(self, iri: str, way: str) -> str:
        return f"← {self(iri)}" if way == "in" else self(iri)


def named(engine: Engine, iris: Iterable[str], language: str) -> Names:
    """The names of some things."""
    nodes = {NamedNode(iri) for iri in iris}
    return Names(labels(engine, nodes)[0] if nodes else {}, language)


def _capital(text: str, iri: str) -> str:
    return text if text == plain_name(iri) else text[:1].upper() + text[1:]


def alphabetical(text: str) -> tuple[str, str]:
    """A key by which texts are sorted as a reader looks for them: by their letters, then by the marks on these."""
    return fold(text), text


def shortened(text: str, most: int = LONGEST) -> str:
    """A text with … where it is too long to show; the whole of it is in the data."""
    return text if len(text) <= most else text[:most].rstrip() + "…"


def plain_name(iri: str) -> str:
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
        return shortened(text, MOST_TEXT)
    if kind == "boolean":
        return str(gettext("yes") if text in {"true", "1"} else gettext("no"))
    return shortened(text, MOST_TEXT)

"""The words of the pages: English in the templates and the code, other languages in gettext catalogues.

The catalogues are read as they stand in the sources (.po), so nothing is generated and a changed word is seen at once.
"""

import io
from functools import cache
from pathlib import Path
from typing import Any, Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask
from flask_babel import Babel, Domain, force_locale, get_locale, gettext

from kg.errors import ConfigurationError

SOURCE: Final = "en"
"""The language of the message ids."""
_CATALOGUES: Final = Path(__file__).parents[1] / "translations"


@cache
def catalogue(language: str) -> NullTranslations:
    """The translations into a language; those of the source language change nothing."""
    if language == SOURCE:
        return NullTranslations()
    file = _CATALOGUES / language / "LC_MESSAGES" / "messages.po"
    try:
        with file.open("rb") as source:
            compiled = io.BytesIO()
            write_mo(compiled, read_po(source, locale=language))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The words in {language!r} cannot be read: {error}") from error
    compiled.seek(0)
    return Translations(compiled)


class _Catalogues(Domain):  # type: ignore[misc] # Flask-Babel is untyped
    def get_translations(self) -> NullTranslations:
        return catalogue(str(get_locale() or SOURCE))


class _Words(Babel):  # type: ignore[misc] # Flask-Babel is untyped
    @property
    def domain_instance(self) -> Domain:
        return _Catalogues()


def register(app: Flask, language: Any) -> None:  # noqa: ANN401 - a callable that Flask-Babel calls
    """Let an app's templates and code translate into the language of the current request."""
    _Words(app, default_locale=SOURCE, locale_selector=language)


def in_language(language: str, message: str) -> str:
    """A message in a certain language."""
    with force_locale(language):
        translated: str = gettext(message)
        return translated

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

SOURCE_LANGUAGE: Final = "en"
"""The language of the message ids."""
_TRANSLATIONS_FOLDER: Final = Path(__file__).parents[1] / "translations"


@cache
def load_translations(language: str) -> NullTranslations:
    """The translations into a language; those of the source language change nothing."""
    if language == SOURCE_LANGUAGE:
        return NullTranslations()
    file = _TRANSLATIONS_FOLDER / language / "LC_MESSAGES" / "messages.po"
    try:
        with file.open("rb") as source:
            compiled = io.BytesIO()
            write_mo(compiled, read_po(source, locale=language))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The words in {language!r} cannot be read: {error}") from error
    compiled.seek(0)
    return Translations(compiled)


class _TranslationDomain(Domain):  # type: ignore[misc] # Flask-Babel is untyped
    def get_translations(self) -> NullTranslations:
        return load_translations(str(get_locale() or SOURCE_LANGUAGE))


class _Babel(Babel):  # type: ignore[misc] # Flask-Babel is untyped
    @property
    def domain_instance(self) -> Domain:
        return _TranslationDomain()


def register(app: Flask, language: Any) -> None:  # noqa: ANN401 - a callable that Flask-Babel calls
    """Let an app's templates and code translate into the language of the current request."""
    _Babel(app, default_locale=SOURCE_LANGUAGE, locale_selector=language)


def translate(language: str, message: str) -> str:
    """A message in a certain language."""
    with force_locale(language):
        translated: str = gettext(message)
        return translated

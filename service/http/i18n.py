"""Languages: that of the current request, and translations of English texts from gettext catalogues.

Texts stand in English in templates and code; `service/translations/<language>` has the others. The catalogues are
read as sources (.po) when first needed, without a compilation step.
"""

import io
from functools import cache
from pathlib import Path
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, request
from flask_babel import Babel, Domain, get_locale

from kg.errors import ConfigurationError
from service.http.negotiation import LANGUAGES, choose_language

SOURCE_LANGUAGE: Final = "en"
"""The language of the message ids."""
_TRANSLATIONS_FOLDER: Final = Path(__file__).parents[1] / "translations"


@cache
def load_translations(language: str) -> NullTranslations:
    """Load the translations into a language; those of the source language return the message id.

    Raises ConfigurationError if the catalogue cannot be read.
    """
    if language == SOURCE_LANGUAGE:
        return NullTranslations()
    file = _TRANSLATIONS_FOLDER / language / "LC_MESSAGES" / "messages.po"
    try:
        with file.open("rb") as source:
            compiled = io.BytesIO()
            write_mo(compiled, read_po(source, locale=language))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The translations into {language!r} cannot be read: {error}") from error
    compiled.seek(0)
    return Translations(compiled)


class _TranslationDomain(Domain):  # type: ignore[misc] # Flask-Babel is untyped
    def get_translations(self) -> NullTranslations:
        return load_translations(str(get_locale() or SOURCE_LANGUAGE))


class _Babel(Babel):  # type: ignore[misc] # Flask-Babel is untyped
    @property
    def domain_instance(self) -> Domain:
        return _TranslationDomain()


def register(app: Flask) -> None:
    """Translate the texts of an app's templates and code into the language of the current request."""
    _Babel(app, default_locale=SOURCE_LANGUAGE, locale_selector=page_language)


def page_language() -> str:
    """Return the language of the current request: `?lang=` if it is supported, else by Accept-Language."""
    return choose_language(request.accept_languages, request.args.get("lang"))


def other_language(language: str) -> str:
    """Return the second language that a bilingual page shows."""
    return next(name for name in LANGUAGES if name != language)


def translate(language: str, message: str) -> str:
    """Translate a message into a language, whatever that of the request."""
    return load_translations(language).gettext(message)


def gettext_noop(message: str) -> str:
    """Mark a text for the catalogues and return it unchanged; `translate` translates it later."""
    return message

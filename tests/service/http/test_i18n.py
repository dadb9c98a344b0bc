"""The gettext catalogues: every text is translated, and no translation is unused."""

from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import service
from service.http.i18n import load_translations

HERE = Path(service.__file__).parent
KEYWORDS = {"_": None, "gettext": None, "in_other": None, "ngettext": (1, 2)}
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2.ext.babel_extract")]


def extracted_messages() -> set[str]:
    found = extract_from_dir(str(HERE), METHODS, keywords=KEYWORDS)
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def catalogue(language: str) -> Catalog:
    file = HERE / "translations" / language / "LC_MESSAGES" / "messages.po"
    return read_po(BytesIO(file.read_bytes()), locale=language)


def test_every_text_is_translated() -> None:
    known = {message.id: message for message in catalogue("vi") if message.id}
    assert len(extracted_messages()) > 150
    assert extracted_messages() - known.keys() == set()
    assert [text for text, message in known.items() if not message.string or message.fuzzy] == []


def test_no_translation_is_unused() -> None:
    assert {message.id for message in catalogue("vi") if message.id} - extracted_messages() == set()


def test_placeholders_are_the_same_in_both_languages() -> None:
    for message in catalogue("vi"):
        assert list(message.check()) == [], message.id


@pytest.mark.parametrize("language", ["en", "vi"])
def test_load_translations(language: str) -> None:
    words = {"en": "History", "vi": "Lịch sử"}
    assert load_translations(language).gettext("History") == words[language]


def test_no_text_is_translated_twice() -> None:
    text = (HERE / "translations" / "vi" / "LC_MESSAGES" / "messages.po").read_text(encoding="utf-8")
    msgids = [line for line in text.splitlines() if line.startswith("msgid ")]
    assert [line for line in msgids if msgids.count(line) > 1] == []

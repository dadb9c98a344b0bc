"""Every word of a page is there in both languages."""

import re
from pathlib import Path

import service
from service.words import WORDS

TEMPLATES = Path(service.__file__).parent / "templates"


def test_every_word_of_the_templates_is_there_in_both_languages() -> None:
    used = {name for file in TEMPLATES.rglob("*.html") for name in re.findall(r"\bwords\.(\w+)", file.read_text())}
    assert used
    assert {language: sorted(used - words.keys()) for language, words in WORDS.items()} == {"en": [], "vi": []}

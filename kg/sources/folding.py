"""Fold text for search, so that Vietnamese is found in any Unicode form, with or without diacritics; pure."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_BASE_LETTERS: Final = str.maketrans({"đ": "d", "Đ": "D", "ı": "i"})
_TONE_MARKS: Final = frozenset("\u0300\u0301\u0303\u0309\u0323")
"""Grave, acute, tilde, hook above and dot below: the tone marks of Vietnamese."""


def fold(text: str) -> str:
    """Remove case and diacritics from a text.

    The letter đ, which has no decomposition in Unicode, becomes d; compatibility characters are unified (NFKC).
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", _casefold(text).translate(_BASE_LETTERS))
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return unicodedata.normalize("NFKC", bare)


def folded_words(text: str) -> list[str]:
    """Return the folded words of a text, which are runs of letters and digits, in order."""
    return _WORD.findall(fold(text))


def fold_symbols(text: str) -> str:
    """Return the comparable form of a text without words, such as the symbol of a unit."""
    return " ".join(fold(text.replace("\0", " ")).split())


@dataclass(frozen=True, slots=True)
class AccentedWord:
    """A word with diacritics; the tone is apart from the letters, since "hoà" and "hòa" are the same word."""

    letters: str
    tone: str

    def is_prefix_of(self, word: "AccentedWord") -> bool:
        """Return whether a word starts with these letters and has this tone; without a tone, any tone matches."""
        return word.letters.startswith(self.letters) and self.tone in {"", word.tone}


def accented_words(text: str) -> tuple[AccentedWord, ...]:
    """Return the words of a text with their diacritics, in order."""
    return tuple(map(_accented_word, _WORD.findall(unicodedata.normalize("NFC", _casefold(text)))))


def split_highlights(text: str, prefixes: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Split a text into pieces, each with whether it is a word to highlight: one that has a folded prefix."""
    composed, end = unicodedata.normalize("NFC", text), 0
    for match in _WORD.finditer(composed):
        if any(word.startswith(prefix) for word in folded_words(match[0]) for prefix in prefixes):
            if match.start() > end:
                yield composed[end : match.start()], False
            yield match[0], True
            end = match.end()
    if end < len(composed):
        yield composed[end:], False


def _casefold(text: str) -> str:
    """Return the compatibility caseless form of a text, which is idempotent (Unicode 15, D145 and D146)."""
    decomposed = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFKD", decomposed.casefold()).casefold()


@lru_cache(maxsize=65536)
def _accented_word(word: str) -> AccentedWord:
    decomposed = unicodedata.normalize("NFD", word)
    letters = "".join(char for char in decomposed if char not in _TONE_MARKS)
    return AccentedWord(letters, "".join(char for char in decomposed if char in _TONE_MARKS))

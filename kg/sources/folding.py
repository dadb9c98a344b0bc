"""Fold text so that Vietnamese is found however it is written: composed or not, with marks or without; pure."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_BASE_LETTERS: Final = str.maketrans({"đ": "d", "Đ": "D", "ı": "i"})
_TONE_MARKS: Final = frozenset("\u0300\u0301\u0303\u0309\u0323")
"""Grave, acute, tilde, hook above and dot below: the marks of Vietnamese that stand for a tone."""


def fold(text: str) -> str:
    """Take case and marks off a text.

    The letter đ, which has no decomposition in Unicode, becomes d; compatible characters become one (NFKC).
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", _casefold(text).translate(_BASE_LETTERS))
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return unicodedata.normalize("NFKC", bare)


def folded_words(text: str) -> list[str]:
    """The words of a text, folded: runs of letters and digits, in order."""
    return _WORD.findall(fold(text))


def fold_symbols(text: str) -> str:
    """A text without words, such as a sign for a unit, in a form to compare."""
    return " ".join(fold(text.replace("\0", " ")).split())


@dataclass(frozen=True, slots=True)
class AccentedWord:
    """A word with its marks: its letters, and the tone apart, since "hoà" and "hòa" are the same word."""

    letters: str
    tone: str

    def is_prefix_of(self, word: "AccentedWord") -> bool:
        """Whether this, typed so far, agrees with how a word begins."""
        return word.letters.startswith(self.letters) and self.tone in {"", word.tone}


def accented_words(text: str) -> tuple[AccentedWord, ...]:
    """How the words of a text are spelt, in order."""
    return tuple(map(_accented_word, _WORD.findall(unicodedata.normalize("NFC", _casefold(text)))))


def split_highlights(text: str, wanted: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Divide a text into pieces, and say of each whether it is a word that begins with a wanted, folded one."""
    composed, end = unicodedata.normalize("NFC", text), 0
    for match in _WORD.finditer(composed):
        if any(piece.startswith(word) for piece in folded_words(match[0]) for word in wanted):
            if match.start() > end:
                yield composed[end : match.start()], False
            yield match[0], True
            end = match.end()
    if end < len(composed):
        yield composed[end:], False


def _casefold(text: str) -> str:
    """A text without case, in which a second time changes nothing (Unicode 15, D145 and D146)."""
    decomposed = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFKD", decomposed.casefold()).casefold()


@lru_cache(maxsize=65536)
def _accented_word(word: str) -> AccentedWord:
    decomposed = unicodedata.normalize("NFD", word)
    letters = "".join(char for char in decomposed if char not in _TONE_MARKS)
    return AccentedWord(letters, "".join(char for char in decomposed if char in _TONE_MARKS))

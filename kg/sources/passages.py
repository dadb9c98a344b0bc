"""Find the sentence around a quotation, to show it in context."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_PASSAGE_LENGTH: Final = 300
"""The maximum length of a passage in code points, unless the quotation itself is longer."""

_MAX_SENTENCE_SCAN: Final = 1000
"""Code points before and after a quotation that are searched for the boundaries of its sentence."""
_SENTENCE_END: Final = re.compile(r"[.!?…]+[”\"’)\]]*\s+|\s*\n\s*")
"""A possible end of a sentence, with the white space that must follow it; so the full stop in 2.608,66 is not one."""
_ENDS_WITH_ABBREVIATION: Final = re.compile(
    r"(?:^|[\s(])(?:TP|Tp|TX|TT|Q|P|GS|PGS|TS|ThS|BS|KS|CN|Mr|Mrs|Dr|St|[A-ZĐ])\.\s+$"
)
"""Abbreviations whose full stop does not end a sentence, as in TP. Hải Phòng."""
_MAX_ABBREVIATION_LENGTH: Final = 8
"""Code points before a full stop that are searched for an abbreviation."""


@dataclass(frozen=True)
class Passage:
    """A quotation with the text before and after it in its sentence."""

    before: str
    exact: str
    after: str


def extract_passage(text: str, start: int, end: int) -> Passage:
    """Return the sentence around the code points from `start` to `end`.

    Longer passages are cut to about MAX_PASSAGE_LENGTH characters, marked by `…`; the quotation itself is never cut.
    """
    start, end = max(0, min(start, len(text))), max(0, min(end, len(text)))
    before, after = text[_sentence_start(text, start) : start], text[end : _sentence_end(text, end)]
    available = max(0, MAX_PASSAGE_LENGTH - (end - start))
    max_before = max(available // 2, available - len(after))  # half, and what the other side does not need
    max_after = max(available // 2, available - len(before))
    return Passage(
        _truncate_left(before.lstrip(), max_before), text[start:end], _truncate_right(after.rstrip(), max_after)
    )


def _sentence_start(text: str, start: int) -> int:
    """Return where the sentence at `start` begins.

    The search goes on for one code point, so a boundary does not count if the quotation begins inside its white space.
    """
    scan_start = max(0, start - _MAX_SENTENCE_SCAN)
    boundaries = _sentence_boundaries(text, scan_start, start + 1)
    return max((boundary for boundary in boundaries if boundary <= start), default=scan_start)


def _sentence_end(text: str, end: int) -> int:
    """Return where the sentence at `end` ends; the last code point of the quotation may be its full stop."""
    scan_end = min(len(text), end + _MAX_SENTENCE_SCAN)
    boundaries = _sentence_boundaries(text, max(0, end - 1), scan_end)
    return next((boundary for boundary in boundaries if boundary >= end), scan_end)


def _sentence_boundaries(text: str, start: int, end: int) -> Iterator[int]:
    """Yield the positions at which a new sentence begins.

    A full stop of an abbreviation, or before a lower-case letter, does not end a sentence; a line break always does.
    """
    for match in _SENTENCE_END.finditer(text, start, end):
        following = text[match.end() : match.end() + 1]
        before = text[max(0, match.start() - _MAX_ABBREVIATION_LENGTH) : match.end()]
        if "\n" in match[0] or not (following.islower() or _ENDS_WITH_ABBREVIATION.search(before)):
            yield match.end()


def _truncate_left(text: str, max_length: int) -> str:
    """Collapse white space and cut whole words at the start."""
    text = " ".join(text.split()) + (" " if text[-1:].isspace() else "")
    return text if len(text) <= max_length else "… " + text[len(text) - max_length :].partition(" ")[2]


def _truncate_right(text: str, max_length: int) -> str:
    """Collapse white space and cut whole words at the end."""
    text = (" " if text[:1].isspace() else "") + " ".join(text.split())
    return text if len(text) <= max_length else text[:max_length].rpartition(" ")[0] + " …"

"""Find the sentence around a quotation, to show it in context."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_PASSAGE_LENGTH: Final = 300
"""The length of a passage in characters."""

_MAX_SENTENCE_SCAN: Final = 1000
"""Characters before and after a quotation in which the ends of its sentence are searched."""
_SENTENCE_END: Final = re.compile(r"[.!?…]+[”\"’)\]]*\s+|\s*\n\s*")
"""A possible end of a sentence, with the white space after it; the full stop in 2.608,66 has none."""
_ENDS_WITH_ABBREVIATION: Final = re.compile(
    r"(?:^|[\s(])(?:TP|Tp|TX|TT|Q|P|GS|PGS|TS|ThS|BS|KS|CN|Mr|Mrs|Dr|St|[A-ZĐ])\.\s+$"
)
"""Abbreviations whose full stop does not end a sentence, as in TP. Hải Phòng."""
_MAX_ABBREVIATION_LENGTH: Final = 8


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
    room = max(0, MAX_PASSAGE_LENGTH - (end - start))
    room_before = max(room // 2, room - len(after))
    room_after = max(room // 2, room - len(before))
    return Passage(
        _truncate_left(before.lstrip(), room_before), text[start:end], _truncate_right(after.rstrip(), room_after)
    )


def _sentence_start(text: str, start: int) -> int:
    begin = max(0, start - _MAX_SENTENCE_SCAN)
    return max((end for end in _sentence_boundaries(text, begin, start + 1) if end <= start), default=begin)


def _sentence_end(text: str, end: int) -> int:
    last = min(len(text), end + _MAX_SENTENCE_SCAN)
    return next((stop for stop in _sentence_boundaries(text, max(0, end - 1), last) if stop >= end), last)


def _sentence_boundaries(text: str, start: int, end: int) -> Iterator[int]:
    """Yield the positions at which a new sentence begins.

    A full stop of an abbreviation, or before a small letter, does not end a sentence; a line break always does.
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

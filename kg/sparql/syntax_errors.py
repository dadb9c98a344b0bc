"""Say where a query stops making sense, in words; pure.

The parser reports the furthest place that it looked at, which lies behind the faulty word by the length of
whatever keyword it hoped for. When the words are set far apart, that place falls into the gap behind the faulty
word, which so becomes known.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from kg.errors import QuerySyntaxError
from kg.sparql.tokens import Token, iter_tokens, line_and_column

TOKEN_GAP: Final = " " * 64
MAX_DIAGNOSED_LENGTH: Final = 100_000
"""Code points of a query that is worth a second parse; a longer one gets the parser's own words."""

_PARSER_ERROR: Final = re.compile(r"^error at (\d+):(\d+): (.*)", re.DOTALL)
_EXPECTED_DESCRIPTION: Final = re.compile(r"expected (?:one of )?([A-Z][a-z]+(?: \w+)+)")
_CHARACTER_CLASSES: Final = re.compile(r"\[(?:'[^']*'|\"[^\"]*\"|[^\]'\"])*\]", re.DOTALL)
_EXPECTED_TOKENS: Final = re.compile(r'"[^"\w\\]{1,3}"|\b[A-Z]{2,}\b')
_BRACKETS: Final = frozenset("{}()")


def diagnose(text: str, parser_error: str, parse: Callable[[str], str | None]) -> QuerySyntaxError:
    """Turn a parser's complaint about a text into an error with line, column and a readable message.

    `parse` gives the complaint about another text, or None if there is none.
    """
    words = list(iter_tokens(text)) if len(text) <= MAX_DIAGNOSED_LENGTH else []
    spread, starts = _space_out(words)
    match = _PARSER_ERROR.match(parse(spread) or "") if words else None
    if match is None:
        return _undiagnosed_error(parser_error)
    offset = int(match[2]) - 1
    detail = match[3]
    at_end = offset >= len(spread)
    faulty = None if at_end else words[max(bisect_right(starts, offset) - 1, 0)]
    line, column = line_and_column(text, len(text.rstrip()) if faulty is None else faulty.start)
    return QuerySyntaxError(_message(detail, faulty), line, column)


def _space_out(words: list[Token]) -> tuple[str, list[int]]:
    """Join the words on one line, far apart wherever white space may stand; also where each then starts."""
    pieces, starts, length = list[str](), list[int](), 0
    for word, following in pairwise((*words, None)):
        if word is None:
            break
        starts.append(length)
        apart = following is None or following.start > word.end or word.text in _BRACKETS or following.text in _BRACKETS
        piece = word.text.replace("\n", " ").replace("\r", " ") + (TOKEN_GAP if apart else "")
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces), starts


def _message(detail: str, faulty: Token | None) -> str:
    reason = _EXPECTED_DESCRIPTION.search(detail)
    found = "the end of the query" if faulty is None else repr(faulty.text[:40])
    if reason is not None:
        return f"{reason[1]}, at {found}"
    wanted = ", ".join(dict.fromkeys(_EXPECTED_TOKENS.findall(_CHARACTER_CLASSES.sub("", detail))))
    return f"unexpected {found}" + (f"; possible here: {wanted}" if wanted else "")


def _undiagnosed_error(parser_error: str) -> QuerySyntaxError:
    match = _PARSER_ERROR.match(parser_error)
    if match is None:
        return QuerySyntaxError("the query does not parse")
    return QuerySyntaxError("the query does not parse at or before this place", int(match[1]), int(match[2]))

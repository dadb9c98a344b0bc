"""Turn the engine's parse errors into messages that name the faulty token.

The parser reports the furthest offset that it examined, which lies after the faulty token by the length of the keyword
that it tried. A second parse of the text with wide gaps between the tokens puts that offset into the gap after the
faulty token, which identifies the token.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from kg.errors import QuerySyntaxError
from kg.sparql.tokens import Token, iter_tokens, line_and_column

TOKEN_GAP: Final = " " * 64
"""Longer than any keyword that the parser may try after a token."""
MAX_DIAGNOSED_LENGTH: Final = 100_000
"""Maximum code points of a query that is parsed again; for a longer one, the parser's own position is reported."""

_PARSER_ERROR: Final = re.compile(r"^error at (\d+):(\d+): (.*)", re.DOTALL)
_RULE_DESCRIPTION: Final = re.compile(r"expected (?:one of )?([A-Z][a-z]+(?: \w+)+)")
"""A rule that the query violates, such as `The SELECT contains a variable that is unbound`, in place of a token."""
_CHARACTER_CLASSES: Final = re.compile(r"\[(?:'[^']*'|\"[^\"]*\"|[^\]'\"])*\]", re.DOTALL)
"""Character classes among the expected tokens, such as `['A' ..= 'Z' | '_']`, which no message shows."""
_EXPECTED_TOKENS: Final = re.compile(r'"[^"\w\\]{1,3}"|\b[A-Z]{2,}\b')
"""Keywords and quoted punctuation among the expected tokens."""
_BRACKETS: Final = frozenset("{}()")


def diagnose(text: str, parser_error: str, parse: Callable[[str], str | None]) -> QuerySyntaxError:
    """Turn a parser's error message about a text into an error with line, column and a readable message.

    `parse` returns the parser's error message about a text, or None if the text parses.
    """
    tokens = list(iter_tokens(text)) if len(text) <= MAX_DIAGNOSED_LENGTH else []
    spaced_text, starts = _space_out(tokens)
    match = _PARSER_ERROR.match(parse(spaced_text) or "") if tokens else None
    if match is None:
        return _undiagnosed_error(parser_error)
    offset = int(match[2]) - 1
    detail = match[3]
    at_end = offset >= len(spaced_text)
    faulty = None if at_end else tokens[max(bisect_right(starts, offset) - 1, 0)]
    line, column = line_and_column(text, len(text.rstrip()) if faulty is None else faulty.start)
    return QuerySyntaxError(_message(detail, faulty), line, column)


def _space_out(tokens: list[Token]) -> tuple[str, list[int]]:
    """Join tokens on one line with gaps wherever white space is allowed; also return the offset of each token."""
    pieces, starts, length = list[str](), list[int](), 0
    for token, following in zip(tokens, (*tokens[1:], None), strict=True):
        starts.append(length)
        gap = "" if following is not None and _is_glued(token, following) else TOKEN_GAP
        piece = token.text.replace("\n", " ").replace("\r", " ") + gap
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces), starts


def _is_glued(token: Token, following: Token) -> bool:
    """Return whether a space between two tokens might change the query: they touch, and neither is a bracket."""
    return following.start == token.end and _BRACKETS.isdisjoint((token.text, following.text))


def _message(detail: str, faulty: Token | None) -> str:
    """Turn what the parser expected into a message; `faulty` is None at the end of the query."""
    rule = _RULE_DESCRIPTION.search(detail)
    faulty_text = "the end of the query" if faulty is None else repr(faulty.text[:40])
    if rule is not None:
        return f"{rule[1]}, at {faulty_text}"
    expected = ", ".join(dict.fromkeys(_EXPECTED_TOKENS.findall(_CHARACTER_CLASSES.sub("", detail))))
    return f"unexpected {faulty_text}" + (f"; possible here: {expected}" if expected else "")


def _undiagnosed_error(parser_error: str) -> QuerySyntaxError:
    """Return an error with the position that the parser reported."""
    match = _PARSER_ERROR.match(parser_error)
    if match is None:
        return QuerySyntaxError("the query does not parse")
    return QuerySyntaxError("the query does not parse at or before this place", int(match[1]), int(match[2]))

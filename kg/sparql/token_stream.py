"""Step over the tokens of a query; pure."""

from collections.abc import Iterable, Sequence
from typing import Final

from kg.sparql.tokens import Token, line_and_column

_KEYWORD_KINDS: Final = frozenset({"word", "other"})
"""Kinds of keywords and signs."""


class UnsupportedQueryError(Exception):
    """A query is not read; the message says why."""


class TokenStream:
    """A place in a text, between two tokens of it."""

    def __init__(self, text: str, stream: Iterable[Token]) -> None:
        self._text = text
        self._tokens = [*stream, Token("end", "", len(text))]
        self._at = 0

    @property
    def _peek(self) -> Token:
        return self._tokens[self._at]

    @property
    def _previous_end(self) -> int:
        """Where the last token ended."""
        return self._tokens[self._at - 1].end

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind == "end":
            raise UnsupportedQueryError("it ends too early")
        self._at += 1
        return token

    def _unsupported_token(self, token: Token) -> UnsupportedQueryError:
        line, column = line_and_column(self._text, token.start)
        return UnsupportedQueryError(f"{token.text[:20]!r} at line {line}, column {column} is not read")

    def _skip(self, *texts: str) -> bool:
        """Pass over keywords or signs if they stand here."""
        for place, text in enumerate(texts, self._at):
            token = self._tokens[place]
            if token.text.upper() != text or token.kind not in _KEYWORD_KINDS:
                return False
        self._at += len(texts)
        return True

    def _expect(self, text: str) -> Token:
        token = self._next()
        if token.text.upper() != text or token.kind not in _KEYWORD_KINDS:
            raise self._unsupported_token(token)
        return token

    def _skip_brackets(self, opening: str, closing: str) -> None:
        """Pass over brackets that open here, and what is in them."""
        depth = 0
        while True:
            token = self._next()
            depth += (token.text == opening) - (token.text == closing)
            if depth == 0:
                return


def join_tokens(piece: Sequence[Token]) -> str:
    """Tokens as they stand, but without comments and with no more than a space between them."""
    if len(piece) == 1:
        return piece[0].text
    parts, end = list[str](), piece[0].start
    for token in piece:
        if token.start > end:
            parts.append(" ")
        parts.append(token.text)
        end = token.end
    return "".join(parts)

"""A cursor over the tokens of a query, the base of the parsers."""

from collections.abc import Iterable, Sequence
from typing import Final

from kg.sparql.tokens import Token, line_and_column

_KEYWORD_KINDS: Final = frozenset({"word", "other"})
"""Kinds of keywords and punctuation."""


class UnsupportedQueryError(Exception):
    """A query has something that the parser does not support; the message gives the reason."""


class TokenStream:
    """A position between two tokens of a text."""

    def __init__(self, text: str, tokens: Iterable[Token]) -> None:
        self._text = text
        self._tokens = [*tokens, Token("end", "", len(text))]
        self._at = 0

    @property
    def _peek(self) -> Token:
        return self._tokens[self._at]

    @property
    def _previous_end(self) -> int:
        """The offset after the last consumed token."""
        return self._tokens[self._at - 1].end

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind == "end":
            raise UnsupportedQueryError("it ends too early")
        self._at += 1
        return token

    def _unsupported_token(self, token: Token) -> UnsupportedQueryError:
        line, column = line_and_column(self._text, token.start)
        return UnsupportedQueryError(f"{token.text[:20]!r} at line {line}, column {column} is not supported")

    def _skip(self, *texts: str) -> bool:
        """Consume a sequence of keywords or punctuation, in capitals, if it comes next; return whether it did."""
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
        """Consume a pair of brackets that opens here, with its content."""
        depth = 0
        while True:
            token = self._next()
            depth += (token.text == opening) - (token.text == closing)
            if depth == 0:
                return


def join_tokens(tokens: Sequence[Token]) -> str:
    """Return the text of tokens without comments, with a single space wherever the source has space or comments."""
    if len(tokens) == 1:
        return tokens[0].text
    parts, end = list[str](), tokens[0].start
    for token in tokens:
        if token.start > end:
            parts.append(" ")
        parts.append(token.text)
        end = token.end
    return "".join(parts)

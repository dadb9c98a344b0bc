"""A cursor over the tokens of a SPARQL text, the base of the recursive-descent parsers."""

from collections.abc import Iterable, Sequence
from typing import Final

from kg.sparql.tokens import Token, line_and_column

_KEYWORD_KINDS: Final = frozenset({"word", "other"})
"""The token kinds of keywords and punctuation."""


class UnsupportedQueryError(Exception):
    """A query has something that the parser does not support; the message gives the reason."""


class TokenStream:
    """The tokens of a text, with a current position: the index of the next token."""

    def __init__(self, text: str, tokens: Iterable[Token]) -> None:
        self._text = text
        self._tokens = [*tokens, Token("end", "", len(text))]
        self._at = 0

    @property
    def _peek(self) -> Token:
        """The next token, which is not consumed."""
        return self._tokens[self._at]

    @property
    def _previous_end(self) -> int:
        """The offset after the last consumed token."""
        return self._tokens[self._at - 1].end

    def _next(self) -> Token:
        """Consume the next token. Raises UnsupportedQueryError at the end of the text."""
        token = self._tokens[self._at]
        if token.kind == "end":
            raise UnsupportedQueryError("the text ends too early")
        self._at += 1
        return token

    def _unsupported_token(self, token: Token) -> UnsupportedQueryError:
        line, column = line_and_column(self._text, token.start)
        return UnsupportedQueryError(f"{token.text[:20]!r} at line {line}, column {column} is not supported")

    def _skip(self, *texts: str) -> bool:
        """Consume the given keywords and punctuation if they come next, all or none; return whether they were consumed.

        Keywords are given in capitals and match in any case.
        """
        for index, text in enumerate(texts, self._at):
            if not _is_keyword(self._tokens[index], text):
                return False
        self._at += len(texts)
        return True

    def _expect(self, text: str) -> Token:
        """Consume the given keyword or punctuation. Raises UnsupportedQueryError if another token comes next."""
        token = self._next()
        if not _is_keyword(token, text):
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


def _is_keyword(token: Token, text: str) -> bool:
    """Return whether a token is a keyword, given in capitals, or punctuation."""
    return token.text.upper() == text and token.kind in _KEYWORD_KINDS


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

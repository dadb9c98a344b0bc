"""Split a SPARQL Update request into its operations.

This module only finds where the operations and their parts are; the engine parses each part itself.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from kg.errors import QuerySyntaxError
from kg.sparql.prologue import parse_prologue
from kg.sparql.tokens import Token, find_ambiguous_operator, interleave, iter_tokens, line_and_column, split_at_tokens

_GRAPH_MANAGEMENT_KEYWORDS: Final = frozenset({"CLEAR", "DROP", "CREATE", "ADD", "COPY", "MOVE", "LOAD"})
_OPERATION_KEYWORDS: Final = frozenset({"INSERT", "DELETE", "WITH", *_GRAPH_MANAGEMENT_KEYWORDS})
_CLAUSE_KEYWORDS: Final = frozenset({
    *_OPERATION_KEYWORDS, "DATA", "WHERE", "USING", "NAMED", "SILENT", "GRAPH", "DEFAULT", "ALL", "TO", "INTO",
})  # fmt: skip


@dataclass(frozen=True)
class UpdateOperation:
    """One operation of the request `text`: its tokens, and all declarations that precede it."""

    prologue: str
    text: str
    tokens: tuple[Token, ...] = field(repr=False)

    @property
    def first_keyword(self) -> str:
        """Its first keyword, in capitals."""
        return self.tokens[0].text.upper()

    def starts_with(self, *keywords: str) -> bool:
        """Return whether it begins with a sequence of keywords, in capitals."""
        return [token.text.upper() for token in self.tokens[: len(keywords)]] == list(keywords)

    def block(self, keyword: str) -> str | None:
        """Return the text inside the braces after a keyword; None if no such keyword with braces exists."""
        for index, token in self.top_level_tokens():
            if token.is_word(keyword) and index + 1 < len(self.tokens) and self.tokens[index + 1].text == "{":
                return self._brace_content(index + 1)
        return None

    def tokens_after(self, keyword: str) -> Iterator[tuple[Token, ...]]:
        """Yield, for each occurrence of a keyword outside of braces, all tokens after it."""
        for index, token in self.top_level_tokens():
            if token.is_word(keyword):
                yield self.tokens[index + 1 :]

    def where_pattern(self) -> str:
        """Return the group graph pattern of WHERE, with its braces."""
        return f"{{{self.block('WHERE') or ''}}}"

    def top_level_tokens(self) -> Iterator[tuple[int, Token]]:
        """Yield the tokens outside of braces with their indexes in `tokens`."""
        depth = 0
        for index, token in enumerate(self.tokens):
            if depth == 0:
                yield index, token
            depth += (token.text == "{") - (token.text == "}")

    def _brace_content(self, opening: int) -> str:
        depth = 0
        for token in self.tokens[opening:]:
            depth += (token.text == "{") - (token.text == "}")
            if depth == 0:
                return self.text[self.tokens[opening].end : token.start]
        return self.text[self.tokens[opening].end :]


def prologue_end(text: str) -> int:
    """Return the offset of the first token after the declarations, or the end of the last declaration."""
    tokens = next(_split_at_semicolons(text))
    rest = tokens[parse_prologue(tokens).length :]
    if rest:
        return rest[0].start
    return tokens[-1].end if tokens else 0


def parse_operations(text: str) -> list[UpdateOperation]:
    """Return the operations of a request that is known to parse, each with all declarations before it.

    Raises QuerySyntaxError where the engine's parser might read the text differently: at keywords without space
    between them, and at a `<` that may be an operator.
    """
    ambiguous = find_ambiguous_operator(text)
    if ambiguous is not None:
        raise QuerySyntaxError("write a space after '<' if it is an operator", *line_and_column(text, ambiguous.start))
    operations, prologue = list[UpdateOperation](), list[str]()
    for tokens in _split_at_semicolons(text):
        length = parse_prologue(tokens).length
        if length:
            prologue.append(text[tokens[0].start : tokens[length - 1].end])
        if tokens[length:]:
            operations.append(_check_keywords(UpdateOperation("\n".join(prologue), text, tuple(tokens[length:]))))
    return operations


def _check_keywords(operation: UpdateOperation) -> UpdateOperation:
    """Refuse unknown keywords: the engine's parser reads INSERTDATA as two keywords, which this parser would miss."""
    for index, token in operation.top_level_tokens():
        known = _OPERATION_KEYWORDS if index == 0 else _CLAUSE_KEYWORDS
        if (token.kind == "word" or index == 0) and token.text.upper() not in known:
            place = line_and_column(operation.text, token.start)
            raise QuerySyntaxError(f"unexpected {token.text[:40]!r}; write every keyword as a separate word", *place)
    return operation


def isolate_operations(text: str) -> Iterator[str]:
    """Yield, for each operation, the request with spaces instead of the other operations; offsets do not change.

    Yields only the request itself if no declarations follow the first operation.
    """
    pieces = list(_split_at_semicolons(text))
    lengths = [parse_prologue(piece).length for piece in pieces]
    if not any(lengths[1:]):
        yield text
        return
    declarations = list[Token]()
    for piece, length in zip(pieces, lengths, strict=True):
        declarations += piece[:length]
        if piece[length:]:
            kept = [*declarations, *piece[length:]]
            yield interleave(map(_to_spaces, split_at_tokens(text, kept)), (token.text for token in kept))


def _to_spaces(text: str) -> str:
    """Replace everything but line ends, so that lines and columns in error messages stay right."""
    return "".join(character if character in "\r\n" else " " for character in text)


def replace_variables(block: str) -> tuple[str, dict[str, str]]:
    """Replace variables by unique IRIs; return the new text and the names of the variables by IRI."""
    prefix = f"urn:uuid:{uuid.uuid4()}#"  # random, so that no text can contain it
    variables = [token for token in iter_tokens(block) if token.kind == "variable"]
    template = interleave(split_at_tokens(block, variables), (f"<{prefix}{token.text[1:]}>" for token in variables))
    return template, {prefix + token.text[1:]: token.text[1:] for token in variables}


def _split_at_semicolons(text: str) -> Iterator[list[Token]]:
    """Yield the tokens between semicolons outside of braces."""
    piece, depth = list[Token](), 0
    for token in iter_tokens(text):
        if token.text == ";" and depth == 0:
            yield piece
            piece = []
            continue
        depth += (token.text == "{") - (token.text == "}")
        piece.append(token)
    yield piece

"""Cut a SPARQL Update request into its operations by tokens; pure.

The engine parses every piece itself; here it is only found out where the pieces are.
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
    """One operation: the prologue that holds for it, and its tokens; `text` is the whole request."""

    prologue: str
    text: str
    tokens: tuple[Token, ...] = field(repr=False)

    @property
    def first_keyword(self) -> str:
        """Its first keyword, in capitals."""
        return self.tokens[0].text.upper()

    def starts_with(self, *keywords: str) -> bool:
        """Whether it begins with some keywords."""
        return [word.text.upper() for word in self.tokens[: len(keywords)]] == list(keywords)

    def block(self, keyword: str) -> str | None:
        """What stands between the outer braces behind a keyword, without them; None if there is no such keyword."""
        for index, word in self.top_level_tokens():
            if word.is_word(keyword) and index + 1 < len(self.tokens) and self.tokens[index + 1].text == "{":
                return self._brace_content(index + 1)
        return None

    def tokens_after(self, keyword: str) -> Iterator[tuple[Token, ...]]:
        """The tokens behind each occurrence of a keyword outside of braces."""
        for index, word in self.top_level_tokens():
            if word.is_word(keyword):
                yield self.tokens[index + 1 :]

    def where_pattern(self) -> str:
        """The group graph pattern behind WHERE, with its braces."""
        return f"{{{self.block('WHERE') or ''}}}"

    def top_level_tokens(self) -> Iterator[tuple[int, Token]]:
        """The tokens outside of braces, with their places in `words`."""
        depth = 0
        for index, word in enumerate(self.tokens):
            if depth == 0:
                yield index, word
            depth += (word.text == "{") - (word.text == "}")

    def _brace_content(self, opening: int) -> str:
        depth = 0
        for word in self.tokens[opening:]:
            depth += (word.text == "{") - (word.text == "}")
            if depth == 0:
                return self.text[self.tokens[opening].start + 1 : word.start]
        return self.text[self.tokens[opening].start + 1 :]


def prologue_end(text: str) -> int:
    """Where the declarations at the start of a text end: the offset of the next token, or the text's length."""
    piece = next(_split_at_semicolons(text))
    rest = piece[parse_prologue(piece).length :]
    return rest[0].start if rest else _end_offset(piece)


def _end_offset(piece: list[Token]) -> int:
    return piece[-1].end if piece else 0


def parse_operations(text: str) -> list[UpdateOperation]:
    """The operations of a request that is known to parse, each with all of the prologues before it.

    Raises QuerySyntaxError where the parser could read the text in another way: words without space between them,
    or a `<` that may be an operator.
    """
    doubt = find_ambiguous_operator(text)
    if doubt is not None:
        raise QuerySyntaxError("write a space behind '<' if it is an operator", *line_and_column(text, doubt.start))
    found, prologue = list[UpdateOperation](), list[str]()
    for piece in _split_at_semicolons(text):
        start = parse_prologue(piece).length
        if start:
            prologue.append(_source_text(text, piece[:start]))
        if piece[start:]:
            found.append(_check_keywords(UpdateOperation("\n".join(prologue), text, tuple(piece[start:]))))
    return found


def _check_keywords(operation: UpdateOperation) -> UpdateOperation:
    """Refuse keywords that are none: the parser takes INSERTDATA for two, and would find more than is found here."""
    for index, word in operation.top_level_tokens():
        verbs = _OPERATION_KEYWORDS if index == 0 else _CLAUSE_KEYWORDS
        if (word.kind == "word" or index == 0) and word.text.upper() not in verbs:
            place = line_and_column(operation.text, word.start)
            raise QuerySyntaxError(f"unexpected {word.text[:40]!r}; write every keyword as a word of its own", *place)
    return operation


def isolate_operations(text: str) -> Iterator[str]:
    """For each operation, the text in which only white space is left of the others; places stay as they are.

    One text if declarations stand only before the first operation.
    """
    pieces = list(_split_at_semicolons(text))
    lengths = [parse_prologue(piece).length for piece in pieces]
    if not any(lengths[1:]):
        yield text
        return
    declared = list[Token]()
    for piece, length in zip(pieces, lengths, strict=True):
        declared += piece[:length]
        if piece[length:]:
            yield _blank_out_others(text, [*declared, *piece[length:]])


def _blank_out_others(text: str, kept: list[Token]) -> str:
    return interleave(map(_to_spaces, split_at_tokens(text, kept)), (token.text for token in kept))


def _to_spaces(text: str) -> str:
    return "".join(sign if sign in "\r\n" else " " for sign in text)


def replace_variables(block: str) -> tuple[str, dict[str, str]]:
    """A template in which reserved IRIs stand for the variables, and the variables by these IRIs."""
    prefix = f"urn:uuid:{uuid.uuid4()}#"  # random, so that no text can contain it
    variables = [token for token in iter_tokens(block) if token.kind == "variable"]
    template = interleave(split_at_tokens(block, variables), (f"<{prefix}{token.text[1:]}>" for token in variables))
    return template, {prefix + token.text[1:]: token.text[1:] for token in variables}


def _split_at_semicolons(text: str) -> Iterator[list[Token]]:
    """Cut at semicolons outside of braces."""
    piece, depth = list[Token](), 0
    for token in iter_tokens(text):
        if token.text == ";" and depth == 0:
            yield piece
            piece = []
            continue
        depth += (token.text == "{") - (token.text == "}")
        piece.append(token)
    yield piece


def _source_text(text: str, piece: list[Token]) -> str:
    return text[piece[0].start : piece[-1].end]

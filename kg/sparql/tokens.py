"""Tokenise SPARQL text, and answer questions that need tokens but no syntax tree."""

import re
from collections.abc import Container, Iterable, Iterator
from functools import cache
from hashlib import blake2b
from itertools import chain
from operator import add
from typing import Final, NamedTuple

_LEXICAL_GRAMMAR: Final = r"""
    (?: (?P<variable>[?$]\w+)
      | (?P<pname>(?:[^\W\d_][\w.\-]*+)?:(?:[\w:]|%%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?\#@%%])?
                  (?:(?:[\w:.\-]|%%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?\#@%%])*
                     (?:[\w:\-]|%%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?\#@%%]))?)
      | (?P<space>\s+ | \#[^\n\r]*)
      | (?P<iri><[^<>"{}|^`\\\x00-\x20]*+>)
      %s
      | (?P<blank>_:[\w.\-]*)
      | (?P<tag>@[A-Za-z0-9\-]+)
      | (?P<word>_\w* | [^\W\d]\w*+(?![.\-]))
      | (?P<run>[^\W\d][\w.\-]*)
      | (?P<other>.)
    )\s*
    """
"""The tokens. A `run` consists of words, dots and hyphens without a colon; scanning it at once, rather than from each
of its words, keeps the search for the colon of a prefixed name linear."""
_WORD_RUN: Final = re.compile(r"(?P<word>[^\W\d]\w*)|(?P<other>.)", re.DOTALL)
_STRING_PATTERNS: Final = {
    '"""': r'"""(?:[^"\\]|\\.|"(?!""))*+',
    "'''": r"'''(?:[^'\\]|\\.|'(?!''))*+",
    '"': r'"(?:[^"\\\n\r]|\\.)*+',
    "'": r"'(?:[^'\\\n\r]|\\.)*+",
}
"""Patterns of strings by opening quotes, without the closing quotes."""
_LONG_QUOTES: Final = frozenset({'"""', "'''"})

_MASKED_CHARACTERS: Final = re.compile(
    "(\\\\(?=u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})|[\u00b7\u0300-\u036f\u203f\u2040])|(<<(?=[<(?$]))"
    "|[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff]+"
)
"""Characters that belong to an IRI or a name, or begin a triple term, though `_LEXICAL_GRAMMAR` would split there.

The last alternative is PN_CHARS_BASE, the letters of names; Python's `\\w` lacks some of them.
"""
_AMBIGUOUS_IRI: Final = re.compile(r"""<(?![A-Za-z][A-Za-z0-9+.\-]*://)[^<>"{}|^`\\\x00-\x20]*['#]""")
_PLAIN_IRI: Final = re.compile(r"<[A-Za-z][A-Za-z0-9+.\-]*://[\w.~:/%\-]*#?>")
_OPERAND_KINDS: Final = frozenset({"variable", "string", "iri", "pname", "blank", "tag"})

_FINGERPRINT_CONSTANTS: Final = re.compile(
    r"""(?P<i><[^<>"{}|^`\\\x00-\x20]*>) | (?P<s>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*') | \#[^\n]* | (?P<n>\d+)""",
    re.VERBOSE,
)
_MAX_FINGERPRINT_INPUT: Final = 8192
"""Code points at the start of a text from which its fingerprint is computed."""
_OPENING_BRACKETS: Final = frozenset("([{")
_CLOSING_BRACKETS: Final = frozenset(")]}")
_PREFIX_OPERATORS: Final = frozenset("!+-^")
_NESTING_CHARACTERS: Final = (*_OPENING_BRACKETS, *_PREFIX_OPERATORS)
NESTING_THRESHOLD: Final = 64
"""A text with no more brackets and prefix operators than this cannot be deeply nested."""


class Token(NamedTuple):
    """A token of a text; `kind` is iri, string, variable, pname, blank, tag, word, other, or end after the last one."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The offset after the token's last character."""
        return self.start + len(self.text)

    def is_word(self, word: str) -> bool:
        """Whether this is a keyword, in upper or lower case."""
        return self.kind == "word" and self.text.upper() == word

    def is_variable(self, name: str) -> bool:
        """Whether this is the variable with a name, marked `?` or `$`."""
        return self.kind == "variable" and self.text[1:] == name


def iter_tokens(text: str) -> Iterator[Token]:
    """Tokenise a text, skipping white space and comments; never fails.

    An unclosed quote is a token of its own. Time is linear: `unclosed` remembers how far the text was searched for the
    end of a string, so that no other quote of the same kind starts that search again before this offset.
    """
    masked, position, unclosed = _MASKED_CHARACTERS.sub(_mask_character, text), 0, dict[str, int]()
    while position < len(masked):
        for match in _token_regex(frozenset(unclosed)).finditer(masked, position):
            kind = match.lastgroup or "other"
            start, end = match.span(kind)
            if kind == "open":
                unclosed[_opening_quote(masked, start, unclosed)], position = end, start
                break
            position = match.end()
            if kind == "run":
                yield from _split_word_run(text, masked, start, end)
            elif kind != "space":
                yield Token(kind, text[start:end], start)
            if unclosed and position >= min(unclosed.values()):
                unclosed = {quote: end for quote, end in unclosed.items() if end > position}
                break


def _split_word_run(text: str, masked: str, start: int, end: int) -> Iterator[Token]:
    """Yield the words and signs of a run."""
    for match in _WORD_RUN.finditer(masked, start, end):
        yield Token(match.lastgroup or "other", text[match.start() : match.end()], match.start())


@cache
def _token_regex(unclosed: frozenset[str]) -> re.Pattern[str]:
    """Return the tokens' pattern for a place where some quotes are known to be unclosed."""
    quotes = [quote for quote in _STRING_PATTERNS if quote not in unclosed]
    longer = {quote[0]: f"(?!{quote})" for quote in quotes if quote in _LONG_QUOTES}
    opened = [longer.get(quote, "") + _STRING_PATTERNS[quote] for quote in quotes]
    closed = map(add, opened, quotes)
    strings = f"| (?P<string>{' | '.join(closed)}) | (?P<open>{' | '.join(opened)})" if quotes else ""
    return re.compile(_LEXICAL_GRAMMAR % strings, re.VERBOSE | re.DOTALL)


def _opening_quote(text: str, start: int, unclosed: Container[str]) -> str:
    """Return the quotes that open a string at an offset."""
    return next(quote for quote in _STRING_PATTERNS if quote not in unclosed and text.startswith(quote, start))


def _mask_character(match: re.Match[str]) -> str:
    """Return as many characters that keep a token together, or that are tokens of their own."""
    inner, doubled = match.groups()
    return "_" if inner else ",," if doubled else "x" * len(match[0])


def split_at_tokens(text: str, tokens: Iterable[Token]) -> list[str]:
    """Return the text before, between and after some of its tokens, which must be in the text's order."""
    pieces, end = list[str](), 0
    for token in tokens:
        pieces.append(text[end : token.start])
        end = token.end
    return [*pieces, text[end:]]


def interleave(pieces: Iterable[str], replacements: Iterable[str]) -> str:
    """Join the pieces of `split_at_tokens` with a replacement for each token."""
    return "".join(map(add, pieces, chain(replacements, [""])))


def find_ambiguous_operator(text: str, tokens: Iterable[Token] | None = None) -> Token | None:
    """Return the first token that looks like an IRI but that the engine's parser might read as an operator.

    In `?a<?b&&?c!='>'`, everything from `<` to `>` looks like an IRI. The ambiguity matters only if the token contains
    a quote or a `#`. `tokens` are the tokens of the text, if the caller has them.
    """
    if _AMBIGUOUS_IRI.search(text) is None:
        return None
    depth, before = 0, None
    for token in iter_tokens(text) if tokens is None else tokens:
        depth += (token.text == "(") - (token.text == ")")
        if (
            token.kind == "iri"
            and depth > 0
            and before is not None
            and _AMBIGUOUS_IRI.match(token.text)
            and _is_operand(before)
        ):
            return token
        before = token
    return None


def _is_operand(token: Token) -> bool:
    return token.kind in _OPERAND_KINDS or token.text == ")" or token.text[-1].isalnum()


def replace_glued_keyword(text: str, keyword: str, other: str) -> str:
    """Replace a keyword by another word wherever it is part of a longer token or a comment.

    The engine's parser reads SERVICEa:b as SERVICE and a:b. If `other` is unpredictable, the resulting text parses
    only if every replaced occurrence is part of a name, a string or a comment.
    """
    words = [token for token in iter_tokens(text) if token.is_word(keyword)]
    between = (re.sub(keyword, other, piece, flags=re.IGNORECASE) for piece in split_at_tokens(text, words))
    return interleave(between, (token.text for token in words))


def find_service_keyword(text: str) -> int | None:
    """Return the offset of the first SERVICE keyword, or None."""
    if not contains_word(text, "SERVICE"):
        return None
    return next((token.start for token in iter_tokens(text) if token.is_word("SERVICE")), None)


def contains_word(text: str, word: str) -> bool:
    """Return whether a text contains an upper-case word, in any case; if not, none of its tokens is that keyword."""
    return word in text.upper()


def contains_word_outside_iris(text: str, word: str) -> bool:
    """Return whether a text contains an upper-case word, in any case, outside of unambiguous IRIs.

    A `<` that is followed by `scheme://` is no operator, and only IRIs without characters that could end them early
    are left out.
    """
    return contains_word(text, word) and contains_word(_PLAIN_IRI.sub("<>", text), word)


def nesting_depth(text: str, tokens: Iterable[Token] | None = None, threshold: int = NESTING_THRESHOLD) -> int:
    """Return the maximum nesting depth of brackets and prefix operators, or an upper bound of at most `threshold`.

    `tokens` are the tokens of the text, if the caller has them.
    """
    bound = sum(map(text.count, _NESTING_CHARACTERS))
    if bound <= threshold:
        return bound
    depth = deepest = signs = 0
    for token in iter_tokens(text) if tokens is None else tokens:
        signs = signs + 1 if token.text in _PREFIX_OPERATORS else 0
        depth += (token.text in _OPENING_BRACKETS) - (token.text in _CLOSING_BRACKETS)
        deepest = max(deepest, depth + signs)
    return deepest


def query_fingerprint(text: str) -> str:
    """Return a hash that ignores IRIs, literals, numbers, comments and white space, to group similar queries."""
    skeleton = _FINGERPRINT_CONSTANTS.sub(lambda match: match.lastgroup or "", text[:_MAX_FINGERPRINT_INPUT])
    return blake2b(" ".join(skeleton.split()).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Turn an offset into a line and a column, both counted from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

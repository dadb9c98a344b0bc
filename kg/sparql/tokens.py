"""Read a SPARQL text as tokens with positions, as far as its dataset and its SERVICE calls need; pure."""

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
"""Tokens; a `run` is of words and signs, looked through at once for the colon that would make it a prefix."""
_WORD_RUN: Final = re.compile(r"(?P<word>[^\W\d]\w*)|(?P<other>.)", re.DOTALL)
_STRING_PATTERNS: Final = {
    '"""': r'"""(?:[^"\\]|\\.|"(?!""))*+',
    "'''": r"'''(?:[^'\\]|\\.|'(?!''))*+",
    '"': r'"(?:[^"\\\n\r]|\\.)*+',
    "'": r"'(?:[^'\\\n\r]|\\.)*+",
}
"""Strings by their quotes, but for those at the end."""
_LONG_QUOTES: Final = frozenset({'"""', "'''"})

_MASKED_CHARACTERS: Final = re.compile(
    "(\\\\(?=u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})|[\u00b7\u0300-\u036f\u203f\u2040])|(<<(?=[<(?$]))"
    "|[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff]+"
)
"""What is part of an IRI or a name, or begins a triple term, though `_PATTERN` might end or begin a token there.

The last are the letters of names (PN_CHARS_BASE), among which are signs that no word of Python has.
"""
_AMBIGUOUS_IRI: Final = re.compile(r"""<(?![A-Za-z][A-Za-z0-9+.\-]*://)[^<>"{}|^`\\\x00-\x20]*['#]""")
_PLAIN_IRI: Final = re.compile(r"<[A-Za-z][A-Za-z0-9+.\-]*://[\w.~:/%\-]*#?>")
_OPERAND_KINDS: Final = frozenset({"variable", "string", "iri", "pname", "blank", "tag"})

_FINGERPRINT_CONSTANTS: Final = re.compile(
    r"""(?P<i><[^<>"{}|^`\\\x00-\x20]*>) | (?P<s>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*') | \#[^\n]* | (?P<n>\d+)""",
    re.VERBOSE,
)
_MAX_FINGERPRINT_INPUT: Final = 8192
"""Code points of a text that make its shape."""
_OPENING_BRACKETS: Final = frozenset("([{")
_CLOSING_BRACKETS: Final = frozenset(")]}")
_PREFIX_OPERATORS: Final = frozenset("!+-^")
_NESTING_CHARACTERS: Final = (*_OPENING_BRACKETS, *_PREFIX_OPERATORS)
NESTING_THRESHOLD: Final = 64
"""So many brackets and signs cannot nest deep, wherever they stand."""


class Token(NamedTuple):
    """A piece of the text: `kind` is iri, string, variable, pname, blank, tag, word or other."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The offset behind the token."""
        return self.start + len(self.text)

    def is_word(self, word: str) -> bool:
        """Whether this is a keyword, in upper or lower case."""
        return self.kind == "word" and self.text.upper() == word

    def is_variable(self, name: str) -> bool:
        """Whether this is the variable with a name, marked `?` or `$`."""
        return self.kind == "variable" and self.text[1:] == name


def iter_tokens(text: str) -> Iterator[Token]:
    """Cut a text into tokens, without white space and comments; never fails, whatever the text.

    In linear time: what an open quote leads through to no end is looked through once.
    """
    even, place, unclosed = _MASKED_CHARACTERS.sub(_mask_character, text), 0, dict[str, int]()
    while place < len(even):
        for match in _token_regex(frozenset(unclosed)).finditer(even, place):
            kind = match.lastgroup or "other"
            start, end = match.span(kind)
            if kind == "open":
                unclosed[_opening_quote(even, start, unclosed)], place = end, start
                break
            place = match.end()
            if kind == "run":
                yield from _split_word_run(text, even, start, end)
            elif kind != "space":
                yield Token(kind, text[start:end], start)
            if unclosed and place >= min(unclosed.values()):
                unclosed = {quote: end for quote, end in unclosed.items() if end > place}
                break


def _split_word_run(text: str, even: str, start: int, end: int) -> Iterator[Token]:
    """The words and signs of a run."""
    for match in _WORD_RUN.finditer(even, start, end):
        yield Token(match.lastgroup or "other", text[match.start() : match.end()], match.start())


@cache
def _token_regex(unclosed: frozenset[str]) -> re.Pattern[str]:
    """What tokens look like where some quotes are known to open nothing."""
    quotes = [quote for quote in _STRING_PATTERNS if quote not in unclosed]
    longer = {quote[0]: f"(?!{quote})" for quote in quotes if quote in _LONG_QUOTES}
    opened = [longer.get(quote, "") + _STRING_PATTERNS[quote] for quote in quotes]
    closed = map(add, opened, quotes)
    strings = f"| (?P<string>{' | '.join(closed)}) | (?P<open>{' | '.join(opened)})" if quotes else ""
    return re.compile(_LEXICAL_GRAMMAR % strings, re.VERBOSE | re.DOTALL)


def _opening_quote(text: str, start: int, unclosed: Container[str]) -> str:
    """The quotes that open a string at an offset."""
    return next(quote for quote in _STRING_PATTERNS if quote not in unclosed and text.startswith(quote, start))


def _mask_character(match: re.Match[str]) -> str:
    """Signs of equal number that keep a token together, or that are tokens of their own."""
    inner, doubled = match.groups()
    return "_" if inner else ",," if doubled else "x" * len(match[0])


def split_at_tokens(text: str, tokens: Iterable[Token]) -> list[str]:
    """Return the pieces of a text before, between and behind some of its tokens, which are in the text's order."""
    pieces, end = list[str](), 0
    for token in tokens:
        pieces.append(text[end : token.start])
        end = token.end
    return [*pieces, text[end:]]


def interleave(pieces: Iterable[str], replacements: Iterable[str]) -> str:
    """Join the pieces of `split_at_tokens` with a replacement for each token."""
    return "".join(map(add, pieces, chain(replacements, ("",))))


def find_ambiguous_operator(text: str, stream: Iterable[Token] | None = None) -> Token | None:
    """The first token that looks like an IRI and may be an operator, which would let the parser read on otherwise.

    In `?a<?b&&?c!='>'` all from `<` to `>` looks like an IRI. Only where a quote or a `#` is inside does it matter.
    `stream` are the tokens of the text, if they were read before.
    """
    if _AMBIGUOUS_IRI.search(text) is None:
        return None
    depth, before = 0, None
    for token in iter_tokens(text) if stream is None else stream:
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
    """A text with another word wherever a keyword stands that is no token of its own.

    The parser takes SERVICEa:b for SERVICE and a:b. With a word that nobody could foresee, the text parses only if all
    that was replaced are parts of names, strings and comments.
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
    """Whether a word, in capitals, stands anywhere in a text; if not, no token is that keyword."""
    return word in text.upper()


def contains_word_outside_iris(text: str, word: str) -> bool:
    """Whether a word, in capitals, stands anywhere in a text but within IRIs that are nothing else.

    What begins with `<scheme://` is no operator; and these have no sign that could end them before their end.
    """
    return contains_word(text, word) and contains_word(_PLAIN_IRI.sub("<>", text), word)


def nesting_depth(text: str, stream: Iterable[Token] | None = None, threshold: int = NESTING_THRESHOLD) -> int:
    """Measure how deep brackets and prefix signs stand within each other at most; a bound where that is `shallow`.

    `stream` are the tokens of the text, if they were read before.
    """
    bound = sum(map(text.count, _NESTING_CHARACTERS))
    if bound <= threshold:
        return bound
    depth = deepest = signs = 0
    for token in iter_tokens(text) if stream is None else stream:
        signs = signs + 1 if token.text in _PREFIX_OPERATORS else 0
        depth += (token.text in _OPENING_BRACKETS) - (token.text in _CLOSING_BRACKETS)
        deepest = max(deepest, depth + signs)
    return deepest


def query_fingerprint(text: str) -> str:
    """Name what a text has in common with others that differ in IRIs, literals, numbers, comments and white space."""
    skeleton = _FINGERPRINT_CONSTANTS.sub(lambda match: match.lastgroup or "", text[:_MAX_FINGERPRINT_INPUT])
    return blake2b(" ".join(skeleton.split()).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Turn an offset into a line and a column, both counted from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

"""Parse the prologue of a SPARQL text and resolve the IRIs of its FROM and SERVICE clauses."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from kg.rdf.iris import resolve
from kg.sparql.tokens import Token, contains_word, iter_tokens

_CODEPOINT_ESCAPE: Final = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U(000[0-9A-Fa-f]{5}|0010[0-9A-Fa-f]{4})")
_SURROGATES: Final = range(0xD800, 0xE000)
_LOCAL_NAME_ESCAPE: Final = re.compile(r"\\(.)")


class Prologue(NamedTuple):
    """The declarations at the start of a text: their number of tokens, the base IRI, and the namespaces by prefix."""

    length: int
    base: str
    prefixes: dict[str, str]

    def resolve(self, token: Token) -> str | None:
        """Return the IRI that a token stands for, or None if it is no IRI or has an unknown prefix; never fails."""
        if token.kind == "iri":
            return resolve(self.base, _unescape_codepoints(token.text[1:-1]))
        if token.kind == "pname":
            prefix, _, local = token.text.partition(":")
            namespace = self.prefixes.get(prefix)
            return None if namespace is None else namespace + _LOCAL_NAME_ESCAPE.sub(r"\1", local)
        return None


def parse_prologue(tokens: Sequence[Token], base: str = "") -> Prologue:
    """Read BASE, PREFIX and VERSION declarations up to the first token that begins none, or a malformed one.

    `base` is the text's own base IRI. Unless a keyword follows, base and prefixes are empty: the engine's parser might
    read declarations that this one does not, and an IRI must not resolve with a prefix that was declared again.
    """
    length, namespaces, is_valid = 0, dict[str, str](), True
    while length < len(tokens) and (size := _declaration_size(tokens[length])):
        declaration = tokens[length : length + size]
        length += len(declaration)
        if declaration[0].is_word("VERSION"):
            continue
        name, iri = "".join(token.text for token in declaration[:-1]), declaration[-1]
        is_base = declaration[0].is_word("BASE")
        is_valid = is_valid and len(declaration) == size and iri.kind == "iri" and (is_base or name.endswith(":"))
        resolved = resolve(base, _unescape_codepoints(iri.text[1:-1]))
        if is_base:
            base = resolved
        else:
            namespaces[name[len("PREFIX") : -1]] = resolved
    if is_valid and length < len(tokens) and tokens[length].kind == "word":
        return Prologue(length, base, namespaces)
    return Prologue(length, "", {})


def _declaration_size(token: Token) -> int:
    """Return how many tokens the declaration has that a token begins, or 0 if it begins none."""
    if token.is_word("PREFIX"):
        return 3
    is_glued_prefix = token.kind == "pname" and token.text.upper().startswith("PREFIX")  # `PREFIXa:<…>` is legal
    return 2 if is_glued_prefix or token.is_word("BASE") or token.is_word("VERSION") else 0


def _unescape_codepoints(iri: str) -> str:
    """Decode the escapes of code points in an IRI; escapes of surrogates stay."""
    return _CODEPOINT_ESCAPE.sub(_decode_codepoint, iri)


def _decode_codepoint(match: re.Match[str]) -> str:
    number = int(match[1] or match[2], 16)
    return match[0] if number in _SURROGATES else chr(number)


@dataclass(frozen=True)
class IriClause:
    """A keyword that is followed by an IRI, such as FROM: its offset, whether `modifier` follows it, and the IRI.

    The IRI is None for a variable or an unknown prefix.
    """

    start: int
    has_modifier: bool
    iri: str | None


def iri_clauses(text: str, keyword: str, modifier: str, base: str = "") -> Iterator[IriClause]:
    """Find a keyword's clauses, with prefixes and BASE resolved; `base` is the text's own base IRI."""
    tokens = list(iter_tokens(text))
    prologue = parse_prologue(tokens, base)
    for index, token in enumerate(tokens):
        following = tokens[index + 1 : index + 3]
        if token.is_word(keyword) and following:
            has_modifier = following[0].is_word(modifier)
            yield IriClause(token.start, has_modifier, prologue.resolve(following[-1 if has_modifier else 0]))


@dataclass(frozen=True)
class DatasetClauses:
    """The resolved IRIs of a query's FROM and FROM NAMED clauses."""

    default: tuple[str, ...]
    named: tuple[str, ...]


def dataset_clauses(text: str, base: str = "") -> DatasetClauses:
    """Collect the FROM and FROM NAMED clauses; clauses whose IRI is unknown are left out."""
    if not contains_word(text, "FROM"):
        return DatasetClauses((), ())
    clauses = [(clause.has_modifier, clause.iri) for clause in iri_clauses(text, "FROM", "NAMED", base)]
    default, named = (
        tuple(iri for has_modifier, iri in clauses if iri is not None and has_modifier == wanted)
        for wanted in (False, True)
    )
    return DatasetClauses(default, named)

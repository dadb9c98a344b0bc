"""Parse triple patterns, with property paths, collections and blank node property lists."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from kg.sparql.prologue import Prologue
from kg.sparql.syntax_tree import (
    RDF_TYPE_IRIREF,
    AlternativePath,
    GroupElement,
    InversePath,
    NegatedPropertySet,
    PropertyPath,
    RepeatedPath,
    SequencePath,
    TriplePattern,
    is_nullable,
    union_of_names,
    without_blank_nodes,
)
from kg.sparql.token_stream import TokenStream, join_tokens
from kg.sparql.tokens import Token

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.\d*[eE][+-]?\d+|\.?\d+[eE][+-]?\d+|\d*\.\d+|\d+)")
_BOOLEANS: Final = frozenset({"true", "false"})
_SINGLE_TOKEN_KINDS: Final = frozenset({"variable", "iri", "pname", "blank"})
"""Kinds of terms that always consist of one token."""
_TERM_KINDS: Final = _SINGLE_TOKEN_KINDS | {"string"}
_BRACKET_PAIRS: Final = {"(": ")", "[": "]"}
_PATH_MODIFIERS: Final = frozenset("*?+")
_PATH_OPERATORS: Final = frozenset("*?+/|")
"""Tokens that, after a predicate, make it part of a path."""


class TripleParser(TokenStream):
    """A token stream that parses triple patterns."""

    def __init__(self, text: str, tokens: Iterable[Token]) -> None:
        super().__init__(text, tokens)
        self._prologue = Prologue(0, "", {})
        self._resolved_terms = dict[str, str]()

    def _starts_triples(self) -> bool:
        token = self._peek
        if token.kind in _TERM_KINDS or token.text in _BOOLEANS or token.text in _BRACKET_PAIRS:
            return True
        return token.kind == "other" and _NUMBER.match(self._text, token.start) is not None

    def _triples(self) -> GroupElement:
        start, patterns, end = self._peek.start, list[TriplePattern](), 0
        while True:
            patterns += self._triples_same_subject()
            end = self._previous_end
            if not self._skip(".") or not self._starts_triples():
                break
        names = union_of_names(pattern.names for pattern in patterns)
        return GroupElement("triples", start, end, names, without_blank_nodes(names), tuple(patterns))

    def _triples_same_subject(self) -> list[TriplePattern]:
        """Parse the triple patterns of one subject; with a node in brackets, they become one compound pattern."""
        start = self._at
        subject, predicate_objects = self._term(), list[tuple[str, str, PropertyPath | None, str]]()
        is_compound = subject in _BRACKET_PAIRS
        while not is_compound or self._peek.text not in {".", "}"}:
            verb = self._verb()
            while True:
                node = self._term()
                is_compound = is_compound or node in _BRACKET_PAIRS
                predicate_objects.append((*verb, node))
                if not self._skip(","):
                    break
            if not self._skip_semicolons():
                break
        if is_compound:
            return [self._compound_pattern(start)]
        return [self._triple_pattern(subject, *triple) for triple in predicate_objects]

    def _triple_pattern(
        self, subject: str, text: str, predicate: str, path: PropertyPath | None, node: str
    ) -> TriplePattern:
        subject_term, subject_name = self._normalized_term(subject)
        object_term, object_name = self._normalized_term(node)
        names = {subject_name, predicate[1:] if predicate.startswith("?") else "", object_name} - {""}
        return TriplePattern(
            f"{subject} {text} {node}",
            frozenset(names),
            subject_term,
            predicate,
            object_term,
            is_nullable=path is not None and is_nullable(path),
            path=path,
        )

    def _skip_semicolons(self) -> bool:
        """Consume semicolons; return whether another predicate follows."""
        if not self._skip(";"):
            return False
        while self._skip(";"):
            pass
        token = self._peek
        return token.kind in {"variable", "iri", "pname"} or token.text in {"a", "^", "!", "("}

    def _compound_pattern(self, start: int) -> TriplePattern:
        tokens = self._tokens[start : self._at]
        names = frozenset(token.text.lstrip("?$") for token in tokens if token.kind in {"variable", "blank"})
        nullable = any(token.text in {"*", "?"} for token in tokens)
        return TriplePattern(join_tokens(tokens), names, is_nullable=nullable, is_compound=True)

    def _term(self) -> str:
        """Consume a term and return its text, or the opening bracket of a node in brackets."""
        start, token = self._at, self._peek
        if token.text in _BRACKET_PAIRS:
            return self._bracketed_node(token)
        if token.kind in _SINGLE_TOKEN_KINDS:
            self._next()
            return token.text
        number = _NUMBER.match(self._text, token.start) if token.kind == "other" else None
        if number is not None:
            while self._peek.start < number.end():
                self._next()
            if self._previous_end != number.end() or (self._peek.start == number.end() and self._peek.kind == "word"):
                raise self._unsupported_token(token)
            return number.group()
        if token.kind != "string" and token.text not in _BOOLEANS:
            raise self._unsupported_token(token)
        self._next()
        if token.kind == "string":
            if self._peek.kind == "tag":
                self._next()
            elif self._skip("^", "^") and self._next().kind not in {"iri", "pname"}:
                raise self._unsupported_token(token)
        return join_tokens(self._tokens[start : self._at])

    def _bracketed_node(self, token: Token) -> str:
        closing = list[str]()
        while True:
            inner = self._next()
            if inner.text in _BRACKET_PAIRS:
                closing.append(_BRACKET_PAIRS[inner.text])
            elif inner.text in {")", "]"}:
                if closing.pop() != inner.text:
                    raise self._unsupported_token(inner)
            elif inner.text in {"{", "}", "<", ">"}:
                raise self._unsupported_token(inner)
            if not closing:
                return token.text

    def _verb(self) -> tuple[str, str, PropertyPath | None]:
        """Return the text of a predicate or path, the predicate ("" for a path), and the path (None for a variable)."""
        start, token = self._at, self._peek
        if token.kind == "variable":
            self._next()
            return token.text, f"?{token.text[1:]}", None
        if _is_predicate(token) and self._tokens[start + 1].text not in _PATH_OPERATORS:
            predicate = self._predicate()
            return token.text, predicate, predicate
        path = self._path()
        return join_tokens(self._tokens[start : self._at]), "", path

    def _path(self) -> PropertyPath:
        parts = [self._path_sequence()]
        while self._skip("|"):
            parts.append(self._path_sequence())
        return parts[0] if len(parts) == 1 else AlternativePath(tuple(parts))

    def _path_sequence(self) -> PropertyPath:
        parts = [self._path_element()]
        while self._skip("/"):
            parts.append(self._path_element())
        return parts[0] if len(parts) == 1 else SequencePath(tuple(parts))

    def _path_element(self) -> PropertyPath:
        if self._skip("^"):
            return InversePath(self._modified_path())
        return self._modified_path()

    def _modified_path(self) -> PropertyPath:
        path = self._path_primary()
        if self._peek.text not in _PATH_MODIFIERS:
            return path
        modifier = self._next().text
        if modifier == "+" and self._peek.text[:1].isdigit() and self._peek.start == self._previous_end:
            raise self._unsupported_token(self._peek)
        return RepeatedPath(path, modifier)

    def _path_primary(self) -> PropertyPath:
        if self._skip("!"):
            return NegatedPropertySet(tuple(self._negated_property_set()))
        if not self._skip("("):
            return self._predicate()
        path = self._path()
        self._expect(")")
        return path

    def _negated_property_set(self) -> Iterator[PropertyPath]:
        if not self._skip("("):
            yield self._negated_property()
            return
        while not self._skip(")"):
            yield self._negated_property()
            self._skip("|")

    def _negated_property(self) -> PropertyPath:
        return InversePath(self._predicate()) if self._skip("^") else self._predicate()

    def _predicate(self) -> str:
        token = self._next()
        if not _is_predicate(token):
            raise self._unsupported_token(token)
        return RDF_TYPE_IRIREF if token.text == "a" else self._resolved_term(token.text)

    def _normalized_term(self, term: str) -> tuple[str, str]:
        """Return a term in its normal form and its name ("" unless it is a variable or a labelled blank node)."""
        if term.startswith(("?", "$")):
            return f"?{term[1:]}", term[1:]
        return self._resolved_term(term), term if term.startswith("_:") else ""

    def _resolved_term(self, term: str) -> str:
        """Return an IRI as `<IRI>` with prefix and base resolved, and any other term as it is."""
        resolved = self._resolved_terms.get(term)
        if resolved is None:
            kind = "iri" if term.startswith("<") else "pname" if ":" in term and term[0] not in "\"'_?$" else ""
            iri = self._prologue.resolve(Token(kind, term, 0))
            resolved = self._resolved_terms[term] = term if iri is None else f"<{iri}>"
        return resolved


def _is_predicate(token: Token) -> bool:
    return token.kind in {"iri", "pname"} or token.text == "a"

"""SPARQL templates: `$name` is a placeholder, and only whole tokens are replaced."""

from collections.abc import Iterable
from typing import NewType

from kg.rdf.namespaces import SPARQL_PREFIXES
from kg.rdf.terms import Term
from kg.sparql.tokens import interleave, iter_tokens, split_at_tokens

Fragment = NewType("Fragment", str)
"""Trusted SPARQL text from the project's own code, such as a graph pattern; it is inserted verbatim."""

Value = Term | int | Fragment | Iterable[Term] | Iterable[tuple[Term, ...]]


class Template:
    """A query with placeholders such as `$iri`, which `fill` replaces by terms in N-Triples syntax.

    SPARQL variables are written with `?` in a template. Inserted values are not scanned for placeholders, so a term may
    contain the text of one.
    """

    def __init__(self, text: str) -> None:
        placeholders = [token for token in iter_tokens(text) if token.kind == "variable" and token.text[0] == "$"]
        self._names = [token.text[1:] for token in placeholders]
        self._pieces = split_at_tokens(text, placeholders)

    def fill(self, **values: Value) -> str:
        """Return the query with a value for each placeholder.

        Several terms are separated by spaces, and tuples become rows of a VALUES clause, both in the order given. The
        terms of a set are sorted, so that equal sets give equal texts. Raises KeyError for a placeholder without a
        value and a value without a placeholder.
        """
        unknown = values.keys() - set(self._names)
        if unknown:
            raise KeyError(f"the template has no place for {', '.join(sorted(unknown))}")
        written = {name: _written(values[name]) for name in self._names}
        return interleave(self._pieces, (written[name] for name in self._names))


def prefixed_template(text: str) -> Template:
    """Return a template that declares the prefixes of the project."""
    return Template(SPARQL_PREFIXES + text)


def _written(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or not isinstance(value, Iterable):
        return str(value)
    rows = [f"({' '.join(map(str, item))})" if isinstance(item, tuple) else str(item) for item in value]
    return " ".join(sorted(rows) if isinstance(value, set | frozenset) else rows)

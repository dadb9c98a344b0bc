"""SPARQL text with places for values: `$name` marks a place, and only whole tokens are replaced."""

from collections.abc import Iterable
from typing import NewType

from kg.rdf.terms import Term
from kg.sparql.tokens import interleave, iter_tokens, split_at_tokens

Fragment = NewType("Fragment", str)
"""SPARQL text that the project wrote itself, such as a graph pattern; it is inserted as it stands."""

Value = Term | int | Fragment | Iterable[Term] | Iterable[tuple[Term, ...]]


class Template:
    """A query with places such as `$iri`, which `fill` replaces by terms in their N-Triples form.

    Other SPARQL variables are written with `?` in a template. Values are never scanned again, so a term that
    contains the name of a place stays as it is.
    """

    def __init__(self, text: str) -> None:
        places = [token for token in iter_tokens(text) if token.kind == "variable" and token.text.startswith("$")]
        self._names = [token.text[1:] for token in places]
        self._pieces = split_at_tokens(text, places)

    def fill(self, **values: Value) -> str:
        """Return the query with a value in each place; raises KeyError for a place without a value.

        Several terms are separated by spaces and tuples become the rows of a VALUES clause, both in the order given;
        the terms of a set are sorted, so that equal sets give equal texts.
        """
        unknown = values.keys() - set(self._names)
        if unknown:
            raise KeyError(f"the template has no place for {', '.join(sorted(unknown))}")
        written = {name: _written(values[name]) for name in self._names}
        return interleave(self._pieces, (written[name] for name in self._names))


def _written(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or not isinstance(value, Iterable):
        return str(value)
    rows = [f"({' '.join(map(str, item))})" if isinstance(item, tuple) else str(item) for item in value]
    return " ".join(sorted(rows) if isinstance(value, set | frozenset) else rows)

"""Values as pages show them."""

import pytest

from kg.rdf.terms import BlankNode, Literal, NamedNode
from service.presentation.display_values import DisplayValue, shorten
from service.presentation.names import DisplayNames

NAMES = DisplayNames({"urn:a": {"en": "one"}, "urn:b": {"vi": "hai"}}, "vi")


@pytest.mark.parametrize(("text", "short"), [("abc", "abc"), ("abcd", "ab…"), ("a bcd", "a…")])
def test_texts_are_shortened_to_a_length(text: str, short: str) -> None:
    assert shorten(text, 3) == short


def test_terms_become_values_of_a_page() -> None:
    assert NAMES.term_value(NamedNode("urn:a")) == DisplayValue("one", "urn:a", "en")
    assert NAMES.term_value(NamedNode("urn:b")) == DisplayValue("hai", "urn:b")
    assert NAMES.term_value(Literal("x", language="en")) == DisplayValue("x", None, "en")
    assert NAMES.term_value(Literal("x", language="vi")) == DisplayValue("x")
    assert NAMES.term_value(BlankNode()) == DisplayValue("")

"""Resolution of IRI references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.engine.embedded import EmbeddedEngine
from kg.errors import QuerySyntaxError
from kg.rdf.iris import authority, resolve
from kg.rdf.namespaces import BASE

PIECES = ["a", "..", ".", "/", "?", "#", ":", "@", "é", "http:", "//h", "x:"]
BASES = ["http://h", "http://h/a/b", "http://h/a/../b/./c", "http://h/a/b/?q#f", "urn:a:b", "tag:x,1:/a/b", "x:a/b/c"]


@pytest.mark.parametrize(
    ("base", "reference", "iri"),
    [
        ("http://h/a/b?q#f", "", "http://h/a/b?q"),
        ("http://h/a/b?q", "#f", "http://h/a/b?q#f"),
        ("http://h/a/b/c", "../d/./e/..", "http://h/a/d/"),
        ("http://h", "a", "http://h/a"),
        ("http://h/a", "http:b", "http:b"),
        ("urn:a:b", "c", "urn:c"),
        ("http://h/a", "//[", "http://["),
        ("http://h/a", "http://℀/", "http://℀/"),
        ("", "a/../b", "a/../b"),
    ],
)
def test_resolve(base: str, reference: str, iri: str) -> None:
    assert resolve(base, reference) == iri


@given(st.sampled_from(BASES), st.lists(st.sampled_from(PIECES), max_size=7).map("".join))
def test_resolves_as_the_engine_does(base: str, reference: str) -> None:
    if reference.startswith("/..") and "//h" not in base:
        return  # the engine then removes the slash too
    try:
        rows = EmbeddedEngine().select(f"BASE <{base}> SELECT (<{reference}> AS ?iri) {{}}")
    except QuerySyntaxError:
        return
    assert rows[0]["iri"].value == resolve(resolve(BASE, base), reference)


def test_authority() -> None:
    assert authority("HTTP://Example.ORG:80/x?y#z") == "example.org:80"
    assert authority("http://a@b/") == "a@b"
    assert authority("http://[/") == "["
    assert authority("http:a.org/x") == authority("urn:a") == ""

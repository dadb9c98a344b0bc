"""Parsing and serialising RDF in every format, and what the parsers refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.errors import RdfSyntaxError
from kg.rdf.formats import JSONLD, NQUADS, NTRIPLES, RDF_FORMATS, RDFXML, TRIG, TURTLE, RdfFormat
from kg.rdf.io import canonical_nquads, parse, place_in_graph, serialize
from kg.rdf.terms import Quad
from tests.rdf.strategies import G, quads


@pytest.mark.parametrize("fmt", RDF_FORMATS)
@given(statements=st.lists(quads, max_size=12))
def test_each_format_gives_back_what_was_written(fmt: RdfFormat, statements: list[Quad]) -> None:
    again = place_in_graph(parse(serialize(statements, fmt), fmt), G)
    assert canonical_nquads(again) == canonical_nquads(statements)


@given(st.lists(quads, max_size=12), st.randoms(use_true_random=False))
def test_canonical_nquads_depend_on_the_dataset_alone(statements: list[Quad], random: object) -> None:
    text = serialize(statements, NQUADS)
    shuffled = text.splitlines(keepends=True)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert canonical_nquads(parse(b"".join(shuffled), NQUADS)) == canonical_nquads(statements)


@pytest.mark.parametrize(
    ("fmt", "text", "line"),
    [
        (TURTLE, '@prefix e: <http://e.org/> .\ne:a e:p "open .', 2),
        (NTRIPLES, "<http://e.org/a> <http://e.org/p> .", 1),
        (JSONLD, '{"@id": "http://e.org/a",\n oops}', 2),
        (RDFXML, "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\n<rdf:Description>", 2),
        (TRIG, "<http://e.org/g> { <http://e.org/a> }", 1),
        (NQUADS, "\n\nnonsense", 3),
    ],
)
def test_malformed_rdf_names_the_line(fmt: RdfFormat, text: str, line: int) -> None:
    with pytest.raises(RdfSyntaxError) as caught:
        parse(text.encode(), fmt)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"line {line}")


def test_invalid_utf8_is_refused() -> None:
    with pytest.raises(RdfSyntaxError, match="UTF-8"):
        parse(b'<http://e.org/a> <http://e.org/p> "\xff" .', TURTLE)


def test_remote_context_is_refused() -> None:
    with pytest.raises(RdfSyntaxError, match="remote context"):
        parse(b'{"@context": "http://127.0.0.1:9/context", "@id": "http://e.org/a"}', JSONLD)


def test_deeply_nested_json_is_refused() -> None:
    with pytest.raises(RdfSyntaxError, match="nested deeper"):
        parse(b'{"@id": "a:a", "a:p": "[[[", "a:q": ' + b"[" * 50_000, JSONLD)


def test_external_entity_is_refused() -> None:
    text = b"""<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="http://e.org/a"><rdf:value>&x;</rdf:value></rdf:Description></rdf:RDF>"""
    with pytest.raises(RdfSyntaxError):
        parse(text, RDFXML)

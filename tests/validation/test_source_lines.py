"""The lines of a document from which findings come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.rdf.formats import JSONLD, NTRIPLES, RDF_FORMATS, RDFXML, TRIG, TURTLE, RdfFormat
from kg.rdf.io import parse, serialize
from kg.rdf.terms import Literal, NamedNode, Quad, Term, Triple
from kg.validation.report import VIOLATION, Finding
from kg.validation.source_lines import MAX_DOCUMENT_LENGTH, read_source_lines

E = "http://e.org/"
DOCUMENT = '''@prefix e: <http://e.org/> . # e:s is not here
PREFIX schema: <https://schema.org/>
BASE <http://e.org/>
e:s a e:T ;
  e:p e:o ,
    "text; with . signs"@en ;
  e:q [ e:p e:inner ;
    e:r 4.5 ] ;
  e:r ( e:o 1 2.5 ) ; e:n 4350000000.0 .

<relative> e:p """a
long
one""" ; e:q true .
[ e:p e:nameless ] e:q e:o .
e:dot\\.ted e:p e:o.
'''


def finding(focus: str, path: str | None = None, value: Term | None = None) -> Finding:
    node = NamedNode(E + focus)
    return Finding(node, node, node, VIOLATION, None if path is None else NamedNode(E + path), value)


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (finding("s"), 4),
        (finding("s", "p"), 5),
        (finding("s", "p", NamedNode(E + "o")), 5),
        (finding("s", "p", Literal("text; with . signs", language="en")), 6),
        (finding("s", "q"), 7),
        (finding("s", "r"), 9),
        (finding("s", "n", Literal("4350000000")), 9),
        (finding("s", "missing"), 4),
        (finding("relative", "p"), 11),
        (finding("relative", "q"), 13),
        (finding("dot.ted", "p"), 15),
        (finding("inner"), 7),
        (finding("nowhere"), None),
    ],
)
def test_lines_of_turtle(item: Finding, line: int | None) -> None:
    parse(DOCUMENT.encode(), TURTLE)
    assert read_source_lines(DOCUMENT.encode(), TURTLE).line_of(item) == line


def test_a_host_that_python_refuses_has_its_line() -> None:
    text = "BASE <http://b.example/>\n<http://℀/> a <//℀/x> ."
    (triple,) = (quad.triple for quad in parse(text.encode(), TURTLE))
    node = NamedNode("http://℀/")
    assert (
        read_source_lines(text.encode(), TURTLE).line_of(
            Finding(node, node, node, VIOLATION, triple.predicate, triple.object)
        )
        == 2
    )


def test_lines_of_trig() -> None:
    text = "@prefix e: <http://e.org/> .\ne:g {\n e:s e:p e:o .\n e:t e:p e:o\n}\nGRAPH e:h { e:u e:p e:o }\n"
    found = read_source_lines(text.encode(), TRIG)
    assert [found.line_of(finding(name, "p")) for name in ("s", "t", "u")] == [3, 4, 6]


@pytest.mark.parametrize("fmt", [JSONLD, RDFXML], ids=lambda fmt: fmt.name)
def test_other_formats_are_searched_for_the_name(fmt: RdfFormat) -> None:
    data = serialize([Triple(NamedNode(E + "s"), NamedNode(E + "p"), NamedNode(E + "o"))], fmt)
    line = read_source_lines(data, fmt).line_of(finding("s"))
    assert line is not None
    assert E + "s" in data.decode().splitlines()[line - 1]


def test_a_very_long_document_is_not_read() -> None:
    assert read_source_lines(b"#" * (MAX_DOCUMENT_LENGTH + 1), TURTLE).line_of(finding("s")) is None


names = st.text("abcXYZ019-_~%é", min_size=1, max_size=6).map(lambda name: NamedNode(E + name.replace("%", "%25")))
terms = names | st.text(max_size=12).map(Literal) | st.integers().map(Literal)


@given(st.lists(st.builds(Quad, names, names, terms), min_size=1, max_size=8, unique=True))
def test_every_line_of_n_triples_is_found(quads: list[Quad]) -> None:
    data = serialize([quad.triple for quad in quads], NTRIPLES)
    found = read_source_lines(data, NTRIPLES)
    for number, line in enumerate(data.decode().rstrip("\n").split("\n"), 1):
        quad = parse(line.encode(), NTRIPLES)[0]
        item = Finding(quad.subject, quad.predicate, quad.predicate, VIOLATION, quad.predicate, quad.object)
        assert (found.line_of(item) or 0) <= number
        assert data.decode().split("\n")[(found.line_of(item) or 0) - 1].startswith(f"{quad.subject} {quad.predicate}")


@given(st.text(max_size=80), st.sampled_from(RDF_FORMATS))
def test_no_text_fails(text: str, fmt: RdfFormat) -> None:
    read_source_lines(text.encode("utf-8", "surrogatepass"), fmt).line_of(finding("s", "p"))

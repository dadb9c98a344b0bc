import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.changes.rdf_patch import RDF_PATCH_MEDIA_TYPE, serialize_rdf_patch
from kg.engine.embedded import EmbeddedEngine
from kg.rdf.delta import Delta
from kg.rdf.formats import NQUADS
from kg.rdf.io import parse_stream
from kg.rdf.terms import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple

S, P, G = NamedNode("urn:s"), NamedNode("urn:p"), NamedNode("urn:g")
BLANK = re.compile(r"<(_:[^>]+)>")
LINE = re.compile(r"(?:H (?:id|prev) <[^<>\" ]+>|TX|TC|[AD] .+) \.")


def statements(text: str, sign: str) -> frozenset[Quad]:
    """Parse the added or deleted quads of a patch as N-Quads, after removing the brackets around blank nodes."""
    lines = [BLANK.sub(r"\1", line[2:]) for line in text.split("\n") if line.startswith(f"{sign} ")]
    return frozenset(parse_stream(io.BytesIO("\n".join(lines).encode()), NQUADS))


def test_a_patch_in_full() -> None:
    blank = BlankNode("b1")
    delta = Delta(
        added=frozenset({Quad(blank, P, Literal('số 1 "_:x"\n', language="vi"), G), Quad(S, P, blank, DefaultGraph())}),
        removed=frozenset({Quad(S, P, Literal("1", datatype=NamedNode("urn:d")), G)}),
    )
    assert serialize_rdf_patch(delta, "http://host/commits/2", "http://host/commits/1").splitlines() == [
        "H id <http://host/commits/2> .",
        "H prev <http://host/commits/1> .",
        "TX .",
        'D <urn:s> <urn:p> "1"^^<urn:d> <urn:g> .',
        'A <_:b1> <urn:p> "số 1 \\"_:x\\"\\n"@vi <urn:g> .',
        "A <urn:s> <urn:p> <_:b1> .",
        "TC .",
    ]


def test_the_first_patch_has_no_previous_one() -> None:
    assert serialize_rdf_patch(Delta(), "urn:id", None) == "H id <urn:id> .\nTX .\nTC .\n"


def test_the_media_type() -> None:
    assert RDF_PATCH_MEDIA_TYPE == "application/rdf-patch"


@pytest.mark.parametrize("text", ["a\nb", "\u2028", "\x85", "\x0b\x0c\x1c", "\\", '"', '\\"', " . ", "_:b <_:c>"])
def test_a_statement_is_one_line(text: str) -> None:
    lines = serialize_rdf_patch(Delta(added=frozenset({Quad(S, P, Literal(text), G)})), "urn:id", None).split("\n")
    assert len(lines) == 5
    assert all(LINE.fullmatch(line) for line in lines if line)


names = st.text("abz09", min_size=1, max_size=4)
iris = st.builds(lambda name: NamedNode(f"urn:{name}"), names)
resources = iris | st.builds(lambda name: BlankNode(f"b{name}"), names)
texts = st.text() | st.sampled_from(("_:b", '" _:b "', "<_:b>", "\\", '\\"', " ", "a b"))
literals = st.builds(Literal, texts) | st.builds(lambda text: Literal(text, language="vi"), texts)
triples = st.builds(Triple, resources, iris, resources | literals)
quads = st.builds(
    lambda triple, graph: Quad(triple.subject, triple.predicate, triple.object, graph),
    triples | st.builds(lambda inner: Triple(NamedNode("urn:r"), NamedNode("urn:reifies"), inner), triples),
    st.just(DefaultGraph()) | iris,
)
readable = quads.filter(lambda quad: not BLANK.search(str(quad.object)))


@given(st.frozensets(readable, max_size=6), st.frozensets(readable, max_size=6))
def test_a_patch_has_the_whole_delta_with_the_same_blank_nodes(
    added: frozenset[Quad], removed: frozenset[Quad]
) -> None:
    delta = Delta(EmbeddedEngine.normalize_quads(added), EmbeddedEngine.normalize_quads(removed))
    text = serialize_rdf_patch(delta, "urn:id", None)
    assert statements(text, "A") == delta.added
    assert statements(text, "D") == delta.removed
    assert text == serialize_rdf_patch(Delta(frozenset(sorted(delta.added, key=str)), delta.removed), "urn:id", None)

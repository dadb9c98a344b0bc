"""The texts that an operator provides, and the sources that they belong to."""

import hashlib
from pathlib import Path

import pytest

from kg.engine.embedded import EmbeddedEngine
from kg.errors import EvidenceTextError
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.namespaces import SPARQL_PREFIXES
from kg.rdf.terms import NamedNode
from kg.sources.source_texts import SourceTexts

TEXT = "Bến cảng đón 1.250 triệu USD trong năm, vượt 12% kế hoạch; Cầu Đất là nhà đầu tư.\n"
BASE = "https://w3id.org/hpez/id/"


def engine(slug: str = "own") -> EmbeddedEngine:
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    turtle = f'{SPARQL_PREFIXES}<{BASE}source/{slug}> a schema:NewsArticle ; schema:sha256 "{digest}" .'
    return EmbeddedEngine(parse(turtle.encode(), TURTLE))


def test_a_text_belongs_to_its_source(tmp_path: Path) -> None:
    file = tmp_path / "own.txt"
    file.write_bytes(TEXT.encode())
    graph, texts = engine(), SourceTexts([file])
    texts.require_known_sources(graph)
    known = texts.load_cited_sources(graph, [NamedNode(f"{BASE}source/own"), NamedNode(f"{BASE}source/other")])
    own, start = known[f"{BASE}source/own"], TEXT.index("Cầu Đất")
    assert own.matches_quote(start, start + 7, "Cầu Đất") is True
    assert own.matches_quote(start, start + 7, "Cầu Đá") is False
    assert known[f"{BASE}source/other"].matches_quote(0, 1, "B") is None


def test_a_text_of_no_source_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.txt"
    file.write_text("something else")
    with pytest.raises(EvidenceTextError, match=r"other\.txt is not the text of any source: its SHA-256 is"):
        SourceTexts([file]).require_known_sources(engine())
    with pytest.raises(EvidenceTextError, match="cannot be read"):
        SourceTexts([tmp_path / "none.txt"])
    file.write_bytes(b"ab\xff")
    with pytest.raises(EvidenceTextError, match="byte 2"):
        SourceTexts([file])


@pytest.mark.parametrize("slug", ["SOURCES", "$sources"])
def test_a_slug_that_looks_like_a_placeholder_is_kept(tmp_path: Path, slug: str) -> None:
    file = tmp_path / "own.txt"
    file.write_bytes(TEXT.encode())
    iri = NamedNode(f"{BASE}source/{slug}")
    assert SourceTexts([file]).load_cited_sources(engine(slug), [iri])[iri.value].text == TEXT

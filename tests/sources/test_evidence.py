import hashlib
from pathlib import Path

import pytest

from kg.changes.data_folder import BuiltGraph
from kg.engine.embedded import EmbeddedEngine
from kg.errors import EvidenceTextError
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.namespaces import SPARQL_PREFIXES
from kg.rdf.terms import NamedNode
from kg.sources.evidence import MAX_PASSAGE_LENGTH, Passage, SourceTexts, extract_passage, verify

TEXT = "Bến cảng đón 1.250 triệu USD trong năm, vượt 12% kế hoạch; Cầu Đất là nhà đầu tư.\n"
BASE = "https://w3id.org/hpez/id/"


def cited(anchor: str, slug: str) -> str:
    start = TEXT.index(anchor)
    return f"""<{BASE}evidence/own/{slug}> a oa:SpecificResource ; oa:hasSource <{BASE}source/own> ; oa:hasSelector
      [ a oa:TextPositionSelector ; oa:start {start} ; oa:end {start + len(anchor)} ] ,
      [ a oa:TextQuoteSelector ; oa:exact "{anchor}" ] .
    """


def source(text: str = TEXT) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'<{BASE}source/own> a schema:NewsArticle ; schema:sha256 "{digest}" .\n'


def figure(value: str, extra: str = "") -> str:
    return f"""<{BASE}claim/own/capital> a hpez:Observation ; schema:value {value} ; qudt:hasUnit unit:CCY_USD ;
      hpez:evidence <{BASE}evidence/own/capital> {extra} .
    """


def engine(*parts: str) -> EmbeddedEngine:
    return EmbeddedEngine(parse((SPARQL_PREFIXES + "".join(parts)).encode(), TURTLE))


ANCHORS = cited("1.250 triệu USD", "capital") + cited("Cầu Đất", "investor")


def test_everything_holds() -> None:
    result = verify(engine(source(), ANCHORS, figure("1250000000.0")), TEXT.encode())
    assert (result.anchor_count, result.figure_count, result.failures) == (2, 1, ())


def test_positions_count_code_points_of_the_text() -> None:
    decomposed = TEXT.replace("đ", "d")
    result = verify(engine(source(decomposed), ANCHORS), decomposed.encode())
    assert [failure.reason for failure in result.failures] == []
    shifted = "x" + TEXT
    reasons = [failure.reason for failure in verify(engine(source(shifted), ANCHORS), shifted.encode()).failures]
    assert reasons == [
        "cites '1.250 triệu USD', the text has ' 1.250 triệu US'",
        "cites 'Cầu Đất', the text has ' Cầu Đấ'",
    ]


def test_another_text_fails_by_its_digest() -> None:
    (failure,) = verify(engine(source("other"), ANCHORS), TEXT.encode()).failures
    assert failure.iri == f"{BASE}source/own"
    assert "SHA-256" in failure.reason


def test_an_anchor_beyond_the_end_is_named() -> None:
    failures = verify(engine(source(TEXT[:30]), ANCHORS), TEXT[:30].encode()).failures
    assert [failure.reason for failure in failures] == [f"ends at {TEXT.index('Cầu Đất') + 7}, the text at 30"]


@pytest.mark.parametrize("value", ["1250000.0", "1250000001.0"])
def test_a_figure_that_its_anchor_does_not_say_is_named(value: str) -> None:
    (failure,) = verify(engine(source(), ANCHORS, figure(value)), TEXT.encode()).failures
    assert failure.iri == f"{BASE}claim/own/capital"
    assert "1.250 triệu USD" in failure.reason


def test_an_emended_figure_may_differ() -> None:
    graph = engine(source(), ANCHORS, figure("1250.0", "; hpez:emended true"))
    assert verify(graph, TEXT.encode()).failures == ()


def test_sources_are_told_apart() -> None:
    other = source("other").replace("source/own", "source/other")
    assert verify(engine(source(), other, ANCHORS), TEXT.encode()).source == f"{BASE}source/own"
    with pytest.raises(EvidenceTextError, match="none of the sources"):
        verify(engine(source(), other), b"a third text")
    with pytest.raises(EvidenceTextError, match="known are: other, own"):
        verify(engine(source(), other), TEXT.encode(), "no-such")


def test_a_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(EvidenceTextError, match="byte 2"):
        verify(engine(source()), b"ab\xff")


def test_the_article_bears_out_every_anchor(built: BuiltGraph, article: bytes) -> None:
    result = verify(built.engine, article)
    assert result.failures == ()
    assert result.figure_count >= 18
    assert result.anchor_count >= 50


# --- an anchor in its sentence

WORDS = "Năm rồi thế. Theo báo cáo, ra 2.608,66 triệu tại TP. Hải Phòng (ước). “Đó là tin vui”, ông nói.\nHết bài"


def around(anchor: str, text: str = WORDS) -> Passage:
    start = text.index(anchor)
    return extract_passage(text, start, start + len(anchor))


@pytest.mark.parametrize(
    ("anchor", "before", "after"),
    [
        ("2.608,66", "Theo báo cáo, ra ", " triệu tại TP. Hải Phòng (ước)."),
        ("Hải Phòng", "Theo báo cáo, ra 2.608,66 triệu tại TP. ", " (ước)."),
        ("tin vui", "“Đó là ", "”, ông nói."),
        ("Hết", "", " bài"),
        ("Năm", "", " rồi thế."),
    ],
)
def test_a_passage_is_a_sentence(anchor: str, before: str, after: str) -> None:
    assert around(anchor) == Passage(before, anchor, after)


def test_a_long_sentence_is_cut() -> None:
    text = "từ " * 500 + "số liệu " + "khác " * 500
    found = around("số liệu", text)
    assert found.before.startswith("… ")
    assert found.after.endswith(" …")
    assert len(found.before + found.exact + found.after) <= MAX_PASSAGE_LENGTH + 4


@pytest.mark.parametrize(("start", "end"), [(0, 10**6), (10**6, 10**6 + 5), (5, 3), (-4, 2)])
def test_positions_beyond_the_text_give_what_there_is(start: int, end: int) -> None:
    found = extract_passage(WORDS, start, end)
    assert found.exact == WORDS[max(0, start) : end]


def test_every_passage_of_the_article_holds_its_anchor(built: BuiltGraph, article: bytes) -> None:
    text = article.decode()
    rows = built.engine.select(
        SPARQL_PREFIXES + "SELECT ?start ?end ?exact { ?e oa:hasSelector ?p , ?q . ?p oa:start ?start ; oa:end ?end . "
        "?q oa:exact ?exact }"
    )
    for row in rows:
        found = extract_passage(text, int(row["start"].value), int(row["end"].value))
        assert found.exact == row["exact"].value
        assert len(found.before + found.after) <= MAX_PASSAGE_LENGTH + 4


# --- texts that the operator has


def test_a_text_belongs_to_its_source(tmp_path: Path) -> None:
    file = tmp_path / "own.txt"
    file.write_bytes(TEXT.encode())
    graph, texts = engine(source(), ANCHORS), SourceTexts([file])
    texts.require_known_sources(graph)
    known = texts.load_cited_sources(graph, [NamedNode(f"{BASE}source/own"), NamedNode(f"{BASE}source/other")])
    own, start = known[f"{BASE}source/own"], TEXT.index("Cầu Đất")
    assert own.matches_quote(start, start + 7, "Cầu Đất") is True
    assert own.matches_quote(start, start + 7, "Cầu Đá") is False
    assert known[f"{BASE}source/other"].matches_quote(0, 1, "B") is None


def test_a_text_of_no_source_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.txt"
    file.write_text("something else")
    with pytest.raises(EvidenceTextError, match=r"other\.txt is the text of no source: its SHA-256 is"):
        SourceTexts([file]).require_known_sources(engine(source(), ANCHORS))
    with pytest.raises(EvidenceTextError, match="cannot be read"):
        SourceTexts([tmp_path / "none.txt"])
    file.write_bytes(b"ab\xff")
    with pytest.raises(EvidenceTextError, match="byte 2"):
        SourceTexts([file])

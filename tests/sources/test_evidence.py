"""Verification of anchors and figures against the text of a source."""

import hashlib

import pytest

from kg.changes.data_folder import BuiltGraph
from kg.engine.embedded import EmbeddedEngine
from kg.errors import EvidenceTextError
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.namespaces import SPARQL_PREFIXES
from kg.sources.evidence import verify

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


@pytest.mark.parametrize("slug", ["SOURCES", "$source"])
def test_a_slug_that_looks_like_a_placeholder_is_kept(slug: str) -> None:
    graph = (source() + ANCHORS + figure("1250000000.0")).replace(f"{BASE}source/own", f"{BASE}source/{slug}")
    result = verify(engine(graph), TEXT.encode(), slug)
    assert (result.source, result.anchor_count, result.figure_count) == (f"{BASE}source/{slug}", 2, 1)
    assert result.failures == ()

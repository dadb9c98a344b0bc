"""The sentence around a quotation."""

import pytest

from kg.changes.data_folder import BuiltGraph
from kg.rdf.namespaces import SPARQL_PREFIXES
from kg.sources.passages import MAX_PASSAGE_LENGTH, Passage, extract_passage

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

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.engine.tokens import dataset_clauses, line_and_column, service_position, tokens


@pytest.mark.parametrize(
    "text",
    [
        "ASK { SERVICE <http://x/> { ?s ?p ?o } }",
        "ASK { service silent ?x { ?s ?p ?o } }",
        "ASK { ?s ?p 'it''s' . SERVICE <http://x/> {} }",
        "ASK { FILTER(?a<?b) SERVICE<http://x/>{} }",
        "ASK { # comment\nSERVICE <x> {} }",
        "ASK { ?s ex:p:q. SERVICE <x> {} }",
    ],
)
def test_finds_service(text: str) -> None:
    position = service_position(text)
    assert position is not None
    assert text[position:].upper().startswith("SERVICE")


@pytest.mark.parametrize(
    "text",
    [
        "ASK { ?service ?p 'SERVICE <x> {}' }",
        "ASK { ?s <http://x/SERVICE> ?o } # SERVICE",
        'ASK { ?s ?p """a "quoted" SERVICE \\""" } """ }',
        "PREFIX service: <http://x/> ASK { ?s service:SERVICE ?o ; a:service 1 }",
        "ASK { ?s ?p 'x'@service , _:service }",
    ],
)
def test_is_not_misled(text: str) -> None:
    assert service_position(text) is None


def test_dataset_clauses() -> None:
    text = """BASE <http://b.example/> PREFIX g: <graphs/>
      SELECT * FROM <one> FROM g:two FROM NAMED <http://c.example/three> # FROM <no>
      WHERE { ?from ?p "FROM <no>" }"""
    clauses = dataset_clauses(text)
    assert clauses.default == ("http://b.example/one", "http://b.example/graphs/two")
    assert clauses.named == ("http://c.example/three",)


def test_line_and_column() -> None:
    assert line_and_column("ab\ncd", 4) == (2, 2)
    assert line_and_column("ab", 0) == (1, 1)


@given(st.text(alphabet="'\"<>#{}?$:@_\\ \nabSERVICEFROM%.1"))
def test_tokens_cover_the_text_in_order(text: str) -> None:
    end = 0
    for token in tokens(text):
        assert token.start >= end
        assert text[token.start : token.start + len(token.text)] == token.text
        end = token.start + len(token.text)

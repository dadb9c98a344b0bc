"""Tokens of SPARQL text, and replacement of tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.sparql.tokens import (
    find_service_keyword,
    iter_tokens,
    line_and_column,
    query_fingerprint,
    replace_glued_keyword,
)


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
    position = find_service_keyword(text)
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
def test_ignores_service_inside_other_tokens(text: str) -> None:
    assert find_service_keyword(text) is None


def test_replaces_glued_keywords() -> None:
    text = "SERVICE <service:Service> { ?service a 'xSERVICEx' } service"
    assert (
        replace_glued_keyword(text, "SERVICE", "abcdefg")
        == "SERVICE <abcdefg:abcdefg> { ?abcdefg a 'xabcdefgx' } service"
    )


def test_line_and_column() -> None:
    assert line_and_column("ab\ncd", 4) == (2, 2)
    assert line_and_column("ab", 0) == (1, 1)


@given(st.text(alphabet="'\"<>#{}?$:@_\\ \nabSERVICEFROM%.1"))
def test_tokens_cover_the_text_in_order(text: str) -> None:
    end = 0
    for token in iter_tokens(text):
        assert token.start >= end
        assert text[token.start : token.end] == token.text
        end = token.end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b-c d", "a . b - c d"),
        ("a.b-c:d", "a.b-c:d"),
        ("_a.b:c", "_a . b:c"),
        ("'a \\'b\n'c' 'd", "' a \\ ' b 'c' ' d"),
        ("""'a' "b 'c' d""", """'a' " b 'c' d"""),
        ("""\"\"\"a b\n"c\"""", '"" " a b "c"'),
        ("""\'\'\'a 'b' "c\'\'\' \"\"\"""", """\'\'\'a 'b' "c\'\'\' "" \""""),
    ],
)
def test_word_runs_and_unclosed_strings(text: str, expected: str) -> None:
    assert " ".join(token.text for token in iter_tokens(text)) == expected


@pytest.mark.parametrize("piece", ["a.", "a-", "'\\", '"\\', "'''\\'\"", '"""\'\\', "'\n"])
def test_tokenises_in_linear_time(piece: str) -> None:
    """These texts take hours in quadratic time."""
    assert sum(len(token.text) for token in iter_tokens(piece * 200_000)) >= 200_000


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("ASK { <a> ?p 1 }", "ASK  { <b#c> ?p 23 } # 'note\n", True),
        ('SELECT * { ?s ?p "x" }', "SELECT *\n{ ?s ?p '' }", True),
        ("SELECT * { ?s <p> ?o }", "SELECT * { ?s ?p ?o }", False),
        ("SELECT * { ?s ?p 1 }", 'SELECT * { ?s ?p "1" }', False),
        ("ASK { ?s <p#q> ?o }", "ASK { ?s <p", False),
    ],
)
def test_query_fingerprint(one: str, other: str, equal: bool) -> None:
    assert (query_fingerprint(one) == query_fingerprint(other)) is equal

"""The prologue of queries and updates, and the IRIs of dataset clauses."""

import pytest

from kg.sparql.prologue import dataset_clauses, parse_prologue
from kg.sparql.tokens import iter_tokens
from kg.sparql.update_parser import parse_operations


def test_dataset_clauses() -> None:
    text = """BASE <http://b.example/> PREFIX g: <graphs/>
      SELECT * FROM <one> FROM g:two FROM NAMED <http://c.example/three> # FROM <no>
      WHERE { ?from ?p "FROM <no>" }"""
    clauses = dataset_clauses(text)
    assert clauses.default == ("http://b.example/one", "http://b.example/graphs/two")
    assert clauses.named == ("http://c.example/three",)


@pytest.mark.parametrize(
    ("text", "graphs"),
    [
        ("BASE <http://b.example/> ASK FROM <http://[> {}", ["http://["]),
        ("BASE <http://[> ASK FROM <a> {}", ["http://[/a"]),
        ("PREFIX g: <//]> ASK FROM g:a {}", ["//]a"]),
        ("PREFIXg:<http://g.example/> ASK FROM g:a {}", ["http://g.example/a"]),
        ("VERSION '1.2' PREFIX g: <http://g.example/> ASK FROM g:a {}", ["http://g.example/a"]),
        (
            r"PREFIX g: <http://g.example/\u0062> ASK FROM <\U00000068ttp://h/> FROM g:a {}",
            ["http://h/", "http://g.example/ba"],
        ),
        (r"ASK FROM <\uD800> {}", [r"\uD800"]),
        ("PREFIX g\u200c: <http://g.example/> ASK FROM g\u200c:・ {}", ["http://g.example/・"]),
        ("PREFIX <x> ASK FROM <a> {}", ["a"]),
        ("ASK FROM <a> { ?x a:b PREFIX c: <http://c.example/> } FROM c:d", ["a"]),
        ("BASE", []),
    ],
)
def test_dataset_clauses_of_unusual_prologues(text: str, graphs: list[str]) -> None:
    assert list(dataset_clauses(text).default) == graphs


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("PREFIX a: <http://a.example/> PREFIX b <http://b.example/> ASK {}", 6),
        ("PREFIX a: <http://a.example/> BASE b ASK {}", 5),
        ("PREFIX a: <http://a.example/>", 3),
        ("PREFIX a: <http://a.example/> { }", 3),
    ],
)
def test_a_prologue_that_is_not_understood_resolves_nothing(text: str, length: int) -> None:
    assert parse_prologue(list(iter_tokens(text)), "http://base.example/") == (length, "", {})


def test_operations_have_all_declarations_before_them() -> None:
    first, second = parse_operations("PREFIXa:<http://a/> CLEAR GRAPH a:g ; PREFIX b: <http://b/> DROP GRAPH b:g")
    assert (first.prologue, first.first_keyword) == ("PREFIXa:<http://a/>", "CLEAR")
    assert (second.prologue, second.first_keyword) == ("PREFIXa:<http://a/>\nPREFIX b: <http://b/>", "DROP")

"""The stored questions: each says in both languages what it asks, runs as it stands, and finds something."""

import pytest

from kg.changes.data_folder import BuiltGraph
from kg.resources import queries
from kg.views.example_queries import Example, example, examples

LANGUAGES = ("en", "vi")


def test_there_are_enough_to_choose_from() -> None:
    assert len(examples()) >= 10
    assert [item.slug for item in examples()] == [file.stem for file in queries()]


@pytest.mark.parametrize("item", examples(), ids=lambda item: item.slug)
def test_both_languages_say_what_it_asks(item: Example) -> None:
    assert item.titles.keys() == item.descriptions.keys() == set(LANGUAGES)
    assert all(title.endswith("?") for title in item.titles.values())
    assert all(text.endswith(".") for text in item.descriptions.values())
    assert "#" not in item.text.replace("#>", "").replace("[#/]", ""), "the head is not sent along"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("item", examples(), ids=lambda item: item.slug)
def test_it_finds_something_named_in_the_language(built: BuiltGraph, item: Example, language: str) -> None:
    rows = built.engine.select(item.query(language))
    assert rows
    assert {getattr(term, "language", None) for row in rows for term in row.values()} - {None} <= {language}
    assert '"LANGUAGE"' not in item.query(language)


def test_an_unbound_language_finds_nothing_but_parses(built: BuiltGraph) -> None:
    assert built.engine.select(example("who-invests-where").text) == []


def test_prefixes_are_those_that_are_used() -> None:
    declared = [line.split()[1] for line in example("zones-and-areas").text.splitlines() if line.startswith("PREFIX")]
    assert declared == ["hpez:", "qudt:", "schema:", "skos:", "unit:"]


def test_an_unknown_one_is_told() -> None:
    with pytest.raises(KeyError):
        example("who-is-richest")

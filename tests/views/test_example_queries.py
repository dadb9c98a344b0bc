"""The stored questions: each says in both languages what it asks, runs as it stands, and finds something."""

import pytest

from kg.changes.data_folder import BuiltGraph
from kg.resources import query_files
from kg.views.example_queries import ExampleQuery, all_examples, find_example

LANGUAGES = ("en", "vi")


def test_there_are_enough_to_choose_from() -> None:
    assert len(all_examples()) >= 10
    assert [item.slug for item in all_examples()] == [file.stem for file in query_files()]


@pytest.mark.parametrize("item", all_examples(), ids=lambda item: item.slug)
def test_both_languages_say_what_it_asks(item: ExampleQuery) -> None:
    assert item.titles.keys() == item.descriptions.keys() == set(LANGUAGES)
    assert all(title.endswith("?") for title in item.titles.values())
    assert all(text.endswith(".") for text in item.descriptions.values())
    assert "#" not in item.text.replace("#>", "").replace("[#/]", ""), "the head is not sent along"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("item", all_examples(), ids=lambda item: item.slug)
def test_it_finds_something_named_in_the_language(built: BuiltGraph, item: ExampleQuery, language: str) -> None:
    rows = built.engine.select(item.text_in(language))
    assert rows
    assert {getattr(term, "language", None) for row in rows for term in row.values()} - {None} <= {language}
    assert "$language" not in item.text_in(language)


def test_an_unbound_language_finds_nothing_but_parses(built: BuiltGraph) -> None:
    assert built.engine.select(find_example("who-invests-where").text) == []


def test_prefixes_are_those_that_are_used() -> None:
    declared = [
        line.split()[1] for line in find_example("zones-and-areas").text.splitlines() if line.startswith("PREFIX")
    ]
    assert declared == ["hpez:", "qudt:", "schema:", "skos:", "unit:"]


def test_an_unknown_one_is_told() -> None:
    with pytest.raises(KeyError):
        find_example("who-is-richest")

"""Example queries have titles and descriptions in both languages, and have results."""

import pytest

from kg.changes.data_folder import BuiltGraph
from kg.resources import query_files
from kg.views.example_queries import ExampleQuery, all_examples, find_example

LANGUAGES = ("en", "vi")


def test_all_files_are_examples() -> None:
    assert len(all_examples()) >= 10
    assert [item.slug for item in all_examples()] == [file.stem for file in query_files()]


@pytest.mark.parametrize("item", all_examples(), ids=lambda item: item.slug)
def test_titles_and_descriptions_are_in_both_languages(item: ExampleQuery) -> None:
    assert item.titles.keys() == item.descriptions.keys() == set(LANGUAGES)
    assert all(title.endswith("?") for title in item.titles.values())
    assert all(text.endswith(".") for text in item.descriptions.values())
    assert "#" not in item.text.replace("#>", "").replace("[#/]", ""), "the header comments are removed"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("item", all_examples(), ids=lambda item: item.slug)
def test_results_are_in_the_language(built: BuiltGraph, item: ExampleQuery, language: str) -> None:
    rows = built.engine.select(item.text_in(language))
    assert rows
    assert {getattr(term, "language", None) for row in rows for term in row.values()} - {None} <= {language}
    assert "$language" not in item.text_in(language)


def test_a_query_without_a_language_parses_and_has_no_results(built: BuiltGraph) -> None:
    assert built.engine.select(find_example("who-invests-where").text) == []


def test_only_used_prefixes_are_declared() -> None:
    declared = [
        line.split()[1] for line in find_example("zones-and-areas").text.splitlines() if line.startswith("PREFIX")
    ]
    assert declared == ["hpez:", "qudt:", "schema:", "skos:", "unit:"]


def test_an_unknown_slug() -> None:
    with pytest.raises(KeyError):
        find_example("who-is-richest")

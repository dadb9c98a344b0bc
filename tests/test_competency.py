"""Competency questions: each folder has a query and its expected rows in order."""

from pathlib import Path

import pytest

from kg.changes.data_folder import BuiltGraph
from kg.engine.protocol import QueryRequest
from kg.engine.query import evaluate_query
from kg.rdf.formats import TSV
from kg.rdf.namespaces import SPARQL_PREFIXES

FOLDER = Path(__file__).parent / "competency"
QUESTIONS = sorted(path.parent for path in FOLDER.glob("*/query.rq"))


def test_there_are_enough_questions_and_each_folder_is_one() -> None:
    assert len(QUESTIONS) >= 25
    assert sorted(path for path in FOLDER.iterdir() if path.is_dir()) == QUESTIONS


@pytest.mark.parametrize("folder", QUESTIONS, ids=lambda folder: folder.name)
def test_question(built: BuiltGraph, folder: Path) -> None:
    text = (folder / "query.rq").read_text(encoding="utf-8")
    assert text.startswith("# vi: "), "the question comes first, in Vietnamese"
    assert "\n# en: " in text, "and in English"
    with evaluate_query(built.engine, QueryRequest(SPARQL_PREFIXES + text, solutions=TSV)).body as body:
        rows = body.read().decode()
    assert rows == (folder / "expected.tsv").read_text(encoding="utf-8")

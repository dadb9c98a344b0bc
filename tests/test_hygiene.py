"""Rules for the data of the project, one query per file; each result row is a violation."""

from pathlib import Path

import pytest

from kg.changes.data_folder import BuiltGraph
from kg.rdf.namespaces import SPARQL_PREFIXES

FOLDER = Path(__file__).parent / "hygiene"
RULES = sorted(FOLDER.glob("*.rq"))


def test_there_are_rules_and_data(built: BuiltGraph) -> None:
    assert len(RULES) >= 8
    assert sum(built.sizes.values()) > 1000


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.stem)
def test_rule(built: BuiltGraph, rule: Path) -> None:
    rows = built.engine.select(SPARQL_PREFIXES + rule.read_text(encoding="utf-8"))
    assert [dict(row) for row in rows] == []

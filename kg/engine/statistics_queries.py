"""Compute the statistics of a dataset by SPARQL queries."""

from typing import Final

from kg.engine.protocol import Engine
from kg.engine.statistics import DatasetStatistics, PropertyStatistics
from kg.errors import DeadlineError, MemoryLimitError
from kg.rdf.namespaces import ID

_TRIPLES: Final = "SELECT (COUNT(*) AS ?n) { SELECT DISTINCT ?s ?p ?o { ?s ?p ?o } }"
_SUBJECTS: Final = "SELECT (COUNT(DISTINCT ?s) AS ?n) { ?s ?p ?o }"
_OBJECTS: Final = "SELECT (COUNT(DISTINCT ?o) AS ?n) { ?s ?p ?o }"
_ENTITIES: Final = f'SELECT (COUNT(DISTINCT ?s) AS ?n) {{ ?s ?p ?o FILTER (ISIRI(?s) && STRSTARTS(STR(?s), "{ID}")) }}'
_PROPERTIES: Final = """
SELECT (?p AS ?part) (COUNT(*) AS ?n) (COUNT(DISTINCT ?s) AS ?subjects) (COUNT(DISTINCT ?o) AS ?objects) {
  SELECT DISTINCT ?s ?p ?o { ?s ?p ?o }
} GROUP BY ?p ORDER BY ?part"""
_CLASSES: Final = """
SELECT (?c AS ?part) (COUNT(DISTINCT ?s) AS ?n) { ?s a ?c FILTER (ISIRI(?c)) } GROUP BY ?c ORDER BY ?part"""


def compute_statistics(engine: Engine) -> DatasetStatistics:
    """Query an engine for its statistics, which takes some seconds for each million triples."""
    graphs = engine.graph_sizes()
    everything = engine.status()["triples"]
    return DatasetStatistics(
        triples=_single_count(engine, _TRIPLES),
        entities=_single_count(engine, _ENTITIES),
        subjects=_single_count(engine, _SUBJECTS),
        objects=_single_count(engine, _OBJECTS),
        properties={
            part: PropertyStatistics(numbers["n"], numbers["subjects"], numbers["objects"])
            for part, numbers in _partition_counts(engine, _PROPERTIES).items()
        },
        classes={part: numbers["n"] for part, numbers in _partition_counts(engine, _CLASSES).items()},
        graphs=graphs,
        unnamed=everything - sum(graphs.values()) if isinstance(everything, int) else 0,
    )


def _single_count(engine: Engine, query: str) -> int | None:
    try:
        return int(engine.select(query)[0]["n"].value)
    except (DeadlineError, MemoryLimitError):
        return None


def _partition_counts(engine: Engine, query: str) -> dict[str, dict[str, int]]:
    try:
        rows = engine.select(query)
    except (DeadlineError, MemoryLimitError):
        return {}
    return {
        row["part"].value: {name: int(term.value) for name, term in row.items() if name != "part"}
        for row in rows
        if "part" in row
    }

"""Planner and columns are optional: the engine gives the same answers with both, with one, and with none."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from kg.engine.columns import parser
from kg.engine.embedded import EmbeddedEngine
from kg.engine.optimizer import default_optimizer
from kg.engine.protocol import OptimizableDataset, Optimizer, QueryPlan, QueryRequest
from kg.engine.statistics import DatasetStatistics
from kg.engine.statistics_queries import compute_statistics
from kg.rdf.delta import Delta
from kg.rdf.formats import TSV
from kg.rdf.terms import Literal, NamedNode, Quad

E = "http://example.org/"
GRAPH = NamedNode(f"{E}g")
SUMS = f"SELECT ?z (SUM(?v) AS ?n) {{ ?f <{E}about> ?z ; <{E}value> ?v }} GROUP BY ?z"
QUERIES = (
    SUMS,
    f"{SUMS} ORDER BY DESC(?n) LIMIT 2",
    "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }",
    f"SELECT ?f ?v {{ ?f <{E}about> <{E}z1> OPTIONAL {{ ?f <{E}value> ?v FILTER(?v > 4) }} }}",
    f"SELECT ?f {{ ?f <{E}about> ?z FILTER NOT EXISTS {{ ?f <{E}value> ?v . ?w <{E}value> ?v . ?w <{E}odd> ?x }} }}",
    f"SELECT ?f {{ ?f <{E}about> ?z FILTER(?z IN (<{E}z1>, <{E}z2>)) }}",
)


def figures(number: int) -> list[Quad]:
    pairs = ((NamedNode(f"{E}about"), lambda n: NamedNode(f"{E}z{n % 3}")), (NamedNode(f"{E}value"), Literal))
    return [Quad(NamedNode(f"{E}f{n}"), verb, value(n), GRAPH) for n in range(number) for verb, value in pairs]


def engine_with(optimizer: Optimizer | None) -> EmbeddedEngine:
    quads = figures(12)
    return EmbeddedEngine(quads, "", compute_statistics(EmbeddedEngine(quads)), optimizer=optimizer)


def answer(engine: EmbeddedEngine, text: str) -> list[bytes]:
    with engine.evaluate(QueryRequest(text, solutions=TSV)).body as body:
        head, *rows = body.read().splitlines()
    return [head, *sorted(rows)]


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize("text", QUERIES)
def test_answers_are_the_same_without_an_optimizer(
    text: str, *, columns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser, "MIN_MATCHES", 0)
    monkeypatch.setattr(parser, "MIN_TRIPLES", 0)
    plain, optimized = engine_with(None), engine_with(default_optimizer(columns=columns))
    for number in range(3):
        for _ in range(6):
            assert answer(optimized, text) == answer(plain, text)
        extra = Quad(NamedNode(f"{E}f0"), NamedNode(f"{E}value"), Literal(100 + number), GRAPH)
        for engine in (plain, optimized):
            engine.apply_commit(Delta(added=frozenset({extra})), number)


def test_each_part_can_be_switched_off() -> None:
    assert default_optimizer(planning=False) is None
    count = QUERIES[2]
    notes = [
        " ".join(note.message for note in engine_with(optimizer).explain(count).notes)
        for optimizer in (default_optimizer(), default_optimizer(columns=False), None)
    ]
    assert notes == ["groups known from statistics", "", "left alone: planning is switched off"]


class RecordingOptimizer:
    """Leaves queries alone and records the changes."""

    def __init__(self) -> None:
        self.changes = list[frozenset[Quad]]()

    def rewrite(self, text: str, dataset: OptimizableDataset, *, is_union: bool) -> str:  # noqa: ARG002
        return text

    def explain(self, text: str, statistics: DatasetStatistics | None) -> QueryPlan:  # noqa: ARG002
        return QueryPlan(text)

    @contextmanager
    def changing(self, quads: Iterable[Quad]) -> Iterator[None]:
        yield
        self.changes.append(frozenset(quads))

    def prepare(self, memory: int, statistics: DatasetStatistics | None) -> None:
        """Need nothing."""


@pytest.mark.parametrize("with_statistics", [True, False])
def test_the_optimizer_is_notified_of_every_change(*, with_statistics: bool) -> None:
    """For a change that is undone, it is notified of the change, and of no changed quads at the end."""
    optimizer, (old, new, *_) = RecordingOptimizer(), figures(1)
    statistics = compute_statistics(EmbeddedEngine([old])) if with_statistics else None
    engine = EmbeddedEngine([old], "", statistics, optimizer=optimizer)
    engine.extend([new])
    engine.apply_commit(Delta(removed=frozenset({old, new})), 2)
    with engine.temporarily_applied(Delta(added=frozenset({old}))):
        assert engine.holds(old)
    assert optimizer.changes == [{new}, {old, new}, frozenset()]


def test_a_replaced_optimizer_is_no_longer_notified() -> None:
    optimizer = RecordingOptimizer()
    engine = EmbeddedEngine(optimizer=optimizer)
    engine.configure()
    engine.extend(figures(1))
    assert optimizer.changes == []

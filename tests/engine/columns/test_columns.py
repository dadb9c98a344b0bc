"""Columns compute the same groups as the engine, byte for byte: on many generated queries, and while data change.

`python -m tests.engine.columns.test_columns 20000 [seed]` compares that many queries and prints what it counted.
"""

import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import permutations
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings

from kg.engine.columns import cache, kernels, parser
from kg.engine.columns.cache import ColumnCache
from kg.engine.columns.model import TopGroups
from kg.engine.embedded import EmbeddedEngine
from kg.engine.planner.optimizer import PlanningOptimizer
from kg.engine.planner.rewrite import plan_query
from kg.engine.protocol import UNION_DATASET, Optimizer, QueryDataset, QueryRequest
from kg.engine.statistics_queries import compute_statistics
from kg.errors import InputError, KgError, QuerySyntaxError
from kg.rdf.delta import Delta
from kg.rdf.formats import TSV
from kg.rdf.namespaces import BASE, XSD
from kg.rdf.terms import Literal, NamedNode, Quad, Term
from tests.engine.columns.generated_aggregations import AggregateCase, E, cases, sample_cases

NUMBER = 3000
"""Queries of the fixed sample, which takes some seconds."""
PREFIX = f"PREFIX e: <{E}>\n"
SUMS = f"{PREFIX}SELECT ?z (SUM(?v) AS ?n) {{ ?f e:about ?z ; e:v ?v }} GROUP BY ?z ORDER BY DESC(?n) LIMIT 3"


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MIN_MATCHES", 0)
    monkeypatch.setattr(parser, "MIN_TRIPLES", 0)


class Found:
    """The answers to a query as it is, as planned, and by columns; None for an error, or if columns do not apply."""

    def __init__(self, case: AggregateCase) -> None:
        self.case = case
        self.original = _answer(case.data, case.text)
        engine = _counted(EmbeddedEngine, case.data)
        plan = None
        if self.original is not None:
            plan = plan_query(case.text, engine.statistics(), ColumnCache(load_threshold=1))
        self.planned = None if plan is None else _answer(case.data, plan.text)
        self.text = None if plan is None or plan.lookup_groups is None else plan.lookup_groups(engine)
        self.by_columns = None if self.text is None else _answer(case.data, self.text)

    @property
    def differs(self) -> bool:
        if self.text is not None and self.by_columns != self.planned:
            return True
        return not self._arbitrary and _rows(self.original) != _rows(self.planned)

    @property
    def _arbitrary(self) -> bool:
        """Whether the engine's answer depends on its evaluation order, as sums of large integers do."""
        large = any(
            isinstance(quad.object, Literal) and len(quad.object.value) == len(str(2**62)) for quad in self.case.data
        )
        return self.case.is_limited or large or re.search(r"SAMPLE|MIN|MAX", self.case.text) is not None

    def __str__(self) -> str:
        quads = [f"{quad} ." for quad in self.case.data]
        parts = (self.case.text, self.text, self.original, self.planned, self.by_columns)
        return "\n".join(["", *quads, *(str(part) for part in parts)])


EngineT = TypeVar("EngineT", bound=EmbeddedEngine)


def _counted(engine_class: type[EngineT], data: Iterable[Quad], optimizer: Optimizer | None = None) -> EngineT:
    quads = list(data)
    return engine_class(quads, "", compute_statistics(EmbeddedEngine(quads)), optimizer=optimizer)


def _answer(data: Iterable[Quad], text: str) -> str | None:
    try:
        return _ask(EmbeddedEngine(data), text)
    except KgError:
        return None


def _rows(table: str | None) -> Counter[str] | None:
    return None if table is None else Counter(table.splitlines())


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases)
def test_columns_return_the_same_groups(case: AggregateCase) -> None:
    found = Found(case)
    assert not found.differs, found


def _tally(cases: Iterable[AggregateCase]) -> tuple[Counter[str], list[Found]]:
    counts, differing = Counter[str](), list[Found]()
    for case in cases:
        found = Found(case)
        counts["all"] += 1
        counts["refused by the parser"] += found.original is None
        counts["by columns"] += found.by_columns is not None
        counts["by columns, with rows"] += found.by_columns is not None and found.by_columns.count("\n") > 1
        counts["by columns, limited"] += found.by_columns is not None and case.is_limited
        if found.differs:
            differing.append(found)
    return counts, differing


def test_columns_return_the_same_groups_in_a_fixed_sample() -> None:
    """The sample is also meaningful: columns answer a third of the queries, most of them with rows."""
    counts, differing = _tally(sample_cases(NUMBER, 0))
    assert not differing, min(differing, key=lambda found: len(found.case.text) + 40 * len(found.case.data))
    assert counts["by columns"] > NUMBER / 3, counts
    assert counts["by columns, with rows"] > counts["by columns"] / 2, counts
    assert counts["by columns, limited"] > counts["by columns"] / 5, counts
    assert counts["refused by the parser"] < NUMBER / 10, counts


def _without_ties(column: kernels._AggregateColumn, top: TopGroups) -> list[int]:
    if not column.numbers:
        return _BEST(column, top)
    places = sorted(range(len(column.texts)), key=lambda place: column.numbers[place], reverse=top.descending)
    return places[: top.row_count]


def _inner(ids: "kernels.IdArray", keys: "kernels.IdArray", **_: bool) -> "tuple[kernels.IdArray, kernels.IdArray]":
    return _MATCHES(ids, keys)


def _halved(values: "kernels.IdArray", groups: "kernels.IdArray", number: int) -> list[int]:
    return [value & (2**31 - 1) for value in _ADDED(values, groups, number)]


_MATCHES, _ADDED, _TEXT, _BEST = (
    kernels._join_positions,
    kernels._sum_integers,
    kernels._serialize_number,
    kernels._top_positions,
)
_MISTAKES: dict[str, tuple[str, object]] = {
    "OPTIONAL that drops solutions": ("_join_positions", _inner),
    "sums of the lower halves": ("_sum_integers", _halved),
    "decimals written as integers": ("_serialize_number", lambda value, **_: _TEXT(value, decimal=False)),
    "integers written as decimals": ("_serialize_number", lambda value, **_: _TEXT(value, decimal=True)),
    "keys of any kind": ("_sort_class", lambda _: "any"),
    "the best without their ties": ("_top_positions", _without_ties),
}


@pytest.mark.parametrize("mistake", _MISTAKES)
def test_planted_mistakes_are_detected(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, *_MISTAKES[mistake])
    assert any(found.differs for found in map(Found, sample_cases(NUMBER, 1)))


# Columns are loaded after a few requests, and dropped after changes


def _quad(name: str, verb: str, value: Term) -> Quad:
    return Quad(NamedNode(E + name), NamedNode(E + verb), value, NamedNode(f"{E}g"))


def _figures(number: int) -> list[Quad]:
    """Return `number` figures about three zones."""
    graph, about, value = (NamedNode(E + name) for name in ("g", "about", "v"))
    return [
        Quad(NamedNode(f"{E}f{item}"), *pair, graph)
        for item in range(number)
        for pair in ((about, NamedNode(f"{E}z{item % 3}")), (value, Literal(item)))
    ]


class _RecordingEngine(EmbeddedEngine):
    """Records the queries by which its columns are loaded; `before_load` is called before each."""

    loads: list[str]
    columns: ColumnCache
    before_load: Callable[[], object] = staticmethod(lambda: None)

    def select_as_tsv(self, text: str) -> bytes:
        self.loads.append(text)
        self.before_load()
        return super().select_as_tsv(text)


def _watched(data: Iterable[Quad]) -> _RecordingEngine:
    columns = ColumnCache()
    engine = _counted(_RecordingEngine, data, PlanningOptimizer(columns))
    engine.loads, engine.columns = [], columns
    return engine


def _ask(engine: EmbeddedEngine, text: str = SUMS, dataset: QueryDataset = UNION_DATASET) -> str:
    with engine.evaluate(QueryRequest(text, dataset, solutions=TSV)).body as body:
        return body.read().decode()


def test_columns_are_loaded_at_the_fourth_request() -> None:
    engine = _watched(_figures(9))
    answers, read = list[str](), list[int]()
    for _ in range(6):
        answers.append(_ask(engine))
        read.append(len(engine.loads))
    assert read == [0, 0, 0, 2, 2, 2]
    assert set(answers) == {f"?z\t?n\n<{E}z2>\t15\n<{E}z1>\t12\n<{E}z0>\t9\n"}
    _ask(engine, SUMS.replace("SUM", "MAX"))
    assert len(engine.loads) == 2


def test_a_change_reloads_only_the_columns_of_its_predicates() -> None:
    engine = _watched(_figures(9))
    for _ in range(4):
        _ask(engine)
    graph = NamedNode(f"{E}g")
    extra = Quad(NamedNode(f"{E}f0"), NamedNode(f"{E}v"), Literal(100), graph)
    engine.apply_commit(Delta(added=frozenset({extra})), 1)
    assert _ask(engine).splitlines()[1] == f"<{E}z0>\t109"
    for _ in range(4):
        _ask(engine)
    assert [E + "v" in text for text in engine.loads[2:]] == [True]
    with engine.temporarily_applied(Delta(removed=frozenset({extra}))):
        assert _ask(engine).splitlines()[1] == f"<{E}z2>\t15"
    assert _ask(engine).splitlines()[1] == f"<{E}z0>\t109"


@pytest.mark.parametrize(
    "text",
    [
        f"BASE <{E}> PREFIX x: <x/> SELECT ?s (COUNT(*) AS ?n) {{ ?s x:p ?o }} GROUP BY ?s",
        f"BASE <{E}x/y> PREFIX x: <> SELECT ?s (COUNT(*) AS ?n) {{ ?s <p> ?o }} GROUP BY ?s",
        f"BASE <{E}k/> BASE <../x/> SELECT ?s (COUNT(*) AS ?n) {{ ?s <p> ?o }} GROUP BY ?s",
        "SELECT ?s (COUNT(*) AS ?n) { ?s <x/p> ?o } GROUP BY ?s",
        "PREFIX x: <x/> SELECT ?s (COUNT(*) AS ?n) { ?s x:p ?o } GROUP BY ?s",
    ],
)
def test_relative_iris_are_resolved_and_followed(text: str) -> None:
    graph = NamedNode(f"{E}g")
    verbs = [NamedNode(f"{E}x/p"), NamedNode(f"{BASE}x/p")]
    data = [Quad(NamedNode(f"{E}{name}"), verb, Literal(name), graph) for name in "ab" for verb in verbs]
    engine = _watched(data)
    plain = EmbeddedEngine(data)
    for turn in range(3):
        for _ in range(6):
            assert _rows(_ask(engine, text)) == _rows(_ask(plain, text))
        more = Delta(added=frozenset(Quad(NamedNode(f"{E}c"), verb, Literal(turn), graph) for verb in verbs))
        engine.apply_commit(more, turn)
        plain.apply_commit(more, turn)


@pytest.mark.parametrize("function", ["STR", "ABS", "IF", "STRLEN", "COALESCE"])
def test_a_function_is_not_an_alias(function: str) -> None:
    """The name of a function without its first letter is used as an alias here."""
    call = f"{function}(true, ?z, ?z)" if function == "IF" else f"{function}(?z)"
    head = f"{PREFIX}SELECT ?z (COUNT(*) AS ?{function[1:]})"
    text = f"{head} {{ ?z e:about ?y . ?f e:about ?y }} GROUP BY ?z ORDER BY {call} ?z LIMIT 1"
    data = [_quad(one, "about", NamedNode(E + other)) for one, other in ("ya", "ba", "zb")]
    engine = _watched(data)
    for _ in range(6):
        assert _ask(engine, text) == _ask(EmbeddedEngine(data), text)
    assert engine.loads


@pytest.mark.parametrize(
    "end",
    [
        "ORDER BY ?n LIMIT 3 extra", "LIMIT ?x", "ORDER BY LIMIT 3", "ORDER BY DESC LIMIT 3", "ORDER BY DESC( LIMIT 3",
        "HAVING ORDER BY ?n LIMIT 1", "ORDER BY (IF(BOUND(SUM(?v)),1,0))", "LIMIT", "OFFSET -1",
        "ORDER ?n", "BY ?z", "ORDER BY", "HAVING (COUNT(*) > 0) ORDER BY", "ORDER BY LIMIT 2",
    ],
)  # fmt: skip
def test_syntax_errors_come_from_the_engine(end: str) -> None:
    engine = _watched(_figures(9))
    text = f"{PREFIX}SELECT ?z (SUM(?v) AS ?n) {{ ?f e:about ?z ; e:v ?v }} GROUP BY ?z {end}"
    for _ in range(6):
        with pytest.raises(QuerySyntaxError):
            _ask(engine, text)
        with pytest.raises(QuerySyntaxError):
            _ask(engine, f"{PREFIX}SELECT {{ ?f e:about ?z ; e:v ?v }} ORDER BY (COUNT(?z)) LIMIT 1")


def test_counts_with_many_digits() -> None:
    engine = _watched(_figures(9))
    for _ in range(6):
        assert _ask(engine, f"{SUMS.removesuffix('3')}{'0' * 5000}1").count("\n") == 2


_LONG = [Literal(text, datatype=NamedNode(XSD + "integer")) for text in ("10", "9", "1234567890123456789012345")]
_TINY = [Literal(text, datatype=NamedNode(XSD + "decimal")) for text in ("0.5", "10", f"0.{'0' * 20}1", "1" * 30)]
_DAYS = "2024-01-01", "-0044-03-15", "12024-01-01", "2024-13-77"
_DATES = [Literal(text, datatype=NamedNode(XSD + "date")) for text in _DAYS]


@pytest.mark.parametrize("values", [_LONG, _TINY, _DATES], ids=["long", "tiny", "dates"])
@pytest.mark.parametrize("order", ["?v", "DESC(?v)", "DESC(?n) ?v LIMIT 2"])
def test_keys_that_the_engine_cannot_sort(values: list[Literal], order: str) -> None:
    """The keys have the same order whether the engine or columns group them."""
    text = f"{PREFIX}SELECT ?v (COUNT(*) AS ?n) {{ ?s e:v ?v }} GROUP BY ?v ORDER BY {order}"
    for places in permutations(range(len(values))):
        engine = _watched([_quad(str(place), "v", values[place]) for place in places])
        assert len({_ask(engine, text) for _ in range(6)}) == 1


def test_columns_loaded_when_a_trial_begins_are_not_kept() -> None:
    engine = _watched(_figures(9))
    extra = Quad(NamedNode(f"{E}f0"), NamedNode(f"{E}v"), Literal(100), NamedNode(f"{E}g"))
    for _ in range(3):
        _ask(engine)
    trial = engine.temporarily_applied(Delta(added=frozenset({extra})))
    engine.before_load = lambda: engine._trials or trial.__enter__()
    _ask(engine)
    trial.__exit__(None, None, None)
    engine.before_load = lambda: None
    for _ in range(6):
        assert _ask(engine).splitlines()[1] == f"<{E}z2>\t15"


def test_answers_during_a_trial_include_the_tried_change() -> None:
    engine = _watched(_figures(9))
    for _ in range(5):
        _ask(engine)
    everything = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
    graphs = [NamedNode(f"{E}{name}") for name in ("g", "h")]
    more, again = (
        Quad(NamedNode(f"{E}f0"), NamedNode(f"{E}v"), Literal(value), graphs[value == 0]) for value in (100, 0)
    )
    with engine.temporarily_applied(Delta(added=frozenset({more}))):
        assert _ask(engine).splitlines()[1] == f"<{E}z0>\t109"
        assert _ask(engine, everything).split()[1] == "19"
        with engine.temporarily_applied(Delta(removed=frozenset({more}))):
            assert _ask(engine).splitlines()[1] == f"<{E}z2>\t15"
    with engine.temporarily_applied(Delta(added=frozenset({again}))):
        assert _ask(engine, everything).split()[1] == _ask(EmbeddedEngine([*_figures(9), again]), everything).split()[1]
    assert _ask(engine).splitlines()[1] == f"<{E}z2>\t15"
    assert len(engine.loads) == 2
    assert _ask(engine, everything).split()[1] == "18"


def test_columns_of_the_union_do_not_answer_other_datasets() -> None:
    graph = NamedNode(f"{E}h")
    moved = [Quad(quad.subject, quad.predicate, quad.object, graph) for quad in _figures(9)[12:]]
    data = [*_figures(6), *moved]
    engine = _watched(data)
    for _ in range(5):
        everything = _ask(engine)
    assert engine.loads
    assert _ask(engine, SUMS, QueryDataset(default=(f"{E}h",))) != everything
    assert _ask(engine, SUMS.replace("{ ?f", f"FROM <{E}h> {{ ?f", 1)) != everything
    assert engine.select(SUMS, {"z": NamedNode(f"{E}z1")})[0]["z"].value == f"{E}z1"


@pytest.mark.parametrize("pattern", ["?s ?p ?v", "?s a ?v"])
def test_counts_of_statistics_load_no_columns(pattern: str) -> None:
    """The counts follow every change, although the plan is cached."""
    graph, kind = NamedNode(f"{E}g"), NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
    data = [*_figures(9), *(Quad(NamedNode(f"{E}f{n}"), kind, NamedNode(f"{E}Figure"), graph) for n in range(9))]
    engine = _watched(data)
    text = f"SELECT (COUNT(*) AS ?n) {{ {pattern} }}"
    extra = Quad(NamedNode(f"{E}f0"), kind, NamedNode(f"{E}Odd"), graph)
    before = int(_ask(engine, text).split()[1])
    assert before == (27 if "?p" in pattern else 9)
    engine.apply_commit(Delta(added=frozenset({extra})), 1)
    assert int(_ask(engine, text).split()[1]) == before + 1
    key = "?p" if "?p" in pattern else "?v"
    by_key = f"SELECT {key} (COUNT(?s) AS ?n) {{ {pattern} }} GROUP BY {key} ORDER BY DESC(?n) LIMIT 1"
    assert _ask(engine, by_key).split()[-1] == ("10" if "?p" in pattern else "9")
    engine.apply_commit(Delta(removed=frozenset({extra, data[-1]})), 2)
    assert _ask(engine, by_key).split()[-1] == ("9" if "?p" in pattern else "8")
    assert not engine.loads


def test_small_queries_are_answered_by_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MIN_MATCHES", 19)
    engine = _watched(_figures(9))
    for _ in range(9):
        _ask(engine)
    assert not engine.loads


@pytest.mark.parametrize(
    "text",
    [
        SUMS.replace("?f e:about", " ".join(f"?f e:v ?v{n} ." for n in range(40)) + " ?f e:about"),
        SUMS.replace("?v }", "?v " + "FILTER (?v > 1) " * 40 + "}"),
        SUMS.replace("SELECT ?z", "SELECT ?z " + " ".join(f"(COUNT(?z{n}) AS ?n{n})" for n in range(40))),
    ],
)
def test_very_long_queries_are_not_analysed(text: str) -> None:
    engine = _watched(_figures(9))
    notes = plan_query(text, engine.statistics(), engine.columns).notes
    assert any("it has more than 32" in note.message for note in notes)


def test_an_operator_is_not_taken_for_an_iri() -> None:
    engine = _watched(_figures(9))
    for _ in range(6):
        with pytest.raises(QuerySyntaxError):
            _ask(engine, f"{PREFIX}SELECT (COUNT(?f)<?v&&?v>?z AS ?n) {{ ?f e:about ?z ; e:v ?v }}")


def test_without_enough_memory_the_engine_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = _watched(_figures(9))
    engine.columns.prepare(10**9, engine.statistics())
    for _ in range(9):
        _ask(engine)
    monkeypatch.setattr(cache, "MIN_TRIPLES", 18)
    engine.columns.prepare(17_000, engine.statistics())
    for _ in range(9):
        _ask(engine)
    assert not engine.loads
    engine.columns.prepare(18_000, engine.statistics())
    for _ in range(5):
        assert _ask(engine).splitlines()[1] == f"<{E}z2>\t15"
    assert len(engine.loads) == 2


def test_columns_are_evicted_when_the_limit_is_reached() -> None:
    engine = _watched(_figures(9))
    engine.columns.max_matches = 20
    for _ in range(5):
        _ask(engine)
    for _ in range(5):
        _ask(engine, f"{PREFIX}SELECT ?v (COUNT(*) AS ?n) {{ ?f e:v ?v }} GROUP BY ?v ORDER BY ?v")
    assert len(engine.loads) == 2
    for _ in range(5):
        _ask(engine, f"{PREFIX}SELECT (COUNT(*) AS ?n) {{ ?f e:about ?z ; e:v ?v FILTER (?v > 1) }}")
    assert len(engine.loads) > 2
    assert _ask(engine).splitlines()[1] == f"<{E}z2>\t15"


@pytest.mark.parametrize("limit", ["_MAX_REMEMBERED_PATTERNS", "MAX_MATCHES"])
@pytest.mark.parametrize("most", range(3, 12))
def test_the_cache_of_patterns_is_bounded(limit: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are more queries than the cache can hold, so that it evicts between them."""
    monkeypatch.setattr(cache, limit, most)
    engine = _watched(_figures(9))
    engine.columns.max_matches = 1000
    for number in range(40):
        text = SUMS.replace("?v }", f"?v FILTER (?v < {number}) }}") if number % 3 else SUMS
        assert _ask(engine, text) == _ask(EmbeddedEngine(_figures(9)), text)


def test_a_filter_that_columns_cannot_evaluate_goes_to_the_engine() -> None:
    engine = _watched(_figures(9))
    for _ in range(6):
        with pytest.raises(InputError, match="There is no function"):
            _ask(engine, SUMS.replace("?v }", f"?v FILTER (<{E}none>(?v)) }}"))


def test_concurrent_readers_see_consistent_states() -> None:
    """Commits move a figure between two zones; each answer counts it once."""
    engine = _watched(_figures(9))
    zones = [
        Quad(NamedNode(f"{E}f0"), NamedNode(f"{E}about"), NamedNode(f"{E}z{n}"), NamedNode(f"{E}g")) for n in (0, 1)
    ]
    text = f"{PREFIX}SELECT (COUNT(?v) AS ?n) {{ ?f e:about ?z ; e:v ?v }}"
    seen, stop = set[str](), threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(_ask(engine, text).splitlines()[1])

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(300):
        engine.apply_commit(Delta(frozenset({zones[1 - turn % 2]}), frozenset({zones[turn % 2]})), turn)
    stop.set()
    for reader in readers:
        reader.join()
    assert seen <= {"8", "9"}
    assert _ask(engine, text).splitlines()[1] == "9"


if __name__ == "__main__":
    parser.MIN_MATCHES = parser.MIN_TRIPLES = 0
    number, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    tally, different = _tally(sample_cases(number, seed))
    sys.stdout.write(f"{dict(tally)}, {len(different)} different\n")
    for item in sorted(different, key=lambda found: len(found.case.text) + 40 * len(found.case.data))[:3]:
        sys.stdout.write(f"{item}\n")

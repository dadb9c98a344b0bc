"""The VoID and DCAT description of the dataset, and its statistics."""

import io
import json
from collections.abc import Mapping
from functools import partial
from typing import IO

import pytest

from kg.changes.commit import propose
from kg.changes.commit_rows import SqlRow
from kg.changes.data_folder import BuiltGraph, read_project_shapes
from kg.changes.fact_validation import EngineFactValidator
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryRequest
from kg.engine.statistics import DatasetStatistics, PropertyStatistics
from kg.engine.statistics_queries import compute_statistics
from kg.errors import DeadlineError, MemoryLimitError, QueueFullError
from kg.rdf.formats import NQUADS, TURTLE
from kg.rdf.io import parse, place_in_graph
from kg.rdf.namespaces import DCAT, ID, ONTOLOGY, VOID, graph_iri
from kg.rdf.terms import Literal, NamedNode, Quad, Triple
from kg.validation.incremental import IncrementalValidator
from kg.views.dataset_description import (
    Dump,
    Site,
    describe_dataset,
    graph_title,
    read_version_iri,
)
from kg.views.statistics_cache import StatisticsCache
from kg.workers.framing import Header
from kg.workers.operations import WorkerOperations
from kg.workers.pool_engine import PoolEngine

SITE = Site(
    home_url="http://example.org/",
    description_url="http://example.org/.well-known/void",
    endpoint_url="http://example.org/sparql",
    dumps=(Dump("http://example.org/graph.nq.gz", NQUADS, gzipped=True),),
    graph_dumps={"urn:one": (Dump("http://example.org/graph/one.ttl", TURTLE),)},
)
DATA = f"""
<{ID}zone/a> a <urn:Zone> ; <urn:p> 1 . <{ID}zone/b> a <urn:Zone>, <urn:Other> . <urn:c> <urn:p> [ a [] ] .
"""


class CountingEngine(EmbeddedEngine):
    def __init__(self, error: Exception | None = None) -> None:
        self.asked = 0
        self.error = error
        super().__init__(place_in_graph(parse(DATA.encode(), TURTLE), NamedNode("urn:one")))

    def select(self, text: str) -> list[SqlRow]:  # type: ignore[override]
        self.asked += 1
        if self.error is not None and "DISTINCT" in text:
            raise self.error
        return super().select(text)


def test_counts() -> None:
    engine = CountingEngine()
    engine.extend(place_in_graph(parse(f"<{ID}zone/a> <urn:p> 1 .".encode(), TURTLE), NamedNode("urn:two")))
    engine.extend([Quad(NamedNode("urn:c"), NamedNode("urn:p"), Literal(1))])
    found = StatisticsCache(engine).current()
    assert found.graphs == {"urn:one": 6, "urn:two": 1}
    assert found.unnamed == 1
    assert found.triples == 7, "a statement in two graphs counts once, and the default graph counts too"
    assert (found.entities, found.subjects, found.objects) == (2, 4, 5)
    assert found.properties == {
        "http://www.w3.org/1999/02/22-rdf-syntax-ns#type": PropertyStatistics(4, 3, 3),
        "urn:p": PropertyStatistics(3, 2, 2),
    }
    assert found.classes == {"urn:Other": 1, "urn:Zone": 2}


def test_counted_once_for_each_version() -> None:
    engine = CountingEngine()
    statistics = StatisticsCache(engine)
    first, asked = statistics.current(), engine.asked
    assert statistics.current() is first
    assert engine.asked == asked
    engine.extend([Quad(NamedNode("urn:x"), NamedNode("urn:p"), Literal(9), NamedNode("urn:one"))])
    assert statistics.current().graphs == {"urn:one": 7}


def test_statistics_of_the_engine_are_used() -> None:
    known = DatasetStatistics(1, 2, 3, 4, {"urn:p": PropertyStatistics(5, 6, 7)}, {"urn:c": 8}, {"urn:g": 9}, 10)
    statistics = StatisticsCache(EmbeddedEngine(statistics=known))
    assert statistics.current() is known
    assert statistics.graph_sizes() == {"urn:g": 9}
    parts = [item for item in describe_dataset(known, SITE) if str(item.subject) == "_:property0"]
    numbers = {item.predicate.value: item.object.value for item in parts}  # type: ignore[union-attr]
    assert [numbers[VOID + name] for name in ("triples", "distinctSubjects", "distinctObjects")] == ["5", "6", "7"]


class AnsweringEngine(PoolEngine):
    """Runs the operations of a worker in this process."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self.engine = engine
        gate = IncrementalValidator(read_project_shapes())
        self.operations = WorkerOperations(
            engine, gate, EngineFactValidator(engine, read_project_shapes(), partial(propose, engine, gate))
        )
        self.asked = list[str]()

    @property
    def version(self) -> str:
        return self.engine.version

    def call(
        self,
        header: Header,
        payload: bytes = b"",
        request: QueryRequest | None = None,  # noqa: ARG002 - the engine's own signature
    ) -> tuple[Header, IO[bytes]]:
        self.asked.append(header["op"])
        answer = self.operations[header["op"]](header, payload)
        return json.loads(json.dumps(answer.header)), answer.body or io.BytesIO()

    def status(self) -> Mapping[str, object]:
        return self.engine.status()


def test_statistics_of_a_worker_are_requested_once() -> None:
    known = DatasetStatistics(1, 2, 3, 4, {"urn:p": PropertyStatistics(5, 6, 7)}, {"urn:c": 8}, {"urn:g": 9}, 10)
    engine = AnsweringEngine(EmbeddedEngine(statistics=known))
    statistics = StatisticsCache(engine)
    assert [statistics.current(), statistics.current()] == [known, known]
    assert engine.asked == ["counts"]


def test_a_worker_without_statistics_is_queried() -> None:
    counted = CountingEngine()
    engine = AnsweringEngine(counted)
    assert StatisticsCache(engine).current() == compute_statistics(counted)
    assert {"counts", "query"} <= set(engine.asked)


@pytest.mark.parametrize("error", [DeadlineError(), MemoryLimitError()])
def test_statistics_that_take_too_long_are_omitted(error: Exception) -> None:
    counts = StatisticsCache(CountingEngine(error)).current()
    assert (counts.triples, counts.properties, counts.classes) == (None, {}, {})
    described = values(describe_dataset(counts, SITE), SITE.dataset_iri)
    assert VOID + "triples" not in described
    assert VOID + "properties" not in described
    assert VOID + "subset" in described


def test_other_errors_propagate() -> None:
    with pytest.raises(QueueFullError):
        StatisticsCache(CountingEngine(QueueFullError())).current()


def values(triples: list[Triple], subject: str) -> Mapping[str, str]:
    return {item.predicate.value: item.object.value for item in triples if item.subject == NamedNode(subject)}  # type: ignore[union-attr]


def test_description() -> None:
    described = describe_dataset(StatisticsCache(CountingEngine()).current(), SITE)
    assert described == describe_dataset(StatisticsCache(CountingEngine()).current(), SITE)
    dataset = values(described, SITE.dataset_iri)
    assert dataset[VOID + "triples"] == "6"
    assert dataset[VOID + "dataDump"] == "http://example.org/graph.nq.gz"
    assert values(described, "urn:one")[VOID + "triples"] == "6"
    packed = values(described, "http://example.org/.well-known/void#graph.nq.gz")
    assert packed[DCAT + "compressFormat"].endswith("application/gzip")
    assert packed[DCAT + "mediaType"].endswith("application/n-quads")


def test_an_empty_dataset() -> None:
    counts = DatasetStatistics(0, 0, 0, 0, {}, {}, {}, 0)
    assert values(describe_dataset(counts, SITE), SITE.dataset_iri)[VOID + "triples"] == "0"


def test_every_graph_of_the_project_has_a_title(built: BuiltGraph) -> None:
    assert {iri for iri in built.sizes if set(graph_title(iri)) != {"en", "vi"}} == set()
    assert graph_title("urn:x") == {}


def test_version_iri(built: BuiltGraph) -> None:
    assert read_version_iri(built.engine, ONTOLOGY) == f"{ONTOLOGY}/0.1.0"
    assert read_version_iri(built.engine, graph_iri("entities")) is None

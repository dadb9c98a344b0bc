import io
import json
from collections.abc import Mapping
from typing import IO

import pytest

from kg.changes.commit import EngineFactValidator, LocalProposer
from kg.changes.data_folder import BuiltGraph, read_project_shapes
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryRequest, Row
from kg.engine.statistics import PropertyStatistics
from kg.engine.statistics_queries import compute_statistics
from kg.errors import DeadlineError, MemoryLimitError, QueueFullError
from kg.rdf.formats import NQUADS, TURTLE
from kg.rdf.io import Literal, NamedNode, Quad, Triple, parse, place_in_graph
from kg.rdf.namespaces import DCAT, ID, ONTOLOGY, VOID, graph_iri
from kg.validation.incremental import IncrementalValidator
from kg.views.dataset_description import (
    DatasetStatistics,
    Dump,
    Site,
    StatisticsCache,
    describe_dataset,
    graph_title,
    read_version_iri,
)
from kg.workers.framing import Header
from kg.workers.main import worker_operations
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

    def select(self, text: str) -> list[Row]:  # type: ignore[override]
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
    assert found.triples == 7, "a statement of two graphs counts once, and the graph without a name counts too"
    assert (found.entities, found.subjects, found.objects) == (2, 4, 5)
    assert found.properties == {
        "http://www.w3.org/1999/02/22-rdf-syntax-ns#type": PropertyStatistics(4, 3, 3),
        "urn:p": PropertyStatistics(3, 2, 2),
    }
    assert found.classes == {"urn:Other": 1, "urn:Zone": 2}


def test_counted_once_for_each_version() -> None:
    engine = CountingEngine()
    census = StatisticsCache(engine)
    first, asked = census.current(), engine.asked
    assert census.current() is first
    assert engine.asked == asked
    engine.extend([Quad(NamedNode("urn:x"), NamedNode("urn:p"), Literal(9), NamedNode("urn:one"))])
    assert census.current().graphs == {"urn:one": 7}


def test_what_an_engine_knows_is_not_counted() -> None:
    known = DatasetStatistics(1, 2, 3, 4, {"urn:p": PropertyStatistics(5, 6, 7)}, {"urn:c": 8}, {"urn:g": 9}, 10)
    census = StatisticsCache(EmbeddedEngine(statistics=known))
    assert census.current() is known
    assert census.graph_sizes() == {"urn:g": 9}
    parts = [item for item in describe_dataset(known, SITE) if str(item.subject) == "_:property0"]
    numbers = {item.predicate.value: item.object.value for item in parts}  # type: ignore[union-attr]
    assert [numbers[VOID + name] for name in ("triples", "distinctSubjects", "distinctObjects")] == ["5", "6", "7"]


class AnsweringEngine(PoolEngine):
    """Has jobs done by the operations of a cell, in this process."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self.engine = engine
        gate = IncrementalValidator(read_project_shapes())
        self.operations = worker_operations(
            engine, gate, EngineFactValidator(engine, read_project_shapes(), LocalProposer(engine, gate))
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


def test_what_a_cell_knows_is_asked_for_once() -> None:
    known = DatasetStatistics(1, 2, 3, 4, {"urn:p": PropertyStatistics(5, 6, 7)}, {"urn:c": 8}, {"urn:g": 9}, 10)
    engine = AnsweringEngine(EmbeddedEngine(statistics=known))
    census = StatisticsCache(engine)
    assert [census.current(), census.current()] == [known, known]
    assert engine.asked == ["counts"]


def test_what_a_cell_does_not_know_is_counted() -> None:
    counted = CountingEngine()
    engine = AnsweringEngine(counted)
    assert StatisticsCache(engine).current() == compute_statistics(counted)
    assert {"counts", "query"} <= set(engine.asked)


@pytest.mark.parametrize("error", [DeadlineError(), MemoryLimitError()])
def test_what_takes_too_long_to_count_is_left_out(error: Exception) -> None:
    counts = StatisticsCache(CountingEngine(error)).current()
    assert (counts.triples, counts.properties, counts.classes) == (None, {}, {})
    described = values(describe_dataset(counts, SITE), SITE.dataset_iri)
    assert VOID + "triples" not in described
    assert VOID + "properties" not in described
    assert VOID + "subset" in described


def test_other_errors_pass() -> None:
    with pytest.raises(QueueFullError):
        StatisticsCache(CountingEngine(QueueFullError())).current()


def values(triples: list[Triple], subject: str) -> Mapping[str, str]:
    return {item.predicate.value: item.object.value for item in triples if item.subject == NamedNode(subject)}  # type: ignore[union-attr]


def test_catalogue() -> None:
    described = describe_dataset(StatisticsCache(CountingEngine()).current(), SITE)
    assert described == describe_dataset(StatisticsCache(CountingEngine()).current(), SITE)
    dataset = values(described, SITE.dataset_iri)
    assert dataset[VOID + "triples"] == "6"
    assert dataset[VOID + "dataDump"] == "http://example.org/graph.nq.gz"
    assert values(described, "urn:one")[VOID + "triples"] == "6"
    packed = values(described, "http://example.org/.well-known/void#graph.nq.gz")
    assert packed[DCAT + "compressFormat"].endswith("application/gzip")
    assert packed[DCAT + "mediaType"].endswith("application/n-quads")


def test_an_empty_dataset_is_described_too() -> None:
    counts = DatasetStatistics(0, 0, 0, 0, {}, {}, {}, 0)
    assert values(describe_dataset(counts, SITE), SITE.dataset_iri)[VOID + "triples"] == "0"


def test_every_graph_of_the_project_has_a_title(built: BuiltGraph) -> None:
    assert {iri for iri in built.sizes if set(graph_title(iri)) != {"en", "vi"}} == set()
    assert graph_title("urn:x") == {}


def test_current_version(built: BuiltGraph) -> None:
    assert read_version_iri(built.engine, ONTOLOGY) == f"{ONTOLOGY}/0.1.0"
    assert read_version_iri(built.engine, graph_iri("entities")) is None

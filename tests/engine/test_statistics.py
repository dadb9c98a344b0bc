"""Statistics equal those that queries compute, also after changes of the dataset and in JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.changes.data_folder import BuiltGraph
from kg.engine.embedded import EmbeddedEngine
from kg.engine.statistics import (
    DatasetStatistics,
    statistics_from_json,
    statistics_to_json,
    update_statistics,
)
from kg.engine.statistics_queries import compute_statistics
from kg.rdf.delta import Delta
from kg.rdf.namespaces import ID, XSD
from kg.rdf.terms import RDF_TYPE, BlankNode, DefaultGraph, Literal, NamedNode, Quad

EMPTY = DatasetStatistics(0, 0, 0, 0, {}, {}, {}, 0)
NODES = [NamedNode("urn:a"), NamedNode(ID + "zone/a"), NamedNode(ID + "zone/b"), BlankNode("b")]
TERMS = [*NODES, *(Literal(text, datatype=NamedNode(XSD + "integer")) for text in ("1", "01")), Literal("1")]
QUADS = st.builds(
    Quad,
    st.sampled_from(NODES),
    st.sampled_from([RDF_TYPE, NamedNode("urn:p"), NamedNode("urn:a")]),
    st.sampled_from(TERMS),
    st.sampled_from([DefaultGraph(), NamedNode("urn:g"), NamedNode("urn:h")]),
)


@given(st.lists(st.lists(QUADS, max_size=12), max_size=4))
def test_statistics_after_additions_equal_those_of_queries(additions: list[list[Quad]]) -> None:
    grown, asked = EmbeddedEngine(statistics=EMPTY), EmbeddedEngine()
    for quads in additions:
        grown.extend(quads)
        asked.extend(quads)
        assert grown.statistics() == compute_statistics(asked)
        assert grown.graph_sizes() == asked.graph_sizes()
        assert grown.status() == asked.status()


@given(st.lists(QUADS, max_size=12), st.lists(st.tuples(st.lists(QUADS, max_size=8), st.lists(QUADS, max_size=8))))
def test_statistics_follow_removals(first: list[Quad], steps: list[tuple[list[Quad], list[Quad]]]) -> None:
    engine = EmbeddedEngine(statistics=EMPTY)
    engine.extend(first)
    for more, less in steps:
        before, spelt = engine.statistics(), engine.normalize_quads(more)
        removed = frozenset(filter(engine.holds, engine.normalize_quads(less) - spelt))
        added = frozenset(quad for quad in spelt if not engine.holds(quad))
        named = {quad.graph_name for quad in added if isinstance(quad.graph_name, NamedNode)}
        delta = Delta(added, removed, frozenset(named - engine.named_graphs()))
        engine.apply(delta)
        assert engine.statistics() == compute_statistics(engine)
        engine.apply(delta.inverse())
        assert engine.statistics() == before
        engine.apply(delta)


def test_uncounted_partitions_stay_empty() -> None:
    engine = EmbeddedEngine(statistics=DatasetStatistics(None, None, None, None, {}, {}, {"urn:g": 1}, 0))
    quad = Quad(NODES[0], RDF_TYPE, NODES[1], NamedNode("urn:g"))
    engine.apply(Delta(added=frozenset({quad})))
    assert engine.statistics() == DatasetStatistics(None, None, None, None, {}, {}, {"urn:g": 2}, 0)


def test_an_engine_without_statistics_gets_none_from_changes() -> None:
    engine = EmbeddedEngine()
    engine.extend([Quad(NODES[0], RDF_TYPE, NODES[1])])
    assert engine.statistics() is None


def test_partitions_keep_the_order_of_iris() -> None:
    engine = EmbeddedEngine(statistics=EMPTY)
    for name in ("urn:z", "urn:b", "urn:m"):
        engine.extend([Quad(NODES[0], NamedNode(name), NODES[1], NamedNode(name)), Quad(NODES[0], RDF_TYPE, NODES[2])])
    counts = engine.statistics()
    assert counts is not None
    assert list(counts.graphs) == ["urn:b", "urn:m", "urn:z"]
    assert list(counts.properties) == sorted(counts.properties)


def test_json_preserves_all_statistics(built: BuiltGraph) -> None:
    assert statistics_from_json(statistics_to_json(built.counts)) == built.counts


@pytest.mark.parametrize("data", [{}, {"properties": {"urn:p": {}}}, {"properties": {}, "triples": 1}])
def test_other_json_is_refused(data: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        statistics_from_json(data)


def test_each_node_is_looked_up_once() -> None:
    asked = list[tuple[object, ...]]()

    def has_match(*pattern: object) -> bool:
        asked.append(pattern)
        return False

    node, said = NamedNode("urn:a"), NamedNode("urn:said")
    quads = [Quad(node, said, Literal(str(number))) for number in range(10)]
    update_statistics(update_statistics(EMPTY, quads, has_match, 1), quads, has_match, -1)
    assert asked.count((node, None, None)) == 2
    assert len(asked) == len(set(asked)) * 2

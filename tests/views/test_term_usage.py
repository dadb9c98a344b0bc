"""How often the terms of a vocabulary are used."""

from kg.changes.data_folder import BuiltGraph
from kg.rdf.namespaces import HPEZ, ID
from kg.rdf.terms import NamedNode
from kg.views.statistics_cache import StatisticsCache
from kg.views.term_usage import find_usage_examples, instance_usage, usage_count


def test_terms_are_counted_with_an_example(built: BuiltGraph) -> None:
    counts = StatisticsCache(built.engine).current()
    found = find_usage_examples(built.engine, [HPEZ + "investsIn", HPEZ + "Zone", HPEZ + "unknown"])
    assert found.keys() == {HPEZ + "investsIn", HPEZ + "Zone"}
    assert found[HPEZ + "investsIn"].value == NamedNode(ID + "zone/dinh-vu-cat-hai")
    assert [usage_count(counts, HPEZ + name) for name in ("investsIn", "Zone", "unknown")] == [4, 5, 0]


def test_classes_are_counted_together(built: BuiltGraph) -> None:
    counts = StatisticsCache(built.engine).current()
    targets = {"a": (HPEZ + "Zone", HPEZ + "ZoneGroup"), "b": (HPEZ + "unknown",)}
    found = instance_usage(built.engine, counts, targets)
    assert found.keys() == {"a"}
    assert found["a"][0] == 7


def test_many_terms_are_queried_in_batches(built: BuiltGraph) -> None:
    terms = [f"urn:x:{number}" for number in range(100)] + [HPEZ + "Zone"]
    assert find_usage_examples(built.engine, terms).keys() == {HPEZ + "Zone"}

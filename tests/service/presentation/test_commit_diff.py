"""Commits in words."""

import pytest

from kg.rdf.delta import Delta
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse, place_in_graph
from kg.rdf.namespaces import SPARQL_PREFIXES
from kg.rdf.terms import NamedNode, Quad
from service.presentation.commit_diff import labels_in_delta, mentioned_iris, select_statements, subject_diffs
from service.presentation.names import DisplayNames

FIGURE = '<urn:f> rdfs:label "Hình"@vi ; schema:value {} ; qudt:hasUnit unit:CCY_USD .'


def quads(turtle: str) -> frozenset[Quad]:
    return frozenset(place_in_graph(parse((SPARQL_PREFIXES + turtle).encode(), TURTLE), NamedNode("urn:graph")))


def diff_texts(delta: Delta, language: str = "vi") -> dict[str | None, list[tuple[bool, str]]]:
    diffs = subject_diffs(select_statements(delta), delta, DisplayNames(labels_in_delta(delta), language), language)
    return {change.iri: [(line.added, line.value.text) for line in change.lines] for change in diffs}


def test_a_changed_amount_follows_the_previous_one() -> None:
    before, after = quads(FIGURE.format("4350000000.0")), quads(FIGURE.format("4100000000.0"))
    unit = [quad for quad in before if quad.predicate.value.endswith("hasUnit")]
    delta = Delta(added=after - before | frozenset(unit), removed=before - after)
    lines = [line for line in diff_texts(delta)["urn:f"] if "tỷ" in line[1]]
    assert lines == [(False, "4,35 tỷ USD"), (True, "4,1 tỷ USD")]


def test_a_removed_entity_keeps_its_name() -> None:
    delta = Delta(removed=quads('<urn:gone> rdfs:label "Đã bỏ"@vi . <urn:x> <urn:of> <urn:gone> .'))
    assert diff_texts(delta)["urn:x"] == [(False, "Đã bỏ")]


def test_blank_nodes_and_values_that_are_no_numbers() -> None:
    delta = Delta(added=quads('<urn:a> <urn:p> [ <urn:q> 1 ] ; schema:value "many" ; qudt:hasUnit unit:HA .'))
    found = diff_texts(delta)
    assert (True, "") in found["urn:a"]
    assert (True, "many") in found["urn:a"]
    assert found[None] == [(True, "1")]


@pytest.mark.parametrize("most", [0, 3, 500])
def test_the_statements_of_a_large_change_are_limited(most: int) -> None:
    delta = Delta(added=quads("".join(f"<urn:s{n}> <urn:p> <urn:o{n}> ." for n in range(400))))
    lines = select_statements(delta, most)
    assert len(lines) == min(most, 400)
    assert len(mentioned_iris(lines)) == (2 * len(lines) + 1 if lines else 0)

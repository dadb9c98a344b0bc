"""Reuse of stored blank node labels for reparsed quads with the same content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.changes.data_folder import BuiltGraph
from kg.rdf.blank_nodes import reuse_blank_node_labels
from kg.rdf.formats import NQUADS
from kg.rdf.io import canonical_nquads, parse
from kg.rdf.terms import BlankNode, Literal, NamedNode, Quad, Triple

NAMES = st.sampled_from("abcde").map(BlankNode)
TERMS = NAMES | st.sampled_from("xy").map(lambda name: NamedNode(f"urn:{name}")) | st.just(Literal("l"))
QUADS = st.frozensets(
    st.builds(
        Quad,
        NAMES | st.just(NamedNode("urn:x")),
        st.sampled_from("pq").map(lambda name: NamedNode(f"urn:{name}")),
        TERMS | st.builds(Triple, NAMES, st.just(NamedNode("urn:p")), TERMS),
        st.sampled_from("gh").map(lambda name: NamedNode(f"urn:{name}")),
    ),
    max_size=8,
)


def read(text: str) -> frozenset[Quad]:
    return frozenset(parse(text.encode(), NQUADS))


@given(QUADS, QUADS)
def test_only_labels_change(quads: frozenset[Quad], stored: frozenset[Quad]) -> None:
    assert canonical_nquads(reuse_blank_node_labels(quads, stored)) == canonical_nquads(quads)


@given(QUADS)
def test_a_reparsed_dataset_equals_the_stored_one(stored: frozenset[Quad]) -> None:
    assert reuse_blank_node_labels(read(canonical_nquads(stored).decode()), stored) == stored


def test_the_reparsed_project_graph_equals_the_stored_one(built: BuiltGraph) -> None:
    stored = frozenset(built.engine.quads())
    assert reuse_blank_node_labels(read(canonical_nquads(stored).decode()), stored) == stored


@pytest.mark.parametrize(
    ("new", "reused"),
    [
        ('_:a <urn:p> "1" . _:b <urn:p> "3" .', 1),
        ('_:a <urn:p> "1" . _:a <urn:q> _:c . _:b <urn:p> "2" .', 1),
        ('_:a <urn:p> "1" . _:b <urn:p> "2" . _:c <urn:p> "2" .', 2),
        ('_:a <urn:p> "1" . _:b <urn:p> "2" . _:a <urn:q> _:b .', 0),
        ('_:a <urn:p> "1" <urn:g> . _:b <urn:p> "2" <urn:g> .', 0),
    ],
)
def test_only_components_with_equal_content_are_reused(new: str, reused: int) -> None:
    stored = read('_:a <urn:p> "1" .\n_:b <urn:p> "2" .')
    quads = read(new.replace(" . ", " .\n"))
    assert len(reuse_blank_node_labels(quads, stored) & stored) == reused


def test_two_nodes_never_become_one() -> None:
    """The stored node has the label of one new node and the content of another."""
    prop, one, two = NamedNode("urn:p"), Literal("1"), Literal("2")
    stored = {Quad(BlankNode("a"), prop, two)}
    quads = {Quad(BlankNode("a"), prop, one), Quad(BlankNode("b"), prop, two)}
    assert len({quad.subject for quad in reuse_blank_node_labels(quads, stored)}) == 2

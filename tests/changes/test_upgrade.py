import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.changes.rules import materialised_engine
from kg.changes.upgrade import align_release_blank_nodes, upgrade_delta
from kg.engine.embedded import EmbeddedEngine
from kg.rdf.delta import Delta
from kg.rdf.formats import TRIG
from kg.rdf.io import canonical_nquads, parse
from kg.rdf.namespaces import SPARQL_PREFIXES
from kg.rdf.terms import BlankNode, Literal, NamedNode, Quad

names = st.sampled_from("abcd")
iris = st.builds(lambda name: NamedNode(f"urn:{name}"), names)
blanks = st.builds(lambda name: BlankNode(f"b{name}"), names)
quads = st.builds(
    Quad,
    iris | blanks,
    st.just(NamedNode("urn:p")) | st.just(NamedNode("urn:q")),
    iris | blanks | st.just(Literal("x")),
    st.just(NamedNode("urn:g")) | st.just(NamedNode("urn:h")),
)
datasets = st.frozensets(quads, max_size=10)


def renamed(stored: Iterable[Quad], prefix: str) -> frozenset[Quad]:
    def other(term: object) -> object:
        return BlankNode(prefix + term.value) if isinstance(term, BlankNode) else term

    return frozenset(Quad(other(item.subject), item.predicate, other(item.object), item.graph_name) for item in stored)  # type: ignore[arg-type]


def without_redundancy(stored: Iterable[Quad]) -> bytes:
    """Return a dataset without components that are equal up to the labels of their blank nodes."""
    return canonical_nquads(align_release_blank_nodes(stored, ()))


@given(datasets, st.randoms(use_true_random=False))
def test_equal_content_gets_the_stored_blank_node_labels(stored: frozenset[Quad], numbers: random.Random) -> None:
    known = align_release_blank_nodes(stored, ())
    shuffled = list(renamed(stored, "other"))
    numbers.shuffle(shuffled)
    assert align_release_blank_nodes(shuffled, known) == known
    assert align_release_blank_nodes(shuffled, ()) == known


@given(datasets, datasets)
def test_aligning_labels_preserves_the_content(stored: frozenset[Quad], new: frozenset[Quad]) -> None:
    alike = align_release_blank_nodes(renamed(new, "other"), stored)
    assert without_redundancy(alike) == without_redundancy(new)
    ground = {quad for quad in new if not {type(quad.subject), type(quad.object)} & {BlankNode}}
    assert ground <= alike


@settings(max_examples=60, deadline=None)
@given(datasets, datasets)
def test_an_upgrade_without_local_changes_equals_the_package(old: frozenset[Quad], new: frozenset[Quad]) -> None:
    engine, packaged = materialised_engine(old), materialised_engine(renamed(new, "n"))
    before = frozenset(engine.quads()), engine.named_graphs()
    coming = align_release_blank_nodes(packaged.quads(), before[0])
    delta = upgrade_delta(engine, before[0], coming)
    assert (frozenset(engine.quads()), engine.named_graphs()) == before, "the engine is unchanged"
    assert not any(map(engine.holds, delta.added))
    assert all(map(engine.holds, delta.removed))
    engine.apply(delta)
    assert without_redundancy(engine.quads()) == without_redundancy(packaged.quads())
    assert engine.named_graphs() == packaged.named_graphs()


@settings(max_examples=60, deadline=None)
@given(datasets, datasets, datasets, datasets)
def test_an_upgrade_keeps_local_changes(
    old: frozenset[Quad], new: frozenset[Quad], more: frozenset[Quad], less: frozenset[Quad]
) -> None:
    engine, coming = EmbeddedEngine(old), align_release_blank_nodes(new, old)
    local = Delta(EmbeddedEngine.normalize_quads(more) - old, (less & old) - more)
    engine.apply(local)
    engine.apply(upgrade_delta(engine, old, coming))
    stored = frozenset(engine.quads())
    assert stored >= local.added
    assert not stored & (local.removed & coming)
    assert stored == ((old - local.removed) | local.added) - (old - coming) | (coming - old)


LOCAL = """
PREFIX c: <https://w3id.org/hpez/id/claim/local/> PREFIX org: <https://w3id.org/hpez/id/org/>
PREFIX zone: <https://w3id.org/hpez/id/zone/>
<https://w3id.org/hpez/graph/submission> {
  c:one a hpez:RelationClaim ; rdf:subject org:lg ; rdf:predicate hpez:investsIn ; rdf:object zone:xuan-cau .
}"""
ASSERTED = parse(
    (SPARQL_PREFIXES + "<https://w3id.org/hpez/graph/asserted> { <https://w3id.org/hpez/id/org/lg> hpez:investsIn "
     "<https://w3id.org/hpez/id/zone/xuan-cau> }").encode(),
    TRIG,
)[0]  # fmt: skip


@pytest.mark.parametrize("packaged_too", [True, False])
def test_an_upgrade_keeps_what_rules_derive_from_local_claims(packaged_too: bool) -> None:
    claim = frozenset(parse((SPARQL_PREFIXES + LOCAL).encode(), TRIG))
    other = frozenset({Quad(NamedNode("urn:s"), NamedNode("urn:p"), NamedNode("urn:o"), NamedNode("urn:g"))})
    engine = materialised_engine(other | claim)
    packaged = frozenset(materialised_engine((other | claim) if packaged_too else other).quads())
    assert engine.holds(ASSERTED)
    delta = upgrade_delta(engine, packaged, frozenset())
    engine.apply(delta)
    assert engine.holds(ASSERTED) is not packaged_too
    assert not any(map(engine.holds, other))

"""The complete description of an IRI."""

import pytest

from kg.changes.data_folder import BuiltGraph
from kg.engine.embedded import EmbeddedEngine
from kg.errors import NotFoundError
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse, place_in_graph
from kg.rdf.namespaces import ID, RDFS
from kg.rdf.terms import BlankNode, NamedNode, Triple
from kg.views import description as module
from kg.views.description import describe, is_known

GRAPH = NamedNode("urn:graph")
LABEL = NamedNode(RDFS + "label")


def engine(turtle: str) -> EmbeddedEngine:
    return EmbeddedEngine(place_in_graph(parse(turtle.encode(), TURTLE), GRAPH))


def test_inverse_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_INVERSE_STATEMENTS", 6)
    store = engine("".join(f"<urn:s{n}> <urn:many> <urn:o> ." for n in range(20)) + "<urn:s> <urn:one> <urn:o> .")
    found = describe(store, "urn:o")
    assert found.inverse_counts == {"urn:many": 20, "urn:one": 1}
    assert [triple.predicate.value for triple in found.inverse].count("urn:many") == 3
    assert [triple.predicate.value for triple in found.inverse].count("urn:one") == 1, (
        "a frequent predicate does not hide a rare one"
    )


def test_a_statement_in_two_graphs_counts_once() -> None:
    store = engine("<urn:s> <urn:p> <urn:o> .")
    store.extend(place_in_graph(parse(b"<urn:s> <urn:p> <urn:o> .", TURTLE), NamedNode("urn:other")))
    assert describe(store, "urn:o").inverse_counts == {"urn:p": 1}


def test_blank_nodes_are_described_two_levels_deep_with_stable_labels() -> None:
    turtle = "<urn:a> <urn:p> [ <urn:q> [ <urn:r> [ <urn:s> 1 ] ] ] ."
    first, second = (describe(engine(turtle), "urn:a").statements for _ in range(2))
    assert first == second
    assert [triple.predicate.value for triple in first] == ["urn:p", "urn:q", "urn:r"]
    assert first[0].object == first[1].subject == BlankNode("b0")


@pytest.mark.parametrize("stored", ["https://w3id.org/hpez/id/zone/a%20b", "https://w3id.org/hpez/id/zone/%C4%91"])
def test_percent_encoded_iris_are_found_decoded(stored: str) -> None:
    decoded = stored.replace("%20", " ").replace("%C4%91", "đ")
    store = engine(f"<{stored}> <urn:p> 1 .")
    assert is_known(store, decoded)
    assert describe(store, decoded).iri.value == stored


def test_an_exact_match_goes_before_a_percent_encoded_one() -> None:
    store = engine("<urn:đ> <urn:p> 1 . <urn:%C4%91> <urn:p> 2 .")
    assert describe(store, "urn:đ").iri.value == "urn:đ"


@pytest.mark.parametrize("iri", ["urn:nothing", "no iri", "", "urn:a> ?p ?o } #"])
def test_an_unknown_iri(iri: str) -> None:
    store = engine("<urn:a> <urn:p> 1 .")
    assert not is_known(store, iri)
    with pytest.raises(NotFoundError):
        describe(store, iri)


def test_every_statement_is_one_of_the_graph(built: BuiltGraph) -> None:
    """The selectors of evidence are new blank nodes; all other triples, labels included, are in the graph."""
    known = {quad.triple for quad in built.engine.quads()}
    for name in ("org/heza", "claim/dnhn-94474/fdi-2024", "source/dnhn-94474", "indicator/fdi-attracted"):
        triples = describe(built.engine, ID + name).triples()
        assert {triple for triple in triples if not _has_blank(triple)} <= known


def _has_blank(triple: Triple) -> bool:
    return isinstance(triple.subject, BlankNode) or isinstance(triple.object, BlankNode)


def test_evidence_is_shown_by_its_quotation_but_has_no_label(built: BuiltGraph) -> None:
    claim = describe(built.engine, ID + "claim/dnhn-94474/fdi-2024")
    evidence = ID + "evidence/dnhn-94474/1884-1895"
    assert claim.label(evidence, "en") == "4,35 tỷ USD"
    assert evidence in claim.labelled_by_quote
    assert not [triple for triple in claim.triples() if triple.subject.value == evidence and triple.predicate == LABEL]


def test_types(built: BuiltGraph) -> None:
    assert describe(built.engine, ID + "zone/deep-c").types == ("https://w3id.org/hpez/ontology#Zone",)

"""Summaries of resources, and the claims and issues that pages show with them."""

import pytest

from kg.changes.data_folder import BuiltGraph
from kg.engine.embedded import EmbeddedEngine
from kg.errors import NotFoundError
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse, place_in_graph
from kg.rdf.namespaces import HPEZ, ID
from kg.rdf.terms import NamedNode
from kg.sources.anchors import Anchor, load_anchor
from kg.views import issues, summary
from kg.views.claims import find_claims_of_relations, find_claims_without_figure, load_claims

HEZA = NamedNode(ID + "org/heza")
SOURCE = NamedNode(ID + "source/dnhn-94474")
CLAIM = ID + "claim/dnhn-94474/"


def engine(turtle: str) -> EmbeddedEngine:
    return EmbeddedEngine(place_in_graph(parse(turtle.encode(), TURTLE), NamedNode("urn:graph")))


def test_a_summary_has_samples_and_totals_in_both_directions() -> None:
    turtle = "".join(f"<urn:o> <urn:has> {n} . <urn:s{n}> <urn:many> <urn:o> ." for n in range(100))
    store = engine(turtle + "<urn:one> <urn:few> <urn:o> . <urn:o> a <urn:Class> .")
    store.extend(place_in_graph(parse(b"<urn:one> <urn:few> <urn:o> .", TURTLE), NamedNode("urn:other")))
    found = summary.summarize(store, "urn:o")
    assert {(item.direction, item.predicate): (item.total, len(item.values)) for item in found.properties} == {
        ("out", "urn:has"): (100, summary.SAMPLE_SIZE),
        ("out", "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"): (1, 1),
        ("in", "urn:many"): (100, summary.SAMPLE_SIZE),
        ("in", "urn:few"): (1, 1),
    }
    assert found.types == ("urn:Class",)
    many = next(item for item in found.incoming if item.predicate == "urn:many")
    pages = [summary.load_values_page(store, found.iri, many, first, 30).named_nodes for first in range(0, 120, 30)]
    assert [len(page) for page in pages] == [30, 30, 30, 10]
    assert len({node for page in pages for node in page}) == 100


@pytest.mark.parametrize("iri", ["urn:nothing", "no iri", "", "urn:a> ?p ?o } #"])
def test_an_unknown_iri(iri: str) -> None:
    with pytest.raises(NotFoundError):
        summary.summarize(engine("<urn:a> <urn:p> 1 ."), iri)


def test_claims_are_in_text_order(built: BuiltGraph) -> None:
    pages = [summary.claims_in_text_order(built.engine, SOURCE, first, 30) for first in range(0, 90, 30)]
    claims = [claim for page, _ in pages for claim in page]
    starts = [claim.start for claim in load_claims(built.engine, claims).values()]
    assert {size for _, size in pages} == {len(claims)} == {len(set(claims))}
    assert starts == sorted(starts)


def test_the_anchor_of_evidence(built: BuiltGraph) -> None:
    evidence = NamedNode(ID + "evidence/dnhn-94474/1884-1895")
    assert load_anchor(built.engine, evidence) == Anchor(evidence, SOURCE, 1884, 1895, "4,35 tỷ USD")
    assert load_anchor(built.engine, HEZA) is None


def test_load_claims(built: BuiltGraph) -> None:
    wanted = [NamedNode(CLAIM + name) for name in ("fdi-term-forecast", "lg-invests")] + [HEZA]
    forecast, invests, none = load_claims(built.engine, wanted).values()
    assert forecast.figure is not None
    assert forecast.emended
    assert (forecast.relation, forecast.speakers) == (None, (HEZA.value,))
    assert [anchor.exact for anchor in forecast.anchors] == ["17 USD"]
    relation = (ID + "org/lg", HPEZ + "investsIn", ID + "zone/dinh-vu-cat-hai")
    assert invests.relation == relation
    assert relation[0] in invests.mentioned_iris
    assert (none.figure, none.relation, none.anchors, none.start) == (None, None, (), 0)
    assert find_claims_of_relations(built.engine, [relation]) == [NamedNode(CLAIM + "lg-invests")]
    assert (find_claims_of_relations(built.engine, []), load_claims(built.engine, [])) == ([], {})


def test_computed_figures_refer_to_their_inputs(built: BuiltGraph) -> None:
    derived = NamedNode(ID + "claim/derived/dnhn-94474/exports-2024/exports-to-revenue")
    (found,) = load_claims(built.engine, [derived]).values()
    assert set(found.derived_from) == {CLAIM + "exports-2024", CLAIM + "revenue-2024"}


def test_claims_without_a_figure(built: BuiltGraph) -> None:
    found = find_claims_without_figure(built.engine, NamedNode(ID + "zone-group/hai-phong-ips-and-ezs"), 10)
    assert found
    assert all(claim.figure is None for claim in load_claims(built.engine, found).values())


def test_issues_by_kind(built: BuiltGraph) -> None:
    counts = issues.count_issues_by_kind(built.engine)
    found = issues.list_issues(built.engine, None, 0, 1000)
    assert sum(counts.values()) == len(found) == 20
    kind = NamedNode(ID + "issue-type/contradiction")
    (two_lists,) = issues.list_issues(built.engine, kind, 0, 10)
    assert (two_lists.kind, set(two_lists.texts), len(two_lists.targets)) == (kind.value, {"vi", "en"}, 8)
    assert issues.list_issues(built.engine, kind, 1, 10) == []


def test_issues_about_entities_and_claims(built: BuiltGraph) -> None:
    concerned = [NamedNode(CLAIM + "fdi-term-forecast"), NamedNode(ID + "zone/deep-c")]
    found = {issue.iri.rpartition("/")[2] for issue in issues.find_issues_about(built.engine, concerned)}
    assert {"term-forecast-unit-missing", "zone-managers-unnamed"} <= found
    assert issues.find_issues_about(built.engine, []) == []

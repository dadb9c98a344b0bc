"""Every view finds entities whose IRIs contain words that could be mistaken for places in a query template."""

import pytest

from kg.engine.embedded import EmbeddedEngine
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse, place_in_graph
from kg.rdf.namespaces import HPEZ, ID, PREFIXES
from kg.rdf.terms import NamedNode
from kg.sources.anchors import Anchor
from kg.views.claims import find_claims_of_relations, find_claims_without_figure, load_claims
from kg.views.dataset_description import read_version_iri
from kg.views.description import describe, is_known
from kg.views.issues import find_issues_about, list_issues
from kg.views.observations import filter_choices, find_observations, load_page
from kg.views.summary import claims_in_text_order, load_values_page, summarize
from kg.views.term_usage import find_usage_examples

WORDS = (
    "ALMOST", "FIRST", "MOST", "CLAIMS", "NODES", "IRI", "PREDICATE", "ISSUES", "TARGETS", "KIND", "TERM", "PATTERNS",
    "RESTRICTIONS", "RELATIONS", "SCHEME", "IS_FIGURE", "LIMIT", "$iri", "$limit", "?claim",
)  # fmt: skip
NAMES = [word.replace("?", "%3F") for word in WORDS]


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def engine(name: str) -> EmbeddedEngine:
    prefixes = "".join(f"@prefix {prefix}: <{iri}> .\n" for prefix, iri in PREFIXES.items())
    turtle = f"""{prefixes}
<{ID}org/{name}> a <urn:{name}> ; rdfs:label "{name}"@en ; <urn:p/{name}> <{ID}zone/{name}> ;
  owl:versionIRI <urn:{name}/1> .
<{ID}claim/{name}> a hpez:Observation ; schema:observationAbout <{ID}org/{name}> ;
  schema:variableMeasured <{ID}indicator/{name}> ; schema:value 1.5 ; dcterms:temporal <{ID}period/{name}> ;
  hpez:status <{ID}status/{name}> ; prov:wasAttributedTo <{ID}org/{name}> ; hpez:evidence <{ID}evidence/{name}> .
<{ID}indicator/{name}> a hpez:Indicator . <{ID}period/{name}> a dcterms:PeriodOfTime .
<{ID}status/{name}> skos:inScheme <{ID}scheme/status> .
<{ID}evidence/{name}> oa:hasSource <{ID}source/{name}> ; oa:hasSelector [ oa:start 1 ; oa:end 3 ], [ oa:exact "is" ] .
<{ID}claim/words/{name}> schema:observationAbout <{ID}org/{name}> .
<{ID}claim/relation/{name}> rdf:subject <{ID}org/{name}> ; rdf:predicate hpez:investsIn ; rdf:object <{ID}zone/{name}> .
<{ID}issue/{name}> a hpez:Issue ; dcterms:type <{ID}issue-type/{name}> ; oa:hasTarget <{ID}org/{name}> ;
  oa:hasBody [ rdf:value "open"@en ] .
"""
    return EmbeddedEngine(place_in_graph(parse(turtle.encode(), TURTLE), NamedNode("urn:graph")))


def test_description(engine: EmbeddedEngine, name: str) -> None:
    found = describe(engine, f"{ID}org/{name}")
    assert found.types == (f"urn:{name}",)
    assert found.label(f"{ID}org/{name}", "vi") == name
    assert len(found.claims) == 3
    anchor = Anchor(NamedNode(f"{ID}evidence/{name}"), NamedNode(f"{ID}source/{name}"), 1, 3, "is")
    assert found.anchors == {NamedNode(f"{ID}claim/{name}"): (anchor,)}
    assert describe(engine, f"{ID}zone/{name}").inverse_counts[f"urn:p/{name}"] == 1
    assert is_known(engine, f"{ID}source/{name}")


def test_description_with_a_sample_of_inverse_statements(
    engine: EmbeddedEngine, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kg.views.description.MAX_INVERSE_STATEMENTS", 1)
    assert len(describe(engine, f"{ID}zone/{name}").inverse) == 2


def test_summary(engine: EmbeddedEngine, name: str) -> None:
    found = summarize(engine, f"{ID}org/{name}")
    (group,) = (item for item in found.properties if item.predicate == f"urn:p/{name}")
    assert group.named_nodes == (NamedNode(f"{ID}zone/{name}"),)
    assert load_values_page(engine, found.iri, group, 0, 5) == group
    assert claims_in_text_order(engine, NamedNode(f"{ID}source/{name}"), 0, 5) == ([NamedNode(f"{ID}claim/{name}")], 1)


def test_observations(engine: EmbeddedEngine, name: str) -> None:
    values = {"about": "org", "indicator": "indicator", "period": "period", "status": "status"}
    filters = {key: NamedNode(f"{ID}{kind}/{name}") for key, kind in values.items()}
    (found,) = find_observations(engine, filters)
    assert (found.claim, found.speakers) == (f"{ID}claim/{name}", (f"{ID}org/{name}",))
    assert load_page(engine, filters, 1, 5).items == (found,)
    for key, node in filters.items():
        assert node in filter_choices(engine, key, 5)


def test_claims(engine: EmbeddedEngine, name: str) -> None:
    organisation, zone = f"{ID}org/{name}", f"{ID}zone/{name}"
    relation = (organisation, HPEZ + "investsIn", zone)
    (claim,) = find_claims_of_relations(engine, [relation])
    assert load_claims(engine, [claim])[claim.value].relation == relation
    assert NamedNode(f"{ID}claim/words/{name}") in find_claims_without_figure(engine, NamedNode(organisation), 5)


def test_issues(engine: EmbeddedEngine, name: str) -> None:
    found = list_issues(engine, NamedNode(f"{ID}issue-type/{name}"), 0, 5)
    assert [(issue.iri, issue.texts.best("vi")) for issue in found] == [(f"{ID}issue/{name}", "open")]
    assert find_issues_about(engine, [NamedNode(f"{ID}org/{name}")]) == found


def test_terms_and_versions(engine: EmbeddedEngine, name: str) -> None:
    assert find_usage_examples(engine, [f"urn:{name}", f"urn:p/{name}"]).keys() == {f"urn:{name}", f"urn:p/{name}"}
    assert read_version_iri(engine, f"{ID}org/{name}") == f"urn:{name}/1"

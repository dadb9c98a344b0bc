"""Suggestions: fixes for findings, each tried by validation before it is made."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kg.changes import data_folder
from kg.changes.changeset import QuadAddition
from kg.changes.commit import Proposal, in_submission_graph
from kg.changes.commit import propose as propose_change
from kg.changes.data_folder import BuiltGraph
from kg.engine.embedded import EmbeddedEngine
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse, serialize
from kg.rdf.namespaces import ID, PREFIXES, SCHEMA, XSD
from kg.rdf.terms import Literal, NamedNode, Quad
from kg.validation.incremental import IncrementalValidator
from kg.validation.report import ValidationReport
from kg.validation.report_json import report_from_json, report_to_json
from kg.validation.report_rdf import report_from_triples, report_triples

LOCAL = {
    "c": "claim/dnhn-94474/",
    "ev": "evidence/dnhn-94474/",
    "z": "zone/",
    "o": "org/",
    "ind": "indicator/",
    "st": "status/",
    "q": "qualifier/",
    "per": "period/",
    "pl": "place/",
}
HEAD = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in PREFIXES.items()) + "".join(
    f"PREFIX {name}: <{ID}{path}>\n" for name, path in LOCAL.items()
)
FIGURE = """
c:x a hpez:Observation ; schema:observationAbout z:deep-c ; schema:variableMeasured ind:fdi-attracted ;
  dcterms:temporal per:2024 ; hpez:valueQualifier q:exact .
"""
MONEY, PLAN = "c:x qudt:hasUnit unit:CCY_USD .\n", "c:x hpez:status st:plan .\n"
BILLIONS = "c:x schema:value 4350000000.0 .\n"
SPEAKER, EVIDENCE = "c:x prov:wasAttributedTo o:heza .\n", "c:x hpez:evidence ev:1884-1895 .\n"
WHOLE = FIGURE + MONEY + PLAN + SPEAKER + EVIDENCE
PLACE = "pl:do-son a schema:Place .\n"
PERIOD = """
per:2026 a dcterms:PeriodOfTime ; rdfs:label "2026"@en , "2026"@vi ; skos:prefLabel "2026"@en , "2026"@vi .
"""

Propose = Callable[..., Proposal]


@pytest.fixture(scope="module")
def propose(built: BuiltGraph) -> Propose:
    proposer = partial(propose_change, built.engine, IncrementalValidator(data_folder.read_project_shapes()))

    def propose_quads(*quads: Quad) -> Proposal:
        return proposer(QuadAddition(tuple(in_submission_graph(quad) for quad in quads)))

    return propose_quads


def payload(text: str) -> list[Quad]:
    """Parse Turtle, with literals as the engine normalizes them."""
    return list(EmbeddedEngine.normalize_quads(parse((HEAD + text).encode(), TURTLE)))


def suggestions(report: ValidationReport, language: str = "en") -> list[str]:
    return [item.message(language) for finding in report.findings for item in finding.suggestions]


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        (WHOLE + "c:x schema:value 4350000000 .", "Write 4350000000.0 in place of 4350000000."),
        (WHOLE + "c:x schema:value 4.35e9 .", 'Write 4350000000.0 in place of "4350000000"^^xsd:double.'),
        (WHOLE + 'c:x schema:value "4,35 tỷ USD" .', 'Write 4350000000.0 in place of "4,35 tỷ USD".'),
        (
            WHOLE + 'c:x schema:value "17 USD" .',
            "If the word for billion was lost, write 17000000000.0 and say that it is emended.",
        ),
        (
            WHOLE + "c:x schema:value 17.0 .",
            "If the word for million was lost, write 17000000.0 and say that it is emended.",
        ),
        (
            FIGURE + MONEY + SPEAKER + EVIDENCE + BILLIONS + 'c:x hpez:status "Plan" .',
            'Write id:status/plan in place of "Plan".',
        ),
        (FIGURE + MONEY + PLAN + BILLIONS + SPEAKER, "Cite the evidence “4,35 tỷ USD”, which says so."),
        (FIGURE + MONEY + PLAN + BILLIONS, "Cite the evidence “4,35 tỷ USD”, which says so."),
        (FIGURE + MONEY + PLAN + BILLIONS + EVIDENCE, "Attribute it to id:org/dnhn, the source's publisher."),
        (
            WHOLE.replace("q:exact", "q:range") + "c:x schema:minValue 5000000.0 ; schema:maxValue 4000000.0 .",
            "Swap the two bounds.",
        ),
        (
            FIGURE + MONEY + SPEAKER + EVIDENCE + BILLIONS + "c:x hpez:statuss st:plan .",
            "Write hpez:status in place of hpez:statuss, which is not defined.",
        ),
        (PLACE + 'pl:do-son skos:prefLabel "Đồ Sơn"@vi .', 'Name it "Đồ Sơn"@en.'),
        (PLACE + 'pl:do-son skos:prefLabel "Đồ Sơn" .', 'Name it "Đồ Sơn"@vi.'),
        (PLACE + 'pl:do-son skos:prefLabel "Đồ Sơn"@vi ; rdfs:label "Do Son beach"@en .', 'Name it "Do Son beach"@en.'),
        (
            "o:lg hpez:investsIn z:deep-c .",
            "Add the claim id:claim/dnhn-94474/lg-investsin-deep-c that states it, if the evidence “LG” says so.",
        ),
        (
            PERIOD + 'per:2026 schema:startDate "2026"^^xsd:gYear ; schema:endDate "2026-12-31"^^xsd:date .',
            'Write "2026-01-01"^^xsd:date in place of "2026"^^xsd:gYear.',
        ),
        (
            PERIOD + 'per:2026 schema:startDate "2026-01-01"^^xsd:date ; schema:endDate "2026"^^xsd:gYear .',
            'Write "2026-12-31"^^xsd:date in place of "2026"^^xsd:gYear.',
        ),
    ],
)
def test_a_suggestion_resolves_its_finding(propose: Propose, text: str, suggestion: str) -> None:
    quads = payload(text)
    report = propose(*quads).report
    offered = {item.message("en"): item for finding in report.findings for item in finding.suggestions}
    assert suggestion in offered, suggestions(report)
    chosen = offered[suggestion]
    removed = set(chosen.removed)
    followed = [quad for quad in quads if quad.triple not in removed]
    followed += [Quad(item.subject, item.predicate, item.object) for item in chosen.added]
    found = {(item.focus, item.shape, item.path) for item in propose(*followed).report.findings}
    resolved = {(item.focus, item.shape, item.path) for item in report.findings if chosen in item.suggestions}
    assert resolved
    assert not found & resolved


def test_a_finding_without_an_obvious_fix_gets_no_suggestion(propose: Propose) -> None:
    report = propose(*payload(PLACE + FIGURE + MONEY + PLAN + BILLIONS.replace("4350000000", "4350000001"))).report
    assert not report.admissible
    assert suggestions(report) == []


def test_suggestions_are_made_in_both_languages(propose: Propose) -> None:
    report = propose(*payload(WHOLE + "c:x schema:value 4350000000 .")).report
    assert suggestions(report, "vi") == ["Viết 4350000000.0 thay cho 4350000000."]


def test_json_and_rdf_preserve_suggestions(propose: Propose) -> None:
    report = propose(*payload(WHOLE + "c:x schema:value 4350000000 .")).report
    assert report_from_json(report_to_json(report)) == report
    assert suggestions(report_from_triples(report_triples(report))) == suggestions(report)
    turtle = serialize(report_triples(report), TURTLE).decode()
    assert turtle.count("dash:GraphUpdate") == 1
    assert "dash:addedTriple" in turtle
    assert "dash:deletedTriple" in turtle


def test_a_report_of_an_older_journal_has_no_suggestions(propose: Propose) -> None:
    stored = report_to_json(propose(*payload(PLACE)).report)
    for finding in stored:
        del finding["suggestions"]
    assert suggestions(report_from_json(stored)) == []


def test_the_graph_is_as_before(built: BuiltGraph, propose: Propose) -> None:
    before = frozenset(built.engine.quads())
    assert suggestions(propose(*payload(WHOLE + 'c:x schema:value "17 USD" .')).report)
    assert frozenset(built.engine.quads()) == before


datatypes = st.sampled_from(["decimal", "integer", "double", "string", "date", "gYear", "boolean", "anyURI"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=20) | st.from_regex(r"-?\d{1,9}(e\d{1,9})?", fullmatch=True), datatypes)
@example("1e999999999", "string")
@example("NaN", "decimal")
@example("-INF", "double")
@example("１７", "integer")
def test_no_value_breaks_the_refusal(propose: Propose, lexical: str, datatype: str) -> None:
    subject = NamedNode(ID + "claim/dnhn-94474/x")
    value = Quad(subject, NamedNode(SCHEMA + "value"), Literal(lexical, datatype=NamedNode(XSD + datatype)))
    report = propose(*payload(WHOLE), value).report
    assert datatype == "decimal" or not report.admissible

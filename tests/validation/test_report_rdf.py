"""Validation reports as RDF."""

import pytest

from kg.errors import EngineError
from kg.rdf.namespaces import SH
from kg.rdf.terms import RDF_TYPE, BlankNode, Literal, NamedNode, Triple
from kg.validation.report import VIOLATION, WARNING, Finding, Suggestion, ValidationReport, sort_findings
from kg.validation.report_rdf import report_from_triples, report_triples

NODE, SHAPE, PREDICATE = (NamedNode(f"http://e.org/{name}") for name in "asp")
PATH = BlankNode("path")
COMPONENT = NamedNode(SH + "MinCountConstraintComponent")
FINDINGS = (
    Finding(NODE, SHAPE, COMPONENT, VIOLATION, path=PATH, path_triples=(
        Triple(PATH, NamedNode(SH + "inversePath"), PREDICATE),
    )),
    Finding(NODE, BlankNode("shape"), COMPONENT, WARNING, path=PREDICATE, value=Literal(1), constraint=SHAPE,
        messages=(Literal("low", language="en"), Literal("thấp", language="vi")),
        suggestions=(Suggestion((Literal("Write 2.", language="en"),), (), (Triple(NODE, PREDICATE, Literal(2)),)),),
    ),
    Finding(BlankNode("b"), SHAPE, COMPONENT, WARNING),
)  # fmt: skip


def test_a_report_survives_rdf() -> None:
    report = ValidationReport(sort_findings(FINDINGS))
    assert report_from_triples(report_triples(report)) == report


def test_a_conforming_report_has_no_findings() -> None:
    assert report_from_triples(report_triples(ValidationReport(()))) == ValidationReport(())


def test_an_incomplete_result_is_refused() -> None:
    result = BlankNode("r")
    triples = [
        Triple(BlankNode("root"), NamedNode(SH + "result"), result),
        Triple(result, RDF_TYPE, NamedNode(SH + "ValidationResult")),
        Triple(result, NamedNode(SH + "focusNode"), NODE),
    ]
    with pytest.raises(EngineError, match="lacks"):
        report_from_triples(triples)

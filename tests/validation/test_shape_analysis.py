"""The analysis of shapes: which can only be validated in full, and why; nothing passes without an analysis."""

from collections.abc import Iterable

import pytest

from kg.engine.embedded import EmbeddedEngine
from kg.errors import EngineError
from kg.rdf.delta import Delta
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.terms import NamedNode, Quad
from kg.validation import dependency_graph, shacl, union_view
from kg.validation.incremental import IncrementalValidator
from kg.validation.report import ValidationReport
from kg.validation.shape_analysis import ShapeAnalysis
from kg.validation.shapes import Shapes, read_shapes

PREFIXES = """
PREFIX e: <http://e.org/> PREFIX sh: <http://www.w3.org/ns/shacl#> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
e:prefixes sh:declare [ sh:prefix "e" ; sh:namespace "http://e.org/"^^xsd:anyURI ] .
"""
NODE, PREDICATE = NamedNode("http://e.org/a"), NamedNode("http://e.org/p")


def shapes(text: str) -> Shapes:
    return read_shapes(parse((PREFIXES + text).encode(), TURTLE))


def query_shape(select: str) -> str:
    return f'e:S sh:targetNode e:a ; sh:sparql [ sh:prefixes e:prefixes ; sh:select "{select}" ] .'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("e:S sh:targetNode e:a ; sh:property [ sh:path [ e:p e:q ] ] .", "not a SHACL property path"),
        ("e:S sh:targetNode e:a ; sh:equals [ ] .", "predicate is not an IRI"),
        ("e:S sh:targetNode e:a ; sh:target [ e:p e:q ] ; sh:nodeKind sh:IRI .", "neither a SHACL Core target"),
        ("e:K rdfs:subClassOf rdfs:Class . e:S a e:K ; sh:targetNode e:a ; sh:nodeKind sh:IRI .", "subclass"),
        ("e:S sh:targetNode e:a ; sh:rule [ ] ; sh:nodeKind sh:IRI .", "rules"),
        ("e:C a sh:ConstraintComponent . e:S sh:targetNode e:a ; sh:nodeKind sh:IRI .", "components"),
        ("e:S sh:targetNode e:a ; sh:expression [ ] .", "sh:expression"),
        (query_shape("SELECT $this { ?a e:p ?b }"), "does not bind"),
        (query_shape("SELECT $this { $this e:p ?a FILTER NOT EXISTS { ?b e:q ?c } }"), "not connected"),
        (query_shape("SELECT $this { $this e:p ?a BIND (1 AS ?b) $this e:q ?b }"), "computes"),
    ],
)
def test_the_reason_for_full_validation_is_given(text: str, reason: str) -> None:
    (explanation,) = IncrementalValidator(shapes(text)).explain()
    assert reason in (explanation.reason or "")


def test_an_analysis_that_failed_admits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    validator = IncrementalValidator(shapes("e:S sh:targetNode e:a ; sh:nodeKind sh:IRI ."))

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ShapeAnalysis, "_analyse", fail)
    with pytest.raises(MemoryError):
        next(validator.prepare())
    monkeypatch.undo()
    with pytest.raises(EngineError, match="nothing is admitted"):
        validator.explain()


@pytest.mark.parametrize("module", [dependency_graph, union_view])
def test_a_change_with_too_many_dependencies_is_validated_in_full(
    monkeypatch: pytest.MonkeyPatch, module: object
) -> None:
    monkeypatch.setattr(module, "MAX_NODE_STATES", 1)
    text = "e:S sh:targetNode e:a ; sh:property [ sh:path ( e:p e:p e:p ) ; sh:maxCount 1 ] ."
    engine = EmbeddedEngine([Quad(NODE, PREDICATE, NODE)])
    validated = list[Shapes]()

    def validate(data: Iterable[Quad], chosen: Shapes) -> ValidationReport:
        validated.append(chosen)
        return shacl.validate(data, chosen)

    monkeypatch.setattr("kg.validation.incremental.validate", validate)
    added = frozenset(Quad(NODE, PREDICATE, NamedNode(f"http://e.org/{name}")) for name in "bc")
    report = IncrementalValidator(shapes(text)).validate_change(engine, Delta(added, frozenset()))
    assert [item.focus for item in report.findings] == [NODE]
    assert len(validated) == len(("before", "after"))

"""Every shape has cases that it accepts and cases that it rejects; the findings of a rejected case name the shape."""

from functools import cache
from pathlib import Path

import pytest

from kg import resources
from kg.changes import data_folder
from kg.rdf.formats import rdf_format_of_file
from kg.rdf.io import parse, place_in_graph
from kg.rdf.namespaces import HPSH, SH, graph_iri
from kg.rdf.terms import DefaultGraph, NamedNode, Quad
from kg.validation import shacl
from kg.validation.report import VIOLATION, Finding, ValidationReport

FOLDER = Path(__file__).parent / "shapes"
CASES = sorted(path for path in FOLDER.rglob("*.*") if path.suffix in {".ttl", ".trig"})
CONTEXT = {graph_iri(name) for name in ("ontology", "vocabulary", "entities")}
_shapes = cache(data_folder.read_project_shapes)


def shape_names() -> set[str]:
    node_shape = NamedNode(SH + "NodeShape")
    return {
        quad.subject.value.removeprefix(HPSH)
        for quad in _shapes().quads
        if quad.object == node_shape and isinstance(quad.subject, NamedNode)
    }


@cache
def context() -> tuple[tuple[Quad, ...], ValidationReport]:
    quads = tuple(q for q in resources.curated_quads() if getattr(q.graph_name, "value", "") in CONTEXT)
    return quads, shacl.validate(quads, _shapes())


def validate(path: Path) -> ValidationReport:
    quads = parse(path.read_bytes(), rdf_format_of_file(path.name))
    placed = [
        place_in_graph([quad], NamedNode(graph_iri("source/example")))[0]
        if isinstance(quad.graph_name, DefaultGraph)
        else quad
        for quad in quads
    ]
    known, before = context()
    return shacl.validate((*known, *placed), _shapes()).without(before)


def names_shape(item: Finding, shape: str) -> bool:
    name = getattr(item.shape, "value", "").removeprefix(HPSH)
    return name == shape or name.startswith(f"{shape}-")


def test_every_shape_has_both_kinds_of_case() -> None:
    folders = {path.name: {case.parent.name for case in path.rglob("*.*")} for path in FOLDER.iterdir()}
    assert {name for name, kinds in folders.items() if kinds != {"valid", "invalid"}} == set()
    covered = {name for name in shape_names() if any(name == f or name.startswith(f"{f}-") for f in folders)}
    assert covered == shape_names()


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.parent.name == "valid"], ids=lambda c: f"{c.parts[-3]}/{c.stem}"
)
def test_valid(case: Path) -> None:
    report = validate(case)
    shape = case.parts[-3]
    assert [item for item in report.findings if names_shape(item, shape)] == []
    assert report.with_severity(VIOLATION) == ()


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.parent.name == "invalid"], ids=lambda c: f"{c.parts[-3]}/{c.stem}"
)
def test_invalid(case: Path) -> None:
    found = [item for item in validate(case).findings if names_shape(item, case.parts[-3])]
    assert found
    for item in found:
        assert item.message("vi")
        assert item.message("en")
        assert item.message("vi") != item.message("en")

"""Errors of pySHACL become errors of the project."""

import pytest

from kg.engine.embedded import EmbeddedEngine
from kg.errors import EngineError, ShapesError
from kg.rdf.delta import Delta
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.rdflib_terms import rdflib_graph
from kg.rdf.terms import NamedNode, Quad
from kg.validation.core_validator import CoreValidator, validate_core
from kg.validation.incremental import IncrementalValidator
from kg.validation.shapes import Shapes, read_shapes

NODE, PREDICATE = NamedNode("http://e.org/a"), NamedNode("http://e.org/p")
UNUSABLE = "e:S sh:targetSubjectsOf e:p ; sh:deactivated e:yes ; sh:nodeKind sh:Literal ."
"""SHACL requires a literal as the value of sh:deactivated."""


def shapes(text: str) -> Shapes:
    prefixes = "PREFIX e: <http://e.org/> PREFIX sh: <http://www.w3.org/ns/shacl#> "
    return read_shapes(parse((prefixes + text).encode(), TURTLE))


def test_unusable_shapes_are_a_shapes_error_in_full_and_incremental_validation() -> None:
    quad, unusable = Quad(NODE, PREDICATE, NODE), shapes(UNUSABLE)
    with pytest.raises(ShapesError, match="deactivated"):
        validate_core(rdflib_graph([quad]), unusable.core_graph)
    with pytest.raises(ShapesError, match="deactivated"):
        CoreValidator(unusable.core_graph).validate_pairs([quad.triple], [(NamedNode("http://e.org/S"), [NODE])])
    with pytest.raises(ShapesError, match="deactivated"):
        IncrementalValidator(unusable).validate_change(EmbeddedEngine([]), Delta(frozenset({quad}), frozenset()))


def test_a_failure_of_pyshacl_is_an_engine_error(monkeypatch: pytest.MonkeyPatch) -> None:
    usable = shapes("e:S a sh:NodeShape ; sh:targetNode e:a ; sh:nodeKind sh:Literal .")

    def fail(*_: object, **__: object) -> None:
        raise ValueError("internal")

    monkeypatch.setattr("pyshacl.validate", fail)
    monkeypatch.setattr("pyshacl.shape.Shape.validate", fail)
    with pytest.raises(EngineError, match="nothing is admitted: internal"):
        validate_core(rdflib_graph([]), usable.core_graph)
    with pytest.raises(EngineError, match="nothing is admitted: internal"):
        CoreValidator(usable.core_graph).validate_pairs([], [(NamedNode("http://e.org/S"), [NODE])])

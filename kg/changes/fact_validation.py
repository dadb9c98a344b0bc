"""Validate new facts without storing them: in the context of the dataset, alone, or with other shapes."""

from collections.abc import Iterable
from typing import Final, Protocol

from kg.changes.changeset import QuadAddition
from kg.changes.commit import Proposer, in_submission_graph
from kg.changes.rules import materialised_engine
from kg.engine.protocol import Engine
from kg.errors import EngineError, ShapesError
from kg.rdf.namespaces import graph_iri
from kg.rdf.terms import NamedNode, Quad
from kg.validation.report import ValidationReport
from kg.validation.shacl import validate
from kg.validation.shapes import Shapes, read_shapes

_TERM_GRAPHS: Final = (NamedNode(graph_iri("ontology")), NamedNode(graph_iri("vocabulary")))


class FactValidator(Protocol):
    """Returns the findings on new facts, without storing them."""

    def validate_in_context(self, payload: Iterable[Quad]) -> ValidationReport:
        """Validate facts together with the dataset; report only the findings that they add."""

    def validate_alone(self, payload: Iterable[Quad]) -> ValidationReport:
        """Validate facts with only the ontology and the vocabularies as context."""

    def validate_with_shapes(self, payload: Iterable[Quad], shapes: Iterable[Quad]) -> ValidationReport:
        """Validate data by other shapes, without context. Raises ShapesError for shapes that cannot be used."""


class EngineFactValidator:
    """A FactValidator on an engine and the project's shapes."""

    def __init__(self, engine: Engine, shapes: Shapes, proposer: Proposer) -> None:
        self._engine = engine
        self._shapes = shapes
        self._propose = proposer
        self._terms: tuple[int, ValidationReport] | None = None

    def validate_in_context(self, payload: Iterable[Quad]) -> ValidationReport:
        """Validate facts together with the dataset; report only the findings that they add."""
        return self._propose(QuadAddition(tuple(map(in_submission_graph, payload)))).report

    def validate_alone(self, payload: Iterable[Quad]) -> ValidationReport:
        """Validate facts with only the ontology and the vocabularies as context."""
        terms = [quad for graph in _TERM_GRAPHS for quad in self._engine.quads(graph)]
        if self._terms is None or self._terms[0] != self._engine.generation:
            self._terms = self._engine.generation, validate(terms, self._shapes)
        facts = materialised_engine((*terms, *map(in_submission_graph, payload)))
        return validate(facts.quads(), self._shapes).without(self._terms[1])

    @staticmethod
    def validate_with_shapes(payload: Iterable[Quad], shapes: Iterable[Quad]) -> ValidationReport:
        """Validate data by other shapes, without context. Raises ShapesError for shapes that cannot be used."""
        analysed = read_shapes(shapes)
        try:
            return validate(payload, analysed)
        except EngineError as error:  # the caller's shapes make the validator fail
            raise ShapesError(error.message) from error

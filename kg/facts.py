"""What happens to new facts; for now the dry run that says whether the gate would let them in."""

from collections.abc import Iterable
from typing import Final, Protocol

from kg.engine.protocol import Engine
from kg.errors import EngineError, ShapesError
from kg.gate import Report, Shapes, read_shapes, validate
from kg.materialise import expanded
from kg.rdf import DefaultGraph, NamedNode, Quad, in_graph
from kg.terms import graph_iri

SUBMISSION: Final = NamedNode(graph_iri("submission"))
"""Where statements that name no graph are judged."""

_TERMS: Final = (NamedNode(graph_iri("ontology")), NamedNode(graph_iri("vocabulary")))


class FactJudge(Protocol):
    """Says what new facts would bring about, without keeping them."""

    def in_context(self, payload: Iterable[Quad]) -> Report:
        """Judge new facts together with all that is known; report only what they bring about."""

    def alone(self, payload: Iterable[Quad]) -> Report:
        """Judge new facts with nothing but the ontology and the vocabularies."""

    def by_shapes(self, payload: Iterable[Quad], shapes: Iterable[Quad]) -> Report:
        """Judge data by other shapes, without context; raises ShapesError for shapes that may not be used."""


class Judge:
    """Judges new facts against shapes; what was found before in the known facts is kept for each generation."""

    def __init__(self, engine: Engine, shapes: Shapes, known: Report | None = None) -> None:
        """Judge for an engine; `known` is the verdict on what it holds now, where somebody has it already."""
        self._engine = engine
        self._shapes = shapes
        self._before = {} if known is None else {(engine.generation, False): known}

    def in_context(self, payload: Iterable[Quad]) -> Report:
        """Judge new facts together with all that is known; report only what they bring about."""
        return self._judged(payload, alone=False)

    def alone(self, payload: Iterable[Quad]) -> Report:
        """Judge new facts by themselves; of what is known they see only the ontology and the vocabularies."""
        return self._judged(payload, alone=True)

    @staticmethod
    def by_shapes(payload: Iterable[Quad], shapes: Iterable[Quad]) -> Report:
        """Judge data by other shapes, without context."""
        analysed = read_shapes(shapes)
        try:
            return validate(payload, analysed)
        except EngineError as error:  # the shapes are the caller's, and so is what the validator makes of them
            raise ShapesError(error.message) from error

    def _judged(self, payload: Iterable[Quad], *, alone: bool) -> Report:
        key = (self._engine.generation, alone)
        graphs = _TERMS if alone else (None,)
        known = [quad for graph in graphs for quad in self._engine.quads(graph)]
        if key not in self._before:
            self._before = {old: report for old, report in self._before.items() if old[0] == key[0]}
            self._before[key] = validate(known, self._shapes)
        facts = expanded((*known, *map(_placed, payload)))
        return validate(facts.quads(), self._shapes).without(self._before[key])


def _placed(quad: Quad) -> Quad:
    return in_graph([quad], SUBMISSION)[0] if isinstance(quad.graph_name, DefaultGraph) else quad

"""What happens to new facts; for now the dry run that says whether the gate would let them in."""

from collections.abc import Iterable

from kg.engine.protocol import Engine
from kg.gate import Report, Shapes, validate
from kg.materialise import expanded
from kg.rdf import DefaultGraph, NamedNode, Quad, in_graph
from kg.terms import graph_iri

SUBMISSION: NamedNode = NamedNode(graph_iri("submission"))
"""Where statements that name no graph are judged."""

_TERMS = (NamedNode(graph_iri("ontology")), NamedNode(graph_iri("vocabulary")))


def judge_in_context(engine: Engine, payload: Iterable[Quad], shapes: Shapes) -> Report:
    """Judge new facts together with all that is known; report only what they bring about."""
    known = list(engine.quads())
    before = validate(known, shapes)
    return _judge(known, payload, shapes).without(before)


def judge_alone(engine: Engine, payload: Iterable[Quad], shapes: Shapes) -> Report:
    """Judge new facts by themselves; of what is known they see only the ontology and the vocabularies."""
    terms = [quad for graph in _TERMS for quad in engine.quads(graph)]
    before = validate(terms, shapes)
    return _judge(terms, payload, shapes).without(before)


def _judge(known: list[Quad], payload: Iterable[Quad], shapes: Shapes) -> Report:
    placed = [
        in_graph([quad], SUBMISSION)[0] if isinstance(quad.graph_name, DefaultGraph) else quad for quad in payload
    ]
    return validate(expanded((*known, *placed)).quads(), shapes)

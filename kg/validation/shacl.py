"""Validate data against SHACL shapes: core constraints in pySHACL, SPARQL constraints in the engine."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryDataset, Row
from kg.rdf.io import place_in_graph
from kg.rdf.namespaces import SH, compact, graph_iri
from kg.rdf.rdflib_terms import rdflib_graph
from kg.rdf.terms import Literal, NamedNode, Quad, Term
from kg.validation.core_validator import validate_core
from kg.validation.prebinding import substitute_this
from kg.validation.report import Finding, ValidationReport, sort_findings
from kg.validation.shapes import SHAPES_GRAPH, Shapes, SparqlConstraint

_DATA_GRAPH: Final = NamedNode(graph_iri("data"))
_SPARQL_COMPONENT: Final = NamedNode(SH + "SPARQLConstraintComponent")
_MESSAGE_PLACEHOLDER: Final = re.compile(r"\{[?$](\w+)\}")

SelectFunction = Callable[[str, Mapping[str, Term]], Iterable[Row]]
"""Evaluates a SELECT query over the data, with some variables pre-bound."""


def validate(data: Iterable[Quad], shapes: Shapes) -> ValidationReport:
    """Validate a whole dataset, as the union of its graphs without the shapes graph.

    Raise ShapesError for shapes that cannot be evaluated, and EngineError if the validator fails: the caller must then
    refuse the data.
    """
    facts = [quad for quad in data if quad.graph_name != SHAPES_GRAPH]
    findings = validate_core(rdflib_graph(facts), shapes.core_graph)
    if shapes.constraints:
        findings.extend(_validate_sparql(facts, shapes))
    return ValidationReport(sort_findings(findings))


def _validate_sparql(facts: list[Quad], shapes: Shapes) -> Iterator[Finding]:
    named = [
        quad if isinstance(quad.graph_name, NamedNode) else place_in_graph([quad], _DATA_GRAPH)[0] for quad in facts
    ]
    engine = EmbeddedEngine((*named, *shapes.quads))
    graphs = tuple(engine.graph_sizes())
    dataset = QueryDataset(default=tuple(iri for iri in graphs if iri != SHAPES_GRAPH.value), named=graphs)

    def select(text: str, bindings: Mapping[str, Term]) -> list[Row]:
        return engine.select(text, bindings, dataset)

    for item in shapes.constraints:
        focus_nodes = {row["this"] for query in item.focus_queries for row in engine.select(query, dataset=dataset)}
        for focus in focus_nodes:
            yield from evaluate_constraint(item, focus, select)


def evaluate_constraint(item: SparqlConstraint, focus: Term, select: SelectFunction) -> Iterator[Finding]:
    """Return the findings of a SPARQL constraint for a focus node.

    If the focus node is an IRI, it replaces $this in the text: the engine plans the patterns within EXISTS without
    regard to bindings.
    """
    text = substitute_this(item.select, focus) if isinstance(focus, NamedNode) else None
    rows = select(item.select, {"this": focus}) if text is None else select(text, {})
    for row in {frozenset(row.items()): row for row in rows}.values():  # several graphs may hold the same triple
        yield _sparql_finding(item, focus, row)


def _sparql_finding(item: SparqlConstraint, focus: Term, row: Row) -> Finding:
    return Finding(
        focus=focus,
        shape=item.shape,
        component=_SPARQL_COMPONENT,
        severity=item.severity,
        path=row.get("path"),
        value=row.get("value", focus),
        constraint=item.constraint,
        messages=tuple(_fill_message(message, {"this": focus, **row}) for message in item.messages),
    )


def _fill_message(message: Literal, row: Row) -> Literal:
    """Replace {?name} in a message by values, and keep the language of the message."""

    def value(match: re.Match[str]) -> str:
        term = row.get(match[1])
        if term is None:
            return match[0]
        return compact(term.value) if isinstance(term, NamedNode) else term.value

    text = _MESSAGE_PLACEHOLDER.sub(value, message.value)
    return Literal(text, language=message.language) if message.language else Literal(text)

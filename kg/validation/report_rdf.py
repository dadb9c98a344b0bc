"""Write and parse validation reports as RDF (SHACL, section 3.6; DASH suggestions)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import rdflib
from rdflib.namespace import RDF as RDFLIB_RDF
from rdflib.namespace import SH as RDFLIB_SH

from kg.errors import EngineError
from kg.rdf.namespaces import DASH, RDF, SH
from kg.rdf.rdflib_terms import term_from_rdflib, term_to_rdflib
from kg.rdf.terms import RDF_TYPE, BlankNode, Literal, NamedNode, Term, Triple
from kg.validation.report import (
    Finding,
    Suggestion,
    ValidationReport,
    require_iri,
    require_resource,
    sort_findings,
    triple_terms,
)

_SUGGESTION: Final = DASH + "suggestion"
_DELETED, _ADDED = DASH + "deletedTriple", DASH + "addedTriple"

_Describe = Callable[[Term], Iterable[tuple[NamedNode, Term]]]
"""Returns the predicates and objects of the triples about a node."""


def report_triples(report: ValidationReport) -> Iterator[Triple]:
    """Return a report as an sh:ValidationReport."""
    root = BlankNode("report")
    yield Triple(root, RDF_TYPE, NamedNode(SH + "ValidationReport"))
    yield Triple(root, NamedNode(SH + "conforms"), Literal(report.conforms))
    for index, item in enumerate(report.findings):
        result = BlankNode(f"result{index}")
        yield from item.path_triples
        yield Triple(root, NamedNode(SH + "result"), result)
        yield Triple(result, RDF_TYPE, NamedNode(SH + "ValidationResult"))
        for name, term in (
            ("focusNode", item.focus),
            ("resultPath", item.path),
            ("value", item.value),
            ("sourceShape", item.shape),
            ("sourceConstraintComponent", item.component),
            ("sourceConstraint", item.constraint),
            ("resultSeverity", item.severity),
            *(("resultMessage", message) for message in item.messages),
        ):
            if term is not None:
                yield Triple(result, NamedNode(SH + name), term)
        for number, suggestion in enumerate(item.suggestions):
            node = BlankNode(f"suggestion{index}x{number}")
            yield Triple(result, NamedNode(_SUGGESTION), node)
            yield from _suggestion_triples(suggestion, node)


def _suggestion_triples(suggestion: Suggestion, node: BlankNode) -> Iterator[Triple]:
    yield Triple(node, RDF_TYPE, NamedNode(DASH + "GraphUpdate"))
    for message in suggestion.messages:
        yield Triple(node, NamedNode(SH + "message"), message)
    for name, triples in ((_DELETED, suggestion.removed), (_ADDED, suggestion.added)):
        for number, triple in enumerate(triples):
            statement = BlankNode(f"{node.value}{name.removeprefix(DASH)}{number}")
            yield Triple(node, NamedNode(name), statement)
            for part, term in zip(("subject", "predicate", "object"), triple_terms(triple), strict=True):
                yield Triple(statement, NamedNode(RDF + part), term)


def report_from_triples(triples: Iterable[Triple]) -> ValidationReport:
    """Parse the triples of an sh:ValidationReport. Raise EngineError for an incomplete result."""
    descriptions = defaultdict[Term, list[tuple[NamedNode, Term]]](list)
    for item in triples:
        if not isinstance(item.subject, Triple) and not isinstance(item.object, Triple):
            descriptions[item.subject].append((item.predicate, item.object))
    results = [
        value for about in descriptions.values() for predicate, value in about if predicate.value == SH + "result"
    ]
    return ValidationReport(
        sort_findings(_parse_finding(lambda node: descriptions.get(node, ()), result) for result in results)
    )


def findings_from_rdflib(report: rdflib.Graph) -> Iterator[Finding]:
    """Parse the results of a report graph, without those that are details of other results."""

    def describe(node: Term) -> Iterator[tuple[NamedNode, Term]]:
        for predicate, value in report.predicate_objects(term_to_rdflib(node)):
            yield require_iri(term_from_rdflib(predicate)), term_from_rdflib(value)

    for result in report.subjects(RDFLIB_RDF.type, RDFLIB_SH.ValidationResult):
        if (None, RDFLIB_SH.detail, result) not in report:
            yield _parse_finding(describe, term_from_rdflib(result))


def _parse_finding(describe: _Describe, result: Term) -> Finding:
    values = _values_by_predicate(describe(result))
    focus, shape, component, severity, path, value, constraint = (
        next(iter(values[SH + name]), None)
        for name in (
            *("focusNode", "sourceShape", "sourceConstraintComponent", "resultSeverity"),
            *("resultPath", "value", "sourceConstraint"),
        )
    )
    if focus is None or shape is None or component is None or severity is None:
        raise EngineError("A result of the validation report lacks its focus node, shape, component or severity.")
    return Finding(
        focus=focus,
        shape=require_resource(shape),
        component=require_iri(component),
        severity=require_iri(severity),
        path=path,
        value=value,
        constraint=None if constraint is None else require_resource(constraint),
        messages=_literals(values[SH + "resultMessage"]),
        path_triples=tuple(_path_triples(describe, path)),
        suggestions=tuple(_parse_suggestion(describe, node) for node in values[_SUGGESTION]),
    )


def _path_triples(describe: _Describe, node: Term | None) -> Iterator[Triple]:
    """Return the triples of a complex path, which is a tree of blank nodes (SHACL, section 2.3.1)."""
    if isinstance(node, BlankNode):
        for predicate, value in describe(node):
            yield Triple(node, predicate, value)
            yield from _path_triples(describe, value)


def _parse_suggestion(describe: _Describe, node: Term) -> Suggestion:
    values = _values_by_predicate(describe(node))
    removed, added = (
        tuple(_parse_statement(_values_by_predicate(describe(item))) for item in values[name])
        for name in (_DELETED, _ADDED)
    )
    return Suggestion(_literals(values[SH + "message"]), removed, added)


def _parse_statement(values: dict[str, list[Term]]) -> Triple:
    """Return the triple that an rdf:Statement reifies."""
    match [next(iter(values[RDF + name]), None) for name in ("subject", "predicate", "object")]:
        case [
            NamedNode() | BlankNode() as subject,
            NamedNode() as predicate,
            NamedNode() | BlankNode() | Literal() as value,
        ]:
            return Triple(subject, predicate, value)
    raise EngineError("A suggestion of the validation report has an incomplete triple.")


def _values_by_predicate(description: Iterable[tuple[NamedNode, Term]]) -> dict[str, list[Term]]:
    values = defaultdict[str, list[Term]](list)
    for predicate, value in description:
        values[predicate.value].append(value)
    return values


def _literals(terms: Iterable[Term]) -> tuple[Literal, ...]:
    return tuple(sorted((term for term in terms if isinstance(term, Literal)), key=str))

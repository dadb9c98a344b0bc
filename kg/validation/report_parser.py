"""Read a validation report from RDF (SHACL, section 3.6)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from kg.errors import EngineError
from kg.rdf.namespaces import DASH, RDF, SH
from kg.rdf.terms import BlankNode, Literal, NamedNode, Term, Triple
from kg.validation.report import Finding, Suggestion, ValidationReport, sort_findings


def report_from_triples(triples: Iterable[Triple]) -> ValidationReport:
    """The report that an sh:ValidationReport is; raises EngineError for one that says too little."""
    known = tuple(triples)
    said: _StatementsBySubject = defaultdict(lambda: defaultdict(list))
    for item in known:
        said[item.subject][item.predicate.value.removeprefix(SH)].append(item.object)
    results = [result for about in list(said.values()) for result in about["result"]]
    return ValidationReport(sort_findings(_finding_from_statements(said, result, known) for result in results))


def _finding_from_statements(said: "_StatementsBySubject", result: object, known: tuple[Triple, ...]) -> Finding:
    about = said[result]
    focus, shape, component, severity, path, value = (
        next((term for term in about[name] if isinstance(term, Term)), None)
        for name in ("focusNode", "sourceShape", "sourceConstraintComponent", "resultSeverity", "resultPath", "value")
    )
    match focus, shape, component, severity:
        case NamedNode() | BlankNode() | Literal(), NamedNode() | BlankNode(), NamedNode(), NamedNode():
            return Finding(
                *(focus, shape, component, severity, path, value),
                messages=_literals(about["resultMessage"]),
                path_triples=known,
                suggestions=tuple(_suggestion_from_statements(said, node) for node in about[DASH + "suggestion"]),
            )
    raise EngineError("The report has a result that says too little.")


def _suggestion_from_statements(said: "_StatementsBySubject", node: object) -> Suggestion:
    removed, added = (
        tuple(_reified_triple(said[item]) for item in said[node][DASH + name])
        for name in ("deletedTriple", "addedTriple")
    )
    return Suggestion(_literals(said[node]["message"]), removed, added)


def _reified_triple(about: Mapping[str, Sequence[object]]) -> Triple:
    match [next(iter(about[RDF + name]), None) for name in ("subject", "predicate", "object")]:
        case [
            NamedNode() | BlankNode() as subject,
            NamedNode() as predicate,
            NamedNode() | BlankNode() | Literal() as value,
        ]:
            return Triple(subject, predicate, value)
    raise EngineError("The report has a suggestion that says too little.")


def _literals(terms: Iterable[object]) -> tuple[Literal, ...]:
    return tuple(item for item in terms if isinstance(item, Literal))


_StatementsBySubject = defaultdict[object, dict[str, list[object]]]

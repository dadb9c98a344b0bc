"""What a validation finds: results, reports, and suggested remedies (SHACL, section 3.6; DASH suggestions)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from kg.errors import EngineError
from kg.rdf.namespaces import DASH, RDF, SH, compact
from kg.rdf.rdflib_terms import term_from_rdflib, term_to_rdflib
from kg.rdf.terms import RDF_TYPE, BlankNode, Literal, NamedNode, Resource, Term, Triple, term_from_json, term_to_json

VIOLATION: Final = NamedNode(SH + "Violation")
WARNING: Final = NamedNode(SH + "Warning")
INFO: Final = NamedNode(SH + "Info")

_TERM_FIELDS: Final = ("focus", "shape", "component", "severity", "path", "value", "constraint")
_PATH_OPERATORS: Final = {
    "inversePath": ("^", ""),
    "zeroOrMorePath": ("", "*"),
    "oneOrMorePath": ("", "+"),
    "zeroOrOnePath": ("", "?"),
}


@dataclass(frozen=True)
class Suggestion:
    """A remedy that was tried: with these triples removed and added the finding is gone, and no other has come.

    Told in RDF as a dash:GraphUpdate (DASH, suggestions vocabulary).
    """

    messages: tuple[Literal, ...]
    removed: tuple[Triple, ...]
    added: tuple[Triple, ...]

    def message(self, language: str) -> str:
        """What to do, in a language, or in whichever one there is."""
        return _message_in_language(self.messages, language)


@dataclass(frozen=True)
class Finding:
    """One validation result (SHACL, section 3.6.2)."""

    focus: Term
    shape: Resource
    component: NamedNode
    severity: NamedNode
    path: Term | None = None
    value: Term | None = None
    constraint: Resource | None = None
    messages: tuple[Literal, ...] = ()
    path_triples: tuple[Triple, ...] = ()
    suggestions: tuple["Suggestion", ...] = ()

    def message(self, language: str) -> str:
        """The message in a language, or in whichever one there is."""
        return _message_in_language(self.messages, language)

    @property
    def path_text(self) -> str:
        """The path as SPARQL writes it, with prefixed names; empty where there is none."""
        return "" if self.path is None else _path_text(self.path, self.path_triples)


@dataclass(frozen=True)
class ValidationReport:
    """A validation report: every result, violations first."""

    findings: tuple[Finding, ...]

    @property
    def conforms(self) -> bool:
        """Whether there is no result of any severity, which is what sh:conforms says."""
        return not self.findings

    @property
    def admissible(self) -> bool:
        """Whether there is no violation; warnings and infos let data in."""
        return not self.with_severity(VIOLATION)

    def with_severity(self, severity: NamedNode) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(item for item in self.findings if item.severity == severity)

    def without(self, earlier: "ValidationReport") -> "ValidationReport":
        """The findings that an earlier report does not have."""
        known = {_finding_key(item) for item in earlier.findings}
        return ValidationReport(tuple(item for item in self.findings if _finding_key(item) not in known))

    def triples(self) -> list[Triple]:
        """The report as an sh:ValidationReport."""
        return list(_report_triples(self))


def _message_in_language(messages: Iterable[Literal], language: str) -> str:
    texts = {item.language or "": item.value for item in messages}
    return texts.get(language) or next(iter(texts.values()), "")


def _path_text(path: object, triples: tuple[Triple, ...]) -> str:
    """Spell out a property path (SHACL, section 2.3.1)."""
    if isinstance(path, NamedNode):
        return compact(path.value)
    parts = {item.predicate.value: item.object for item in triples if item.subject == path}
    for name, (before, after) in _PATH_OPERATORS.items():
        if SH + name in parts:
            return f"{before}{_parenthesized_path(parts[SH + name], triples)}{after}"
    if SH + "alternativePath" in parts:
        return f"({'|'.join(_path_elements(parts[SH + 'alternativePath'], triples))})"
    return "/".join(_path_elements(path, triples))


def _parenthesized_path(path: object, triples: tuple[Triple, ...]) -> str:
    """A path to which an operator applies: a sequence needs parentheses."""
    text = _path_text(path, triples)
    is_list = any(item.subject == path and item.predicate.value == RDF + "first" for item in triples)
    return f"({text})" if is_list else text


def _path_elements(head: object, triples: tuple[Triple, ...]) -> Iterator[str]:
    for item in triples:
        if item.subject == head and item.predicate.value == RDF + "first":
            yield _path_text(item.object, triples)
    for item in triples:
        if item.subject == head and item.predicate.value == RDF + "rest":
            yield from _path_elements(item.object, triples)


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in the order of a report: violations first."""
    return tuple(sorted(findings, key=_sort_key))


def finding_key(item: Finding) -> tuple[object, ...]:
    """What makes two findings the same across two runs."""
    return _finding_key(item)


def _finding_key(item: Finding) -> tuple[object, ...]:
    """What makes two results the same across two runs, in which blank nodes have other names."""
    terms = (item.focus, item.path, item.value, item.shape, item.component, item.constraint)
    return (*("_" if isinstance(term, BlankNode) else str(term) for term in terms), str(item.severity))


def _sort_key(item: Finding) -> tuple[object, ...]:
    severities = (VIOLATION, WARNING, INFO)
    rank = severities.index(item.severity) if item.severity in severities else len(severities)
    return (rank, _finding_key(item))


def _report_triples(report: ValidationReport) -> Iterator[Triple]:
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
            yield Triple(result, NamedNode(DASH + "suggestion"), node)
            yield from _suggestion_triples(suggestion, node)


def _suggestion_triples(suggestion: Suggestion, node: BlankNode) -> Iterator[Triple]:
    yield Triple(node, RDF_TYPE, NamedNode(DASH + "GraphUpdate"))
    for message in suggestion.messages:
        yield Triple(node, NamedNode(SH + "message"), message)
    for name, triples in (("deletedTriple", suggestion.removed), ("addedTriple", suggestion.added)):
        for number, triple in enumerate(triples):
            statement = BlankNode(f"{node.value}{name}{number}")
            yield Triple(node, NamedNode(DASH + name), statement)
            for part, term in zip(("subject", "predicate", "object"), _triple_terms(triple), strict=True):
                yield Triple(statement, NamedNode(RDF + part), term)


def report_to_json(report: ValidationReport) -> list[dict[str, Any]]:
    """A report as plain data, to be kept or to travel between processes."""
    return [_finding_to_json(item) for item in report.findings]


def _finding_to_json(item: Finding) -> dict[str, Any]:
    terms = {name: getattr(item, name) for name in _TERM_FIELDS}
    return {
        **{name: term_to_json(term) for name, term in terms.items() if term is not None},
        "messages": [term_to_json(message) for message in item.messages],
        "path_triples": _triples_to_json(item.path_triples),
        "suggestions": [_suggestion_to_json(suggestion) for suggestion in item.suggestions],
    }


def _suggestion_to_json(item: Suggestion) -> dict[str, Any]:
    return {
        "messages": [term_to_json(message) for message in item.messages],
        "removed": _triples_to_json(item.removed),
        "added": _triples_to_json(item.added),
    }


def _triples_to_json(triples: Iterable[Triple]) -> list[list[list[str]]]:
    return [[term_to_json(term) for term in _triple_terms(triple)] for triple in triples]


def report_from_json(data: list[dict[str, Any]]) -> ValidationReport:
    """The report that `report_to_json` made plain."""
    return ValidationReport(tuple(_finding_from_json(item) for item in data))


def _finding_from_json(item: dict[str, Any]) -> Finding:
    terms: dict[str, Any] = {name: term_from_json(item[name]) for name in _TERM_FIELDS if name in item}
    return Finding(
        **terms,
        messages=_messages_from_json(item["messages"]),
        path_triples=_triples_from_json(item["path_triples"]),
        suggestions=tuple(map(_suggestion_from_json, item.get("suggestions", ()))),
    )


def _suggestion_from_json(item: dict[str, Any]) -> Suggestion:
    return Suggestion(
        _messages_from_json(item["messages"]), _triples_from_json(item["removed"]), _triples_from_json(item["added"])
    )


def _messages_from_json(data: list[list[str]]) -> tuple[Literal, ...]:
    return tuple(term for term in map(term_from_json, data) if isinstance(term, Literal))


def _triples_from_json(data: list[list[list[str]]]) -> tuple[Triple, ...]:
    triples = [[term_from_json(term) for term in triple] for triple in data]
    return tuple(Triple(require_resource(s), require_iri(p), o) for s, p, o in triples)


def _triple_terms(triple: Triple) -> tuple[Term, Term, Term]:
    return (
        term_from_rdflib(term_to_rdflib(triple.subject)),
        triple.predicate,
        term_from_rdflib(term_to_rdflib(triple.object)),
    )


def require_resource(term: Term | None) -> Resource:
    """What a result says of a shape or a subject; raises EngineError, so that nothing is admitted, if it is none."""
    if not isinstance(term, NamedNode | BlankNode):
        raise EngineError("The validator gave a result without its shape, so nothing is admitted.")
    return term


def require_iri(term: Term | None) -> NamedNode:
    """What a result names by IRI; raises EngineError, so that nothing is admitted, if it does not."""
    if not isinstance(term, NamedNode):
        raise EngineError("The validator gave an incomplete result, so nothing is admitted.")
    return term

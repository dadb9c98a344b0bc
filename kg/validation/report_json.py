"""Store validation reports as JSON: in the journal, and in messages between processes."""

from collections.abc import Iterable
from typing import Any, Final

from kg.rdf.terms import Literal, Triple, term_from_json, term_to_json
from kg.validation.report import (
    Finding,
    Suggestion,
    ValidationReport,
    require_iri,
    require_resource,
    triple_terms,
)

_TERM_FIELDS: Final = ("focus", "shape", "component", "severity", "path", "value", "constraint")
"""Fields of a finding that hold a term; the names are part of the stored format."""


def report_to_json(report: ValidationReport) -> list[dict[str, Any]]:
    """Return a report as JSON-compatible data: one object per finding."""
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
    return [[term_to_json(term) for term in triple_terms(triple)] for triple in triples]


def report_from_json(data: list[dict[str, Any]]) -> ValidationReport:
    """Return the report from the output of `report_to_json`; older journals have no suggestions."""
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

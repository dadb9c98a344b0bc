"""A validation report as JSON."""

from typing import Any, Final

from kg.rdf.namespaces import SH
from kg.rdf.terms import BlankNode, Literal, NamedNode, Term
from kg.validation.report import INFO, VIOLATION, WARNING, Finding, Suggestion, ValidationReport
from kg.validation.source_lines import SourceLines

_SEVERITIES: Final = {"violation": VIOLATION, "warning": WARNING, "info": INFO}
_UNDETERMINED: Final = "und"
"""The tag of a message that names no language (BCP 47, section 4.1)."""


def report_as_json(report: ValidationReport, language: str, found: SourceLines | None = None) -> dict[str, Any]:
    """The report with its messages in a language; severities, terms and paths as plain text.

    With the lines of a document, each finding says from which of them it comes, where that is known.
    """
    return {
        "conforms": report.conforms,
        "admissible": report.admissible,
        "counts": {name: len(report.with_severity(severity)) for name, severity in _SEVERITIES.items()},
        "findings": [_finding_json(item, language, found) for item in report.findings],
    }


def _finding_json(item: Finding, language: str, found: SourceLines | None) -> dict[str, Any]:
    place = {} if found is None else {"line": found.line_of(item)}
    return {
        **place,
        "severity": item.severity.value.removeprefix(SH).lower(),
        "focusNode": _plain_text(item.focus),
        "path": _plain_text(item.path) if isinstance(item.path, NamedNode) else item.path_text or None,
        "value": _plain_text(item.value),
        "shape": _plain_text(item.shape),
        "component": item.component.value,
        "message": item.message(language),
        "messages": {message.language or _UNDETERMINED: message.value for message in item.messages},
        "suggestions": [_suggestion_json(suggestion, language) for suggestion in item.suggestions],
    }


def _suggestion_json(item: Suggestion, language: str) -> dict[str, Any]:
    """What would mend a finding, as statements of N-Triples."""
    return {
        "message": item.message(language),
        "remove": [f"{triple} ." for triple in item.removed],
        "add": [f"{triple} ." for triple in item.added],
    }


def _plain_text(term: Term | None) -> str | None:
    match term:
        case NamedNode() | Literal():
            return term.value
        case BlankNode():
            return str(term)
    return None

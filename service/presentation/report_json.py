"""Validation reports as JSON."""

from typing import Any, Final

from kg.rdf.namespaces import SH
from kg.rdf.terms import BlankNode, Literal, NamedNode, Term
from kg.validation.report import INFO, VIOLATION, WARNING, Finding, Suggestion, ValidationReport
from kg.validation.source_lines import SourceLines

_SEVERITIES: Final = {"violation": VIOLATION, "warning": WARNING, "info": INFO}
_UNDETERMINED: Final = "und"
"""The language tag of a message without a language (BCP 47, section 4.1)."""


def report_as_json(report: ValidationReport, language: str, lines: SourceLines | None = None) -> dict[str, Any]:
    """Return a report with its messages in a language; severities, terms and paths are plain text.

    With the source lines of a document, each finding has the number of its `line`, or null if that is unknown.
    """
    return {
        "conforms": report.conforms,
        "admissible": report.admissible,
        "counts": {name: len(report.with_severity(severity)) for name, severity in _SEVERITIES.items()},
        "findings": [_finding_json(item, language, lines) for item in report.findings],
    }


def _finding_json(item: Finding, language: str, lines: SourceLines | None) -> dict[str, Any]:
    line = {} if lines is None else {"line": lines.line_of(item)}
    return {
        **line,
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
    """Return a suggested correction of a finding as statements in N-Triples."""
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

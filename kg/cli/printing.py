"""Print validation reports for people."""

from typing import Final

from rich.console import Console
from rich.markup import escape

from kg.rdf.io import term_text
from kg.validation import report as findings
from kg.validation.report import ValidationReport

_SEVERITY_NAMES: Final = {
    "en": {findings.VIOLATION: "violation", findings.WARNING: "warning", findings.INFO: "info"},
    "vi": {findings.VIOLATION: "vi phạm", findings.WARNING: "cảnh báo", findings.INFO: "lưu ý"},
}
_VERDICT_TEXTS: Final = {"en": ("conforms", "does not conform"), "vi": ("hợp lệ", "không hợp lệ")}


def print_findings(report: ValidationReport, language: str) -> None:
    """Print every finding with its message in a language, and the verdict, to standard output."""
    console, words = Console(), _SEVERITY_NAMES[language]
    for item in report.findings:
        where = " ".join(filter(None, (term_text(item.focus), item.path_text)))
        shape = term_text(item.shape)
        severity = words.get(item.severity, item.severity.value)
        console.print(f"[bold]{severity}[/] {escape(where)}", soft_wrap=True, highlight=False)
        console.print(f"  {escape(item.message(language))} [dim]({escape(shape)})[/]", soft_wrap=True, highlight=False)
        for suggestion in item.suggestions:
            console.print(f"  → {escape(suggestion.message(language))}", soft_wrap=True, highlight=False)
    counted = [(len(report.with_severity(severity)), word) for severity, word in words.items()]
    plural = language == "en"
    summary = ", ".join(f"{count} {word}{'s' if plural and count != 1 else ''}" for count, word in counted)
    good, bad = _VERDICT_TEXTS[language]
    console.print(f"{good if report.admissible else bad}: {summary}", highlight=False)

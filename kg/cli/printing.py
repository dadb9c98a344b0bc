"""Print reports, outcomes and commits for people."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import click
from rich.console import Console
from rich.markup import escape

from kg.changes.commit import WriteOutcome
from kg.changes.commit_rows import CommitSummary
from kg.cli.http_client import ServiceResponse
from kg.rdf.terms import term_text
from kg.validation import report as findings
from kg.validation.report import ValidationReport

_SEVERITY_NAMES: Final = {
    "en": {findings.VIOLATION: "violation", findings.WARNING: "warning", findings.INFO: "info"},
    "vi": {findings.VIOLATION: "vi phạm", findings.WARNING: "cảnh báo", findings.INFO: "lưu ý"},
}
_EXIT_FINDINGS: Final = 1
"""The exit code when the gate refuses a change."""
_VERDICT_TEXTS: Final = {"en": ("conforms", "does not conform"), "vi": ("hợp lệ", "không hợp lệ")}


def print_findings(report: ValidationReport, language: str) -> None:
    """Print every finding with its message in a language, and the verdict, to standard output."""
    console, words = Console(), _SEVERITY_NAMES[language]
    for item in report.findings:
        shape, severity = term_text(item.shape), words.get(item.severity, item.severity.value)
        console.print(f"[bold]{severity}[/] {escape(item.place)}", soft_wrap=True, highlight=False)
        console.print(f"  {escape(item.message(language))} [dim]({escape(shape)})[/]", soft_wrap=True, highlight=False)
        for suggestion in item.suggestions:
            console.print(f"  → {escape(suggestion.message(language))}", soft_wrap=True, highlight=False)
    counted = [(len(report.with_severity(severity)), word) for severity, word in words.items()]
    plural = language == "en"
    summary = ", ".join(f"{count} {word}{'s' if plural and count != 1 else ''}" for count, word in counted)
    good, bad = _VERDICT_TEXTS[language]
    console.print(f"{good if report.admissible else bad}: {summary}", highlight=False)


def print_outcome(outcome: WriteOutcome, language: str) -> None:
    """Print the report and the commit of a local write; exits with 1 if the gate refused it."""
    if outcome.report.findings:
        print_findings(outcome.report, language)
    if not outcome.admitted:
        click.echo("refused, nothing was changed", err=True)
        sys.exit(_EXIT_FINDINGS)
    click.echo("nothing to change" if outcome.commit is None else format_summary(outcome.commit.summary))


def print_response(response: ServiceResponse) -> None:
    """Print the commit that a service answered, or its findings and problem; exits with 1 for an error."""
    if response.is_success:
        commit = response.content.get("commit")
        click.echo("nothing to change" if commit is None else format_commit(commit))
        return
    for item in response.content.get("findings", ()):
        click.echo(f"{item['severity']} {item['focusNode']}: {item['message']}", err=True)
        for suggestion in item["suggestions"]:
            click.echo(f"  → {suggestion['message']}", err=True)
    click.echo(f"{response.status}: {response.problem}", err=True)
    sys.exit(_EXIT_FINDINGS)


def require_success(response: ServiceResponse) -> ServiceResponse:
    """Return a response without an error; prints an error and exits with 1."""
    if not response.is_success:
        print_response(response)
    return response


def format_summary(item: CommitSummary) -> str:
    """Format a commit of a data folder as one line."""
    return format_commit({**asdict(item), "time": item.time.isoformat()})


def format_commit(commit: Mapping[str, Any]) -> str:
    """Format a commit as one line; the keys are those of the service's JSON."""
    time = datetime.fromisoformat(commit["time"])
    undone = f" (undoes {commit['reverts']})" if commit["reverts"] else ""
    return (
        f"{commit['number']}  {time:%Y-%m-%d %H:%M:%S}  +{commit['added']} −{commit['removed']}  {commit['agent']}  "
        f"{commit['message']}{undone}"
    )

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
from kg.validation.report import INFO, VIOLATION, WARNING, ValidationReport

_SEVERITY_NAMES: Final = {
    "en": {VIOLATION: "violation", WARNING: "warning", INFO: "info"},
    "vi": {VIOLATION: "vi phạm", WARNING: "cảnh báo", INFO: "lưu ý"},
}
_EXIT_REFUSED: Final = 1
"""The exit code when the gate refuses a change, or when the service responds with an error."""
_VERDICT_TEXTS: Final = {"en": ("conforms", "does not conform"), "vi": ("hợp lệ", "không hợp lệ")}


def print_findings(report: ValidationReport, language: str) -> None:
    """Print every finding with its message in a language, and the verdict, to standard output."""
    console, severity_names = Console(), _SEVERITY_NAMES[language]
    for item in report.findings:
        shape, severity = term_text(item.shape), severity_names.get(item.severity, item.severity.value)
        console.print(f"[bold]{severity}[/] {escape(item.place)}", soft_wrap=True, highlight=False)
        console.print(f"  {escape(item.message(language))} [dim]({escape(shape)})[/]", soft_wrap=True, highlight=False)
        for suggestion in item.suggestions:
            console.print(f"  → {escape(suggestion.message(language))}", soft_wrap=True, highlight=False)
    counts = [(len(report.with_severity(severity)), name) for severity, name in severity_names.items()]
    has_plural = language == "en"
    summary = ", ".join(f"{count} {name}{'s' if has_plural and count != 1 else ''}" for count, name in counts)
    conforms, violates = _VERDICT_TEXTS[language]
    console.print(f"{conforms if report.admissible else violates}: {summary}", highlight=False)


def print_outcome(outcome: WriteOutcome, language: str) -> None:
    """Print the report and the commit of a local write; exits with 1 if the gate refused it."""
    if outcome.report.findings:
        print_findings(outcome.report, language)
    if not outcome.admitted:
        click.echo("refused, nothing was changed", err=True)
        sys.exit(_EXIT_REFUSED)
    click.echo("nothing to change" if outcome.commit is None else format_summary(outcome.commit.summary))


def print_response(response: ServiceResponse) -> None:
    """Print the commit in a response of the service, or its findings and problem details; exits with 1 for an error."""
    if response.is_success:
        commit = response.content.get("commit")
        click.echo("nothing to change" if commit is None else format_commit(commit))
        return
    for item in response.content.get("findings", ()):
        click.echo(f"{item['severity']} {item['focusNode']}: {item['message']}", err=True)
        for suggestion in item["suggestions"]:
            click.echo(f"  → {suggestion['message']}", err=True)
    click.echo(f"{response.status}: {response.problem}", err=True)
    sys.exit(_EXIT_REFUSED)


def require_success(response: ServiceResponse) -> ServiceResponse:
    """Return the response if it is a success; otherwise print its error and exit with 1."""
    if not response.is_success:
        print_response(response)
    return response


def format_summary(item: CommitSummary) -> str:
    """Format a commit of a data folder as one line."""
    return format_commit({**asdict(item), "time": item.time.isoformat()})


def format_commit(commit: Mapping[str, Any]) -> str:
    """Format a commit as one line; the keys are those of the service's JSON."""
    time = datetime.fromisoformat(commit["time"])
    reverted = f" (undoes {commit['reverts']})" if commit["reverts"] else ""
    return (
        f"{commit['number']}  {time:%Y-%m-%d %H:%M:%S}  +{commit['added']} −{commit['removed']}  {commit['agent']}  "
        f"{commit['message']}{reverted}"
    )

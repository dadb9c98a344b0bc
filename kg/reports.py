"""Read a validation report that was sent as RDF, and print one for people."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape

from kg import gate
from kg.errors import EngineError
from kg.gate import Finding, Report
from kg.rdf import BlankNode, Literal, NamedNode, Term, Triple, term_text
from kg.terms import SH

_WORDS: Final = {
    "en": {gate.VIOLATION: "violation", gate.WARNING: "warning", gate.INFO: "info"},
    "vi": {gate.VIOLATION: "vi phạm", gate.WARNING: "cảnh báo", gate.INFO: "lưu ý"},
}
_VERDICTS: Final = {"en": ("conforms", "does not conform"), "vi": ("hợp lệ", "không hợp lệ")}


def print_findings(report: Report, language: str) -> None:
    """Print every finding with its message in a language, and the verdict, to standard output."""
    console, words = Console(), _WORDS[language]
    for item in report.findings:
        where = " ".join(filter(None, (term_text(item.focus), item.path_text)))
        shape = term_text(item.shape)
        severity = words.get(item.severity, item.severity.value)
        console.print(f"[bold]{severity}[/] {escape(where)}", soft_wrap=True, highlight=False)
        console.print(f"  {escape(item.message(language))} [dim]({escape(shape)})[/]", soft_wrap=True, highlight=False)
    counted = [(len(report.of(severity)), word) for severity, word in words.items()]
    plural = language == "en"
    summary = ", ".join(f"{count} {word}{'s' if plural and count != 1 else ''}" for count, word in counted)
    good, bad = _VERDICTS[language]
    console.print(f"{good if report.admissible else bad}: {summary}", highlight=False)


def report_of(triples: Iterable[Triple]) -> Report:
    """The report that an sh:ValidationReport is; raises EngineError for one that says too little."""
    known = tuple(triples)
    said = defaultdict[object, dict[str, list[object]]](lambda: defaultdict(list))
    for item in known:
        said[item.subject][item.predicate.value.removeprefix(SH)].append(item.object)
    results = [result for about in list(said.values()) for result in about["result"]]
    return Report(gate.ranked(_finding(said[result], known) for result in results))


def _finding(about: Mapping[str, Sequence[object]], known: tuple[Triple, ...]) -> Finding:
    focus, shape, component, severity, path, value = (
        next((term for term in about[name] if isinstance(term, Term)), None)
        for name in ("focusNode", "sourceShape", "sourceConstraintComponent", "resultSeverity", "resultPath", "value")
    )
    match focus, shape, component, severity:
        case NamedNode() | BlankNode() | Literal(), NamedNode() | BlankNode(), NamedNode(), NamedNode():
            messages = tuple(item for item in about["resultMessage"] if isinstance(item, Literal))
            return Finding(focus, shape, component, severity, path, value, messages=messages, path_triples=known)
    raise EngineError("The report has a result that says too little.")

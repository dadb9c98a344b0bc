"""Suggest fixes for findings; every suggestion is tried before it is made.

The rules in `kg.validation.suggestion_rules` propose candidates. A candidate becomes a suggestion if validation with it
lacks the finding and has no other new violation or warning.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import rdflib

from kg.engine.embedded import EmbeddedEngine
from kg.errors import KgError
from kg.rdf.delta import Delta
from kg.rdf.terms import Literal, NamedNode, Quad
from kg.validation.report import VIOLATION, WARNING, Finding, Suggestion, ValidationReport, finding_key
from kg.validation.suggestion_rules import FindingContext, SuggestionCandidate, suggestion_candidates

_MAX_FINDINGS: Final = 12
"""Findings of a report that get suggestions: a payload of thousands of lines mostly repeats the same mistake."""
_MAX_TRIALS: Final = 16
"""Candidates that are tried for one report."""

DeltaValidator = Callable[[Delta], ValidationReport]
"""Returns the report of a change that is not applied."""


def add_suggestions(
    report: ValidationReport, engine: EmbeddedEngine, shapes: rdflib.Graph, asked: Delta, validate: DeltaValidator
) -> ValidationReport:
    """Return a report with up to two suggestions for each finding.

    The engine must be in the state before the change, and stays so. `asked` is the change without the triples that the
    rules derive from it; `validate` returns the findings of another change, with its derived triples.
    """
    trials = itertools.count()
    known = {finding_key(item) for item in report.findings}
    findings = list(report.findings)
    for number, item in enumerate(findings[:_MAX_FINDINGS]):
        if not isinstance(item.focus, NamedNode):
            continue
        with engine.temporarily_applied(asked):
            candidates = list(dict.fromkeys(suggestion_candidates(FindingContext(item, engine, shapes))))
            fixes = [(candidate, _candidate_delta(engine, asked, item.focus, candidate)) for candidate in candidates]
        working = (
            _to_suggestion(candidate)
            for candidate, fix in fixes
            if next(trials) < _MAX_TRIALS and _resolves_finding(validate, asked.followed_by(fix), item, known)
        )
        findings[number] = replace(item, suggestions=tuple(itertools.islice(working, 2)))
    return ValidationReport(tuple(findings))


def _resolves_finding(validate: DeltaValidator, change: Delta, item: Finding, known: set[tuple[object, ...]]) -> bool:
    """Whether a change lacks a finding, and adds no violation or warning to the known findings."""
    try:
        remaining = {finding_key(finding): finding.severity for finding in validate(change).findings}
    except KgError:
        return False
    return finding_key(item) not in remaining and not any(
        key not in known and severity in {VIOLATION, WARNING} for key, severity in remaining.items()
    )


def _to_suggestion(candidate: SuggestionCandidate) -> Suggestion:
    return Suggestion(
        (Literal(candidate.english, language="en"), Literal(candidate.vietnamese, language="vi")),
        tuple(sorted(candidate.removed, key=str)),
        tuple(sorted(candidate.added, key=str)),
    )


def _candidate_delta(engine: EmbeddedEngine, asked: Delta, focus: NamedNode, candidate: SuggestionCandidate) -> Delta:
    """Return a candidate as a change of the state after `asked`.

    Triples are removed from all graphs that hold them. Triples are added to the graph of the removed ones, else of the
    focus node, else of the change.
    """
    removed = {quad for triple in candidate.removed for quad in engine.quads_with_triple(triple)}
    graphs = [quad.graph_name for quad in (*removed, *_quads_about(asked.added, focus), *asked.added)]
    if not graphs:
        return Delta()
    added = {Quad(item.subject, item.predicate, item.object, graphs[0]) for item in candidate.added}
    return Delta(frozenset(quad for quad in added if not engine.holds(quad)), frozenset(removed))


def _quads_about(quads: Iterable[Quad], focus: NamedNode) -> list[Quad]:
    return [quad for quad in quads if quad.subject == focus]

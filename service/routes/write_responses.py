"""Responses to changes: the commit, or the report that refused it."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final, Literal

from flask import Response, jsonify, request, url_for

from kg.changes.commit import WriteOutcome
from kg.changes.commit_rows import Commit, CommitSummary
from kg.rdf.formats import RDF_FORMATS
from kg.validation.report import ValidationReport
from kg.validation.report_rdf import report_triples
from service.graph_state import current_graph_state
from service.http.errors import PROBLEM_JSON, problem_details
from service.http.i18n import page_language
from service.http.negotiation import MediaType, Representation, best_offer
from service.http.responses import Link, add_links, rdf_response
from service.presentation.report_json import report_as_json
from service.routes.reports import request_report_json

CONSTRAINED_BY: Final = "http://www.w3.org/ns/ldp#constrainedBy"


def write_response(
    outcome: WriteOutcome, done: HTTPStatus, *, default_return: Literal["representation", "minimal"]
) -> Response:
    """Report the outcome of a change: `done` if it was made, 200 if it changed nothing, 422 if it was refused.

    `default_return` says whether to send the commit if the request has no Prefer header (RFC 7240).
    """
    if not outcome.admitted:
        return _refusal_response(outcome)
    preferred = _preferred_return()
    created = outcome.commit is not None and done == HTTPStatus.CREATED
    if (preferred or default_return) == "representation":
        response = jsonify(_outcome_json(outcome))
        response.status_code = HTTPStatus.CREATED if created else HTTPStatus.OK
    else:
        response = Response(status=HTTPStatus.CREATED if created else HTTPStatus.NO_CONTENT)
    if preferred:
        response.headers["Preference-Applied"] = f"return={preferred}"
    if outcome.commit is not None:
        header = "Location" if done == HTTPStatus.CREATED else "Content-Location"
        response.headers[header] = _commit_url(outcome.commit.number)
    response.set_etag(current_graph_state().engine.version)
    return response


def _preferred_return() -> Literal["representation", "minimal"] | None:
    """Return the preference `return` of the header Prefer (RFC 7240, section 4.2)."""
    sent = {part.strip().lower() for part in request.headers.get("Prefer", "").replace(";", ",").split(",")}
    if "return=minimal" in sent:
        return "minimal"
    return "representation" if "return=representation" in sent else None


def _outcome_json(outcome: WriteOutcome) -> dict[str, Any]:
    return {
        "commit": None if outcome.commit is None else summary_json(outcome.commit.summary),
        "repeated": outcome.repeated,
        "report": request_report_json(outcome.report),
    }


def summary_json(summary: CommitSummary) -> dict[str, Any]:
    """Return a commit as JSON without its content."""
    return {**asdict(summary), "time": summary.time.isoformat(), "url": _commit_url(summary.number)}


def commit_json(commit: Commit) -> dict[str, Any]:
    """Return a commit as JSON with its validation report."""
    return {**summary_json(commit.summary), "report": report_as_json(commit.report, page_language())}


def _commit_url(number: int) -> str:
    return url_for("commits.one", number=number, lang=None)


def _refusal_response(outcome: WriteOutcome) -> Response:
    """Refuse a change with the report as RDF if the client accepts that, else with problem details and findings."""
    offers: tuple[Representation, ...] = (PROBLEM_JSON, *RDF_FORMATS)
    offer = best_offer(request.accept_mimetypes, offers) or PROBLEM_JSON
    if isinstance(offer, MediaType):
        detail = _worst_finding(outcome.report, page_language())
        response = jsonify(problem_details("refused", detail, **request_report_json(outcome.report)))
        response.content_type = PROBLEM_JSON.media_type
    else:
        response = rdf_response(report_triples(outcome.report), offer)
    response.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    add_links(response, Link(url_for("resource.shapes", lang=None), CONSTRAINED_BY))
    return response


def _worst_finding(report: ValidationReport, language: str) -> str:
    """Return the first, worst finding as text: its place, its message, and the number of others."""
    worst, others = report.findings[0], len(report.findings) - 1
    return worst.summary(language) + (f" +{others}" if others else "")

"""`/issues`: gaps and contradictions in the sources, by kind, with the claims that each concerns."""

from typing import Any, Final

from flask import Blueprint, Response, jsonify, render_template, request, url_for
from werkzeug.exceptions import BadRequest

from kg.rdf.terms import NamedNode, iri_candidates
from kg.views.issues import Issue, count_issues_by_kind, list_issues
from service.graph_state import current_graph_state
from service.http.conditional import evaluate_preconditions
from service.http.exchange import measure_engine_time
from service.http.i18n import page_language
from service.http.negotiation import HTML, JSON, require_offer
from service.http.parameters import Paging, page_number
from service.http.responses import add_links, page_response
from service.presentation.claim_context import ClaimContext, load_claim_context

blueprint: Final = Blueprint("issues", __name__)

PAGE_SIZE: Final = 10
"""Issues on a page."""
MAX_TARGETS: Final = 6
"""The most claims shown for an issue in the list; the issue's own page shows all."""


@blueprint.get("/issues")
def index() -> Response:
    """The issues, 10 on a `?page=`, all or those of one `?kind=` (an IRI): text/html or application/json."""
    offer = require_offer(request.accept_mimetypes, (HTML, JSON))
    graph = current_graph_state()
    evaluate_preconditions(offer.media_type, page_language(), *graph.source_texts.digests)
    kind, number = _requested_kind(), page_number()
    with measure_engine_time():
        counts = count_issues_by_kind(graph.engine)
        issues = list_issues(graph.engine, kind, (number - 1) * PAGE_SIZE, PAGE_SIZE)
    total = counts.get(kind.value, 0) if kind else sum(counts.values())
    paging = Paging(number, has_more=number * PAGE_SIZE < total)
    response = _issues_page(kind, counts, issues, paging) if offer is HTML else jsonify(_issues_json(counts, issues))
    add_links(response, *paging.links(lambda page: url_for(".index", kind=kind.value if kind else None, page=page)))
    return response


def _issues_page(kind: NamedNode | None, counts: dict[str, int], issues: list[Issue], paging: Paging) -> Response:
    claim_context = _load_context(issues, counts)
    chosen = kind.value if kind else None
    return page_response(
        render_template(
            "issues/index.html",
            claim_context=claim_context,
            kind=chosen,
            counts=counts,
            shown=MAX_TARGETS,
            earlier=paging.previous,
            later=paging.next,
        )
    )


def _load_context(issues: list[Issue], counts: dict[str, int]) -> ClaimContext:
    with measure_engine_time():
        return load_claim_context((node for issue in issues for node in issue.targets[:MAX_TARGETS]), issues, counts)


def _issues_json(counts: dict[str, int], issues: list[Issue]) -> dict[str, Any]:
    claim_context = load_claim_context((), issues)
    entries = [
        {
            "issue": issue.iri,
            "kind": issue.kind,
            "name": claim_context.names(issue.iri),
            "text": dict(issue.texts),
            "concerns": [node.value for node in issue.targets],
        }
        for issue in issues
    ]
    return {"counts": counts, "issues": entries}


def _requested_kind() -> NamedNode | None:
    text = request.args.get("kind")
    if not text:
        return None
    iri = next(iter(iri_candidates(text)), None)
    if iri is None:
        raise BadRequest("`kind` must be an IRI.")
    return iri

"""`/issues`: what the sources leave open or contradict, by kind, with what is claimed side by side."""

from typing import Any, Final

from flask import Blueprint, Response, jsonify, render_template, request, url_for
from werkzeug.exceptions import BadRequest

from kg.rdf.terms import NamedNode, iri_candidates
from kg.views.issues import Issue, count_issues_by_kind, list_issues
from service.graph_state import current_graph_state
from service.http.caching import evaluate_preconditions
from service.http.negotiation import HTML, MediaType, require_offer
from service.http.observability import measure_engine_time
from service.http.responses import Link, add_links, adjacent_pages, page_language, page_number, page_response
from service.presentation.claim_context import ClaimContext, load_claim_context

blueprint: Final = Blueprint("issues", __name__)

PAGE_SIZE: Final = 10
"""Issues on one page."""
MAX_TARGETS: Final = 6
"""Claims that each issue shows there; its own page shows all."""
_JSON: Final = MediaType("application/json")


@blueprint.get("/issues")
def index() -> Response:
    """The issues, 10 on a page (`?page=`), all or of one kind (`?kind=` an IRI); text/html or application/json."""
    offer = require_offer(request.accept_mimetypes, (HTML, _JSON))
    kg = current_graph_state()
    evaluate_preconditions(offer.media_type, page_language(), *kg.source_texts.digests)
    kind, number = _requested_kind(), page_number()
    with measure_engine_time():
        counts = count_issues_by_kind(kg.engine)
        issues = list_issues(kg.engine, kind, (number - 1) * PAGE_SIZE, PAGE_SIZE)
    size = counts.get(kind.value, 0) if kind else sum(counts.values())
    turns = adjacent_pages(number, size, PAGE_SIZE)
    response = _issues_page(kind, counts, issues, turns) if offer is HTML else jsonify(_issues_json(counts, issues))
    if turns["later"]:
        address = url_for(".index", kind=kind.value if kind else None, page=turns["later"])
        add_links(response, Link(address, "next"))
    return response


def _issues_page(
    kind: NamedNode | None, counts: dict[str, int], issues: list[Issue], turns: dict[str, int | None]
) -> Response:
    claim_context = _load_context(issues, counts)
    chosen = kind.value if kind else None
    return page_response(
        render_template(
            "issues/index.html", claim_context=claim_context, kind=chosen, counts=counts, shown=MAX_TARGETS, **turns
        )
    )


def _load_context(issues: list[Issue], counts: dict[str, int]) -> ClaimContext:
    with measure_engine_time():
        return load_claim_context((node for issue in issues for node in issue.targets[:MAX_TARGETS]), issues, counts)


def _issues_json(counts: dict[str, int], issues: list[Issue]) -> dict[str, Any]:
    claim_context = load_claim_context((), issues)
    found = [
        {
            "issue": issue.iri,
            "kind": issue.kind,
            "name": claim_context.names(issue.iri),
            "text": dict(issue.texts),
            "concerns": [node.value for node in issue.targets],
        }
        for issue in issues
    ]
    return {"counts": counts, "issues": found}


def _requested_kind() -> NamedNode | None:
    text = request.args.get("kind")
    if not text:
        return None
    found = next(iter(iri_candidates(text)), None)
    if found is None:
        raise BadRequest("`kind` must be an IRI.")
    return found

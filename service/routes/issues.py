"""`/issues`: what the sources leave open or contradict, by kind, with what is claimed side by side."""

from typing import Any, Final

from flask import Blueprint, Response, jsonify, render_template, request, url_for
from werkzeug.exceptions import BadRequest

from kg.rdf.io import NamedNode, iri_spellings
from kg.views.issues import Issue, kinds, listed
from service.graph_state import knowledge_graph
from service.http.caching import revalidated
from service.http.negotiation import HTML, MediaType, required
from service.http.observability import engine_time
from service.http.responses import Link, add_links, page_language, page_number, page_response, pager
from service.presentation.claim_context import Telling, telling

blueprint: Final = Blueprint("issues", __name__)

PAGE: Final = 10
"""Issues on one page."""
TARGETS: Final = 6
"""Claims that each issue shows there; its own page shows all."""
_JSON: Final = MediaType("application/json")


@blueprint.get("/issues")
def index() -> Response:
    """The issues, 10 on a page (`?page=`), all or of one kind (`?kind=` an IRI); text/html or application/json."""
    offer = required(request.accept_mimetypes, (HTML, _JSON))
    kg = knowledge_graph()
    revalidated(offer.media_type, page_language(), *kg.texts.digests)
    kind, number = _kind(), page_number()
    with engine_time():
        counts = kinds(kg.engine)
        issues = listed(kg.engine, kind, (number - 1) * PAGE, PAGE)
    size = counts.get(kind.value, 0) if kind else sum(counts.values())
    turns = pager(number, size, PAGE)
    response = _page(kind, counts, issues, turns) if offer is HTML else jsonify(_json(counts, issues))
    if turns["later"]:
        address = url_for(".index", kind=kind.value if kind else None, page=turns["later"])
        add_links(response, Link(address, "next"))
    return response


def _page(
    kind: NamedNode | None, counts: dict[str, int], issues: list[Issue], turns: dict[str, int | None]
) -> Response:
    told = _told(issues, counts)
    chosen = kind.value if kind else None
    return page_response(
        render_template("issues/index.html", told=told, kind=chosen, counts=counts, shown=TARGETS, **turns)
    )


def _told(issues: list[Issue], counts: dict[str, int]) -> Telling:
    with engine_time():
        return telling((node for issue in issues for node in issue.targets[:TARGETS]), issues, counts)


def _json(counts: dict[str, int], issues: list[Issue]) -> dict[str, Any]:
    told = telling((), issues)
    found = [
        {
            "issue": issue.iri,
            "kind": issue.kind,
            "name": told.names(issue.iri),
            "text": dict(issue.texts),
            "concerns": [node.value for node in issue.targets],
        }
        for issue in issues
    ]
    return {"counts": counts, "issues": found}


def _kind() -> NamedNode | None:
    text = request.args.get("kind")
    if not text:
        return None
    found = next(iter(iri_spellings(text)), None)
    if found is None:
        raise BadRequest("`kind` must be an IRI.")
    return found

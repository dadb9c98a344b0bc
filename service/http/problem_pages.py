"""The documentation of the problem types, to which a problem's `type` leads (RFC 9457, section 3.1.1)."""

from typing import Final

from flask import Blueprint, Response, jsonify, render_template, request, url_for

from kg.errors import NotFoundError
from service.http.i18n import page_language
from service.http.negotiation import HTML, MediaType, require_offer, split_suffix
from service.http.problem_types import PROBLEM_NAMESPACE, PROBLEM_TYPES
from service.http.responses import Link, add_links, alternate_links, page_response

blueprint: Final = Blueprint("problems", __name__)

_JSON: Final = MediaType("application/json", ("application/problem+json",))
_REPRESENTATIONS: Final = {"html": HTML, "json": _JSON}
_CACHE_CONTROL: Final = "public, max-age=3600"


@blueprint.get("/problem")
def index() -> Response:
    """All problem types, as text/html or application/json."""
    if require_offer(request.accept_mimetypes, tuple(_REPRESENTATIONS.values())) is HTML:
        return _with_cache_headers(page_response(render_template("problems/index.html", types=PROBLEM_TYPES)))
    return _with_cache_headers(_with_content_language(jsonify(list(map(_problem_json, PROBLEM_TYPES)))))


@blueprint.get("/problem/<name>")
def problem(name: str) -> Response:
    """A problem type: its status, meaning and advice, as text/html (`.html`) or application/json (`.json`).

    The response does not depend on the engine, because the engine's failure may be the problem.
    """
    name, representation = split_suffix(name, _REPRESENTATIONS)
    if name not in PROBLEM_TYPES:
        raise NotFoundError(
            f"There is no problem type <{PROBLEM_NAMESPACE}{name}>; {url_for('.index')} lists all types."
        )
    representation = representation or require_offer(request.accept_mimetypes, tuple(_REPRESENTATIONS.values()))
    if representation is HTML:
        page = render_template("problems/problem.html", iri=PROBLEM_NAMESPACE + name, problem=PROBLEM_TYPES[name])
        response = page_response(page)
    else:
        response = _with_content_language(jsonify(_problem_json(name)))
    path = url_for(".problem", name=name, lang=None)
    others = alternate_links(_REPRESENTATIONS, representation, lambda suffix: f"{path}.{suffix}")
    add_links(response, Link(PROBLEM_NAMESPACE + name, "describes"), *others)
    return _with_cache_headers(response)


def _problem_json(name: str) -> dict[str, object]:
    translated = PROBLEM_TYPES[name].translated(page_language())
    return {
        "type": PROBLEM_NAMESPACE + name,
        "title": translated.title,
        "status": translated.status.value,
        "meaning": translated.meaning,
        "advice": translated.advice,
    }


def _with_content_language(response: Response) -> Response:
    response.content_language.add(page_language())
    return response


def _with_cache_headers(response: Response) -> Response:
    """Allow caches to keep the response, which changes only with the software (RFC 9110, 8.8.3; RFC 9111, 5.2.2)."""
    response.headers["Cache-Control"] = _CACHE_CONTROL
    response.add_etag()
    response.make_conditional(request)
    return response

"""What the types of problems mean, for those who follow a problem's `type` (RFC 9457, section 3.1.1)."""

from typing import Final

from flask import Blueprint, Response, jsonify, render_template, request, url_for

from kg.errors import NotFoundError
from service.http.negotiation import HTML, MediaType, require_offer, split_suffix
from service.http.problem_types import PROBLEM_NAMESPACE, PROBLEM_TYPES
from service.http.responses import Link, add_links, page_language, page_response

blueprint: Final = Blueprint("problems", __name__)

_JSON: Final = MediaType("application/json", ("application/problem+json",))
_REPRESENTATIONS: Final = {"html": HTML, "json": _JSON}
_CACHE_CONTROL: Final = "public, max-age=3600"


@blueprint.get("/problem")
def index() -> Response:
    """Every type of problem, as text/html or application/json."""
    if require_offer(request.accept_mimetypes, tuple(_REPRESENTATIONS.values())) is HTML:
        return _with_cache_headers(page_response(render_template("problems/index.html", types=PROBLEM_TYPES)))
    described = [_problem_json(name, page_language()) for name in PROBLEM_TYPES]
    return _with_cache_headers(_with_content_language(jsonify(described)))


@blueprint.get("/problem/<name>")
def problem(name: str) -> Response:
    """What a type of problem means, its status and what to do, as text/html (`.html`) or application/json (`.json`).

    The answer asks nothing of the engine, since that may be what failed.
    """
    name, form = split_suffix(name, _REPRESENTATIONS)
    if name not in PROBLEM_TYPES:
        raise NotFoundError(
            f"There is no type of problem <{PROBLEM_NAMESPACE}{name}>; {url_for('.index')} lists those that are."
        )
    form = form or require_offer(request.accept_mimetypes, tuple(_REPRESENTATIONS.values()))
    if form is HTML:
        page = render_template("problems/problem.html", iri=PROBLEM_NAMESPACE + name, problem=PROBLEM_TYPES[name])
        response = page_response(page)
    else:
        response = _with_content_language(jsonify(_problem_json(name, page_language())))
    others = ((suffix, other) for suffix, other in _REPRESENTATIONS.items() if other is not form)
    path = url_for(".problem", name=name, lang=None)
    links = (Link(f"{path}.{suffix}", "alternate", other.media_type) for suffix, other in others)
    add_links(response, Link(PROBLEM_NAMESPACE + name, "describes"), *links)
    return _with_cache_headers(response)


def _problem_json(name: str, language: str) -> dict[str, object]:
    words = PROBLEM_TYPES[name].text_in(language)
    return {
        "type": PROBLEM_NAMESPACE + name,
        "title": words.title,
        "status": PROBLEM_TYPES[name].status.value,
        "meaning": words.meaning,
        "advice": words.advice,
    }


def _with_content_language(response: Response) -> Response:
    response.content_language.add(page_language())
    return response


def _with_cache_headers(response: Response) -> Response:
    """Say that an answer holds as long as this software does (RFC 9110, section 8.8.3; RFC 9111, section 5.2.2)."""
    response.headers["Cache-Control"] = _CACHE_CONTROL
    response.add_etag()
    response.make_conditional(request)
    return response

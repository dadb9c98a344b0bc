"""What the types of problems mean, for those who follow a problem's `type` (RFC 9457, section 3.1.1)."""

from typing import Final

from flask import Blueprint, Response, jsonify, render_template, request, url_for

from kg.errors import NotFoundError
from service.http.negotiation import HTML, MediaType, by_suffix, required
from service.http.problem_types import PROBLEMS, TYPES
from service.http.responses import Link, add_links, page_language, page_response

blueprint: Final = Blueprint("problems", __name__)

_JSON: Final = MediaType("application/json", ("application/problem+json",))
_FORMS: Final = {"html": HTML, "json": _JSON}
_POLICY: Final = "public, max-age=3600"


@blueprint.get("/problem")
def index() -> Response:
    """Every type of problem, as text/html or application/json."""
    if required(request.accept_mimetypes, tuple(_FORMS.values())) is HTML:
        return _stable(page_response(render_template("problems/index.html", types=TYPES)))
    described = [_described(name, page_language()) for name in TYPES]
    return _stable(_told(jsonify(described)))


@blueprint.get("/problem/<name>")
def problem(name: str) -> Response:
    """What a type of problem means, its status and what to do, as text/html (`.html`) or application/json (`.json`).

    The answer asks nothing of the engine, since that may be what failed.
    """
    name, form = by_suffix(name, _FORMS)
    if name not in TYPES:
        raise NotFoundError(
            f"There is no type of problem <{PROBLEMS}{name}>; {url_for('.index')} lists those that are."
        )
    form = form or required(request.accept_mimetypes, tuple(_FORMS.values()))
    if form is HTML:
        page = render_template("problems/problem.html", iri=PROBLEMS + name, problem=TYPES[name])
        response = page_response(page)
    else:
        response = _told(jsonify(_described(name, page_language())))
    others = ((suffix, other) for suffix, other in _FORMS.items() if other is not form)
    path = url_for(".problem", name=name, lang=None)
    links = (Link(f"{path}.{suffix}", "alternate", other.media_type) for suffix, other in others)
    add_links(response, Link(PROBLEMS + name, "describes"), *links)
    return _stable(response)


def _described(name: str, language: str) -> dict[str, object]:
    words = TYPES[name].words(language)
    return {
        "type": PROBLEMS + name,
        "title": words.title,
        "status": TYPES[name].status.value,
        "meaning": words.meaning,
        "advice": words.advice,
    }


def _told(response: Response) -> Response:
    response.content_language.add(page_language())
    return response


def _stable(response: Response) -> Response:
    """Say that an answer holds as long as this software does (RFC 9110, section 8.8.3; RFC 9111, section 5.2.2)."""
    response.headers["Cache-Control"] = _POLICY
    response.add_etag()
    response.make_conditional(request)
    return response

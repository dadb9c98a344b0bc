"""Turn errors into problem details, application/problem+json (RFC 9457); for browsers, a page where nothing is."""

import json
import re
from http import HTTPStatus
from typing import Final, TypeVar

from flask import Flask, Response, current_app, render_template, request, url_for
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge
from werkzeug.wrappers import Response as WerkzeugResponse

from kg.errors import KgError, LimitError, NotAcceptableError, PositionedError
from kg.rdf.formats import RDF_FORMATS, RESULT_FORMATS
from kg.rdf.namespaces import slugify
from service.graph_state import current_graph_state
from service.http.negotiation import HTML, MediaType, best_offer
from service.http.observability import current_exchange
from service.http.problem_pages import blueprint
from service.http.problem_types import PROBLEM_NAMESPACE, PROBLEM_TYPES, ProblemType
from service.http.responses import Link, add_links, page_language, page_response

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
_PROBLEM: Final = MediaType(PROBLEM_MEDIA_TYPE)
_MAX_SEARCH_LENGTH: Final = 200
"""Characters of a path that a search is offered with."""
R = TypeVar("R", bound=WerkzeugResponse)
_FAILURE_DETAIL: Final = "Nothing was changed. The server's log has the cause under this instance."


def register(app: Flask) -> None:
    """Let every error of an app end as problem details, and show what their types mean."""
    app.register_blueprint(blueprint)
    app.register_error_handler(KgError, _handle_kg_error)
    app.register_error_handler(HTTPException, _handle_http_error)


def _handle_kg_error(error: KgError) -> Response:
    """An error of kg: its own message if the caller is at fault, else only where the log has the cause."""
    kind = _problem_type(error)
    instance = _instance(error.code)
    detail: str | None = error.message
    if kind.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        current_app.logger.error("%s: %s", instance, error, exc_info=error)
        detail = _FAILURE_DETAIL
    if kind.status == HTTPStatus.NOT_FOUND and _prefers_html():
        return _not_found_page()
    response = Response(
        _problem_body(error.code, kind, detail, instance, **_extensions(error)),
        status=kind.status,
        content_type=PROBLEM_MEDIA_TYPE,
    )
    add_links(response, _help_link(error.code))
    if isinstance(error, LimitError) and error.retry_after is not None:
        response.retry_after = error.retry_after
    return _as_html_if_preferred(response)


def _problem_type(error: KgError) -> ProblemType:
    """The type of an error, or of what it is a kind of."""
    codes = (cls.code for cls in type(error).__mro__ if issubclass(cls, KgError))
    return next(PROBLEM_TYPES[code] for code in codes if code in PROBLEM_TYPES)


def _handle_http_error(error: HTTPException) -> WerkzeugResponse | HTTPException:
    """An HTTP error of Flask or Werkzeug, with its headers (Allow); redirects pass as they are.

    An unexpected exception arrives as InternalServerError, after Flask has logged it.
    """
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error
    code = slugify(error.name)
    instance = _instance(code)
    original = getattr(error, "original_exception", None)
    if original is not None:
        current_app.logger.error("%s: %s", instance, type(original).__name__)
    if error.code == HTTPStatus.NOT_FOUND and _prefers_html():
        return _not_found_page()
    response = error.get_response()
    response.content_type = PROBLEM_MEDIA_TYPE
    if code in PROBLEM_TYPES:
        response.set_data(_problem_body(code, PROBLEM_TYPES[code], _http_detail(error), instance))
        add_links(response, _help_link(code))
    else:
        response.set_data(_untyped_problem_body(error.name, error.code, _http_detail(error), instance))
    return _as_html_if_preferred(response)


def _prefers_html() -> bool:
    """Whether the client would rather have a page than problem details, or any data."""
    return best_offer(request.accept_mimetypes, (_PROBLEM, *RDF_FORMATS, *RESULT_FORMATS, HTML)) is HTML


def _as_html_if_preferred(response: R) -> R:
    """Problem details as a page, text/html, for whoever would rather have one."""
    if _prefers_html() and response.status_code != HTTPStatus.NOT_ACCEPTABLE:
        problem = json.loads(response.get_data())
        response.set_data(render_template("errors/problem.html", problem=problem))
        response.content_type = "text/html; charset=utf-8"
        response.content_language.add(page_language())
    return response


def _not_found_page() -> Response:
    """Say in both languages, text/html, that there is nothing here."""
    response = page_response(
        render_template("errors/not-found.html", path=request.path, words=_search_words(request.path))
    )
    response.status_code = HTTPStatus.NOT_FOUND
    return response


def _search_words(path: str) -> str:
    """What the last part of an unknown path may be looked for with: its words."""
    last = path.rstrip("/").rpartition("/")[2]
    return " ".join(re.split(r"[-_.+\s]+", last)).strip()[:_MAX_SEARCH_LENGTH]


def _http_detail(error: HTTPException) -> str | None:
    match error:
        case InternalServerError():
            return _FAILURE_DETAIL
        case RequestEntityTooLarge():
            return f"The body is longer than the {current_graph_state().settings.max_body} bytes that are taken here."
    return error.description


def _extensions(error: KgError) -> dict[str, object]:
    if isinstance(error, PositionedError):
        place = {"line": error.line, "column": error.column}
        return {name: value for name, value in place.items() if value is not None}
    return {"offered": error.offered} if isinstance(error, NotAcceptableError) else {}


def _problem_body(code: str, kind: ProblemType, detail: str | None, instance: str, **extensions: object) -> str:
    title = kind.text_in(page_language()).title
    problem = {
        "type": PROBLEM_NAMESPACE + code,
        "title": title,
        "status": kind.status,
        "detail": detail,
        "instance": instance,
    }
    return json.dumps({**problem, **extensions}, ensure_ascii=False) + "\n"


def _untyped_problem_body(title: str, status: int, detail: str | None, instance: str) -> str:
    """A problem that says no more than its status does (RFC 9457, section 4.2.1)."""
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": instance}
    return json.dumps(problem, ensure_ascii=False) + "\n"


def _help_link(code: str) -> Link:
    """Where this service says what a type means, which the type's own address may not lead to."""
    return Link(url_for("problems.problem", name=code, lang=None), "help")


def _instance(code: str) -> str:
    """Name this occurrence by the request's id, and note its kind for the access log."""
    current = current_exchange()
    current.error_code = code
    return current.instance

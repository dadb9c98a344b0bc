"""Error handlers: problem details, application/problem+json (RFC 9457), or a page for browsers."""

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
from service.http.body import max_body
from service.http.exchange import current_exchange
from service.http.i18n import page_language
from service.http.negotiation import HTML, MediaType, best_offer
from service.http.problem_pages import blueprint
from service.http.problem_types import PROBLEM_NAMESPACE, PROBLEM_TYPES, ProblemType
from service.http.responses import Link, add_links, page_response

PROBLEM_JSON: Final = MediaType("application/problem+json")
_MAX_SEARCH_LENGTH: Final = 200
"""The maximum length, in code points, of the search that the not-found page suggests."""
_FAILURE_DETAIL: Final = "Nothing was changed. The server's log has the cause under this instance."
R = TypeVar("R", bound=WerkzeugResponse)


def register(app: Flask) -> None:
    """Answer all errors of an app with problem details, and serve the documentation of their types."""
    app.register_blueprint(blueprint)
    app.register_error_handler(KgError, _handle_kg_error)
    app.register_error_handler(HTTPException, _handle_http_error)


def problem_details(
    code: str, detail: str | None, kind: ProblemType | None = None, **extensions: object
) -> dict[str, object]:
    """Return problem details with the code and, unless `kind` is given, the problem type of that code.

    The title is in the reader's language, and the instance is the request's id. The code is recorded on the exchange.
    """
    translated = (kind or PROBLEM_TYPES[code]).translated(page_language())
    problem = _problem_object(PROBLEM_NAMESPACE + code, translated.title, translated.status, code, detail)
    return {**problem, **extensions}


def _problem_object(iri: str, title: str, status: int, code: str, detail: str | None) -> dict[str, object]:
    exchange = current_exchange()
    exchange.error_code = code
    return {"type": iri, "title": title, "status": int(status), "detail": detail, "instance": exchange.instance}


def _handle_kg_error(error: KgError) -> Response:
    """Send an error of kg with its message; for a server error, log the cause and send only the instance."""
    kind = _problem_type(error)
    failed = kind.status == HTTPStatus.INTERNAL_SERVER_ERROR
    problem = problem_details(error.code, _FAILURE_DETAIL if failed else error.message, kind, **_extensions(error))
    if failed:
        current_app.logger.error("%s: %s", problem["instance"], error, exc_info=error)
    if kind.status == HTTPStatus.NOT_FOUND and _prefers_html():
        return _not_found_page()
    response = Response(_to_json(problem), status=kind.status, content_type=PROBLEM_JSON.media_type)
    add_links(response, _help_link(error.code))
    if isinstance(error, LimitError) and error.retry_after is not None:
        response.retry_after = error.retry_after
    return _as_html_if_preferred(response)


def _problem_type(error: KgError) -> ProblemType:
    """Return the problem type of an error, or of its nearest base class that has one."""
    codes = (cls.code for cls in type(error).__mro__ if issubclass(cls, KgError))
    return next(PROBLEM_TYPES[code] for code in codes if code in PROBLEM_TYPES)


def _handle_http_error(error: HTTPException) -> WerkzeugResponse | HTTPException:
    """Send an HTTP error of Flask or Werkzeug with its headers (Allow); redirects pass unchanged.

    An unexpected exception arrives as InternalServerError, after Flask has logged it. An error without a problem type
    has the type about:blank (RFC 9457, section 4.2.1).
    """
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error
    code, detail = slugify(error.name), _http_detail(error)
    typed = code in PROBLEM_TYPES
    problem = (
        problem_details(code, detail) if typed else _problem_object("about:blank", error.name, error.code, code, detail)
    )
    original = getattr(error, "original_exception", None)
    if original is not None:
        current_app.logger.error("%s: %s", problem["instance"], type(original).__name__)
    if error.code == HTTPStatus.NOT_FOUND and _prefers_html():
        return _not_found_page()
    response = error.get_response()
    response.content_type = PROBLEM_JSON.media_type
    response.set_data(_to_json(problem))
    if typed:
        add_links(response, _help_link(code))
    return _as_html_if_preferred(response)


def _to_json(problem: dict[str, object]) -> str:
    return json.dumps(problem, ensure_ascii=False) + "\n"


def _prefers_html() -> bool:
    """Return whether the client prefers a page to problem details and to all data formats."""
    return best_offer(request.accept_mimetypes, (PROBLEM_JSON, *RDF_FORMATS, *RESULT_FORMATS, HTML)) is HTML


def _as_html_if_preferred(response: R) -> R:
    """Replace problem details by a page, text/html, if the client prefers one."""
    if _prefers_html() and response.status_code != HTTPStatus.NOT_ACCEPTABLE:
        problem = json.loads(response.get_data())
        response.set_data(render_template("errors/problem.html", problem=problem))
        response.content_type = "text/html; charset=utf-8"
        response.content_language.add(page_language())
    return response


def _not_found_page() -> Response:
    """Return the bilingual not-found page, text/html, with a search for the path's words."""
    response = page_response(
        render_template("errors/not-found.html", path=request.path, words=_search_words(request.path))
    )
    response.status_code = HTTPStatus.NOT_FOUND
    return response


def _search_words(path: str) -> str:
    """Return the words of a path's last segment, as the text of a search."""
    last = path.rstrip("/").rpartition("/")[2]
    return " ".join(re.split(r"[-_.+\s]+", last)).strip()[:_MAX_SEARCH_LENGTH]


def _http_detail(error: HTTPException) -> str | None:
    match error:
        case InternalServerError():
            return _FAILURE_DETAIL
        case RequestEntityTooLarge():
            return f"The body is longer than the limit of {max_body()} bytes."
    return error.description


def _extensions(error: KgError) -> dict[str, object]:
    """Return the members of problem details that only some errors have: `line` and `column`, or `offered`."""
    if isinstance(error, PositionedError):
        position = {"line": error.line, "column": error.column}
        return {name: value for name, value in position.items() if value is not None}
    return {"offered": error.offered} if isinstance(error, NotAcceptableError) else {}


def _help_link(code: str) -> Link:
    """Return a link to this service's page about a problem type; the type's IRI may be served by another host."""
    return Link(url_for("problems.problem", name=code, lang=None), "help")

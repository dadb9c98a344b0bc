"""Turn errors into problem details, application/problem+json (RFC 9457); for browsers, a page where nothing is."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, current_app, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge
from werkzeug.wrappers import Response as WerkzeugResponse

from kg.errors import (
    InputError,
    KgError,
    LimitError,
    NotAcceptableError,
    NotFoundError,
    PositionedError,
    QuerySyntaxError,
    RdfSyntaxError,
    ResultTooLargeError,
    ServiceDeniedError,
    ShapesError,
    UnknownGraphError,
    UnsupportedFormatError,
)
from kg.formats import RDF_FORMATS, RESULT_FORMATS
from kg.terms import BASE, slug
from service.negotiation import HTML, MediaType, best
from service.observability import exchange
from service.pages import page_response
from service.state import knowledge_graph

PROBLEM_TYPE: Final = "application/problem+json"
_PROBLEM: Final = MediaType(PROBLEM_TYPE)
PROBLEMS: Final = BASE + "problem/"
"""Where the types of problems are named; a type is this and the error's code."""


@dataclass(frozen=True)
class _Kind:
    status: HTTPStatus
    title: str


_KINDS: Final[dict[type[KgError], _Kind]] = {
    InputError: _Kind(HTTPStatus.BAD_REQUEST, "The request cannot be used"),
    RdfSyntaxError: _Kind(HTTPStatus.BAD_REQUEST, "The RDF does not parse"),
    QuerySyntaxError: _Kind(HTTPStatus.BAD_REQUEST, "The query does not parse"),
    UnknownGraphError: _Kind(HTTPStatus.BAD_REQUEST, "There is no such graph"),
    ServiceDeniedError: _Kind(HTTPStatus.FORBIDDEN, "SERVICE is not allowed"),
    UnsupportedFormatError: _Kind(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The format is not supported"),
    NotAcceptableError: _Kind(HTTPStatus.NOT_ACCEPTABLE, "No acceptable format"),
    ShapesError: _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The shapes cannot be used"),
    NotFoundError: _Kind(HTTPStatus.NOT_FOUND, "Nothing is known about that"),
    LimitError: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "The query was stopped"),
    ResultTooLargeError: _Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The result is too large"),
}
_FAILURE: Final = _Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed")
_FAILURE_DETAIL: Final = "Nothing was changed. The server's log has the cause under this instance."


def register(app: Flask) -> None:
    """Let every error of an app end as problem details."""
    app.register_error_handler(KgError, _of_kg)
    app.register_error_handler(HTTPException, _of_http)


def _of_kg(error: KgError) -> Response:
    """An error of kg: its own message if the caller is at fault, else only where the log has the cause."""
    kind = next((_KINDS[cls] for cls in type(error).__mro__ if cls in _KINDS), _FAILURE)
    instance = _instance(error.code)
    detail = error.message
    if kind is _FAILURE:
        current_app.logger.error("%s: %s", instance, error, exc_info=error)
        detail = _FAILURE_DETAIL
    response = Response(
        _body(error.code, kind.title, kind.status, detail, instance, **_extensions(error)),
        status=kind.status,
        content_type=PROBLEM_TYPE,
    )
    if kind.status == HTTPStatus.NOT_FOUND and _reads_pages():
        return _not_found_page()
    if isinstance(error, LimitError) and error.retry_after is not None:
        response.retry_after = error.retry_after
    return response


def _of_http(error: HTTPException) -> WerkzeugResponse | HTTPException:
    """An HTTP error of Flask or Werkzeug, with its headers (Allow); redirects pass as they are.

    An unexpected exception arrives as InternalServerError, after Flask has logged it.
    """
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error
    instance = _instance(slug(error.name))
    original = getattr(error, "original_exception", None)
    if original is not None:
        current_app.logger.error("%s: %s", instance, type(original).__name__)
    if error.code == HTTPStatus.NOT_FOUND and _reads_pages():
        return _not_found_page()
    response = error.get_response()
    response.set_data(_body(slug(error.name), error.name, error.code, _http_detail(error), instance))
    response.content_type = PROBLEM_TYPE
    return response


def _reads_pages() -> bool:
    """Whether the client would rather have a page than problem details, or any data."""
    return best(request.accept_mimetypes, (_PROBLEM, *RDF_FORMATS, *RESULT_FORMATS, HTML)) is HTML


def _not_found_page() -> Response:
    """Say in both languages, text/html, that there is nothing here."""
    response = page_response(render_template("errors/not-found.html", path=request.path))
    response.status_code = HTTPStatus.NOT_FOUND
    return response


def _http_detail(error: HTTPException) -> str | None:
    match error:
        case InternalServerError():
            return _FAILURE_DETAIL
        case RequestEntityTooLarge():
            return f"The body is longer than the {knowledge_graph().settings.max_body} bytes that are taken here."
    return error.description


def _extensions(error: KgError) -> dict[str, object]:
    if isinstance(error, PositionedError):
        place = {"line": error.line, "column": error.column}
        return {name: value for name, value in place.items() if value is not None}
    return {"offered": error.offered} if isinstance(error, NotAcceptableError) else {}


def _body(code: str, title: str, status: int, detail: str | None, instance: str, **extensions: object) -> str:
    problem = {"type": PROBLEMS + code, "title": title, "status": status, "detail": detail, "instance": instance}
    return json.dumps({**problem, **extensions}, ensure_ascii=False) + "\n"


def _instance(code: str) -> str:
    """Name this occurrence by the request's id, and note its kind for the access log."""
    current = exchange()
    current.error = code
    return current.instance

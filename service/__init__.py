"""The graph over HTTP: SPARQL, validation, linked data and pages. It imports kg, never the reverse."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider

from kg.engine.protocol import Engine
from kg.workers.pool_engine import PoolEngine
from service import graph_state, sparql_fast_path
from service.http import caching, errors, observability, responses
from service.http.negotiation import HTML, LANGUAGE_COOKIE, LANGUAGES
from service.routes import (
    commits,
    facts,
    figures,
    graph_store,
    health,
    issues,
    linked_data,
    query_editor,
    search,
    sparql,
    validate,
    validation_form,
    void,
)
from service.settings import Settings

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_BLUEPRINT_MODULES: Final = (
    sparql,
    query_editor,
    graph_store,
    void,
    validate,
    validation_form,
    facts,
    commits,
    issues,
    figures,
    search,
    linked_data,
    health,
)
"""The modules with a blueprint of their own."""
FAST_PATH_KEY: Final = "hpkg.express"
"""The key of an app's extensions under which its short way stands, if the graph is in cells."""

_VARY: Final = "Accept, Accept-Encoding, Accept-Language"
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}
"""What a page may do: nothing that it does not bring itself, no script or style within it, no other host."""
_LANGUAGE_COOKIE_MAX_AGE: Final = 365 * 24 * 3600
"""Seconds for which a browser is asked to remember the language that its reader chose."""
_EXPOSED_HEADERS: Final = (
    "Allow, Cache-Status, Content-Length, Content-Location, ETag, Link, Location, Retry-After, Server-Timing, "
    "X-Request-ID"
)
_COMMON_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", _EXPOSED_HEADERS),
)
_ALLOWED_REQUEST_HEADERS: Final = (
    "Accept, Accept-Language, Authorization, Content-Type, If-Match, If-None-Match, X-Request-ID"
)


def create_app(settings: Settings) -> Flask:
    """Make an app that serves the graph of the settings' data folder, building it first if need be.

    Raises ConfigurationError when the folder cannot be used or the packaged graph violates its shapes.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + 1  # service.http.body says why one more
    if isinstance(app.json, DefaultJSONProvider):
        app.json.ensure_ascii = False
    graph_state.attach(app, settings)
    errors.register(app)
    responses.register(app)
    for module in _BLUEPRINT_MODULES:
        app.register_blueprint(module.blueprint)
    app.after_request(_finalize_response)
    _wrap_wsgi_app(app, settings)
    return app


def _wrap_wsgi_app(app: Flask, settings: Settings) -> None:
    """Put the cache before the app, and the eyes of the operator before both."""

    def engine() -> Engine:
        return graph_state.graph_state_of(app).engine

    caches = caching.attach(app, settings)
    metrics = observability.Metrics(engine, caches.sizes)
    health.attach(app, metrics)
    front = caching.CacheMiddleware(_with_common_headers(app.wsgi_app), caches.responses, lambda: engine().version)
    log = observability.access_logger() if settings.access_log else None
    observer = observability.ObservabilityMiddleware(front, metrics, log)
    app.wsgi_app = observer  # type: ignore[method-assign] # as Flask says to
    cells = engine()
    if isinstance(cells, PoolEngine):
        parts = sparql_fast_path.FastPathParts(settings, caches, front, observer, [("Vary", _VARY), *_COMMON_HEADERS])
        app.extensions[FAST_PATH_KEY] = sparql_fast_path.SparqlFastPath(cells, parts)


def _finalize_response(response: Response) -> Response:
    """Complete an answer of the app: what it depends on, how long it holds, and what OPTIONS tells (CORS)."""
    observability.current_exchange().endpoint = request.endpoint or "none"
    response.headers["Vary"] = _VARY
    if response.mimetype == HTML.media_type:
        _finalize_page(response)
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = ", ".join(sorted(response.allow))
        response.headers["Access-Control-Allow-Headers"] = _ALLOWED_REQUEST_HEADERS
        response.headers["Access-Control-Max-Age"] = "86400"
    return caching.finalize_response(response)


def _finalize_page(response: Response) -> None:
    response.vary.add("Cookie")
    for name, value in _PAGE_HEADERS.items():
        response.headers.setdefault(name, value)
    chosen = request.args.get("lang")
    if chosen in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, chosen, max_age=_LANGUAGE_COOKIE_MAX_AGE, httponly=True, samesite="Lax")


def _with_common_headers(app: "WSGIApplication") -> "WSGIApplication":
    """Let pages of other origins read every answer (CORS), and nobody guess at its media type."""

    def surrounded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def start(
            status: str, headers: list[tuple[str, str]], failure: "OptExcInfo | None" = None
        ) -> Callable[[bytes], object]:
            return start_response(status, [*headers, *_COMMON_HEADERS], failure)

        return app(environ, start)

    return surrounded

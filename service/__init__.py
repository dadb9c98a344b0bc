"""The web application: SPARQL, validation, linked data and pages. It imports kg, never the reverse."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider

from kg.engine.protocol import Engine
from kg.views.jsonld_context import project_context
from kg.workers.pool_engine import PoolEngine
from service import graph_state, sparql_fast_path
from service.http import body, conditional, errors, jsonld
from service.http.access_log import access_logger
from service.http.cache import BoundedCache, CachedResponse, CacheMiddleware
from service.http.exchange import current_exchange
from service.http.metrics import Metrics
from service.http.negotiation import HTML, LANGUAGE_COOKIE, LANGUAGES
from service.http.observability import ObservabilityMiddleware
from service.http.wsgi import Headers, map_headers
from service.presentation import page_context
from service.routes import (
    commits,
    facts,
    figures,
    graph_store,
    health,
    home,
    issues,
    linked_data,
    query_cache,
    query_editor,
    search,
    sparql,
    validate,
    validation_form,
    vocabulary,
    void,
)
from service.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ROUTE_MODULES: Final = (
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
    home,
    linked_data,
    vocabulary,
    health,
)
"""The modules with view functions; some share a blueprint."""
FAST_PATH_KEY: Final = "hpkg.express"
"""The key of `app.extensions` of the SparqlFastPath, which an app has if its graph is in query workers."""

_VARY: Final = "Accept, Accept-Encoding, Accept-Language"
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}
"""Pages may load only files of this service, no inline scripts or styles, and cannot be framed."""
_LANGUAGE_COOKIE_MAX_AGE: Final = 365 * 24 * 3600
"""Seconds for which a browser stores the language that its reader chose."""
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
    """Create an app that serves the graph of the settings' data folder, building the graph first if it is missing.

    Raises ConfigurationError if the folder cannot be used or the packaged graph violates its shapes.
    """
    app = Flask(__name__)
    body.limit_body(app, settings.max_body)
    if isinstance(app.json, DefaultJSONProvider):
        app.json.ensure_ascii = False
    graph_state.attach(app, settings)
    errors.register(app)
    page_context.register(app)
    jsonld.attach(app, project_context, "catalog.context")
    for blueprint in dict.fromkeys(module.blueprint for module in _ROUTE_MODULES):
        app.register_blueprint(blueprint)
    app.after_request(_finalize_response)
    _wrap_wsgi_app(app, settings)
    return app


def _wrap_wsgi_app(app: Flask, settings: Settings) -> None:
    """Wrap the app in the response cache, and both in the middleware that observes every request."""

    def engine() -> Engine:
        return graph_state.graph_state_of(app).engine

    def version() -> str:
        return engine().version

    results = query_cache.QueryCache(settings.cache_bytes // 2)
    responses = BoundedCache[CachedResponse](settings.cache_bytes // 2)
    query_cache.attach(app, results)
    conditional.attach(app, version, settings.max_age)
    metrics = Metrics(lambda: engine().status(), lambda: {"results": results.size, "answers": responses.size})
    health.attach(app, metrics)
    cache = CacheMiddleware(_with_common_headers(app.wsgi_app), responses, version)
    observer = ObservabilityMiddleware(cache, metrics, access_logger() if settings.access_log else None)
    app.wsgi_app = observer  # type: ignore[method-assign] # the way that Flask documents
    pool = engine()
    if isinstance(pool, PoolEngine):
        parts = sparql_fast_path.FastPathParts(settings, results, cache, observer, [("Vary", _VARY), *_COMMON_HEADERS])
        app.extensions[FAST_PATH_KEY] = sparql_fast_path.SparqlFastPath(pool, parts)


def _finalize_response(response: Response) -> Response:
    """Set the headers that every response of the app has: Vary, those of pages, of OPTIONS (CORS), and of caching."""
    current_exchange().endpoint = request.endpoint or "none"
    response.headers["Vary"] = _VARY
    if response.mimetype == HTML.media_type:
        _finalize_page(response)
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = ", ".join(sorted(response.allow))
        response.headers["Access-Control-Allow-Headers"] = _ALLOWED_REQUEST_HEADERS
        response.headers["Access-Control-Max-Age"] = "86400"
    return conditional.finalize_response(response)


def _finalize_page(response: Response) -> None:
    response.vary.add("Cookie")
    for name, value in _PAGE_HEADERS.items():
        response.headers.setdefault(name, value)
    language = request.args.get("lang")
    if language in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=_LANGUAGE_COOKIE_MAX_AGE, httponly=True, samesite="Lax")


def _with_common_headers(app: "WSGIApplication") -> "WSGIApplication":
    """Add the headers of all responses: CORS for reads by pages of any origin, and no guessing of media types."""

    def add_headers(_status: str, headers: Headers) -> Headers:
        return [*headers, *_COMMON_HEADERS]

    def wrapped(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return app(environ, map_headers(start_response, add_headers))

    return wrapped

"""The fast path of `/sparql`: cached responses and short queries, answered in the event loop without a thread or Flask.

It uses the same caches, negotiation and observability as the app. Everything else falls through to Flask; a query that
has already been sent to a worker is finished there.
"""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from werkzeug.exceptions import HTTPException
from werkzeug.http import quote_etag
from werkzeug.utils import get_content_type

from kg.engine.protocol import QueryRequest
from kg.engine.query import check_query
from kg.errors import KgError
from kg.workers.leases import LeaseClient
from kg.workers.pool_engine import PoolEngine
from service.graph_state import PENDING_RESULT_KEY
from service.http import body
from service.http.cache import (
    SAFE_METHODS,
    BufferedResponse,
    CacheableResponse,
    CacheMiddleware,
    CacheValidator,
    normalize_environ,
)
from service.http.compression import IDENTITY, MIN_COMPRESSED
from service.http.conditional import cache_control, make_validator
from service.http.exchange import Exchange, exchange_from_environ
from service.http.observability import ObservabilityMiddleware
from service.routes.query_cache import CachedResult, QueryCache, is_deterministic, query_cache_key
from service.routes.query_parameters import EXPLAIN_PARAMETER, NegotiatedFormats, negotiate_formats, query_request
from service.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_ENDPOINT: Final = "sparql.get"


@dataclass(frozen=True)
class FastPathParts:
    """The parts of an app that the fast path shares; `headers` are in every response of the app."""

    settings: Settings
    query_cache: QueryCache
    cache_middleware: CacheMiddleware
    observer: ObservabilityMiddleware
    headers: list[tuple[str, str]]


class SparqlFastPath:
    """Answers requests of one event loop; not thread-safe."""

    def __init__(self, engine: PoolEngine, parts: FastPathParts) -> None:
        """Use the engine and the parts of an app."""
        self._engine = engine
        self._settings = parts.settings
        self._query_cache = parts.query_cache
        self._cache_middleware = parts.cache_middleware
        self._observer = parts.observer
        self._headers = [*parts.headers, ("Cache-Control", cache_control(parts.settings.max_age))]
        self._lease_client = LeaseClient(engine)

    async def answer(self, environ: "WSGIEnvironment") -> BufferedResponse | None:
        """Answer a request, or return None if the app must answer it."""
        if environ["REQUEST_METHOD"] not in SAFE_METHODS:
            return None
        exchange = exchange_from_environ(environ)
        normalize_environ(environ)
        response = self._cache_middleware.cached_response(environ) or await self._answer_query(environ, exchange)
        if response is None:
            return None
        headers = self._observer.complete_headers(exchange, response.status, response.headers)
        self._observer.finish_request(environ, exchange)
        return replace(response, headers=headers)

    async def _answer_query(self, environ: "WSGIEnvironment", exchange: Exchange) -> BufferedResponse | None:
        """Answer a query from the cache or by a worker, or return None if the app must answer it.

        The app also answers if the dataset changed during evaluation, because the result may not fit the validator.
        """
        parsed = self._parse_query(environ)
        if parsed is None:
            return None
        query, formats = parsed
        validator = make_validator(self._engine.version, *query_cache_key(query, formats.media_types))
        result = self._query_cache.get(validator)
        if result is None:
            result = await self._evaluate(environ, exchange, query)
            if result is None or self._engine.version != validator.version:
                return None
            self._query_cache.put(validator, result)
            exchange.cache_outcome = "miss"
        else:
            exchange.cache_outcome = "hit"
        exchange.endpoint = _ENDPOINT
        return self._response(environ, result, formats, validator)

    def _parse_query(self, environ: "WSGIEnvironment") -> tuple[QueryRequest, NegotiatedFormats] | None:
        """Return the query of a GET request without conditions, and the negotiated formats.

        Returns None for other requests, invalid ones included, which the app answers, and for queries that are not
        deterministic, because their results must not be cached.
        """
        is_get = environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] == "/sparql" and not environ["SCRIPT_NAME"]
        is_conditional = "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MATCH" in environ
        if not is_get or is_conditional or "query=" not in environ["QUERY_STRING"]:
            return None
        try:
            parameters = body.decode_urlencoded(environ["QUERY_STRING"].encode("latin-1"))
            if EXPLAIN_PARAMETER in parameters:
                return None
            formats = negotiate_formats(environ.get("HTTP_ACCEPT", ""))
            query = query_request(parameters, formats, self._settings)
            check_query(query)
        except (HTTPException, KgError):
            return None
        return (query, formats) if is_deterministic(query.text) else None

    async def _evaluate(
        self, environ: "WSGIEnvironment", exchange: Exchange, query: QueryRequest
    ) -> CachedResult | None:
        """Evaluate a query on the leased worker, and return its result if it is small and needs no compression.

        Otherwise, the pending result, if there is one, is left in the environ, from which the app sends it.
        """
        started_at = time.perf_counter()
        pending = await self._lease_client.submit(query)
        exchange.engine_seconds = time.perf_counter() - started_at
        if pending is None:
            return None
        answer = pending.answer
        if (
            answer is None
            or answer.file is not None
            or "error" in answer.header
            or self._must_compress(environ, answer.payload)
        ):
            environ[PENDING_RESULT_KEY] = pending
            return None
        return CachedResult(answer.header["kind"], answer.header["media_type"], answer.payload)

    @staticmethod
    def _must_compress(environ: "WSGIEnvironment", payload: bytes) -> bool:
        return environ["HTTP_ACCEPT_ENCODING"] != IDENTITY and len(payload) >= MIN_COMPRESSED

    def _response(
        self, environ: "WSGIEnvironment", result: CachedResult, formats: NegotiatedFormats, validator: CacheValidator
    ) -> BufferedResponse | None:
        """Return the response with a result, and cache it; None if the app must compress the result."""
        if self._must_compress(environ, result.body):
            return None
        headers = [
            ("Content-Type", get_content_type(formats.media_type_by_kind[result.kind], "utf-8")),
            ("Content-Length", str(len(result.body))),
            ("ETag", quote_etag(validator.tag)),
            *self._headers,
        ]
        self._cache_middleware.store_response(environ, CacheableResponse(validator, result.body), headers)
        return BufferedResponse("200 OK", headers, result.body)

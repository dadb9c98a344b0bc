"""The short way of the commonest requests: what the cache has, and SELECT, ASK and the like that take a moment.

They are answered within the event loop, without a thread and without Flask, by the same parts of which the app
consists. What is not plain sailing goes to the app as if it had not been here; only an evaluation that was begun is
finished there.
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
    """What an app consists of; `headers` are those that it gives to every answer."""

    settings: Settings
    query_cache: QueryCache
    cache_middleware: CacheMiddleware
    observer: ObservabilityMiddleware
    headers: list[tuple[str, str]]


class SparqlFastPath:
    """Answers what it can of the requests of one event loop; to be used only in it."""

    def __init__(self, engine: PoolEngine, parts: FastPathParts) -> None:
        """Share the engine and the parts of an app."""
        self._engine = engine
        self._settings = parts.settings
        self._query_cache = parts.query_cache
        self._cache_middleware = parts.cache_middleware
        self._observer = parts.observer
        self._headers = [*parts.headers, ("Cache-Control", cache_control(parts.settings.max_age))]
        self._lease_client = LeaseClient(engine)

    async def answer(self, environ: "WSGIEnvironment") -> BufferedResponse | None:
        """Answer a request, or leave it to the app."""
        if environ["REQUEST_METHOD"] not in SAFE_METHODS:
            return None
        current = exchange_from_environ(environ)
        normalize_environ(environ)
        reply = self._cache_middleware.cached_response(environ) or await self._answer_query(environ, current)
        if reply is None:
            return None
        headers = self._observer.complete_headers(current, reply.status, reply.headers)
        self._observer.finish_request(environ, current)
        return replace(reply, headers=headers)

    async def _answer_query(self, environ: "WSGIEnvironment", current: Exchange) -> BufferedResponse | None:
        """Answer a plain query; its evaluation stays in the environ if the app must finish it."""
        asked = self._parse_query(environ)
        if asked is None:
            return None
        query, formats = asked
        validator = make_validator(self._engine.version, *query_cache_key(query, formats.media_types))
        kept = self._query_cache.get(validator)
        if kept is None:
            kept = await self._evaluate(environ, current, query)
            if kept is None or self._engine.version != validator.version:
                return None
            self._query_cache.put(validator, kept)
            current.cache_outcome = "miss"
        else:
            current.cache_outcome = "hit"
        current.endpoint = _ENDPOINT
        return self._response(environ, kept, formats, validator)

    def _parse_query(self, environ: "WSGIEnvironment") -> tuple[QueryRequest, NegotiatedFormats] | None:
        """The query of a request, if it is one that may be answered here and that nothing speaks against."""
        plain = environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] == "/sparql" and not environ["SCRIPT_NAME"]
        conditional = "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MATCH" in environ
        if not plain or conditional or "query=" not in environ["QUERY_STRING"]:
            return None
        try:
            sent = body.decode_urlencoded(environ["QUERY_STRING"].encode("latin-1"))
            if EXPLAIN_PARAMETER in sent:
                return None
            formats = negotiate_formats(environ.get("HTTP_ACCEPT", ""))
            query = query_request(sent, formats, self._settings)
            check_query(query)
        except (HTTPException, KgError):
            return None
        return (query, formats) if is_deterministic(query.text) else None

    async def _evaluate(
        self, environ: "WSGIEnvironment", current: Exchange, query: QueryRequest
    ) -> CachedResult | None:
        began = time.perf_counter()
        begun = await self._lease_client.submit(query)
        current.engine_seconds = time.perf_counter() - began
        if begun is None:
            return None
        answer = begun.answer
        if answer is None or answer.file is not None or "error" in answer.header:
            environ[PENDING_RESULT_KEY] = begun
            return None
        if self._must_compress(environ, answer.payload):
            environ[PENDING_RESULT_KEY] = begun
            return None
        return CachedResult(answer.header["kind"], answer.header["media_type"], answer.payload)

    @staticmethod
    def _must_compress(environ: "WSGIEnvironment", payload: bytes) -> bool:
        return environ["HTTP_ACCEPT_ENCODING"] != IDENTITY and len(payload) >= MIN_COMPRESSED

    def _response(
        self, environ: "WSGIEnvironment", kept: CachedResult, formats: NegotiatedFormats, validator: CacheValidator
    ) -> BufferedResponse | None:
        if self._must_compress(environ, kept.body):
            return None
        headers = [
            ("Content-Type", get_content_type(formats.media_type_by_kind[kept.kind], "utf-8")),
            ("Content-Length", str(len(kept.body))),
            ("ETag", quote_etag(validator.tag)),
            *self._headers,
        ]
        self._cache_middleware.store_response(environ, CacheableResponse(validator, kept.body), headers)
        return BufferedResponse("200 OK", headers, kept.body)

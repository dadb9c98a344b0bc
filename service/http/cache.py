"""Response cache: complete, compressed responses by request, sent by WSGI middleware before Flask sees the request.

A response depends only on the version of the dataset, the request and this software, so an entry is valid as long as
the version stays the same. conditional.py decides which responses may be stored.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from werkzeug.http import parse_cookie, parse_etags, remove_entity_headers

from kg.errors import KgError
from service.http.compression import choose_content_coding
from service.http.exchange import exchange_from_environ
from service.http.negotiation import LANGUAGE_COOKIE, LANGUAGES
from service.http.wsgi import Headers, map_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_ENTRY_BYTES: Final = 1024 * 1024
"""The longest body in bytes that is cached or compressed; longer ones are streamed uncompressed."""
ENTRY_OVERHEAD: Final = 1024
"""The estimated bytes of an entry besides its body and its key."""
CACHEABLE_KEY: Final = "hpkg.keepable"
"""The WSGI environ's key of the CacheableResponse of a request."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})

V = TypeVar("V")


class BoundedCache(Generic[V]):
    """A thread-safe LRU cache, bounded by the total size of its values in bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries = OrderedDict[Hashable, tuple[V, int]]()
        self._lock = threading.Lock()
        self.size = 0

    def get(self, key: Hashable) -> V | None:
        """Return the value of a key, or None if it is not cached."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        """Store a value of a size in bytes, unless it alone is larger than the cache."""
        if size > self._capacity:
            return
        with self._lock:
            self._remove(key)
            self._entries[key] = (value, size)
            self.size += size
            while self.size > self._capacity:
                self._remove(next(iter(self._entries)))

    def _remove(self, key: Hashable) -> None:
        _, size = self._entries.pop(key, (None, 0))
        self.size -= size


@dataclass(frozen=True, slots=True)
class CacheValidator:
    """The version of the dataset that a response was made from, and the entity tag derived from it."""

    version: str
    tag: str


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A response as it was sent; without a `body`, it can only confirm that the client's copy is current (304)."""

    validator: CacheValidator
    endpoint: str
    headers: Headers
    body: bytes | None


@dataclass(frozen=True, slots=True)
class CacheableResponse:
    """A response that the application allows to be cached; its headers are known when the response starts."""

    validator: CacheValidator
    body: bytes | None


@dataclass(frozen=True, slots=True)
class BufferedResponse:
    """A complete response; `status` is code and phrase, as in WSGI."""

    status: str
    headers: Headers
    body: bytes

    @property
    def code(self) -> int:
        """The status code."""
        return int(self.status[:3])


class CacheMiddleware:
    """WSGI middleware that answers from the cache and stores cacheable responses."""

    def __init__(
        self, app: "WSGIApplication", responses: BoundedCache[CachedResponse], version: Callable[[], str]
    ) -> None:
        self._app = app
        self._responses = responses
        self._version = version

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request (PEP 3333) after `normalize_environ`."""
        normalize_environ(environ)
        if environ["REQUEST_METHOD"] not in SAFE_METHODS:
            return self._app(environ, start_response)
        cached = self.cached_response(environ)
        if cached is not None:
            start_response(cached.status, cached.headers)
            return [cached.body] if cached.body else []

        def store(_status: str, headers: Headers) -> Headers:
            cacheable = environ.get(CACHEABLE_KEY)
            if isinstance(cacheable, CacheableResponse):
                self.store_response(environ, cacheable, headers)
            return headers

        return self._app(environ, map_headers(start_response, store))

    def cached_response(self, environ: "WSGIEnvironment") -> BufferedResponse | None:
        """Return the cached response or the 304 for a normalized GET or HEAD, or None if the application must answer.

        A request with If-Match always goes to the application.
        """
        if "HTTP_IF_MATCH" in environ:
            return None
        cached = self._responses.get(_request_key(environ))
        return _response_from_cache(cached, environ) if cached is not None and self._is_current(cached) else None

    def store_response(self, environ: "WSGIEnvironment", cacheable: CacheableResponse, headers: Headers) -> None:
        """Store the response to a normalized request."""
        key = _request_key(environ)
        response = CachedResponse(cacheable.validator, exchange_from_environ(environ).endpoint, headers, cacheable.body)
        self._responses.put(key, response, len(cacheable.body or b"") + sum(map(len, key)) + ENTRY_OVERHEAD)

    def _is_current(self, cached: CachedResponse) -> bool:
        try:
            return cached.validator.version == self._version()
        except KgError:  # the application meets the same error and reports it
            return False


def normalize_environ(environ: "WSGIEnvironment") -> None:
    """Reduce Accept-Encoding to the negotiated content coding, and Accept-Language to the language of the cookie.

    Both headers are part of the cache key, so fewer values mean more hits. A language that the reader chose before
    takes precedence over the browser's.
    """
    environ["HTTP_ACCEPT_ENCODING"] = choose_content_coding(environ.get("HTTP_ACCEPT_ENCODING", ""))
    if "HTTP_COOKIE" in environ:
        language = parse_cookie(environ["HTTP_COOKIE"]).get(LANGUAGE_COOKIE)
        if language in LANGUAGES:
            environ["HTTP_ACCEPT_LANGUAGE"] = language


def _response_from_cache(cached: CachedResponse, environ: "WSGIEnvironment") -> BufferedResponse | None:
    """Return the cached response, 304 if the client has it, or None if it has no body to send."""
    sent = environ.get("HTTP_IF_NONE_MATCH")
    matches = sent is not None and parse_etags(sent).contains_weak(cached.validator.tag)
    if cached.body is None and not matches:
        return None
    exchange = exchange_from_environ(environ)
    exchange.endpoint = cached.endpoint
    exchange.cache_outcome = "revalidated" if matches else "hit"
    if matches or cached.body is None:
        headers = list(cached.headers)
        remove_entity_headers(headers)
        return BufferedResponse("304 NOT MODIFIED", headers, b"")
    return BufferedResponse("200 OK", cached.headers, b"" if environ["REQUEST_METHOD"] == "HEAD" else cached.body)


def _request_key(environ: "WSGIEnvironment") -> tuple[str, ...]:
    """Everything in a request that the response may depend on: its target, and the headers that Vary names."""
    get = environ.get
    return (
        environ["wsgi.url_scheme"], get("HTTP_HOST", ""), get("SCRIPT_NAME", ""), get("PATH_INFO", ""),
        get("QUERY_STRING", ""), get("HTTP_ACCEPT", ""), get("HTTP_ACCEPT_LANGUAGE", ""),
        environ["HTTP_ACCEPT_ENCODING"],
    )  # fmt: skip

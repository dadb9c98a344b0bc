"""HTTP caching: entity tags by the dataset's version, results and whole answers kept as long as it lasts, compression.

A representation depends on nothing but the version of the dataset, the request and this software. So its entity tag
is known before it is made: a client that has it is told so (304) without asking the engine. Two bounded caches save
the work for the others: `results` by what a query means, whatever way it is sent; `answers`, complete and
compressed, by the request as it stands, which are sent before the application proper sees the request.
"""

import hashlib
import io
import threading
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from flask import Flask, Response, abort, current_app, request
from flask_compress import Compress
from werkzeug.datastructures import Accept, ETags
from werkzeug.exceptions import PreconditionFailed
from werkzeug.http import parse_accept_header, parse_cookie, parse_etags, quote_etag, remove_entity_headers
from werkzeug.wsgi import wrap_file

import kg
from kg.engine.protocol import QueryRequest, QueryResult, ResultKind
from kg.engine.query import evaluate_query
from kg.errors import KgError
from kg.rdf.formats import RDF_FORMATS, RESULT_FORMATS
from kg.resources import project_version
from kg.sparql.tokens import contains_word, iter_tokens
from service.graph_state import current_graph_state
from service.http.negotiation import LANGUAGE_COOKIE, LANGUAGES
from service.http.observability import current_exchange, exchange_from_environ, measure_engine_time
from service.settings import Settings

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_ENTRY_BYTES: Final = 1024 * 1024
"""Bytes of a body that are kept at most, and compressed at most; longer ones are sent as they are, in chunks."""
CODINGS: Final = ("zstd", "br", "gzip")
"""Content codings, the better one first (RFC 8878, 7932, 1952)."""
IDENTITY: Final = "identity"

_KEY: Final = "hpkg.caching"
_VALIDATOR: Final = "hpkg.validator"
_CACHEABLE: Final = "hpkg.keepable"
_VALIDATED_STATUSES: Final = frozenset({HTTPStatus.OK, HTTPStatus.NOT_MODIFIED})
MIN_COMPRESSED: Final = 500
"""Bytes of a body from which on a content coding makes it shorter."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_CHUNK: Final = 64 * 1024
_OVERHEAD: Final = 1024
"""Bytes that an entry is taken to need besides its body and its key."""
_VOLATILE_KEYWORDS: Final = frozenset({"NOW", "RAND", "UUID", "STRUUID", "BNODE", "SERVICE"})
"""Words of SPARQL whose results differ each time, or depend on another server."""
_COMPRESSED_MEDIA_TYPES: Final = (
    "text/html", "text/css", "text/javascript", "image/svg+xml", "application/json",
    *(name for fmt in (*RDF_FORMATS, *RESULT_FORMATS) for name in (fmt.media_type, *fmt.aliases)),
)  # fmt: skip

V = TypeVar("V")


class BoundedCache(Generic[V]):
    """A cache of values up to a total size in bytes, which forgets what was not used for longest; thread-safe."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries = OrderedDict[Hashable, tuple[V, int]]()
        self._lock = threading.Lock()
        self.size = 0

    def get(self, key: Hashable) -> V | None:
        """The value of a key, None if it is not kept."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        """Keep a value of a size in bytes, unless it alone is larger than the cache."""
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
class CachedResult:
    """The result of a query."""

    kind: ResultKind
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class CacheValidator:
    """What an answer's validity hangs on: the dataset's version, and the entity tag that it gives."""

    version: str
    tag: str


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """An answer as it was sent: `body` is None where only that it is unchanged can be told."""

    validator: CacheValidator
    endpoint: str
    headers: list[tuple[str, str]]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class CacheableResponse:
    """What the application says about an answer that may be kept; its headers follow with the answer itself."""

    validator: CacheValidator
    body: bytes | None


@dataclass(frozen=True, slots=True)
class BufferedResponse:
    """A complete answer; `status` is code and phrase, as WSGI has it."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def code(self) -> int:
        """The status code."""
        return int(self.status[:3])


class Caching:
    """The caches of an app, half of the settings' bytes each, and what it says about caching."""

    def __init__(self, settings: Settings) -> None:
        self.results = BoundedCache[CachedResult](settings.cache_bytes // 2)
        self.responses = BoundedCache[CachedResponse](settings.cache_bytes // 2)
        self.cache_control = f"public, max-age={settings.max_age}, must-revalidate"
        self.compress = Compress()

    def store_result(self, validator: CacheValidator, result: CachedResult) -> None:
        """Keep the result of a query."""
        self.results.put(validator.tag, result, len(result.body) + _OVERHEAD)

    def sizes(self) -> Mapping[str, int]:
        """The bytes that each cache holds."""
        return {"results": self.results.size, "answers": self.responses.size}


class CacheMiddleware:
    """WSGI middleware that answers from the cache what can be, before the application sees it."""

    def __init__(
        self, app: "WSGIApplication", answers: BoundedCache[CachedResponse], version: Callable[[], str]
    ) -> None:
        self._app = app
        self._answers = answers
        self._version = version

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request (PEP 3333), with one content coding settled in its Accept-Encoding."""
        normalize_environ(environ)
        if environ["REQUEST_METHOD"] not in SAFE_METHODS:
            return self._app(environ, start_response)
        kept = self.cached_response(environ)
        if kept is not None:
            start_response(kept.status, kept.headers)
            return [kept.body] if kept.body else []

        def start(
            status: str, headers: list[tuple[str, str]], failure: "OptExcInfo | None" = None
        ) -> Callable[[bytes], object]:
            keepable = environ.get(_CACHEABLE)
            if isinstance(keepable, CacheableResponse):
                self.store_response(environ, keepable, headers)
            return start_response(status, headers, failure)

        return self._app(environ, start)

    def cached_response(self, environ: "WSGIEnvironment") -> BufferedResponse | None:
        """What a prepared GET or HEAD is answered without the application: what is kept, or that nothing changed."""
        if "HTTP_IF_MATCH" in environ:
            return None
        kept = self._answers.get(_request_key(environ))
        return _response_from_cache(kept, environ) if kept is not None and self._is_current(kept) else None

    def store_response(
        self, environ: "WSGIEnvironment", keepable: CacheableResponse, headers: list[tuple[str, str]]
    ) -> None:
        """Keep what a prepared request was answered."""
        signature = _request_key(environ)
        kept = CachedResponse(keepable.validator, exchange_from_environ(environ).endpoint, headers, keepable.body)
        self._answers.put(signature, kept, len(keepable.body or b"") + sum(map(len, signature)) + _OVERHEAD)

    def _is_current(self, kept: CachedResponse) -> bool:
        try:
            return kept.validator.version == self._version()
        except KgError:  # the application itself will meet it, and tell
            return False


def normalize_environ(environ: "WSGIEnvironment") -> None:
    """Settle on one content coding, which then stands in the Accept-Encoding of the request, and on a chosen language.

    The language that a reader chose before goes before what the browser says, and so stands in Accept-Language.
    """
    environ["HTTP_ACCEPT_ENCODING"] = choose_content_coding(environ.get("HTTP_ACCEPT_ENCODING", ""))
    if "HTTP_COOKIE" in environ:
        chosen = parse_cookie(environ["HTTP_COOKIE"]).get(LANGUAGE_COOKIE)
        if chosen in LANGUAGES:
            environ["HTTP_ACCEPT_LANGUAGE"] = chosen


def _response_from_cache(kept: CachedResponse, environ: "WSGIEnvironment") -> BufferedResponse | None:
    """A kept answer, or that it is unchanged; None where neither can be told."""
    sent = environ.get("HTTP_IF_NONE_MATCH")
    matches = sent is not None and parse_etags(sent).contains_weak(kept.validator.tag)
    if kept.body is None and not matches:
        return None
    current = exchange_from_environ(environ)
    current.endpoint = kept.endpoint
    current.cache_outcome = "revalidated" if matches else "hit"
    if matches or kept.body is None:
        headers = list(kept.headers)
        remove_entity_headers(headers)
        return BufferedResponse("304 NOT MODIFIED", headers, b"")
    return BufferedResponse("200 OK", kept.headers, b"" if environ["REQUEST_METHOD"] == "HEAD" else kept.body)


def _request_key(environ: "WSGIEnvironment") -> tuple[str, ...]:
    """All of a request that an answer may depend on: its target, and the headers that Vary names."""
    get = environ.get
    return (
        environ["wsgi.url_scheme"], get("HTTP_HOST", ""), get("SCRIPT_NAME", ""), get("PATH_INFO", ""),
        get("QUERY_STRING", ""), get("HTTP_ACCEPT", ""), get("HTTP_ACCEPT_LANGUAGE", ""),
        environ["HTTP_ACCEPT_ENCODING"],
    )  # fmt: skip


@lru_cache(maxsize=256)
def choose_content_coding(accepted: str) -> str:
    """Choose a content coding by an Accept-Encoding header (RFC 9110, section 12.5.3): one of CODINGS, or IDENTITY.

    What the client likes best, the better coding of equals; no coding where the header is empty.
    """
    ranges = parse_accept_header(accepted, Accept)
    best = max(CODINGS, key=ranges.quality)
    plain = ranges.quality(IDENTITY) if any(name.lower() == IDENTITY for name in ranges.values()) else 0.0
    return best if ranges.quality(best) > 0 and ranges.quality(best) >= plain else IDENTITY


def attach(app: Flask, settings: Settings) -> Caching:
    """Give an app its caches, and its compression of complete bodies."""
    caching = Caching(settings)
    app.config.update(
        COMPRESS_REGISTER=False,  # `finish` calls it where it belongs
        COMPRESS_STREAMS=False,  # a long body keeps its Content-Length, so that a broken one shows
        COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False,
        COMPRESS_ALGORITHM=list(CODINGS),
        COMPRESS_MIN_SIZE=MIN_COMPRESSED,
        COMPRESS_MIMETYPES=list(_COMPRESSED_MEDIA_TYPES),
    )
    caching.compress.init_app(app)
    app.extensions[_KEY] = caching
    return caching


def _caching() -> Caching:
    found = current_app.extensions[_KEY]
    if not isinstance(found, Caching):
        raise TypeError(f"app.extensions[{_KEY!r}] holds something else")
    return found


def is_deterministic(query: str) -> bool:
    """Whether a query's result depends on nothing but the dataset: CONSTRUCT makes new blank nodes each time."""
    if contains_word(query, "CONSTRUCT") and ("_:" in query or "[" in query):
        return False
    if not any(contains_word(query, word) for word in _VOLATILE_KEYWORDS):
        return True
    return not any(token.kind == "word" and token.text.upper() in _VOLATILE_KEYWORDS for token in iter_tokens(query))


def evaluate_preconditions(*parts: str) -> CacheValidator:
    """Let the answer to the current request carry an entity tag by the dataset's version, the URL and some parts.

    The parts are all that was negotiated: media types, a language. A GET or HEAD whose If-None-Match has the tag
    ends here with 304 (RFC 9110, section 13.1.2). To be called before anything is asked of the engine.
    """
    return _establish_validator(request.url_root, request.full_path, *parts)


def make_validator(version: str, *parts: str) -> CacheValidator:
    """What the validity of an answer hangs on: a version of the dataset, this software, and all that was asked."""
    return CacheValidator(version, _entity_tag(_software_digest(), version, *parts))


def _establish_validator(*parts: str) -> CacheValidator:
    validator = make_validator(current_graph_state().engine.version, *parts)
    environ = request.environ
    environ[_VALIDATOR] = validator
    current = exchange_from_environ(environ)
    current.cache_outcome = "miss"
    if "HTTP_IF_MATCH" in environ and not _matches_strongly(
        request.if_match, validator.tag, environ["HTTP_ACCEPT_ENCODING"]
    ):
        raise PreconditionFailed
    if environ["REQUEST_METHOD"] in SAFE_METHODS and "HTTP_IF_NONE_MATCH" in environ:
        tag = _matching_tag(request.if_none_match, validator.tag, environ["HTTP_ACCEPT_ENCODING"])
        if tag is not None:
            current.cache_outcome = "revalidated"
            abort(Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": quote_etag(tag)}))
    return validator


def _matches_strongly(sent: ETags, tag: str, content_coding: str) -> bool:
    """Whether the answer is one of those that were sent, compared strongly (RFC 9110, section 13.1.1)."""
    return sent.star_tag or any(sent.is_strong(name) for name in (tag, f"{tag}:{content_coding}"))


def _matching_tag(sent: ETags, tag: str, content_coding: str) -> str | None:
    """Which of an answer's tags is among those that were sent: with its coding, as Flask-Compress writes it, or plain.

    Not even `*` counts here: whether there is anything is seen by `finish`.
    """
    if sent.star_tag:
        return None
    return next((name for name in (f"{tag}:{content_coding}", tag) if sent.contains_weak(name)), None)


def _entity_tag(*parts: str) -> str:
    digest = hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=24).digest()
    return urlsafe_b64encode(digest).decode("ascii")


@cache
def _software_digest() -> str:
    """A digest of this software, since a page changes with its template and its words too."""
    digest = hashlib.blake2b(project_version().encode())
    folders = (Path(__file__).parents[1], Path(kg.__file__).parent)
    for file in sorted(
        path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".html", ".po"}
    ):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def answer_query(query: QueryRequest, media_types: tuple[str, ...]) -> QueryResult:
    """Answer a query, from the cache if it is there; `media_types` are those under which each kind would be sent.

    May end the request with 304, as `revalidated` does. A short result is complete in memory.
    """
    if not is_deterministic(query.text):
        current_exchange().cache_outcome = "bypass"
        return _evaluate_query(query)
    validator = _establish_validator(*query_cache_key(query, media_types))
    results = _caching().results
    kept = results.get(validator.tag)
    if kept is not None:
        current_exchange().cache_outcome = "hit"
        return QueryResult(kept.kind, kept.media_type, io.BytesIO(kept.body), len(kept.body))
    result = _evaluate_query(query)
    if result.length > MAX_ENTRY_BYTES:
        return result
    with result.body as spooled:
        body = spooled.read()
    if current_graph_state().engine.version == validator.version:
        _caching().store_result(validator, CachedResult(result.kind, result.media_type, body))
    return QueryResult(result.kind, result.media_type, io.BytesIO(body), len(body))


def _evaluate_query(query: QueryRequest) -> QueryResult:
    with measure_engine_time():
        return evaluate_query(current_graph_state().engine, query)


def query_cache_key(query: QueryRequest, media_types: tuple[str, ...]) -> tuple[str, ...]:
    """All of a query that its answer depends on."""
    formats = (query.solutions, query.boolean, query.graph)
    names = (fmt.name if fmt is not None else "" for fmt in formats)
    return "sparql", query.text, repr(query.dataset), *names, *media_types


def result_response(result: QueryResult, media_type: str) -> Response:
    """Send a complete result: a short one at once, a longer one in chunks as the client takes them."""
    if result.length <= MAX_ENTRY_BYTES:
        with result.body as body:
            return Response(body.read(), mimetype=media_type)
    response = Response(wrap_file(request.environ, result.body, _CHUNK), mimetype=media_type, direct_passthrough=True)
    response.content_length = result.length
    return response


def finalize_response(response: Response) -> Response:
    """Give an answer its Cache-Control, its entity tag and its coding, and let it be kept if it may be sent again."""
    environ = request.environ
    validator = environ.get(_VALIDATOR)
    if request.endpoint == "static":
        _compress_static_file(response, environ)
    elif not isinstance(validator, CacheValidator) or response.status_code not in _VALIDATED_STATUSES:
        redirects = HTTPStatus.MULTIPLE_CHOICES <= response.status_code < HTTPStatus.BAD_REQUEST
        response.headers.setdefault("Cache-Control", _caching().cache_control if redirects else "no-store")
    else:
        response.headers["Cache-Control"] = _caching().cache_control
        if environ["REQUEST_METHOD"] in SAFE_METHODS:
            _set_entity_tag(response, validator, environ)
    return response


def _compress_static_file(response: Response, environ: "WSGIEnvironment") -> None:
    """Compress a file of the pages, unless the client has it already, with whatever coding."""
    tag, _ = response.get_etag()
    if response.status_code != HTTPStatus.OK or tag is None:
        return
    held = _matching_tag(request.if_none_match, tag, environ["HTTP_ACCEPT_ENCODING"]) if request.if_none_match else None
    file = response.response
    response.direct_passthrough = False
    response.set_data(b"" if held else b"".join(response.iter_encoded()))
    getattr(file, "close", lambda: None)()
    if held:
        response.set_etag(held)
        response.status_code = HTTPStatus.NOT_MODIFIED
        remove_entity_headers(response.headers)
    elif environ["HTTP_ACCEPT_ENCODING"] != IDENTITY and _is_worth_compressing(response):
        _caching().compress.after_request(response)


def _set_entity_tag(response: Response, validator: CacheValidator, environ: "WSGIEnvironment") -> None:
    """Tag an answer, unless the dataset changed while it was made; say so in the end if the client has one already."""
    if current_graph_state().engine.version != validator.version:
        return
    if response.status_code == HTTPStatus.OK:
        response.set_etag(validator.tag)
        if environ["HTTP_ACCEPT_ENCODING"] != IDENTITY and _is_worth_compressing(response):
            _caching().compress.after_request(response)
    tag, _ = response.get_etag()
    if environ.get("HTTP_IF_NONE_MATCH") == "*":
        response.status_code = HTTPStatus.NOT_MODIFIED
    else:
        environ[_CACHEABLE] = CacheableResponse(CacheValidator(validator.version, tag or ""), _cacheable_body(response))


def _is_worth_compressing(response: Response) -> bool:
    return not response.is_streamed and (response.content_length or 0) >= MIN_COMPRESSED


def _cacheable_body(response: Response) -> bytes | None:
    if response.status_code != HTTPStatus.OK or response.is_streamed:
        return None
    body = response.get_data()
    return body if len(body) <= MAX_ENTRY_BYTES else None

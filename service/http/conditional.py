"""Conditional requests (RFC 9110, section 13): entity tags derived from the version of the dataset.

A representation depends only on the version of the dataset, the request and this software. So its entity tag is known
before it is made, and a client that has it receives 304 without a query to the engine.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, abort, current_app, request
from werkzeug.datastructures import ETags
from werkzeug.exceptions import PreconditionFailed
from werkzeug.http import quote_etag, remove_entity_headers

import kg
from kg.resources import project_version
from service.http.cache import CACHEABLE_KEY, MAX_ENTRY_BYTES, SAFE_METHODS, CacheableResponse, CacheValidator
from service.http.compression import IDENTITY, create_compress, is_worth_compressing
from service.http.exchange import exchange_from_environ
from service.http.extensions import get_extension

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_EXTENSION_KEY: Final = "hpkg.conditional"
_VALIDATOR_KEY: Final = "hpkg.validator"
_VALIDATED_STATUSES: Final = frozenset({HTTPStatus.OK, HTTPStatus.NOT_MODIFIED})


class _Policy:
    """The settings of an app for validating, caching and compressing its responses."""

    def __init__(self, app: Flask, version: Callable[[], str], cache_control: str) -> None:
        self.version = version
        self.cache_control = cache_control
        self.compress = create_compress(app)


def cache_control(max_age: int) -> str:
    """Return the Cache-Control header of responses that others may reuse for `max_age` seconds."""
    return f"public, max-age={max_age}, must-revalidate"


def attach(app: Flask, version: Callable[[], str], max_age: int) -> None:
    """Set up conditional requests for an app whose dataset has the version that `version` returns."""
    app.extensions[_EXTENSION_KEY] = _Policy(app, version, cache_control(max_age))


def _policy() -> _Policy:
    return get_extension(current_app, _EXTENSION_KEY, _Policy)


def evaluate_preconditions(*parts: str) -> CacheValidator:
    """Give the current response an entity tag from the dataset's version, the URL and `parts`; abort with 304 or 412.

    The parts are everything that was negotiated: media types, a language. A GET or HEAD whose If-None-Match has the
    tag ends here with 304 (RFC 9110, section 13.1.2). Call this before any query to the engine.
    """
    return set_validator(request.url_root, request.full_path, *parts)


def make_validator(version: str, *parts: str) -> CacheValidator:
    """Derive the validator of a response from a version of the dataset, this software and the request's parts."""
    return CacheValidator(version, _entity_tag(_software_digest(), version, *parts))


def set_validator(*parts: str) -> CacheValidator:
    """Do the same as `evaluate_preconditions`, with a tag that depends only on the dataset's version and `parts`."""
    validator = make_validator(_policy().version(), *parts)
    environ = request.environ
    environ[_VALIDATOR_KEY] = validator
    exchange = exchange_from_environ(environ)
    exchange.cache_outcome = "miss"
    content_coding = environ["HTTP_ACCEPT_ENCODING"]
    if "HTTP_IF_MATCH" in environ and not _matches_strongly(request.if_match, validator.tag, content_coding):
        raise PreconditionFailed
    if environ["REQUEST_METHOD"] in SAFE_METHODS and "HTTP_IF_NONE_MATCH" in environ:
        tag = _matching_tag(request.if_none_match, validator.tag, content_coding)
        if tag is not None:
            exchange.cache_outcome = "revalidated"
            abort(Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": quote_etag(tag)}))
    return validator


def _matches_strongly(sent: ETags, tag: str, content_coding: str) -> bool:
    """Return whether a tag is among those of If-Match, by strong comparison (RFC 9110, section 13.1.1)."""
    return sent.star_tag or any(sent.is_strong(name) for name in (tag, f"{tag}:{content_coding}"))


def _matching_tag(sent: ETags, tag: str, content_coding: str) -> str | None:
    """Return the form of a tag that If-None-Match has: with the coding, as Flask-Compress writes it, or plain.

    `*` never matches here, because only `finalize_response` knows whether the resource exists.
    """
    if sent.star_tag:
        return None
    return next((name for name in (f"{tag}:{content_coding}", tag) if sent.contains_weak(name)), None)


def _entity_tag(*parts: str) -> str:
    digest = hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=24).digest()
    return urlsafe_b64encode(digest).decode("ascii")


@cache
def _software_digest() -> str:
    """Return a digest of this software's code, templates and translations, because pages change with them."""
    digest = hashlib.blake2b(project_version().encode())
    folders = (Path(__file__).parents[1], Path(kg.__file__).parent)
    for file in sorted(
        path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".html", ".po"}
    ):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def finalize_response(response: Response) -> Response:
    """Set Cache-Control, the entity tag and the content coding, and mark the response as cacheable if it is."""
    environ = request.environ
    validator = environ.get(_VALIDATOR_KEY)
    if request.endpoint == "static":
        _compress_static_file(response, environ)
    elif not isinstance(validator, CacheValidator) or response.status_code not in _VALIDATED_STATUSES:
        redirects = HTTPStatus.MULTIPLE_CHOICES <= response.status_code < HTTPStatus.BAD_REQUEST
        response.headers.setdefault("Cache-Control", _policy().cache_control if redirects else "no-store")
    else:
        response.headers["Cache-Control"] = _policy().cache_control
        if environ["REQUEST_METHOD"] in SAFE_METHODS:
            _set_entity_tag(response, validator, environ)
    return response


def _compress_static_file(response: Response, environ: "WSGIEnvironment") -> None:
    """Compress a static file, or send 304 if the client has it in any coding."""
    tag, _ = response.get_etag()
    if response.status_code != HTTPStatus.OK or tag is None:
        return
    matching = (
        _matching_tag(request.if_none_match, tag, environ["HTTP_ACCEPT_ENCODING"]) if request.if_none_match else None
    )
    file = response.response
    response.direct_passthrough = False
    response.set_data(b"" if matching else b"".join(response.iter_encoded()))
    getattr(file, "close", lambda: None)()
    if matching:
        response.set_etag(matching)
        response.status_code = HTTPStatus.NOT_MODIFIED
        remove_entity_headers(response.headers)
    else:
        _compress(response, environ)


def _set_entity_tag(response: Response, validator: CacheValidator, environ: "WSGIEnvironment") -> None:
    """Set the entity tag and mark the response as cacheable; `If-None-Match: *` becomes 304.

    If the dataset changed while the response was made, its content may be of either version: it gets no tag.
    """
    if _policy().version() != validator.version:
        return
    if response.status_code == HTTPStatus.OK:
        response.set_etag(validator.tag)
        _compress(response, environ)
    tag, _ = response.get_etag()
    if environ.get("HTTP_IF_NONE_MATCH") == "*":
        response.status_code = HTTPStatus.NOT_MODIFIED
    else:
        sent_validator = CacheValidator(validator.version, tag or "")
        environ[CACHEABLE_KEY] = CacheableResponse(sent_validator, _cacheable_body(response))


def _compress(response: Response, environ: "WSGIEnvironment") -> None:
    if environ["HTTP_ACCEPT_ENCODING"] != IDENTITY and is_worth_compressing(response):
        _policy().compress.after_request(response)


def _cacheable_body(response: Response) -> bytes | None:
    if response.status_code != HTTPStatus.OK or response.is_streamed:
        return None
    body = response.get_data()
    return body if len(body) <= MAX_ENTRY_BYTES else None

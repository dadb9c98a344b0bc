"""Write requests: the token, and the headers and parameters that control a change and sign its commit."""

import hashlib
from collections.abc import Callable
from typing import Final, cast

from flask import request
from werkzeug.exceptions import BadRequest, PreconditionFailed

from kg.changes.changeset import ChangeSet
from kg.changes.commit import Signature, Strictness, WriteOptions, WriteOutcome
from kg.changes.commit_rows import IdempotencyKey
from kg.changes.credentials import Credential
from kg.rdf.formats import RDF_FORMATS
from service.graph_state import current_graph_state
from service.http.conditional import make_validator
from service.routes.authentication import authenticate_request, credential_signature

_MAX_KEY_LENGTH: Final = 255
_STRICTNESS: Final = ("violation", "warning", "info")


def apply_change(read: Callable[[], ChangeSet]) -> WriteOutcome:
    """Authenticate the request, then read its change with `read` and commit it."""
    credential = authenticate_request()
    options = write_options(credential)
    return current_graph_state().commit_pipeline.commit(read(), request_signature(credential), options)


def request_signature(credential: Credential) -> Signature:
    """Return the commit's signature, with the message of `?message=` or X-Message and the reason of `?reason=`."""
    message = request.args.get("message", request.headers.get("X-Message", ""))
    return credential_signature(credential, message, request.args.get("reason", ""))


def write_options(credential: Credential) -> WriteOptions:
    """Read the options of a change: If-Match, Idempotency-Key, `?severity=`."""
    severity = request.args.get("severity", "violation")
    if severity not in _STRICTNESS:
        raise BadRequest(f"`severity` must be one of {', '.join(_STRICTNESS)}: the least that refuses the change.")
    return WriteOptions(_expected_generation(), cast("Strictness", severity), _idempotency_key(credential))


def _expected_generation() -> int | None:
    """Return the generation that If-Match requires, None without it; 412 if it is not the current one.

    If-Match may have the dataset's version or the entity tag of this URL in any RDF format.
    """
    if "If-Match" not in request.headers:
        return None
    sent, version = request.if_match, current_graph_state().engine.version
    parts = request.url_root, request.full_path
    tags = (make_validator(version, *parts, fmt.media_type).tag for fmt in RDF_FORMATS)
    if sent.star_tag or any(sent.is_strong(tag) for tag in (version, *tags)):
        return int(version.rpartition("-")[2])
    raise PreconditionFailed("The dataset has changed since; nothing was changed.")


def _idempotency_key(credential: Credential) -> IdempotencyKey | None:
    """Return the Idempotency-Key with a digest of the whole request, None without the header."""
    sent = request.headers.get("Idempotency-Key")
    if sent is None:
        return None
    key = sent.strip().strip('"')
    if not 0 < len(key) <= _MAX_KEY_LENGTH:
        raise BadRequest(f"An Idempotency-Key has 1 to {_MAX_KEY_LENGTH} characters.")
    head = (request.method, request.full_path, request.content_type or "")
    digest = hashlib.sha256(repr(head).encode() + request.get_data()).hexdigest()
    return IdempotencyKey(credential.name, key, digest)

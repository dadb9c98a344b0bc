"""Authentication of writers by bearer token (RFC 6750)."""

import time
from typing import Final

from flask import request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, TooManyRequests, Unauthorized

from kg.changes.commit import Signature
from kg.changes.credentials import Credential
from service.graph_state import current_graph_state

_BEARER: Final = WWWAuthenticate("bearer", {"realm": "haiphong-kg"})


def authenticate_request() -> Credential:
    """Return the credential of the request's token; 401 without a valid token, 403 while no token exists."""
    sent = request.authorization
    return authenticate_token(sent.token or "" if sent is not None and sent.type == "bearer" else "")


def authenticate_token(token: str) -> Credential:
    """Whose token it is; raises as `authenticated` does.

    Who keeps guessing has to wait longer and longer: 429 with Retry-After.
    """
    credentials, throttle = current_graph_state().credentials, current_graph_state().throttle
    source = request.remote_addr or ""
    delay = throttle.delay(source)
    if delay > 0:
        raise TooManyRequests("Too many wrong tokens came from there; wait.", retry_after=round(delay) + 1)
    if not token:
        if not credentials.list_credentials():
            raise Forbidden(
                "That needs a token, and none was created. The operator does it with `hpkg token create NAME`."
            )
        raise Unauthorized("That needs a token, as `Authorization: Bearer …`.", www_authenticate=_BEARER)
    found = credentials.authenticate(token)
    if found is None:
        throttle.record_failure(source)
        time.sleep(min(throttle.delay(source), 1.0))
        raise Unauthorized("The token is not known here.", www_authenticate=_BEARER)
    throttle.record_success(source)
    return found


def credential_signature(credential: Credential, message: str, reason: str = "") -> Signature:
    """Return the signature of a commit by the holder of a token; scope admin may also undo the commits of others."""
    graphs = None if credential.graphs is None else frozenset(credential.graphs)
    return Signature(credential.name, message, reason, graphs, own_only=credential.scope != "admin")

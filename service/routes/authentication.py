"""Authentication of writers by bearer token (RFC 6750)."""

from typing import Final

from flask import request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from kg.changes.commit import Signature
from kg.changes.credentials import Credential
from service.graph_state import current_graph_state
from service.http.exchange import current_exchange

_BEARER: Final = WWWAuthenticate("bearer", {"realm": "haiphong-kg"})


def authenticate_request() -> Credential:
    """Return the credential of the request's token; 401 without a valid token, 403 while no token exists."""
    sent = request.authorization
    return authenticate_token(sent.token or "" if sent is not None and sent.type == "bearer" else "")


def authenticate_token(token: str) -> Credential:
    """Return the credential of a token; raises like `authenticate_request`.

    Wrong tokens are counted and not throttled: 256 random bits cannot be guessed, and behind a proxy all clients share
    an address, so that a throttle by address would lock out every writer.
    """
    state = current_graph_state()
    if not token:
        if not state.credentials.list_credentials():
            raise Forbidden(
                "This needs a token, and none exists. The operator creates one with `hpkg token create NAME`."
            )
        raise Unauthorized("This needs a token, as `Authorization: Bearer …`.", www_authenticate=_BEARER)
    credential = state.credentials.authenticate(token)
    if credential is None:
        current_exchange().has_wrong_token = True
        state.wrong_tokens.record()
        raise Unauthorized("The token is not valid.", www_authenticate=_BEARER)
    return credential


def credential_signature(credential: Credential, message: str, reason: str = "") -> Signature:
    """Return the signature of a commit by the holder of a token; scope admin may also undo the commits of others."""
    graphs = None if credential.graphs is None else frozenset(credential.graphs)
    return Signature(credential.name, message, reason, graphs, own_only=credential.scope != "admin")

"""What all writes share: who may write, on what terms, and what the answer to a change is."""

import hashlib
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Literal, cast

from flask import Response, jsonify, request, url_for
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, Forbidden, PreconditionFailed, TooManyRequests, Unauthorized

from kg.changes.changeset import ChangeSet
from kg.changes.commit import Signature, Strictness, WriteOptions, WriteOutcome
from kg.changes.credentials import Credential
from kg.changes.journal import Commit, CommitSummary, IdempotencyKey
from kg.rdf.formats import RDF_FORMATS
from kg.rdf.io import term_text
from kg.validation.report import ValidationReport
from kg.validation.report_rdf import report_triples
from service.graph_state import current_graph_state
from service.http import body
from service.http.caching import make_validator
from service.http.negotiation import MediaType, Representation, best_offer
from service.http.observability import current_exchange
from service.http.problem_types import PROBLEM_NAMESPACE, PROBLEM_TYPES
from service.http.responses import Link, add_links, page_language, rdf_response
from service.presentation.report_json import report_as_json

CONSTRAINED_BY: Final = "http://www.w3.org/ns/ldp#constrainedBy"
PROBLEM_JSON: Final = MediaType("application/problem+json")
_MAX_KEY_LENGTH: Final = 255
_STRICTNESS: Final = ("violation", "warning", "info")
_BEARER: Final = WWWAuthenticate("bearer", {"realm": "haiphong-kg"})


def apply_change(read: Callable[[], ChangeSet]) -> WriteOutcome:
    """Make the change that a request asks for, in the name of its token, without which nothing of it is read."""
    credential = authenticate_request()
    agreed = write_options(credential)
    return current_graph_state().commit_pipeline.commit(read(), request_signature(credential), agreed)


def authenticate_request() -> Credential:
    """Whose token came with the request (RFC 6750); 401 without a good one, 403 while there are none at all."""
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


def request_signature(credential: Credential) -> Signature:
    """Who signs the commit and why: `?message=` or the header X-Message, `?reason=`."""
    message = request.args.get("message", request.headers.get("X-Message", ""))
    return credential_signature(credential, message, request.args.get("reason", ""))


def credential_signature(credential: Credential, message: str, reason: str = "") -> Signature:
    """The signature of the holder of a token."""
    graphs = None if credential.graphs is None else frozenset(credential.graphs)
    return Signature(credential.name, message, reason, graphs, own_only=credential.scope != "admin")


def write_options(credential: Credential) -> WriteOptions:
    """On what terms the change is made: If-Match, Idempotency-Key, `?severity=`."""
    severity = request.args.get("severity", "violation")
    if severity not in _STRICTNESS:
        raise BadRequest(f"`severity` can be {', '.join(_STRICTNESS)}: the least that refuses the change.")
    return WriteOptions(_expected_generation(), cast("Strictness", severity), _idempotency_key(credential))


def _expected_generation() -> int | None:
    """The generation that an If-Match stands for; 412 if it is not the current one."""
    if "If-Match" not in request.headers:
        return None
    sent, engine = request.if_match, current_graph_state().engine
    version = engine.version
    parts = request.url_root, request.full_path
    tags = (make_validator(version, *parts, fmt.media_type).tag for fmt in RDF_FORMATS)
    if sent.star_tag or any(sent.is_strong(tag) for tag in (version, *tags)):
        return int(version.rpartition("-")[2])
    raise PreconditionFailed("The dataset has changed since; nothing was changed.")


def _idempotency_key(credential: Credential) -> IdempotencyKey | None:
    """The Idempotency-Key with a digest of the whole request."""
    sent = request.headers.get("Idempotency-Key")
    if sent is None:
        return None
    key = sent.strip().strip('"')
    if not 0 < len(key) <= _MAX_KEY_LENGTH:
        raise BadRequest(f"An Idempotency-Key has 1 to {_MAX_KEY_LENGTH} characters.")
    said = (request.method, request.full_path, request.content_type or "")
    digest = hashlib.sha256(repr(said).encode() + request.get_data()).hexdigest()
    return IdempotencyKey(credential.name, key, digest)


def write_response(
    outcome: WriteOutcome, done: HTTPStatus, *, default_return: Literal["representation", "minimal"]
) -> Response:
    """Tell what became of a change: `done` if it was made, 200 if there was nothing to change, 422 if refused.

    `body` is what is sent without a Prefer header (RFC 7240).
    """
    if not outcome.admitted:
        return _refusal_response(outcome)
    preferred = _preferred_return()
    if (preferred or default_return) == "representation":
        response = jsonify(_outcome_json(outcome))
        created = outcome.commit is not None and done == HTTPStatus.CREATED
        response.status_code = HTTPStatus.CREATED if created else HTTPStatus.OK
    else:
        response = Response(status=done if outcome.commit is not None else HTTPStatus.NO_CONTENT)
        response.status_code = HTTPStatus.NO_CONTENT if response.status_code == HTTPStatus.OK else response.status_code
    if preferred:
        response.headers["Preference-Applied"] = f"return={preferred}"
    if outcome.commit is not None:
        response.headers["Location" if done == HTTPStatus.CREATED else "Content-Location"] = _commit_url(
            outcome.commit.number
        )
    response.set_etag(current_graph_state().engine.version)
    return response


def _preferred_return() -> Literal["representation", "minimal"] | None:
    sent = {part.strip().lower() for part in request.headers.get("Prefer", "").replace(";", ",").split(",")}
    if "return=minimal" in sent:
        return "minimal"
    return "representation" if "return=representation" in sent else None


def _outcome_json(outcome: WriteOutcome) -> dict[str, Any]:
    return {
        "commit": None if outcome.commit is None else summary_json(outcome.commit.summary),
        "repeated": outcome.repeated,
        "report": report_as_json(outcome.report, page_language(), body.source_lines(request)),
    }


def summary_json(summary: CommitSummary) -> dict[str, Any]:
    """A commit without its content, as JSON."""
    return {
        "number": summary.number,
        "url": _commit_url(summary.number),
        "time": summary.time.isoformat(),
        "agent": summary.agent,
        "message": summary.message,
        "reason": summary.reason,
        "added": summary.added,
        "removed": summary.removed,
        "reverts": summary.reverts,
        "previous": summary.previous,
        "hash": summary.hash,
    }


def commit_json(commit: Commit) -> dict[str, Any]:
    """A commit with what the gate found about it."""
    return {**summary_json(commit.summary), "report": report_as_json(commit.report, page_language())}


def _commit_url(number: int) -> str:
    return url_for("commits.one", number=number, lang=None)


def _refusal_response(outcome: WriteOutcome) -> Response:
    """Say why a change was refused: the report as RDF if that is asked for, else a problem with the findings."""
    offers: tuple[Representation, ...] = (PROBLEM_JSON, *RDF_FORMATS)
    offer = best_offer(request.accept_mimetypes, offers) or PROBLEM_JSON
    if isinstance(offer, MediaType):
        response = jsonify(_refusal_problem(outcome))
        response.content_type = PROBLEM_JSON.media_type
    else:
        response = rdf_response(report_triples(outcome.report), offer)
    response.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    add_links(response, Link(url_for("resource.shapes", lang=None), CONSTRAINED_BY))
    return response


def _refusal_problem(outcome: WriteOutcome) -> dict[str, Any]:
    language, current = page_language(), current_exchange()
    current.error_code = "refused"
    return {
        "type": PROBLEM_NAMESPACE + "refused",
        "title": PROBLEM_TYPES["refused"].text_in(language).title,
        "status": HTTPStatus.UNPROCESSABLE_ENTITY.value,
        "detail": _worst_finding(outcome.report, language),
        "instance": current.instance,
        **report_as_json(outcome.report, language, body.source_lines(request)),
    }


def _worst_finding(report: ValidationReport, language: str) -> str:
    """The worst of the findings: where it is, what it is, and how many others there are."""
    item = report.findings[0]
    where = " ".join(filter(None, (term_text(item.focus), item.path_text)))
    others = len(report.findings) - 1
    return f"{where}: {item.message(language)} ({term_text(item.shape)})" + (f" +{others}" if others else "")

"""The history: `/commits`, each commit as JSON, RDF Patch or a page, how one is undone, and what `/audit` notes."""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, jsonify, render_template, request, url_for

from kg.changes.journal import Commit
from kg.changes.rdf_patch import RDF_PATCH_MEDIA_TYPE, serialize_rdf_patch
from kg.errors import InsufficientScopeError, NotFoundError
from kg.rdf.terms import NamedNode
from kg.views.description import load_labels
from service.graph_state import current_graph_state
from service.http.negotiation import HTML, MediaType, require_offer
from service.http.responses import Link, absolute_url, add_links, page_language, page_response, positive_parameter
from service.presentation import commit_diff
from service.presentation.names import DisplayNames
from service.routes.write_requests import (
    authenticate_request,
    commit_json,
    request_signature,
    summary_json,
    write_options,
    write_response,
)

blueprint: Final = Blueprint("commits", __name__)

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 500
"""Commits on one page, unless `?limit=` says otherwise, and at most."""
_JSON: Final = MediaType("application/json")
_PATCH: Final = MediaType(RDF_PATCH_MEDIA_TYPE)


@blueprint.get("/commits")
def index() -> Response:
    """The newest commits, or those before `?before=N`; application/json or text/html, with a link to the next page."""
    before, limit = positive_parameter("before"), min(positive_parameter("limit") or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    offer = require_offer(request.accept_mimetypes, (_JSON, HTML))
    found = current_graph_state().commit_pipeline.journal.list_summaries(before, limit)
    following = found[-1].number if len(found) == limit and found[-1].number > 1 else None
    if offer is HTML:
        response = page_response(render_template("commits/index.html", commits=found, following=following))
    else:
        response = jsonify({"commits": [summary_json(item) for item in found]})
    if following is not None:
        add_links(response, Link(url_for(".index", before=following, limit=limit), "next"))
    return response


@blueprint.get("/commits/<int:number>")
def one(number: int) -> Response:
    """One commit: application/json, application/rdf-patch, or text/html; 404 if there is none."""
    offer = require_offer(request.accept_mimetypes, (_JSON, _PATCH, HTML))
    journal = current_graph_state().commit_pipeline.journal
    commit = journal.read_commit(number)
    if offer is _PATCH:
        return _patch_response(commit)
    reverted_by = journal.reverted_by(number)
    if offer is HTML:
        return _commit_page(commit, reverted_by)
    response = jsonify({**commit_json(commit), "revertedBy": reverted_by})
    add_links(response, Link(url_for(".patch", number=number, lang=None), "alternate", RDF_PATCH_MEDIA_TYPE))
    return response


@blueprint.get("/commits/<int:number>.rdfp")
def patch(number: int) -> Response:
    """One commit as application/rdf-patch."""
    return _patch_response(current_graph_state().commit_pipeline.journal.read_commit(number))


@blueprint.post("/commits/<int:number>/revert")
def revert(number: int) -> Response:
    """Undo a commit by a new one, through the gate: 201 with its URL; 409 if it was undone, or is built upon.

    403 for what others did, unless the token's scope is admin.
    """
    credential = authenticate_request()
    signed = request_signature(credential)
    if not signed.message:
        signed = replace(signed, message=f"Revert commit {number}")
    outcome = current_graph_state().commit_pipeline.revert(number, signed, write_options(credential))
    return write_response(outcome, HTTPStatus.CREATED, default_return="representation")


@blueprint.get("/audit")
def audit() -> Response:
    """What was noted about tokens, in order: application/json, for a token with the scope admin; else 403."""
    require_offer(request.accept_mimetypes, (_JSON,))
    if authenticate_request().scope != "admin":
        raise InsufficientScopeError("Only a token with the scope admin may read what was noted about tokens.")
    events = current_graph_state().commit_pipeline.journal.events()
    return jsonify({"events": [{"time": time.isoformat(), "text": text} for time, text in events]})


def _patch_response(commit: Commit) -> Response:
    previous = commit.number - 1
    text = serialize_rdf_patch(
        commit.delta, _absolute_commit_url(commit.number), _absolute_commit_url(previous) if previous else None
    )
    return Response(text, content_type=f"{RDF_PATCH_MEDIA_TYPE}; charset=utf-8")


def _absolute_commit_url(number: int) -> str:
    if number < 1:
        raise NotFoundError(f"There is no commit {number}.")
    return absolute_url("commits.one", number=str(number))


def _commit_page(commit: Commit, reverted_by: int | None) -> Response:
    delta, language = commit.delta, page_language()
    lines = commit_diff.select_statements(delta)
    wanted = commit_diff.mentioned_iris(lines)
    held, _ = load_labels(current_graph_state().engine, map(NamedNode, wanted))
    names = DisplayNames({**commit_diff.labels_in_delta(delta), **held}, language)
    page = render_template(
        "commits/one.html",
        commit=commit,
        changes=commit_diff.subject_diffs(lines, delta, names, language),
        names=names,
        more=len(delta.added) + len(delta.removed) - len(lines),
        graphs=(sorted(node.value for node in delta.created), sorted(node.value for node in delta.dropped)),
        reverted_by=reverted_by,
    )
    return page_response(page)

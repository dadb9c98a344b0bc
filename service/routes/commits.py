"""The history of changes: `/commits`, each commit as JSON, RDF Patch or a page, reverting, and `/audit`."""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, jsonify, render_template, request, url_for

from kg.changes.commit_rows import Commit
from kg.changes.rdf_patch import RDF_PATCH_MEDIA_TYPE, serialize_rdf_patch
from kg.errors import InsufficientScopeError, NotFoundError
from kg.rdf.terms import NamedNode
from kg.views.description import load_labels
from service.graph_state import current_graph_state
from service.http.i18n import page_language
from service.http.negotiation import HTML, JSON, MediaType, require_offer
from service.http.parameters import positive_parameter
from service.http.responses import Link, add_links, page_response
from service.http.urls import absolute_url
from service.presentation import commit_diff
from service.presentation.names import DisplayNames
from service.routes.authentication import authenticate_request
from service.routes.write_requests import request_signature, write_options
from service.routes.write_responses import commit_json, summary_json, write_response

blueprint: Final = Blueprint("commits", __name__)

DEFAULT_PAGE_SIZE: Final = 50
"""Commits on a page without `?limit=`."""
MAX_PAGE_SIZE: Final = 500
"""The most commits on a page."""
_PATCH: Final = MediaType(RDF_PATCH_MEDIA_TYPE)


@blueprint.get("/commits")
def index() -> Response:
    """The newest commits, or those before `?before=N`: application/json or text/html, with a link to the next page."""
    before, limit = positive_parameter("before"), min(positive_parameter("limit") or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    offer = require_offer(request.accept_mimetypes, (JSON, HTML))
    commits = current_graph_state().commit_pipeline.journal.list_summaries(before, limit)
    following = commits[-1].number if len(commits) == limit and commits[-1].number > 1 else None
    if offer is HTML:
        response = page_response(render_template("commits/index.html", commits=commits, following=following))
    else:
        response = jsonify({"commits": [summary_json(item) for item in commits]})
    if following is not None:
        add_links(response, Link(url_for(".index", before=following, limit=limit), "next"))
    return response


@blueprint.get("/commits/<int:number>")
def one(number: int) -> Response:
    """One commit: application/json, application/rdf-patch, or text/html; 404 if it does not exist."""
    offer = require_offer(request.accept_mimetypes, (JSON, _PATCH, HTML))
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
    """Revert a commit by a new, validated one: 201 with its URL; 409 if it is already reverted or others depend on it.

    403 for another writer's commit, unless the token's scope is admin.
    """
    credential = authenticate_request()
    signature = request_signature(credential)
    if not signature.message:
        signature = replace(signature, message=f"Revert commit {number}")
    outcome = current_graph_state().commit_pipeline.revert(number, signature, write_options(credential))
    return write_response(outcome, HTTPStatus.CREATED, default_return="representation")


@blueprint.get("/audit")
def audit() -> Response:
    """The recorded events about tokens, in order: application/json; 403 unless the token's scope is admin."""
    require_offer(request.accept_mimetypes, (JSON,))
    if authenticate_request().scope != "admin":
        raise InsufficientScopeError("Only a token with the scope admin may read the events about tokens.")
    events = current_graph_state().commit_pipeline.journal.events()
    return jsonify({"events": [{"time": time.isoformat(), "text": text} for time, text in events]})


def _patch_response(commit: Commit) -> Response:
    previous = commit.number - 1
    previous_url = _absolute_commit_url(previous) if previous else None
    text = serialize_rdf_patch(commit.delta, _absolute_commit_url(commit.number), previous_url)
    return Response(text, content_type=f"{RDF_PATCH_MEDIA_TYPE}; charset=utf-8")


def _absolute_commit_url(number: int) -> str:
    if number < 1:
        raise NotFoundError(f"There is no commit {number}.")
    return absolute_url("commits.one", number=str(number))


def _commit_page(commit: Commit, reverted_by: int | None) -> Response:
    delta, language = commit.delta, page_language()
    lines = commit_diff.select_statements(delta)
    iris = commit_diff.mentioned_iris(lines)
    stored_labels, _ = load_labels(current_graph_state().engine, map(NamedNode, iris))
    names = DisplayNames({**commit_diff.labels_in_delta(delta), **stored_labels}, language)
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

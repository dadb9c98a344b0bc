"""`/sparql`: queries and updates by the SPARQL 1.1 Protocol, the service description, and the query editor."""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, jsonify, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from kg.changes.changeset import SparqlUpdate
from kg.engine.optimizer import default_optimizer
from kg.engine.protocol import QueryDataset
from kg.engine.query import check_query, explain_query
from kg.rdf.formats import RDF_FORMATS
from service.graph_state import ABANDONED_KEY, PENDING_RESULT_KEY, current_graph_state
from service.http import body
from service.http.conditional import evaluate_preconditions
from service.http.i18n import page_language
from service.http.negotiation import HTML, MediaType, Representation, require_offer
from service.http.responses import Link, add_links, dataset_link, file_response, rdf_response
from service.presentation.dataset_site import site
from service.presentation.query_editor_page import query_editor_page
from service.routes.authentication import authenticate_request
from service.routes.query_cache import answer_query
from service.routes.query_parameters import EXPLAIN_PARAMETER, negotiate_formats, query_request
from service.routes.service_description import service_description
from service.routes.write_requests import apply_change
from service.routes.write_responses import write_response

blueprint: Final = Blueprint("sparql", __name__)

FORM_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
QUERY_MEDIA_TYPE: Final = "application/sparql-query"
UPDATE_MEDIA_TYPE: Final = "application/sparql-update"
_DESCRIPTION_OFFERS: Final[tuple[Representation, ...]] = (*RDF_FORMATS, HTML)
_QUERY_DATASET_PARAMETERS: Final = {"default-graph-uri", "named-graph-uri"}


@blueprint.get("/sparql")
def get() -> Response:
    """Answer a query (section 2.1.1); without one, send the service description as RDF or the editor as HTML."""
    sent = body.decode_urlencoded(request.query_string)
    return _execute_query(sent) if {"query", "update"} & sent.keys() else _describe_service()


@blueprint.post("/sparql")
def post() -> Response:
    """Answer a query or apply an update, sent as a form or directly (sections 2.1.2, 2.1.3, 2.2.1 and 2.2.2).

    The query or update must be in the body; in the URL it is a 400. Other media types are a 415.
    """
    sent = body.decode_urlencoded(request.query_string)
    if "query" in sent or "update" in sent:
        raise BadRequest("There must be exactly one query or update; a POST has it in the body, so the URL may not.")
    if request.mimetype not in {FORM_MEDIA_TYPE, QUERY_MEDIA_TYPE, UPDATE_MEDIA_TYPE}:
        given = request.mimetype or "A body without a content type"
        raise UnsupportedMediaType(
            f"{given} is not supported; send {FORM_MEDIA_TYPE}, {QUERY_MEDIA_TYPE} or {UPDATE_MEDIA_TYPE}."
        )
    body.require_utf8(request.mimetype_params)
    if request.mimetype == FORM_MEDIA_TYPE:
        sent.update(body.decode_urlencoded(body.read_body(request)))
    else:
        name = "query" if request.mimetype == QUERY_MEDIA_TYPE else "update"
        sent.add(name, body.decode_utf8(body.read_body(request)))
    return _execute_update(sent) if "update" in sent else _execute_query(sent)


def _execute_update(sent: MultiDict[str, str]) -> Response:
    """Apply an update: 204, or 200 with the commit for `Prefer: return=representation`."""
    if "query" in sent or len(sent.getlist("update")) != 1:
        raise BadRequest("There must be exactly one update, and no query beside it.")
    if EXPLAIN_PARAMETER in sent:
        raise BadRequest("Only queries can be explained; nothing was changed.")
    if misplaced := sorted(_QUERY_DATASET_PARAMETERS & sent.keys()):
        raise BadRequest(f"{misplaced[0]} is a parameter of queries; an update has using-graph-uri.")
    using = QueryDataset(
        tuple(sent.getlist("using-graph-uri")), tuple(sent.getlist("using-named-graph-uri")), union=False
    )
    return write_response(
        apply_change(lambda: SparqlUpdate(sent["update"], using)), HTTPStatus.OK, default_return="minimal"
    )


def _execute_query(sent: MultiDict[str, str]) -> Response:
    if EXPLAIN_PARAMETER in sent:
        return _explain_query(sent)
    formats = negotiate_formats(request.headers.get("Accept", ""))
    query = query_request(sent, formats, current_graph_state().settings)
    environ = request.environ
    result = answer_query(
        replace(query, is_abandoned=environ.get(ABANDONED_KEY), pending_result=environ.get(PENDING_RESULT_KEY)),
        formats.media_types,
    )
    return file_response(result.body, result.length, formats.media_type_by_kind[result.kind])


def _explain_query(sent: MultiDict[str, str]) -> Response:
    """Send the plan of a query as JSON, without evaluating it; needs a token."""
    if sent.getlist(EXPLAIN_PARAMETER) != ["true"]:
        raise BadRequest("The only value of `explain` is true.")
    authenticate_request()
    graph = current_graph_state()
    query = query_request(sent, negotiate_formats(""), graph.settings)
    check_query(query)
    settings = current_graph_state().settings
    optimizer = default_optimizer(planning=settings.planning, columns=settings.columns)
    planned = explain_query(query.text, current_graph_state().statistics.current(), optimizer)
    changes = [{"line": change.line, "words": change.message} for change in planned.notes]
    return jsonify({"query": query.text, "planned": planned.text, "changes": changes})


def _describe_service() -> Response:
    offer = require_offer(request.accept_mimetypes, _DESCRIPTION_OFFERS)
    graph = current_graph_state()
    settings = graph.settings
    evaluate_preconditions(offer.media_type, page_language(), settings.default_graph, *settings.services)
    if isinstance(offer, MediaType):
        return query_editor_page()
    description = service_description(site(), settings.default_graph, graph.statistics.current())
    response = rdf_response(description, offer)
    add_links(response, dataset_link(), Link(url_for("catalog.void", lang=None), "describedby"))
    return response

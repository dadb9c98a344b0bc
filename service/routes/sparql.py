"""SPARQL 1.1 Protocol, and what `/sparql` says about itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, jsonify, request, url_for
from werkzeug.datastructures import MIMEAccept, MultiDict
from werkzeug.exceptions import BadRequest, UnsupportedMediaType
from werkzeug.http import parse_accept_header

from kg.changes.changeset import SparqlUpdate
from kg.engine.optimizer import default_optimizer
from kg.engine.protocol import QueryDataset, QueryRequest, ResultKind
from kg.engine.query import check_query, explain_query
from kg.rdf.formats import RDF_FORMATS, RESULT_FORMATS, RdfFormat, ResultFormat
from service.graph_state import ABANDONED_KEY, PENDING_RESULT_KEY, current_graph_state
from service.http import body
from service.http.caching import answer_query, evaluate_preconditions, result_response
from service.http.negotiation import (
    HTML,
    MediaType,
    Offer,
    Representation,
    best_offer,
    requested_media_type,
    require_offer,
)
from service.http.responses import Link, add_links, dataset_link, page_language, rdf_response
from service.routes import query_editor
from service.routes.service_description import service_description
from service.routes.void import site
from service.routes.write_requests import apply_change, authenticate_request, write_response
from service.settings import Settings

blueprint: Final = Blueprint("sparql", __name__)

FORM_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
QUERY_MEDIA_TYPE: Final = "application/sparql-query"
UPDATE_MEDIA_TYPE: Final = "application/sparql-update"
EXPLAIN_PARAMETER: Final = "explain"
"""The parameter by which one asks how a query is planned."""
_BOOLEAN_FORMATS: Final = tuple(fmt for fmt in RESULT_FORMATS if fmt.supports_boolean)
_DESCRIPTION_OFFERS: Final[tuple[Representation, ...]] = (*RDF_FORMATS, HTML)
_QUERY_DATASET_PARAMETERS: Final = {"default-graph-uri", "named-graph-uri"}
_UPDATE_DATASET_PARAMETERS: Final = {"using-graph-uri", "using-named-graph-uri"}
_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?|\.[0-9]+")


@blueprint.get("/sparql")
def get() -> Response:
    """Answer a query (section 2.1.1); without one, describe the service as RDF or show an editor as HTML."""
    sent = body.decode_urlencoded(request.query_string)
    return _execute_query(sent) if {"query", "update"} & sent.keys() else _describe_service()


@blueprint.post("/sparql")
def post() -> Response:
    """Answer a query or make an update, sent as a form or directly (sections 2.1.2, 2.1.3, 2.2.1 and 2.2.2).

    Either is in the body; one in the URL as well, or there alone, is a 400. Other media types are a 415.
    """
    sent = body.decode_urlencoded(request.query_string)
    if "query" in sent or "update" in sent:
        raise BadRequest("There must be exactly one query or update; a POST has it in the body, so the URL may not.")
    if request.mimetype not in {FORM_MEDIA_TYPE, QUERY_MEDIA_TYPE, UPDATE_MEDIA_TYPE}:
        given = request.mimetype or "A body without type"
        raise UnsupportedMediaType(
            f"{given} is not read; send {FORM_MEDIA_TYPE}, {QUERY_MEDIA_TYPE} or {UPDATE_MEDIA_TYPE}."
        )
    body.require_utf8(request.mimetype_params)
    if request.mimetype == FORM_MEDIA_TYPE:
        sent.update(body.decode_urlencoded(body.read_body(request)))
    else:
        sent.add(
            "query" if request.mimetype == QUERY_MEDIA_TYPE else "update", body.decode_utf8(body.read_body(request))
        )
    return _execute_update(sent) if "update" in sent else _execute_query(sent)


def _execute_update(sent: MultiDict[str, str]) -> Response:
    """Make an update: 204, or 200 with the commit if `Prefer: return=representation` asks for it."""
    if "query" in sent or len(sent.getlist("update")) != 1:
        raise BadRequest("There must be exactly one update, and no query beside it.")
    if EXPLAIN_PARAMETER in sent:
        raise BadRequest("Only a query is explained; nothing was changed.")
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
    return result_response(result, formats.media_type_by_kind[result.kind])


def _explain_query(sent: MultiDict[str, str]) -> Response:
    """How a query is planned, for the holder of a token; it is not run."""
    if sent.getlist(EXPLAIN_PARAMETER) != ["true"]:
        raise BadRequest("`explain` can be true.")
    authenticate_request()
    query = query_request(sent, negotiate_formats(""), current_graph_state().settings)
    check_query(query)
    settings = current_graph_state().settings
    optimizer = default_optimizer(planning=settings.planning, columns=settings.columns)
    planned = explain_query(query.text, current_graph_state().statistics.current(), optimizer)
    changes = [{"line": change.line, "words": change.message} for change in planned.notes]
    return jsonify({"query": query.text, "planned": planned.text, "changes": changes})


@dataclass(frozen=True)
class NegotiatedFormats:
    """What each kind of result is sent as, and the media types as the client spells them; "" where none fits."""

    solutions: ResultFormat | None
    boolean: ResultFormat | None
    graph: RdfFormat | None
    media_type_by_kind: Mapping[ResultKind, str]

    @property
    def media_types(self) -> tuple[str, ...]:
        """Those under which each kind would be sent."""
        return tuple(self.media_type_by_kind.values())


@lru_cache(maxsize=256)
def negotiate_formats(header: str) -> NegotiatedFormats:
    """Choose formats by an Accept header, of which few differ."""
    accept = parse_accept_header(header, MIMEAccept)
    solutions, boolean, graph = (
        best_offer(accept, RESULT_FORMATS),
        best_offer(accept, _BOOLEAN_FORMATS),
        best_offer(accept, RDF_FORMATS),
    )
    kinds: dict[ResultKind, Offer | None] = {"solutions": solutions, "boolean": boolean, "graph": graph}
    sent_as = {kind: "" if fmt is None else requested_media_type(accept, fmt) for kind, fmt in kinds.items()}
    return NegotiatedFormats(solutions, boolean, graph, sent_as)


def query_request(sent: MultiDict[str, str], formats: NegotiatedFormats, settings: Settings) -> QueryRequest:
    """What a client asks for by the parameters it sent; raises BadRequest (400) for what is missing or misplaced."""
    return QueryRequest(
        text=_single_query(sent),
        dataset=QueryDataset(
            default=tuple(sent.getlist("default-graph-uri")),
            named=tuple(sent.getlist("named-graph-uri")),
            union=settings.default_graph == "union",
        ),
        timeout=_timeout(sent, settings.timeout),
        solutions=formats.solutions,
        boolean=formats.boolean,
        graph=formats.graph,
    )


def _single_query(sent: MultiDict[str, str]) -> str:
    if "update" in sent:
        raise BadRequest("An update is sent by POST, in the body.")
    if misplaced := sorted(_UPDATE_DATASET_PARAMETERS & sent.keys()):
        raise BadRequest(f"{misplaced[0]} is a parameter of updates; a query has default-graph-uri, named-graph-uri.")
    queries = sent.getlist("query")
    if len(queries) != 1:
        raise BadRequest(f"There must be exactly one query, in the URL or in the body; there are {len(queries)}.")
    return queries[0]


def _timeout(sent: MultiDict[str, str], longest: float) -> float | None:
    """The seconds that the client gives the query; the longest time where it gives more, None for as many."""
    wanted = sent.getlist("timeout")
    if not wanted:
        return None
    if len(wanted) > 1 or not _SECONDS.fullmatch(wanted[0]) or float(wanted[0]) == 0:
        raise BadRequest("`timeout` must be one positive number of seconds, such as 2 or 0.5.")
    return min(float(wanted[0]), longest)


def _describe_service() -> Response:
    offer = require_offer(request.accept_mimetypes, _DESCRIPTION_OFFERS)
    served = current_graph_state()
    settings = served.settings
    evaluate_preconditions(offer.media_type, page_language(), settings.default_graph, *settings.services)
    if isinstance(offer, MediaType):
        return query_editor.editor_page()
    described = service_description(site(), settings.default_graph, served.statistics.current())
    response = rdf_response(described, offer)
    add_links(response, dataset_link(), Link(url_for("catalog.void", lang=None), "describedby"))
    return response

"""SPARQL 1.1 Protocol for queries, and what `/sparql` says about itself."""

from typing import Final

from flask import Blueprint, Response, render_template, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, UnsupportedMediaType
from werkzeug.wsgi import wrap_file

from kg.engine.protocol import Dataset, QueryRequest, QueryResult
from kg.formats import RDF_FORMATS, RESULT_FORMATS
from kg.query import answer
from service import body
from service.negotiation import HTML, MediaType, Representation, best, required, spelled
from service.pages import rdf_response
from service.service_description import service_description
from service.state import knowledge_graph

blueprint: Final = Blueprint("sparql", __name__)

FORM: Final = "application/x-www-form-urlencoded"
DIRECT: Final = "application/sparql-query"
_BOOLEAN_FORMATS: Final = tuple(fmt for fmt in RESULT_FORMATS if fmt.boolean)
_DESCRIPTIONS: Final[tuple[Representation, ...]] = (*RDF_FORMATS, HTML)
_CHUNK: Final = 64 * 1024


@blueprint.get("/sparql")
def get() -> Response:
    """Answer a query (section 2.1.1); without one, describe the service as RDF or show a form as HTML."""
    sent = body.parameters(request.query_string)
    return _answer(sent) if {"query", "update"} & sent.keys() else _about_itself()


@blueprint.post("/sparql")
def post() -> Response:
    """Answer a query that is sent as a form or directly (sections 2.1.2 and 2.1.3); other types are a 415."""
    sent = body.parameters(request.query_string)
    if request.mimetype not in {FORM, DIRECT}:
        raise UnsupportedMediaType(f"{request.mimetype or 'A body without type'} is not read; send {FORM} or {DIRECT}.")
    body.require_utf8(request.mimetype_params)
    if request.mimetype == FORM:
        sent.update(body.parameters(body.whole(request)))
    else:
        sent.add("query", body.text(body.whole(request)))
    return _answer(sent)


def _answer(sent: MultiDict[str, str]) -> Response:
    query = _query_request(sent)
    return _result_response(query, answer(knowledge_graph().engine, query))


def _query_request(sent: MultiDict[str, str]) -> QueryRequest:
    accept = request.accept_mimetypes
    return QueryRequest(
        text=_only_query(sent),
        dataset=Dataset(
            default=tuple(sent.getlist("default-graph-uri")),
            named=tuple(sent.getlist("named-graph-uri")),
            union=knowledge_graph().settings.default_graph == "union",
        ),
        solutions=best(accept, RESULT_FORMATS),
        boolean=best(accept, _BOOLEAN_FORMATS),
        graph=best(accept, RDF_FORMATS),
    )


def _only_query(sent: MultiDict[str, str]) -> str:
    if "update" in sent:
        raise BadRequest("Updates are not taken here; send one query.")
    queries = sent.getlist("query")
    if len(queries) != 1:
        raise BadRequest(f"There must be exactly one query, in the URL or in the body; there are {len(queries)}.")
    return queries[0]


def _result_response(query: QueryRequest, result: QueryResult) -> Response:
    """Send a spooled result in chunks, under the media type that the client asked for."""
    sent_as = {"solutions": query.solutions, "boolean": query.boolean, "graph": query.graph}[result.kind]
    mimetype = spelled(request.accept_mimetypes, sent_as or MediaType(result.media_type))
    chunks = wrap_file(request.environ, result.body, _CHUNK)
    response = Response(chunks, mimetype=mimetype, direct_passthrough=True)
    response.content_length = result.length
    return response


def _about_itself() -> Response:
    offer = required(request.accept_mimetypes, _DESCRIPTIONS)
    if isinstance(offer, MediaType):
        return Response(render_template("sparql/form.html"), mimetype=offer.media_type)
    served = knowledge_graph()
    sizes = served.engine.graph_sizes()
    return rdf_response(service_description(request.base_url, served.settings.default_graph, sizes), offer)

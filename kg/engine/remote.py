"""Query a remote SPARQL endpoint through SPARQLWrapper."""

from typing import Final
from urllib.error import HTTPError, URLError

from SPARQLWrapper import SPARQLExceptions, SPARQLWrapper

from kg.errors import EngineError, InputError
from kg.rdf.formats import CSV, JSON, JSONLD, RDFXML, TSV, TURTLE, XML, RdfFormat, ResultFormat
from kg.rdf.io import parse, serialize

_TIMEOUT: Final = 60
"""Seconds to wait for an answer."""
_RESULT_FORMAT_NAMES: Final = {JSON: "json", XML: "xml", CSV: "csv", TSV: "tsv"}
_GRAPH_FORMAT_NAMES: Final = {TURTLE: "turtle", JSONLD: "json-ld", RDFXML: "rdf+xml"}


def query_endpoint(endpoint: str, text: str, solutions: ResultFormat, graph: RdfFormat) -> bytes:
    """Send a query to an endpoint and return the serialised result.

    A graph is parsed and serialised again if SPARQLWrapper cannot request its format. Raises
    InputError if the endpoint rejects the query, EngineError if it cannot be reached or fails.
    """
    wrapper = SPARQLWrapper(endpoint)
    wrapper.setTimeout(_TIMEOUT)
    wrapper.setMethod("POST")
    wrapper.setQuery(text)
    makes_graph = wrapper.queryType in {"CONSTRUCT", "DESCRIBE"}
    wrapper.setReturnFormat(
        _GRAPH_FORMAT_NAMES.get(graph, "turtle") if makes_graph else _RESULT_FORMAT_NAMES[solutions]
    )
    answer = _send_query(wrapper, endpoint)
    if makes_graph and graph not in _GRAPH_FORMAT_NAMES:
        return serialize(parse(answer, TURTLE, endpoint), graph)
    return answer


def _send_query(wrapper: SPARQLWrapper, endpoint: str) -> bytes:
    try:
        return bytes(wrapper.query().response.read())
    except SPARQLExceptions.QueryBadFormed as error:
        raise InputError(f"{endpoint} does not understand the query: {_endpoint_message(error)}") from None
    except SPARQLExceptions.SPARQLWrapperException as error:
        raise EngineError(f"{endpoint} failed: {_endpoint_message(error)}") from None
    except HTTPError as error:
        raise EngineError(f"{endpoint} answered {error.code} {error.reason}") from None
    except (URLError, OSError, ValueError) as error:
        raise EngineError(f"{endpoint} cannot be reached: {getattr(error, 'reason', error)}") from None


def _endpoint_message(error: Exception) -> str:
    """Return the endpoint's message, which SPARQLWrapper appends to its own as the repr of bytes."""
    return str(error).partition("Response:\n")[2] or str(error)

"""The parameters of a SPARQL query (SPARQL 1.1 Protocol, section 2.1), and negotiation of its result's format."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from werkzeug.datastructures import MIMEAccept, MultiDict
from werkzeug.exceptions import BadRequest
from werkzeug.http import parse_accept_header

from kg.engine.protocol import QueryDataset, QueryRequest, ResultKind
from kg.rdf.formats import RDF_FORMATS, RESULT_FORMATS, RdfFormat, ResultFormat
from service.http.negotiation import Offer, best_offer, requested_media_type
from service.settings import Settings

EXPLAIN_PARAMETER: Final = "explain"
"""The parameter that requests a query's plan instead of its result."""
_BOOLEAN_FORMATS: Final = tuple(fmt for fmt in RESULT_FORMATS if fmt.supports_boolean)
_UPDATE_DATASET_PARAMETERS: Final = {"using-graph-uri", "using-named-graph-uri"}
_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?|\.[0-9]+")


@dataclass(frozen=True)
class NegotiatedFormats:
    """The format of each kind of result, and the media type to send; None and "" if none is acceptable."""

    solutions: ResultFormat | None
    boolean: ResultFormat | None
    graph: RdfFormat | None
    media_type_by_kind: Mapping[ResultKind, str]

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media type of each kind of result."""
        return tuple(self.media_type_by_kind.values())


@lru_cache(maxsize=256)
def negotiate_formats(header: str) -> NegotiatedFormats:
    """Choose formats by an Accept header; cached, because clients send few different ones."""
    accept = parse_accept_header(header, MIMEAccept)
    solutions, boolean, graph = (
        best_offer(accept, RESULT_FORMATS),
        best_offer(accept, _BOOLEAN_FORMATS),
        best_offer(accept, RDF_FORMATS),
    )
    kinds: dict[ResultKind, Offer | None] = {"solutions": solutions, "boolean": boolean, "graph": graph}
    media_types = {kind: "" if fmt is None else requested_media_type(accept, fmt) for kind, fmt in kinds.items()}
    return NegotiatedFormats(solutions, boolean, graph, media_types)


def query_request(sent: MultiDict[str, str], formats: NegotiatedFormats, settings: Settings) -> QueryRequest:
    """Build the query from the parameters; raises BadRequest (400) for missing, repeated or misplaced ones."""
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
    """Return the seconds that the client allows, at most `longest`; None if it sets no limit."""
    values = sent.getlist("timeout")
    if not values:
        return None
    if len(values) > 1 or not _SECONDS.fullmatch(values[0]) or float(values[0]) == 0:
        raise BadRequest("`timeout` must be one positive number of seconds, such as 2 or 0.5.")
    return min(float(values[0]), longest)

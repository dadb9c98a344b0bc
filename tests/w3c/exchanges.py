"""Read the HTTP exchanges in the manifests of the protocol suites, and repeat them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import rdflib
import requests
from rdflib.namespace import RDFS, Namespace

from tests.w3c.manifests import MF, W3C, entries, included, items

HT = Namespace("http://www.w3.org/2011/http#")
HTS = Namespace("http://www.w3.org/2011/http-statusCodes#")
CNT = Namespace("http://www.w3.org/2011/content#")
UT = Namespace("http://www.w3.org/2009/sparql/tests/test-update#")

DATA0 = "http://kasei.us/2009/09/sparql/data/data0.rdf"
"""A graph that requests name and for which the suite has no data; a server must hold something under the name."""

_STATUSES = {
    "StatusCode2xx": range(200, 300),
    "StatusCode3xx": range(300, 400),
    "StatusCode4xx": range(400, 500),
    "OK": range(200, 201),
    "Created": range(201, 202),
    "NoContent": range(204, 205),
    "NotFound": range(404, 405),
}


@dataclass(frozen=True)
class Exchange:
    """A request with its expected response."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    statuses: frozenset[int]
    boolean: bool | None = None
    kind: str | None = None
    response_headers: dict[str, str] = field(default_factory=dict)
    response_body: str | None = None

    @property
    def graph(self) -> str | None:
        """The graph that a Graph Store request names in its query; None for the default graph."""
        named = parse_qs(urlsplit(self.path).query).get("graph")
        return named[0] if named else None

    def send(self, session: requests.Session, url: str) -> requests.Response:
        """Send the request to a URL exactly as it is spelled, adding only the usual headers."""
        prepared = session.prepare_request(requests.Request(self.method, url, self.headers, data=self.body))
        prepared.url = url
        return session.send(prepared, timeout=30)


@dataclass(frozen=True)
class ProtocolTest:
    """A test: its exchanges in order, its data as pairs of graph IRI and file IRI, the features that it requires."""

    id: str
    exchanges: tuple[Exchange, ...]
    data: tuple[tuple[str, str], ...]
    requires: frozenset[str]


def protocol_tests() -> list[ProtocolTest]:
    """The tests of the SPARQL Protocol suite."""
    return [_test(graph, entry) for graph, entry in entries(included(W3C / "sparql11" / "protocol" / "manifest.ttl"))]


@dataclass(frozen=True)
class Read:
    """A GET or HEAD request of the Graph Store suite; if `content` is given, its graph has that content beforehand."""

    id: str
    exchange: Exchange
    content: str | None
    requires: frozenset[str]

    @property
    def reason_to_skip(self) -> str | None:
        if "DirectGraphIdentification" in self.requires:
            return "graphs are not identified by paths below /data (the suite leaves mf:DirectGraphIdentification open)"
        if "$LOCATION$" in self.exchange.path:
            return "it reads what a POST created; test_update.py does that"
        return None


def graph_store_reads() -> list[Read]:
    """The reading requests of the Graph Store suite, each for its own graph.

    In the suite, each test writes the graph before it reads it. Here, the content is that of the expected response,
    or else that of the request that writes it.
    """
    manifests = included(W3C / "sparql11" / "graph-store-protocol" / "manifest.ttl")
    return [read for graph, entry in entries(manifests) for read in _reads(_test(graph, entry))]


def graph_store_tests() -> list[ProtocolTest]:
    """The tests of the Graph Store suite without those of direct identification below the store's path."""
    manifests = included(W3C / "sparql11" / "graph-store-protocol" / "manifest.ttl")
    found = [_test(graph, entry) for graph, entry in entries(manifests)]
    return [test for test in found if "DirectGraphIdentification" not in test.requires]


def _reads(test: ProtocolTest) -> Iterator[Read]:
    written = None
    for step, exchange in enumerate(test.exchanges):
        if exchange.method in {"GET", "HEAD"}:
            own = replace(exchange, path=exchange.path.replace("person", f"{test.id}-{step}"))
            content = (exchange.response_body or written) if HTTPStatus.OK in exchange.statuses else None
            yield Read(f"{test.id}-{exchange.method}-{step}", own, content, test.requires)
        elif exchange.body is not None:
            written = exchange.body.decode()


def _test(graph: rdflib.Graph, entry: rdflib.term.Node) -> ProtocolTest:
    data = (
        (str(graph.value(item, RDFS.label)), str(graph.value(item, UT.graph)))
        for item in graph.objects(entry, UT.graphData)
    )
    return ProtocolTest(
        id=str(entry).rpartition("#")[2],
        exchanges=tuple(_exchange(graph, node) for node in items(graph, graph.value(entry, MF.action), HT.requests)),
        data=tuple(sorted(data)),
        requires=frozenset(str(feature).removeprefix(str(MF)) for feature in graph.objects(entry, MF.requires)),
    )


def _exchange(graph: rdflib.Graph, request: rdflib.term.Node) -> Exchange:
    response = graph.value(request, HT.resp)
    boolean, kind = graph.value(response, MF.expectedBoolean), graph.value(response, MF.expectedFormat)
    body = _body(graph, response)
    statuses = (str(status).removeprefix(str(HTS)) for status in graph.objects(response, MF.expectedStatus))
    return Exchange(
        method=str(graph.value(request, HT.methodName)),
        path=str(graph.value(request, HT.absolutePath)),
        headers=dict(_headers(graph, request)),
        body=_body(graph, request),
        statuses=frozenset(code for status in statuses for code in _STATUSES[status]),
        boolean=None if boolean is None else str(boolean) == "true",
        kind=None if kind is None else str(kind),
        response_headers=dict(_headers(graph, response)),
        response_body=None if body is None else body.decode(),
    )


def _headers(graph: rdflib.Graph, message: rdflib.term.Node | None) -> Iterator[tuple[str, str]]:
    for header in items(graph, message, HT.headers):
        yield str(graph.value(header, HT.fieldName)), str(graph.value(header, HT.fieldValue))


def _body(graph: rdflib.Graph, message: rdflib.term.Node | None) -> bytes | None:
    content = graph.value(message, HT.body)
    if content is None:
        return None
    return str(graph.value(content, CNT.chars)).encode(str(graph.value(content, CNT.characterEncoding)))

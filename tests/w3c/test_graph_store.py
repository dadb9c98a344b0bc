"""Graph Store Protocol, reading requests: the graphs that the suite writes first are in the server from the start."""

import pytest
import requests

from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from tests.w3c.exchanges import Read, graph_store_reads
from tests.w3c.manifests import NEEDS_W3C
from tests.w3c.results import same_graph, triples

pytestmark = NEEDS_W3C


def case(read: Read) -> object:
    reason = read.reason_to_skip
    return pytest.param(read, id=read.id, marks=[pytest.mark.skip(reason=reason)] if reason else [])


@pytest.mark.parametrize("read", [case(read) for read in graph_store_reads()])
def test_read(http: requests.Session, w3c_server: str, read: Read) -> None:
    exchange = read.exchange
    response = exchange.send(http, w3c_server + exchange.path.replace("/gsp", "/data", 1))
    assert response.status_code in exchange.statuses, response.text
    for name, value in exchange.response_headers.items():
        assert response.headers[name] == value
    if exchange.response_body is not None:
        found, wanted = (parse(text, TURTLE) for text in (response.content, exchange.response_body.encode()))
        assert same_graph(triples(found), triples(wanted))

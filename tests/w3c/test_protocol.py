"""SPARQL 1.1 Protocol: the manifest's exchanges, repeated."""

import pytest
import requests

from kg.rdf.formats import RDF_FORMATS, RESULT_FORMATS
from tests.w3c.exchanges import Exchange, ProtocolTest, protocol_tests
from tests.w3c.manifests import NEEDS_W3C, params
from tests.w3c.results import from_response

pytestmark = NEEDS_W3C

MEDIA_TYPES = {
    "boolean": {fmt.media_type for fmt in RESULT_FORMATS if fmt.supports_boolean},
    "tabular": {fmt.media_type for fmt in RESULT_FORMATS},
    "RDF": {fmt.media_type for fmt in RDF_FORMATS},
}


@pytest.mark.parametrize("test", params([test for test in protocol_tests() if "update" not in test.id], {}))
def test_protocol(http: requests.Session, w3c_server: str, test: ProtocolTest) -> None:
    for exchange in test.exchanges:
        response = exchange.send(http, w3c_server + exchange.path.replace("/sparql/", "/sparql", 1))
        assert response.status_code in exchange.statuses, response.text
        check_content(exchange, response)


def check_content(exchange: Exchange, response: requests.Response) -> None:
    if exchange.kind is None:
        return
    content_type = response.headers["Content-Type"]
    assert content_type.partition(";")[0] in MEDIA_TYPES[exchange.kind]
    found = from_response(content_type, response.content, ordered=False)
    if exchange.boolean is not None:
        assert found is exchange.boolean

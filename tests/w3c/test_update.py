"""SPARQL 1.1 Update over HTTP: the Graph Store Protocol writes the data, then the update is sent."""

import pytest
import requests

from kg.rdf.formats import NQUADS, TURTLE
from kg.rdf.io import canonical_nquads, parse, serialize
from kg.rdf.terms import DefaultGraph, NamedNode, Quad
from tests.w3c.deviations import UPDATES
from tests.w3c.exchanges import Exchange, graph_store_tests, protocol_tests
from tests.w3c.manifests import NEEDS_W3C, Named, params
from tests.w3c.results import same_graph, triples
from tests.w3c.test_protocol import check_content
from tests.w3c.updates import UpdateTest, update_tests

pytestmark = NEEDS_W3C

TESTS = update_tests()
EVALUATION = [test for test in TESTS if test.after is not None]
SYNTAX = [test for test in TESTS if test.after is None]
UPDATE = {"Content-Type": "application/sparql-update"}


def update(writer: requests.Session, server: str, text: str) -> requests.Response:
    return writer.post(f"{server}/sparql", data=text.encode(), headers=UPDATE, timeout=30)


def put(writer: requests.Session, server: str, graph: str | None, content: list[Quad]) -> None:
    data = serialize((quad.triple for quad in content), TURTLE)
    target = {"default": ""} if graph is None else {"graph": graph}
    answer = writer.put(f"{server}/data", params=target, data=data, headers={"Content-Type": "text/turtle"}, timeout=30)
    assert answer.status_code in {201, 204}, answer.text


def begin(writer: requests.Session, server: str, content: tuple[Quad, ...], graphs: tuple[str, ...]) -> None:
    """Replace the dataset of the server."""
    assert update(writer, server, "DROP ALL").status_code == 204
    put(writer, server, None, [quad for quad in content if isinstance(quad.graph_name, DefaultGraph)])
    for graph in graphs:
        put(writer, server, graph, [quad for quad in content if quad.graph_name == NamedNode(graph)])


def everything(server: str) -> bytes:
    answer = requests.get(f"{server}/graph.nq", timeout=30)
    assert answer.status_code == 200, answer.text
    return canonical_nquads(parse(answer.content, NQUADS))


@pytest.mark.parametrize("test", params(EVALUATION, UPDATES))
def test_evaluation(writer: requests.Session, w3c_store: str, test: UpdateTest) -> None:
    begin(writer, w3c_store, test.before or (), test.graphs)
    answer = update(writer, w3c_store, test.text)
    assert answer.status_code == 204, answer.text
    assert everything(w3c_store) == canonical_nquads(test.after or ())


@pytest.mark.parametrize("test", params(SYNTAX, {}))
def test_syntax(writer: requests.Session, w3c_store: str, test: UpdateTest) -> None:
    """LOAD, and CREATE of an existing graph, are refused, but not as syntax errors."""
    answer = update(writer, w3c_store, test.text)
    faulty = answer.status_code == 400 and answer.json()["type"].endswith("/query-syntax")
    assert faulty is not test.valid, answer.text
    assert answer.status_code in {204, 400}


@pytest.mark.parametrize("test", params([test for test in protocol_tests() if "update" in test.id], {}))
def test_protocol(writer: requests.Session, w3c_store: str, test: Named) -> None:
    begin(writer, w3c_store, (), ())
    for exchange in test.exchanges:  # type: ignore[attr-defined]
        path = exchange.path.replace("/sparql/", "/sparql", 1)
        response = exchange.send(writer, w3c_store + path)
        assert response.status_code in exchange.statuses, response.text
        check_content(exchange, response)


@pytest.mark.parametrize("test", params(graph_store_tests(), {}))
def test_graph_store(writer: requests.Session, w3c_store: str, test: Named) -> None:
    begin(writer, w3c_store, (), ())
    location = ""
    for exchange in test.exchanges:  # type: ignore[attr-defined]
        response = sent(writer, w3c_store, exchange, location)
        assert response.status_code in exchange.statuses, response.text
        location = response.headers.get("Location", location)
        for name, value in exchange.response_headers.items():
            if "$" not in value:
                assert response.headers[name] == value
        if exchange.response_body is not None:
            found, wanted = (parse(text, TURTLE) for text in (response.content, exchange.response_body.encode()))
            assert same_graph(triples(found), triples(wanted))


def sent(writer: requests.Session, server: str, exchange: Exchange, location: str) -> requests.Response:
    """Send an exchange; `$LOCATION$` stands for the path of a created graph, which the server chooses."""
    if "$LOCATION$" in exchange.path:
        return exchange.send(writer, location if location.startswith("http") else server + location)
    return exchange.send(writer, server + exchange.path.replace("/gsp", "/data", 1))

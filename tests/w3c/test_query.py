"""SPARQL 1.1 query: evaluation, result formats and syntax."""

import pyoxigraph as ox
import pytest
import requests

from kg.formats import TURTLE
from kg.rdf import NamedNode, in_graph
from w3c.deviations import ENGINE
from w3c.exchanges import DATA0
from w3c.manifests import NEEDS_W3C, QueryTest, file_of, params, quads, query_tests
from w3c.results import Answer, accept_for, differences, from_file, from_response, same

pytestmark = NEEDS_W3C

TESTS = query_tests()
EVALUATION = [test for test in TESTS if test.result is not None]
UNDERSTOOD = {"syntax-query/test_4": "bad-input", "syntax-query/test_42": "unknown-graph"}
"""Queries that parse and are then refused, with the code: the one calls a function, the other names a graph that is not
here."""


def dataset(test: QueryTest) -> list[tuple[str, str]]:
    """The dataset of a test as parameters of the protocol.

    Naming just a graph at which no query looks leaves the default graph empty; an empty file is no graph here.
    """
    if test.chooses_graphs:
        return []
    chosen = [("default-graph-uri", iri) for iri in test.data if quads(iri)]
    chosen += [("named-graph-uri", iri) for iri in test.graph_data]
    return chosen or [("named-graph-uri", DATA0)]


def ask(http: requests.Session, server: str, test: QueryTest, accept: str) -> requests.Response:
    headers = {"Content-Type": "application/sparql-query", "Accept": accept}
    return http.post(f"{server}/sparql", params=dataset(test), data=test.text.encode(), headers=headers, timeout=60)


def expected(test: QueryTest) -> Answer:
    file = file_of(test.result or "")
    return from_file(file.name, file.read_bytes(), test.result or "", ordered=test.ordered)


@pytest.mark.parametrize("test", params(EVALUATION, ENGINE))
def test_evaluation(http: requests.Session, w3c_server: str, test: QueryTest) -> None:
    accept = accept_for(test.result or "")
    response = ask(http, w3c_server, test, accept)
    assert response.status_code == 200, response.text
    media_type = response.headers["Content-Type"]
    assert media_type.partition(";")[0] in accept
    found, wanted = from_response(media_type, response.content, ordered=test.ordered), expected(test)
    assert same(found, wanted), differences(found, wanted)


@pytest.mark.parametrize("test", params([test for test in TESTS if test.good], {}))
def test_good_syntax(http: requests.Session, w3c_server: str, test: QueryTest) -> None:
    response = ask(http, w3c_server, test, "*/*")
    if test.id in UNDERSTOOD:
        assert response.status_code == 400, response.text
        assert response.json()["type"].endswith(f"/{UNDERSTOOD[test.id]}"), response.text
    else:
        assert response.status_code == 200, response.text


@pytest.mark.parametrize("test", params([test for test in TESTS if test.bad], {}))
def test_bad_syntax(http: requests.Session, w3c_server: str, test: QueryTest) -> None:
    response = ask(http, w3c_server, test, "*/*")
    assert response.status_code == 400, response.text
    assert response.json()["type"].endswith("/query-syntax"), response.text


@pytest.mark.parametrize("test", params([test for test in EVALUATION if test.id in ENGINE], {}))
def test_deviation_is_the_engines(test: QueryTest) -> None:
    """Without HTTP, without a union, with the files where the suite wants them, pyoxigraph deviates all the same."""
    store = ox.Store()
    for iri in test.data:
        store.extend(quads(iri))
    for iri in test.graph_data:
        store.extend(in_graph(quads(iri), NamedNode(iri)))
    found = store.query(test.text)
    media_type = accept_for(test.result or "").partition(",")[0]
    if isinstance(found, ox.QueryTriples):
        media_type, body = TURTLE.media_type, found.serialize(format=ox.RdfFormat.TURTLE)
    else:
        body = found.serialize(format=ox.QueryResultsFormat.from_media_type(media_type))
    assert not same(from_response(media_type, body or b"", ordered=test.ordered), expected(test))

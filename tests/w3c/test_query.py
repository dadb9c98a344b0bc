"""SPARQL 1.1 query: evaluation, result formats and syntax."""

import pyoxigraph as ox
import pytest
import requests

from kg.engine.columns import parser
from kg.engine.columns.cache import ColumnCache
from kg.engine.embedded import EmbeddedEngine
from kg.engine.planner.rewrite import plan_query
from kg.engine.statistics_queries import compute_statistics
from kg.rdf.formats import JSON, TURTLE
from kg.rdf.io import place_in_graph
from kg.rdf.terms import NamedNode
from kg.sparql import tokens
from tests.w3c.deviations import ENGINE
from tests.w3c.exchanges import DATA0
from tests.w3c.manifests import NEEDS_W3C, QueryTest, file_of, params, quads, query_tests
from tests.w3c.results import Answer, accept_for, differences, from_file, from_response, same

pytestmark = NEEDS_W3C

TESTS = query_tests()
EVALUATION = [test for test in TESTS if test.result is not None]
UNDERSTOOD = {"syntax-query/test_4": "bad-input", "syntax-query/test_42": "unknown-graph"}
"""Queries that parse and are then refused, with the code: the one calls a function, the other names a graph that is not
here."""


def dataset(test: QueryTest) -> list[tuple[str, str]]:
    """The dataset of a test as parameters of the protocol.

    Naming only a graph that no query reads leaves the default graph empty; an empty file is not a graph here.
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


def store_of(test: QueryTest) -> ox.Store:
    """Return a store with only the data of a test, in the graphs that the suite names."""
    store = ox.Store()
    for iri in test.data:
        store.extend(quads(iri))
    for iri in test.graph_data:
        store.extend(place_in_graph(quads(iri), NamedNode(iri)))
    return store


def evaluate(store: ox.Store, text: str, test: QueryTest, media_type: str, *, union: bool = False) -> Answer:
    found = store.query(text, use_default_graph_as_union=union)
    if isinstance(found, ox.QueryTriples):
        media_type, body = TURTLE.media_type, found.serialize(format=ox.RdfFormat.TURTLE)
    else:
        body = found.serialize(format=ox.QueryResultsFormat.from_media_type(media_type))
    return from_response(media_type, body or b"", ordered=test.ordered)


@pytest.mark.parametrize("test", params([test for test in EVALUATION if test.id in ENGINE], {}))
def test_pyoxigraph_alone_deviates_too(test: QueryTest) -> None:
    """pyoxigraph deviates too without HTTP, without a union, and with only the data of the test."""
    found = evaluate(store_of(test), test.text, test, accept_for(test.result or "").partition(",")[0])
    assert not same(found, expected(test))


@pytest.mark.parametrize("union", [True, False])
def test_planned_queries_have_the_same_answers(*, union: bool) -> None:
    """Planning changes no answer of pyoxigraph to a query of the suite."""
    changed = 0
    for test in TESTS:
        text = plan_query(test.text, None).text
        if text == test.text:
            continue
        changed += 1
        assert tokens.find_service_keyword(test.text) is None, test.id
        store = store_of(test)
        if test.bad:
            with pytest.raises(SyntaxError):
                store.query(text)
            continue
        found, wanted = (evaluate(store, query, test, JSON.media_type, union=union) for query in (text, test.text))
        assert same(found, wanted), f"{test.id}\n{text}{differences(found, wanted)}"
    assert changed, "no query of the suite was planned"


def test_groups_from_columns_have_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns change no answer to those queries of the suite whose groups they can compute."""
    monkeypatch.setattr(parser, "MIN_MATCHES", 0)
    monkeypatch.setattr(parser, "MIN_TRIPLES", 0)
    grouped = list[str]()
    for test in (test for test in TESTS if not test.bad):
        store = store_of(test)
        engine = EmbeddedEngine(store, "", compute_statistics(EmbeddedEngine(store)))
        plan = plan_query(test.text, engine.statistics(), ColumnCache(load_threshold=1))
        text = None if plan.lookup_groups is None else plan.lookup_groups(engine)
        if text is None:
            continue
        grouped.append(test.id)
        found, wanted = (evaluate(store, query, test, JSON.media_type, union=True) for query in (text, test.text))
        assert same(found, wanted), f"{test.id}\n{text}{differences(found, wanted)}"
    assert len(grouped) >= 3, grouped

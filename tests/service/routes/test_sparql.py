import csv
import io
import json
import socket
from collections.abc import Callable
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import pytest
import rdflib
import requests
from SPARQLWrapper import CSV, JSON, JSONLD, POST, POSTDIRECTLY, RDFXML, TSV, TURTLE, XML, SPARQLWrapper
from SPARQLWrapper.SPARQLExceptions import QueryBadFormed

Problem = Callable[[requests.Response, int, str], dict[str, object]]

SD = rdflib.Namespace("http://www.w3.org/ns/sparql-service-description#")
HEAD_OF_BOARD = """
PREFIX org: <http://www.w3.org/ns/org#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
SELECT ?name WHERE {
  ?person org:headOf <https://w3id.org/hpez/id/org/heza> ; rdfs:label ?name . FILTER (LANG(?name) = "vi")
}
"""
CONSTRUCT = "CONSTRUCT WHERE { <https://w3id.org/hpez/id/org/heza> ?p ?o }"
ENTITIES = "https://w3id.org/hpez/graph/entities"
QUERY = {"Content-Type": "application/sparql-query"}


def get(server: str, query: str, accept: str | None = None, **parameters: object) -> requests.Response:
    return requests.get(
        f"{server}/sparql", params={"query": query, **parameters}, headers={"Accept": accept}, timeout=30
    )  # type: ignore[arg-type]


def direct(server: str, query: str | bytes, headers: dict[str, str] | None = None) -> requests.Response:
    data = query.encode() if isinstance(query, str) else query
    return requests.post(f"{server}/sparql", data=data, headers=headers or QUERY, timeout=30)


# --- the three ways to ask


@pytest.mark.parametrize("way", ["get", "form", "direct"])
def test_sparqlwrapper_asks_who_heads_the_board(server: str, way: str) -> None:
    wrapper = SPARQLWrapper(f"{server}/sparql", returnFormat=JSON)
    wrapper.setQuery(HEAD_OF_BOARD)
    if way != "get":
        wrapper.setMethod(POST)
    if way == "direct":
        wrapper.setRequestMethod(POSTDIRECTLY)
    rows = wrapper.queryAndConvert()["results"]["bindings"]
    assert [row["name"]["value"] for row in rows] == ["Lê Trung Kiên"]


@pytest.mark.parametrize("fmt", [XML, CSV, TSV])
def test_sparqlwrapper_other_result_formats(server: str, fmt: str) -> None:
    wrapper = SPARQLWrapper(f"{server}/sparql", returnFormat=fmt)
    wrapper.setQuery(HEAD_OF_BOARD)
    found = wrapper.queryAndConvert()
    text = found.toxml() if fmt == XML else found.decode()
    assert "Lê Trung Kiên" in text


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # SPARQLWrapper makes one
@pytest.mark.parametrize("fmt", [TURTLE, RDFXML, JSONLD])
def test_sparqlwrapper_graph_formats(server: str, fmt: str) -> None:
    wrapper = SPARQLWrapper(f"{server}/sparql", returnFormat=fmt)
    wrapper.setQuery(CONSTRUCT)
    found = wrapper.queryAndConvert()
    graph = rdflib.Graph().parse(data=found, format="turtle") if fmt == TURTLE else found
    assert rdflib.Literal("Ban Quản lý Khu kinh tế Hải Phòng", lang="vi") in set(graph.objects())


def test_sparqlwrapper_sees_syntax_errors(server: str) -> None:
    wrapper = SPARQLWrapper(f"{server}/sparql")
    wrapper.setQuery("SELECT ?s WHERE {")
    with pytest.raises(QueryBadFormed):
        wrapper.query()


def test_query_text_with_vietnamese(server: str) -> None:
    query = 'SELECT ?s { ?s ?p "Lê Trung Kiên"@vi }'
    assert get(server, query).json() == direct(server, query).json()
    assert get(server, query).json()["results"]["bindings"]


def test_raw_utf8_in_the_url(server: str) -> None:
    address = urlsplit(server)
    request = "GET /sparql?query=ASK{VALUES?x{'đ'}} HTTP/1.0\r\nHost: localhost\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.0 200")


def test_charset_utf8_is_accepted_in_any_case(server: str) -> None:
    assert direct(server, "ASK {}", {"Content-Type": "application/sparql-query; charset=UTF-8"}).status_code == 200


# --- formats


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/sparql-results+json"),
        ("*/*", "application/sparql-results+json"),
        ("application/sparql-results+json", "application/sparql-results+json"),
        ("application/json", "application/json"),
        ("application/sparql-results+xml", "application/sparql-results+xml; charset=utf-8"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("text/tab-separated-values", "text/tab-separated-values; charset=utf-8"),
    ],
)
def test_solutions(server: str, accept: str | None, media_type: str) -> None:
    answer = get(server, HEAD_OF_BOARD, accept)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == media_type
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert "Accept" in answer.headers["Vary"]
    answer.encoding = "utf-8"
    assert "Lê Trung Kiên" in answer.text


def test_solutions_parse(server: str) -> None:
    as_json = json.loads(get(server, HEAD_OF_BOARD).content)
    as_xml = ET.fromstring(get(server, HEAD_OF_BOARD, "application/sparql-results+xml").content)  # noqa: S314
    as_csv = list(csv.reader(io.StringIO(get(server, HEAD_OF_BOARD, "text/csv").content.decode())))
    name = as_json["results"]["bindings"][0]["name"]["value"]
    assert [element.text for element in as_xml.iter("{http://www.w3.org/2005/sparql-results#}literal")] == [name]
    assert as_csv == [["name"], [name]]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/sparql-results+json"),
        ("application/sparql-results+xml", "application/sparql-results+xml; charset=utf-8"),
        ("text/csv, application/sparql-results+xml;q=0.1", "application/sparql-results+xml; charset=utf-8"),
    ],
)
def test_boolean(server: str, accept: str | None, media_type: str) -> None:
    answer = get(server, "ASK { ?s ?p ?o }", accept)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert "true" in answer.text


@pytest.mark.parametrize(
    ("accept", "parser"),
    [
        (None, "turtle"),
        ("text/turtle", "turtle"),
        ("application/n-triples", "nt"),
        ("application/ld+json", "json-ld"),
        ("application/rdf+xml", "xml"),
        ("application/trig", "trig"),
        ("application/n-quads", "nquads"),
    ],
)
@pytest.mark.parametrize("query", [CONSTRUCT, "DESCRIBE <https://w3id.org/hpez/id/org/heza>"])
def test_graphs(server: str, accept: str | None, parser: str, query: str) -> None:
    answer = get(server, query, accept)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].partition(";")[0] == (accept or "text/turtle")
    graph = rdflib.Dataset(default_union=True).parse(data=answer.content, format=parser)
    assert len(graph) > 5


@pytest.mark.parametrize(
    ("query", "accept", "offered"),
    [
        ("SELECT * {}", "image/png", "text/csv"),
        ("SELECT * {}", "text/turtle", "text/csv"),
        ("SELECT * {}", "*/*;q=0", "text/csv"),
        ("ASK {}", "text/csv, text/tab-separated-values", "application/sparql-results+json"),
        (CONSTRUCT, "text/csv", "application/n-quads"),
    ],
)
def test_unacceptable(server: str, problem: Problem, query: str, accept: str, offered: str) -> None:
    found = problem(get(server, query, accept), 406, "not-acceptable")
    assert offered in found["offered"]  # type: ignore[operator]


def test_a_large_result_is_complete(server: str) -> None:
    query = "SELECT * { { SELECT * { ?s ?p ?o } LIMIT 400 } { SELECT ?a { ?a ?b ?c } LIMIT 100 } }"
    answer = get(server, query, "text/csv")
    assert len(answer.content) > 2 * 1024 * 1024
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.content.count(b"\r\n") == 40001


# --- the dataset


def count(answer: requests.Response) -> int:
    return int(answer.json()["results"]["bindings"][0]["n"]["value"])


COUNT = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
COUNT_NAMED = "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }"


def test_default_graph_is_the_union(server: str) -> None:
    assert count(get(server, COUNT)) > count(get(server, COUNT, **{"default-graph-uri": ENTITIES})) > 0


def test_strict_default_graph_is_empty(small_strict_server: str) -> None:
    assert count(get(small_strict_server, COUNT)) == 0
    assert count(get(small_strict_server, COUNT_NAMED)) > 0
    assert count(get(small_strict_server, COUNT, **{"default-graph-uri": ENTITIES})) > 0


def test_many_graphs_and_named_graphs(server: str) -> None:
    ontology = "https://w3id.org/hpez/graph/ontology"
    one, other = (count(get(server, COUNT, **{"default-graph-uri": iri})) for iri in (ENTITIES, ontology))
    assert count(get(server, COUNT, **{"default-graph-uri": [ENTITIES, ontology]})) == one + other
    assert count(get(server, COUNT_NAMED, **{"named-graph-uri": [ENTITIES, ontology]})) == one + other
    assert count(get(server, COUNT_NAMED, **{"default-graph-uri": ENTITIES})) == 0


def test_the_protocol_dataset_overrides_from(server: str) -> None:
    query = "SELECT (COUNT(*) AS ?n) FROM <https://w3id.org/hpez/graph/ontology> { ?s ?p ?o }"
    assert count(get(server, query, **{"default-graph-uri": ENTITIES})) == count(
        get(server, COUNT, **{"default-graph-uri": ENTITIES})
    )


def test_dataset_of_direct_and_form_posts(server: str) -> None:
    expected = count(get(server, COUNT, **{"default-graph-uri": ENTITIES}))
    parameters = {"default-graph-uri": ENTITIES}
    form = requests.post(f"{server}/sparql", data={"query": COUNT, **parameters}, timeout=30)
    posted = requests.post(f"{server}/sparql", params=parameters, data=COUNT, headers=QUERY, timeout=30)
    assert count(form) == count(posted) == expected


@pytest.mark.parametrize("iri", ["https://example.org/none", "relative", "a b", ""])
@pytest.mark.parametrize("parameter", ["default-graph-uri", "named-graph-uri"])
def test_unknown_graph(server: str, problem: Problem, parameter: str, iri: str) -> None:
    assert iri in str(problem(get(server, "ASK {}", **{parameter: iri}), 400, "unknown-graph")["detail"])


# --- bad input


@pytest.mark.parametrize(
    ("query", "line", "column"),
    [("SELECT * WHERE {\n  ?s ?p\n}", 3, 1), ("nonsense", 1, 1), ("ASK {\n ?s a nope:x }", 2, 7)],
)
def test_a_syntax_error_has_line_and_column(server: str, problem: Problem, query: str, line: int, column: int) -> None:
    for answer in (get(server, query), direct(server, query)):
        found = problem(answer, 400, "query-syntax")
        assert (found["line"], found["column"]) == (line, column)


@pytest.mark.parametrize(
    ("query", "column"),
    [
        ("ASK FROM <http://[> {}", 10),
        ("ASK FROM NAMED <//]> {}", 16),
        ("BASE <http://[> ASK {}", 6),
        ("BASE <http://[> ASK FROM <a> {}", 6),
        ("PREFIX a: <http://[> ASK FROM a:b { ?s a:b ?o OPTIONAL { ?o ?p ?v } }", 11),
        ("ASK { SERVICE <http://[> { ?s ?p ?o } }", 15),
    ],
)
def test_an_invalid_iri_is_a_syntax_error(server: str, problem: Problem, query: str, column: int) -> None:
    for answer in (get(server, f"BASE <http://example.org/>\n{query}"), direct(server, f"\n{query}")):
        found = problem(answer, 400, "query-syntax")
        assert (found["line"], found["column"]) == (2, column)


def test_invalid_hosts(server: str, problem: Problem) -> None:
    problem(get(server, "ASK FROM <http://℀/> {}"), 400, "unknown-graph")
    problem(get(server, "ASK {}", **{"default-graph-uri": "http://["}), 400, "unknown-graph")
    problem(get(server, "ASK { SERVICE <http://℀/> { ?s ?p ?o } }"), 403, "service-denied")


def test_service_is_refused_however_it_is_written(server: str, problem: Problem) -> None:
    query = "PREFIX a: <http://127.0.0.1:1/> ASK { SERVICEa:x { ?s ?p ?o } }"
    problem(get(server, query), 403, "service-denied")


def test_service_is_refused(server: str, problem: Problem) -> None:
    found = problem(get(server, "ASK { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }"), 403, "service-denied")
    assert "SERVICE" in str(found["detail"])


@pytest.mark.parametrize("query", ["", "  \n"])
def test_empty_query(server: str, problem: Problem, query: str) -> None:
    problem(get(server, query), 400, "bad-input")
    problem(direct(server, query), 400, "bad-input")


def test_exactly_one_query(server: str, problem: Problem) -> None:
    url = f"{server}/sparql"
    ask = {"query": "ASK {}"}
    for answer in (
        requests.get(url, params=[("query", "ASK {}"), ("query", "ASK {}")], timeout=30),
        requests.post(url, data=[("query", "ASK {}"), ("query", "ASK {}")], timeout=30),
        requests.post(url, params=ask, data=ask, timeout=30),
        requests.post(url, params=ask, data="ASK {}", headers=QUERY, timeout=30),
        requests.post(url, data={"other": "x"}, timeout=30),
        requests.post(url, data="", headers={"Content-Type": "application/x-www-form-urlencoded"}, timeout=30),
    ):
        assert "exactly one query" in str(problem(answer, 400, "bad-request")["detail"])


@pytest.mark.parametrize("parameter", ["using-graph-uri", "using-named-graph-uri"])
def test_parameters_of_updates_are_refused(server: str, problem: Problem, parameter: str) -> None:
    found = problem(get(server, "ASK {}", **{parameter: ENTITIES}), 400, "bad-request")
    assert parameter in str(found["detail"])


def test_a_post_has_its_query_in_the_body(server: str, problem: Problem) -> None:
    url = f"{server}/sparql"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    problem(requests.post(url, params={"query": "ASK {}"}, data="", headers=form, timeout=30), 400, "bad-request")
    problem(requests.post(url, params={"query": "ASK {}"}, data="", headers=QUERY, timeout=30), 400, "bad-request")


@pytest.mark.parametrize("seconds", ["1", "0.5", ".5", "5.25", "100000"])
def test_timeout_in_seconds(server: str, seconds: str) -> None:
    assert get(server, "ASK {}", timeout=seconds).status_code == 200
    form = requests.post(f"{server}/sparql", data={"query": "ASK {}", "timeout": seconds}, timeout=30)
    posted = requests.post(f"{server}/sparql", params={"timeout": seconds}, data="ASK {}", headers=QUERY, timeout=30)
    assert (form.status_code, posted.status_code) == (200, 200)


@pytest.mark.parametrize("seconds", ["0", "0.0", "-1", "", "one", "1e3", "inf", "nan", "1_0", " 1", "١", ["1", "2"]])
def test_bad_timeout(server: str, problem: Problem, seconds: str | list[str]) -> None:
    assert "timeout" in str(problem(get(server, "ASK {}", timeout=seconds), 400, "bad-request")["detail"])


@pytest.mark.parametrize("extra", [{}, {"query": "ASK {}"}])
def test_an_update_is_posted_alone(server: str, problem: Problem, extra: dict[str, str]) -> None:
    update = {"update": "CLEAR ALL", **extra}
    answer = requests.get(f"{server}/sparql", params=update, timeout=30)
    assert "POST" in str(problem(answer, 400, "bad-request")["detail"])
    answer = requests.post(f"{server}/sparql", data=update, timeout=30)
    problem(answer, *((400, "bad-request") if extra else (403, "forbidden")))


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_content_type(server: str, problem: Problem, content_type: str) -> None:
    answer = direct(server, "ASK {}", {"Content-Type": content_type})
    detail = str(problem(answer, 415, "unsupported-media-type")["detail"])
    assert "application/sparql-query" in detail
    assert "application/x-www-form-urlencoded" in detail


@pytest.mark.parametrize("media_type", ["application/sparql-query", "application/x-www-form-urlencoded"])
def test_other_charset(server: str, problem: Problem, media_type: str) -> None:
    answer = direct(server, "ASK {}".encode("utf-16"), {"Content-Type": f"{media_type}; charset=UTF-16"})
    assert "UTF-16" in str(problem(answer, 415, "unsupported-media-type")["detail"])


def test_invalid_utf8(server: str, problem: Problem) -> None:
    assert "byte 5" in str(problem(direct(server, b"ASK {\xff}"), 400, "bad-request")["detail"])
    problem(requests.get(f"{server}/sparql?query=ASK%7B%FF%7D", timeout=30), 400, "bad-request")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    problem(direct(server, b"query=%FF", form), 400, "bad-request")
    problem(direct(server, b"query=\xff", form), 400, "bad-request")


def test_body_over_the_limit(small_strict_server: str, problem: Problem) -> None:
    fits = "ASK {}".ljust(1000)
    assert direct(small_strict_server, fits).status_code == 200
    found = problem(direct(small_strict_server, fits + " "), 413, "request-entity-too-large")
    assert "1000 bytes" in str(found["detail"])


def test_body_of_unannounced_length(small_strict_server: str, problem: Problem) -> None:
    def send(size: int) -> requests.Response:
        chunks = iter([b"ASK {}", b" " * (size - 6)])
        return requests.post(f"{small_strict_server}/sparql", data=chunks, headers=QUERY, timeout=30)

    assert send(1000).status_code == 200
    problem(send(1001), 413, "request-entity-too-large")
    problem(send(500_000), 413, "request-entity-too-large")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods(server: str, problem: Problem, method: str) -> None:
    answer = requests.request(method, f"{server}/sparql", timeout=30)
    problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


# --- HEAD, OPTIONS, CORS


def test_head(server: str) -> None:
    url = f"{server}/sparql?query={quote(HEAD_OF_BOARD)}"
    head, body = requests.head(url, timeout=30), requests.get(url, timeout=30)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Type", "Content-Length", "Vary"):
        assert head.headers[name] == body.headers[name]


def test_cors(server: str) -> None:
    preflight = requests.options(
        f"{server}/sparql",
        headers={"Origin": "https://example.org", "Access-Control-Request-Method": "POST"},
        timeout=30,
    )
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in preflight.headers["Access-Control-Allow-Headers"]
    assert int(preflight.headers["Access-Control-Max-Age"]) >= 3600
    assert get(server, "ASK {}").headers["Access-Control-Allow-Origin"] == "*"
    assert get(server, "nonsense").headers["Access-Control-Allow-Origin"] == "*"


# --- without a query


@pytest.mark.parametrize(
    ("accept", "parser"),
    [
        (None, "turtle"),
        ("text/turtle", "turtle"),
        ("application/rdf+xml", "xml"),
        ("application/ld+json", "json-ld"),
        ("application/n-triples", "nt"),
        ("application/trig", "trig"),
        ("application/n-quads", "nquads"),
    ],
)
def test_service_description(server: str, accept: str | None, parser: str) -> None:
    answer = requests.get(f"{server}/sparql", headers={"Accept": accept}, timeout=30)
    graph = rdflib.Dataset(default_union=True).parse(data=answer.content, format=parser)
    service = graph.value(predicate=rdflib.RDF.type, object=SD.Service)
    assert graph.value(service, SD.endpoint) == rdflib.URIRef(f"{server}/sparql")
    assert (service, SD.supportedLanguage, SD.SPARQL11Query) in graph
    assert (service, SD.feature, SD.UnionDefaultGraph) in graph
    formats = {
        str(iri).removeprefix("http://www.w3.org/ns/formats/") for iri in graph.objects(service, SD.resultFormat)
    }
    assert formats == {
        "SPARQL_Results_JSON", "SPARQL_Results_XML", "SPARQL_Results_CSV", "SPARQL_Results_TSV",
        "Turtle", "N-Triples", "JSON-LD", "RDF_XML", "TriG", "N-Quads",
    }  # fmt: skip
    absent = (SD.inputFormat, SD.extensionFunction, SD.extensionAggregate)
    assert [term for term in absent if (None, term, None) in graph] == []
    assert (service, SD.feature, SD.BasicFederatedQuery) not in graph


def test_service_description_counts_the_default_graph(server: str, small_strict_server: str) -> None:
    triples = rdflib.URIRef("http://rdfs.org/ns/void#triples")
    for url in (server, small_strict_server):
        graph = rdflib.Graph().parse(data=requests.get(f"{url}/sparql", timeout=30).content)
        default = graph.value(graph.value(predicate=rdflib.RDF.type, object=SD.Dataset), SD.defaultGraph)
        assert graph.value(default, triples) == rdflib.Literal(count(get(url, COUNT)))


def test_service_description_counts_its_graphs(server: str) -> None:
    graph = rdflib.Graph().parse(data=requests.get(f"{server}/sparql", timeout=30).content)
    void = rdflib.Namespace("http://rdfs.org/ns/void#")
    entities = graph.value(predicate=SD.name, object=rdflib.URIRef(ENTITIES))
    described = graph.value(graph.value(entities, SD.graph), void.triples)
    assert described.toPython() == count(get(server, COUNT, **{"default-graph-uri": ENTITIES}))  # type: ignore[union-attr]


def test_strict_service_description(small_strict_server: str) -> None:
    graph = rdflib.Graph().parse(data=requests.get(f"{small_strict_server}/sparql", timeout=30).content)
    assert (None, SD.feature, None) not in graph


@pytest.mark.parametrize(("header", "language"), [("vi-VN", "vi"), ("en-US,en;q=0.5", "en")])
def test_form(server: str, page: Callable[[requests.Response], object], header: str, language: str) -> None:
    answer = requests.get(
        f"{server}/sparql", headers={"Accept": "text/html,*/*;q=0.8", "Accept-Language": header}, timeout=30
    )
    found = page(answer)
    assert found.language == language  # type: ignore[attr-defined]
    example = found.texts["textarea"][0]  # type: ignore[attr-defined]
    rows = get(server, example).json()["results"]["bindings"]
    assert {row["investor"]["xml:lang"] for row in rows} == {language}


def test_description_or_form_not_acceptable(server: str, problem: Problem) -> None:
    answer = requests.get(f"{server}/sparql", headers={"Accept": "image/png"}, timeout=30)
    assert "text/html" in problem(answer, 406, "not-acceptable")["offered"]  # type: ignore[operator]

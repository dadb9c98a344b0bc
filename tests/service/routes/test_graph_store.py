import gzip
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import rdflib
import requests

Problem = Callable[[requests.Response, int, str], dict[str, object]]
ReadPage = Callable[[requests.Response], Any]

BASE = "https://w3id.org/hpez/"
ENTITIES = f"{BASE}graph/entities"
GRAPHS = (
    "asserted", "derived", "entities", "issues", "ontology", "shapes", "source/dnhn-94474", "vocabulary",
)  # fmt: skip
FORMATS = [
    ("text/turtle", "ttl", "turtle"),
    ("application/n-triples", "nt", "nt"),
    ("application/ld+json", "jsonld", "json-ld"),
    ("application/rdf+xml", "rdf", "xml"),
    ("application/trig", "trig", "trig"),
    ("application/n-quads", "nq", "nquads"),
]
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def get(url: str, accept: str | None = None, **parameters: str) -> requests.Response:
    return requests.get(url, params=parameters, headers={"Accept": accept}, timeout=30, allow_redirects=False)  # type: ignore[arg-type]


def size_of(answer: requests.Response, parser: str) -> int:
    assert answer.status_code == 200, answer.text
    return len(rdflib.Dataset(default_union=True).parse(data=answer.content, format=parser))


@pytest.fixture(scope="module")
def sizes(server: str) -> dict[str, int]:
    query = "SELECT ?g (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g"
    rows = get(f"{server}/sparql", query=query).json()["results"]["bindings"]
    return {row["g"]["value"]: int(row["n"]["value"]) for row in rows}


# --- /data: SPARQL 1.1 Graph Store HTTP Protocol


@pytest.mark.parametrize(("media_type", "_suffix", "parser"), FORMATS)
def test_get_a_graph(server: str, sizes: dict[str, int], media_type: str, _suffix: str, parser: str) -> None:
    answer = get(f"{server}/data", media_type, graph=ENTITIES)
    assert answer.headers["Content-Type"].partition(";")[0] == media_type
    assert size_of(answer, parser) == sizes[ENTITIES]


@pytest.mark.parametrize("accept", [None, "*/*", FIREFOX])
def test_turtle_unless_something_else_is_asked_for(server: str, accept: str | None) -> None:
    assert get(f"{server}/data", accept, graph=ENTITIES).headers["Content-Type"] == "text/turtle; charset=utf-8"


def test_other_name_of_turtle(server: str) -> None:
    answer = get(f"{server}/data", "application/x-turtle", graph=ENTITIES)
    assert answer.headers["Content-Type"].startswith("application/x-turtle")


@pytest.mark.parametrize("iri", sorted(f"{BASE}graph/{name}" for name in GRAPHS))
def test_every_graph_is_complete(server: str, sizes: dict[str, int], iri: str) -> None:
    assert size_of(get(f"{server}/data", "application/n-triples", graph=iri), "nt") == sizes[iri]


@pytest.mark.parametrize("query", ["default", "default="])
def test_the_default_graph_is_empty(server: str, query: str) -> None:
    answer = requests.get(f"{server}/data?{query}", timeout=30)
    assert (answer.status_code, size_of(answer, "turtle")) == (200, 0)


def test_head(server: str) -> None:
    url = f"{server}/data?graph={quote(ENTITIES)}"
    plain = {"Accept-Encoding": "identity"}
    head, whole = (requests.request(method, url, headers=plain, timeout=30) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"] == str(len(whole.content))
    assert requests.head(f"{server}/data?graph=urn:nowhere", timeout=30).status_code == 404


@pytest.mark.parametrize(
    "query",
    ["", "graph=urn:a&graph=urn:b", "default&default", f"default&graph={ENTITIES}", "graf=urn:a", "graph=%FF"],
)
def test_exactly_one_graph(server: str, problem: Problem, query: str) -> None:
    problem(get(f"{server}/data?{query}"), 400, "bad-request")


@pytest.mark.parametrize("iri", ["urn:nowhere", "http://example.org/a%20b", "nowhere", "", "đồ-thị"])
def test_unknown_graph(server: str, problem: Problem, iri: str) -> None:
    found = problem(get(f"{server}/data", graph=iri), 404, "not-found")
    assert iri in str(found["detail"])


def test_relative_iri_is_resolved_against_the_request(server: str, problem: Problem) -> None:
    found = problem(get(f"{server}/data", graph="graph/entities"), 404, "not-found")
    assert f"<{server}/graph/entities>" in str(found["detail"])


@pytest.mark.parametrize("iri", ["urn:a b", "http://example.org/<", "a b\nc", "//[", "//[::1", "http://["])
def test_an_invalid_iri_is_refused(server: str, problem: Problem, iri: str) -> None:
    problem(get(f"{server}/data", graph=iri), 400, "bad-request")


def test_not_acceptable(server: str, problem: Problem) -> None:
    found = problem(get(f"{server}/data", "text/html", graph=ENTITIES), 406, "not-acceptable")
    assert set(found["offered"]) == {media_type for media_type, _, _ in FORMATS}  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/n-triples;q=0.3, application/trig;q=0.7", "application/trig"),
        ("text/turtle;q=0.5, application/*;q=0.2", "text/turtle"),
        ("*/*;q=0.1, text/turtle;q=0", "application/n-triples"),
        ("text/turtle;q=0.2, application/rdf+xml;q=0.9, text/html;q=0.1", "application/rdf+xml"),
    ],
)
@pytest.mark.parametrize("path", ["/graph/entities", f"/data?graph={quote(ENTITIES)}"])
def test_q_values(server: str, path: str, accept: str, media_type: str) -> None:
    assert get(server + path, accept).headers["Content-Type"].partition(";")[0] == media_type


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_writes_are_disabled_without_a_token(server: str, problem: Problem, method: str) -> None:
    answer = requests.request(method, f"{server}/data?graph={quote(ENTITIES)}", data="", timeout=30)
    assert "hpkg token create" in str(problem(answer, 403, "forbidden")["detail"])


def test_other_methods_are_not_allowed(server: str, problem: Problem) -> None:
    answer = requests.patch(f"{server}/data?graph={quote(ENTITIES)}", data="", timeout=30)
    problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE"}


def test_options(server: str) -> None:
    answer = requests.options(f"{server}/data", headers={"Origin": "https://example.org"}, timeout=30)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    allowed = set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    assert allowed == {"GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE"}


# --- /graph: dumps


@pytest.mark.parametrize("accept", [None, "*/*", FIREFOX])
def test_a_graph_is_identified_directly(server: str, accept: str | None) -> None:
    """Graph Store Protocol, section 4.1: a GET of the graph's own IRI, whose base redirects to the service."""
    answer = get(f"{server}/graph/entities", accept)
    if accept == FIREFOX:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return
    assert answer.headers["Content-Type"] == "text/turtle; charset=utf-8"
    assert answer.headers["Content-Location"] == "/graph/entities.ttl"
    assert get(f"{server}/graph/entities.ttl", "image/png").content == answer.content
    assert size_of(answer, "turtle") == size_of(get(f"{server}/data", "text/turtle", graph=ENTITIES), "turtle")


def test_head_of_a_graph(server: str) -> None:
    plain = {"Accept-Encoding": "identity"}
    for name in ("entities", "entities.nt", "entities.nq.gz", "source%2Fdnhn-94474"):
        url = f"{server}/graph/{name}"
        head, whole = (requests.request(method, url, headers=plain, timeout=30) for method in ("HEAD", "GET"))
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == str(len(whole.content))
        assert head.headers["ETag"] == whole.headers["ETag"]
    assert requests.head(f"{server}/graph/nowhere", timeout=30).status_code == 404


def test_the_list_of_graphs_links_to_the_dump_of_everything(server: str) -> None:
    links = requests.utils.parse_header_links(get(f"{server}/graph", FIREFOX).headers["Link"])
    files = {link["url"].rpartition("/")[2]: link["type"] for link in links if link["rel"] == "alternate"}
    assert files["graph.trig"] == "application/trig"
    assert files["graph.nq.gz"] == "application/gzip"


@pytest.mark.parametrize(("media_type", "suffix", "parser"), FORMATS)
def test_dump_of_a_graph(server: str, sizes: dict[str, int], media_type: str, suffix: str, parser: str) -> None:
    name = "source/dnhn-94474"
    for answer in (get(f"{server}/graph/{name}.{suffix}", "image/png"), get(f"{server}/graph/{name}", media_type)):
        assert answer.headers["Content-Type"].partition(";")[0] == media_type
        assert size_of(answer, parser) == sizes[f"{BASE}graph/{name}"]


@pytest.mark.parametrize(("media_type", "suffix", "parser"), [FORMATS[2], *FORMATS[4:]])
def test_dump_of_everything(server: str, sizes: dict[str, int], media_type: str, suffix: str, parser: str) -> None:
    for answer in (get(f"{server}/graph.{suffix}", "image/png"), get(f"{server}/graph", media_type)):
        assert answer.headers["Content-Type"].partition(";")[0] == media_type
        dataset = rdflib.Dataset().parse(data=answer.content, format=parser)
        found = {str(graph.identifier): len(graph) for graph in dataset.graphs() if len(graph)}
        assert found == sizes


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("graph.nq", "everything.nq.gz"),
        ("graph.trig", "everything.trig.gz"),
        ("graph/entities.ttl", "entities.ttl.gz"),
        ("graph/source/dnhn-94474.rdf", "source-dnhn-94474.rdf.gz"),
    ],
)
def test_gzip_file(server: str, path: str, name: str) -> None:
    answer = get(f"{server}/{path}.gz", "image/png")
    assert answer.headers["Content-Type"] == "application/gzip"
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Content-Disposition"] == f"attachment; filename={name}"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert gzip.decompress(answer.content) == get(f"{server}/{path}").content
    assert get(f"{server}/{path}.gz").content == answer.content, "the gzip file has no timestamp"


def test_page_of_all_graphs(server: str, page: ReadPage) -> None:
    found = page(get(f"{server}/graph", FIREFOX))
    assert {f"/graph/{name}" for name in GRAPHS} <= set(found.links)
    assert {f"{server}/graph.{suffix}" for suffix in ("nq", "trig", "jsonld", "nq.gz")} <= set(found.links)
    assert found.text("h1") == ["Graphs"]
    assert page(get(f"{server}/graph.html", "text/turtle", lang="vi")).text("h1") == ["Các đồ thị"]


def test_page_of_a_graph(server: str, sizes: dict[str, int], page: ReadPage) -> None:
    found = page(get(f"{server}/graph/entities", FIREFOX))
    assert str(sizes[ENTITIES]) in found.text("dd")
    for link in (link for link in found.links if "/graph/entities." in link):
        assert requests.head(link, timeout=30).status_code == 200
    assert page(get(f"{server}/graph/entities.html")).text("code") == [ENTITIES]


def test_dumps_link_to_their_graph_and_the_dataset(server: str) -> None:
    links = get(f"{server}/graph/entities.ttl").links
    assert links["describes"]["url"] == ENTITIES
    assert links["http://rdfs.org/ns/void#inDataset"]["url"] == "/.well-known/void#dataset"


@pytest.mark.parametrize(
    "path",
    [
        "graph/nowhere", "graph/nowhere.ttl", "graph/nowhere.nq.gz", "graph/entities.pdf", "graph/entities.html.gz",
        "graph/entities.gz", "graph/", "graph/a%20b", "graph/%3E.ttl", "graph/%FF", "graph.pdf", "graph.ttl",
        "graph.gz", "graph.html.gz", "graph/đồ-thị",
    ],
)  # fmt: skip
def test_no_such_dump(server: str, problem: Problem, path: str) -> None:
    problem(get(f"{server}/{path}"), 404, "not-found")


def test_the_dump_of_everything_needs_a_dataset_format(server: str, problem: Problem) -> None:
    found = problem(get(f"{server}/graph", "text/turtle"), 406, "not-acceptable")
    assert set(found["offered"]) == {"text/html", "application/trig", "application/n-quads", "application/ld+json"}  # type: ignore[call-overload]

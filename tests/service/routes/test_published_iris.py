"""Every IRI of the project can be dereferenced, and documents link to related resources."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urldefrag

import pytest
import rdflib
import requests
from rdflib.compare import isomorphic
from rdflib.namespace import RDFS

from kg.views.jsonld_context import project_context

Problem = Callable[[requests.Response, int, str], dict[str, object]]

BASE = "https://w3id.org/hpez/"
HEZA = f"{BASE}id/org/heza"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
IN_DATASET = "http://rdfs.org/ns/void#inDataset"


def get(url: str, accept: str | None = None, **headers: str) -> requests.Response:
    return requests.get(url, headers={"Accept": accept, **headers}, timeout=30)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def minted(server: str) -> set[str]:
    """Return all IRIs below the base in any position of a statement, and the names of the graphs."""
    dump = requests.get(f"{server}/graph.nq", timeout=30).content
    dataset = rdflib.Dataset().parse(data=dump, format="nquads")
    terms = {term for quad in dataset.quads() for term in quad if isinstance(term, rdflib.URIRef)}
    return {str(term) for term in terms if str(term).startswith(BASE)}


def test_every_minted_iri_dereferences(server: str, minted: set[str]) -> None:
    kinds = {iri.removeprefix(BASE).split("/")[1] for iri in minted if iri.startswith(f"{BASE}id/")}
    assert {"claim", "evidence", "issue", "source", "scheme", "activity", "zone", "org", "indicator"} <= kinds
    assert [iri for iri in minted if "/claim/derived/" in iri]
    documents = dict[str, requests.Response]()
    for iri in minted:
        url = urldefrag(iri.replace(BASE, f"{server}/", 1)).url
        documents.setdefault(url, get(url, "text/turtle"))
    failing = {url: answer.status_code for url, answer in documents.items() if answer.status_code != 200}
    assert failing == {}
    graphs = {
        url: rdflib.Graph().parse(data=answer.content)
        for url, answer in documents.items()
        if not url.startswith(f"{server}/graph/")
    }
    for iri in minted:
        url = urldefrag(iri.replace(BASE, f"{server}/", 1)).url
        node = rdflib.URIRef(iri)
        if url in graphs:
            graph = graphs[url]
            assert (node, None, None) in graph or (None, None, node) in graph, iri
        else:
            assert documents[url].links["describes"]["url"] == iri, "the dump of a graph does not contain its IRI"


@pytest.mark.parametrize("path", ["ontology/0.1.0", "shapes/0.1.0"])
def test_versions(server: str, problem: Problem, path: str) -> None:
    plain = path.partition("/")[0]
    assert get(f"{server}/{path}.ttl").content == get(f"{server}/{plain}.ttl").content
    assert get(f"{server}/{path}", FIREFOX).headers["Content-Type"] == "text/html; charset=utf-8"
    problem(get(f"{server}/{plain}/0.0.9"), 404, "not-found")
    problem(get(f"{server}/{path}.pdf"), 404, "not-found")


# --- links


def test_links_of_a_document(server: str) -> None:
    header = get(f"{server}/doc/org/heza", "text/turtle").headers["Link"]
    links = requests.utils.parse_header_links(header)
    by_relation = {link["rel"]: link["url"] for link in links}
    assert by_relation["describes"] == HEZA
    assert by_relation[IN_DATASET] == "/.well-known/void#dataset"
    assert {link["url"] for link in links if link["rel"] == "type"} == {"http://www.w3.org/ns/org#Organization"}
    alternates = {link["type"]: link["url"] for link in links if link["rel"] == "alternate"}
    assert set(alternates) == {"text/html", "application/n-triples", "application/ld+json", "application/rdf+xml"}
    for media_type, url in alternates.items():
        assert get(server + url, "image/png").headers["Content-Type"].partition(";")[0] == media_type


@pytest.mark.parametrize("path", ["/", "/doc/org/heza", "/ontology", "/shapes", "/graph", "/graph/entities", "/sparql"])
def test_every_page_links_to_the_dataset(server: str, path: str) -> None:
    answer = get(server + path, FIREFOX)
    assert answer.links[IN_DATASET]["url"] == "/.well-known/void#dataset"
    assert f'<link rel="{IN_DATASET}" href="/.well-known/void#dataset">' in answer.text


def test_links_are_exposed_to_other_origins(server: str) -> None:
    assert "Link" in get(f"{server}/doc/org/heza").headers["Access-Control-Expose-Headers"].split(", ")


# --- JSON-LD


def compact(server: str, path: str) -> dict[str, Any]:
    document: dict[str, Any] = get(server + path, "application/ld+json").json()
    return document


@pytest.mark.parametrize("path", ["/doc/org/heza", "/doc/claim/dnhn-94474/fdi-2024", "/.well-known/void"])
def test_json_ld_refers_to_the_context(server: str, path: str) -> None:
    document = compact(server, path)
    assert document["@context"] == f"{server}/context.jsonld"
    fetched = rdflib.Graph().parse(data=json.dumps(document), format="json-ld")
    turtle = rdflib.Graph().parse(data=get(server + path, "text/turtle").content)
    assert isomorphic(fetched, turtle)


def test_json_ld_is_readable(server: str) -> None:
    first = compact(server, "/doc/claim/dnhn-94474/fdi-2024")["@graph"][0]
    assert first["id"] == f"{BASE}id/claim/dnhn-94474/fdi-2024"
    assert first["type"] == "Observation"
    assert first["label"]["vi"] == "Các khu thu hút 4,35 tỷ USD vốn FDI trong năm 2024."
    assert first["value"] == "4350000000"
    assert first["evidence"] == f"{BASE}id/evidence/dnhn-94474/1884-1895"


def test_context(server: str) -> None:
    answer = get(f"{server}/context.jsonld", "image/png")
    assert answer.headers["Content-Type"] == "application/ld+json"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.json() == project_context().to_json()


def test_query_results_stay_expanded(server: str) -> None:
    answer = requests.get(
        f"{server}/sparql",
        params={"query": f"CONSTRUCT WHERE {{ <{HEZA}> ?p ?o }}"},
        headers={"Accept": "application/ld+json"},
        timeout=30,
    )
    assert all("@id" in node for node in answer.json())


# --- documents


def test_a_document_has_the_labels_of_what_it_refers_to(server: str) -> None:
    graph = rdflib.Graph().parse(data=get(f"{server}/doc/org/heza.ttl").content)
    named = {node for node in graph.all_nodes() if str(node).startswith((f"{BASE}id/org", f"{BASE}id/claim"))}
    assert len(named) > 10
    assert {node for node in named if (node, RDFS.label, None) not in graph} == set()


def test_document_is_the_same_each_time(server: str) -> None:
    for name in ("evidence/dnhn-94474/1884-1895.ttl", "org/heza.nt", "issue/dnhn-94474/actual-or-estimate.ttl"):
        urls = (f"{server}/doc/{name}?{n}" for n in range(3))
        assert len({get(url).content for url in urls}) == 1


# --- paths


@pytest.mark.parametrize(
    "name",
    [
        "org%2Fheza",
        "%6Frg/heza",
        "claim%2Fdnhn-94474%2Ffdi-2024",
        "claim/derived%2Fdnhn-94474/fdi-2024-percent-of-plan/implied-plan",
    ],
)
def test_encoded_paths(server: str, name: str) -> None:
    for path in ("id", "doc"):
        assert get(f"{server}/{path}/{name}", "text/turtle").status_code == 200


@pytest.mark.parametrize(
    "path", ["/doc/zone/đình-vũ", "/id/zone/đình vũ", "/doc/zone/<script>alert(1)</script>", "/không-có", "/graph/x"]
)
@pytest.mark.parametrize(("language", "words"), [("en", "There is nothing here"), ("vi", "Không có gì ở đây")])
def test_an_unknown_path_is_a_page_for_browsers(server: str, path: str, language: str, words: str) -> None:
    answer = get(server + quote(path), FIREFOX, **{"Accept-Language": language})
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert answer.headers["Content-Language"] == language
    assert f"<h1>{words}</h1>" in answer.text
    assert "There is nothing here" in answer.text
    assert "Không có gì ở đây" in answer.text
    assert "<script>" not in answer.text
    assert "/" in links_of(answer.text)


def links_of(html: str) -> list[str]:
    found = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value or "" for name, value in attrs if tag == "a" and name == "href")

    Links().feed(html)
    return found


@pytest.mark.parametrize(
    "accept",
    [None, "*/*", "text/turtle", "text/turtle, text/html;q=0.5", "application/ld+json,application/json;q=0.9"],
)
def test_an_unknown_path_is_a_problem_for_programs(server: str, problem: Problem, accept: str | None) -> None:
    problem(get(f"{server}/doc/zone/{quote('đình-vũ')}", accept), 404, "not-found")

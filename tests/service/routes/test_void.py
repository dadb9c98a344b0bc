"""`/.well-known/void`: every number equals the result of a query."""

from collections.abc import Callable

import pytest
import rdflib
import requests
from rdflib.namespace import DCAT, DCTERMS, RDF, VOID

from tests.service.routes.rdf_formats import FORMATS

Problem = Callable[[requests.Response, int, str], dict[str, object]]

BASE = "https://w3id.org/hpez/"


def described(server: str, accept: str = "text/turtle", parser: str = "turtle") -> rdflib.Dataset:
    answer = requests.get(f"{server}/.well-known/void", headers={"Accept": accept}, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].partition(";")[0] == accept
    return rdflib.Dataset(default_union=True).parse(data=answer.content, format=parser)


@pytest.fixture(scope="module")
def graph(server: str) -> rdflib.Dataset:
    return described(server)


@pytest.fixture(scope="module")
def dataset(server: str) -> rdflib.URIRef:
    return rdflib.URIRef(f"{server}/.well-known/void#dataset")


def rows(server: str, query: str) -> list[dict[str, dict[str, str]]]:
    found: list[dict[str, dict[str, str]]] = requests.get(
        f"{server}/sparql", params={"query": query}, timeout=30
    ).json()["results"]["bindings"]
    return found


@pytest.mark.parametrize(("accept", "parser"), FORMATS)
def test_formats(server: str, dataset: rdflib.URIRef, accept: str, parser: str) -> None:
    found = described(server, accept, parser)
    assert (dataset, RDF.type, VOID.Dataset) in found
    assert (dataset, RDF.type, DCAT.Dataset) in found
    assert len(found) == len(described(server))


def test_turtle_by_default_and_nothing_else(server: str, problem: Problem) -> None:
    url = f"{server}/.well-known/void"
    assert requests.get(url, timeout=30).headers["Content-Type"] == "text/turtle; charset=utf-8"
    problem(requests.get(url, headers={"Accept": "image/png"}, timeout=30), 406, "not-acceptable")
    problem(requests.post(url, timeout=30), 405, "method-not-allowed")


def test_identity(graph: rdflib.Dataset, dataset: rdflib.URIRef) -> None:
    for text in (DCTERMS.title, DCTERMS.description):
        assert {literal.language for literal in graph.objects(dataset, text)} == {"en", "vi"}  # type: ignore[attr-defined]
    assert graph.value(dataset, DCTERMS.license) == rdflib.URIRef("https://creativecommons.org/licenses/by/4.0/")
    assert graph.value(dataset, DCTERMS.publisher) == rdflib.URIRef(f"{BASE}id/org/hpez-project")
    assert graph.value(dataset, VOID.uriSpace) == rdflib.Literal(f"{BASE}id/")
    assert rdflib.URIRef(f"{BASE}ontology#") in set(graph.objects(dataset, VOID.vocabulary))


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("triples", "SELECT (COUNT(*) AS ?n) { SELECT DISTINCT ?s ?p ?o { ?s ?p ?o } }"),
        ("distinctSubjects", "SELECT (COUNT(DISTINCT ?s) AS ?n) { ?s ?p ?o }"),
        ("distinctObjects", "SELECT (COUNT(DISTINCT ?o) AS ?n) { ?s ?p ?o }"),
        ("properties", "SELECT (COUNT(DISTINCT ?p) AS ?n) { ?s ?p ?o }"),
        ("classes", "SELECT (COUNT(DISTINCT ?c) AS ?n) { ?s a ?c }"),
        ("entities", f'SELECT (COUNT(DISTINCT ?s) AS ?n) {{ ?s ?p ?o FILTER (STRSTARTS(STR(?s), "{BASE}id/")) }}'),
    ],
)
def test_numbers(server: str, graph: rdflib.Dataset, dataset: rdflib.URIRef, name: str, query: str) -> None:
    assert graph.value(dataset, VOID[name]) == rdflib.Literal(int(rows(server, query)[0]["n"]["value"]))


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        ("property", "SELECT ?x (COUNT(*) AS ?n) { ?s ?x ?o } GROUP BY ?x"),
        ("class", "SELECT ?x (COUNT(DISTINCT ?s) AS ?n) { ?s a ?x } GROUP BY ?x"),
    ],
)
def test_partitions(server: str, graph: rdflib.Dataset, dataset: rdflib.URIRef, kind: str, query: str) -> None:
    unit = {"property": VOID.triples, "class": VOID.entities}[kind]
    parts = graph.objects(dataset, VOID[f"{kind}Partition"])
    found = {str(graph.value(part, VOID[kind])): graph.value(part, unit).toPython() for part in parts}  # type: ignore[union-attr]
    assert found == {row["x"]["value"]: int(row["n"]["value"]) for row in rows(server, query)}


def test_properties_say_how_many_subjects_and_objects_they_have(server: str, graph: rdflib.Dataset) -> None:
    numbers = (VOID.triples, VOID.distinctSubjects, VOID.distinctObjects)
    found = {
        str(iri): tuple(graph.value(part, number).toPython() for number in numbers)  # type: ignore[union-attr]
        for part, iri in graph.subject_objects(VOID.property)
    }
    query = """SELECT ?x (COUNT(*) AS ?n) (COUNT(DISTINCT ?s) AS ?subjects) (COUNT(DISTINCT ?o) AS ?objects)
        { ?s ?x ?o } GROUP BY ?x"""
    asked = rows(server, query)
    assert found == {
        row["x"]["value"]: tuple(int(row[n]["value"]) for n in ("n", "subjects", "objects")) for row in asked
    }


def test_subsets_are_the_graphs(server: str, graph: rdflib.Dataset, dataset: rdflib.URIRef) -> None:
    found = {str(part): graph.value(part, VOID.triples).toPython() for part in graph.objects(dataset, VOID.subset)}  # type: ignore[union-attr]
    query = "SELECT ?g (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g"
    assert found == {row["g"]["value"]: int(row["n"]["value"]) for row in rows(server, query)}


def test_every_dump_has_its_media_type(graph: rdflib.Dataset, dataset: rdflib.URIRef) -> None:
    downloads = set(graph.subject_objects(DCAT.downloadURL))
    assert {url for _, url in downloads} == set(graph.objects(None, VOID.dataDump))
    assert len(set(graph.objects(dataset, VOID.dataDump))) == 4
    for distribution, url in downloads:
        packed = graph.value(distribution, DCAT.compressFormat)
        media_type = str(packed or graph.value(distribution, DCAT.mediaType))
        answer = requests.head(str(url), headers={"Accept": "image/png"}, timeout=30)
        assert answer.status_code == 200
        assert media_type.endswith("/media-types/" + answer.headers["Content-Type"].partition(";")[0])


def test_endpoint(server: str, graph: rdflib.Dataset, dataset: rdflib.URIRef) -> None:
    endpoint = rdflib.URIRef(f"{server}/sparql")
    assert graph.value(dataset, VOID.sparqlEndpoint) == endpoint
    service = graph.value(predicate=DCAT.endpointURL, object=endpoint)
    assert (service, DCAT.servesDataset, dataset) in graph
    assert graph.value(predicate=DCAT.accessService, object=service) in set(graph.objects(dataset, DCAT.distribution))


def test_urls_are_those_of_the_request(server: str) -> None:
    answer = requests.get(f"{server}/.well-known/void", headers={"Host": "graph.example.org"}, timeout=30)
    assert "<http://graph.example.org/.well-known/void#dataset>" in answer.text
    assert server not in answer.text
    assert server in requests.get(f"{server}/.well-known/void", timeout=30).text


@pytest.mark.parametrize("host", ["a b", "a/b", 'a"b', "<a>", "a:99999", "a:b@c"])
@pytest.mark.parametrize("path", ["/.well-known/void", "/doc/zone/deep-c.jsonld", "/graph"])
def test_an_invalid_host_is_refused(server: str, problem: Problem, path: str, host: str) -> None:
    answer = requests.get(server + path, headers={"Host": host.encode()}, timeout=30)  # type: ignore[dict-item]
    assert "Host" in str(problem(answer, 400, "bad-request")["detail"])


def test_equal_byte_for_byte(server: str) -> None:
    urls = (f"{server}/.well-known/void?{n}" for n in range(2))
    assert len({requests.get(url, timeout=30).content for url in urls}) == 1


def test_the_service_description_is_of_the_same_dataset(server: str, dataset: rdflib.URIRef) -> None:
    sd = rdflib.Namespace("http://www.w3.org/ns/sparql-service-description#")
    about = rdflib.Graph().parse(data=requests.get(f"{server}/sparql", timeout=30).content)
    assert set(about.objects(None, sd.defaultDataset)) == {dataset}

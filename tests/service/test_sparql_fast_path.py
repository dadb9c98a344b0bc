"""The fast path returns the same responses as Flask."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

OWN = {"etag", "x-request-id", "server-timing", "date"}
ACCEPTS = ("application/sparql-results+json", "text/csv", "application/sparql-results+xml", "*/*", "text/turtle", "x/y")
QUERIES = (
    "SELECT ?o WHERE { ?s <http://www.w3.org/2000/01/rdf-schema#label> ?o } ORDER BY ?o LIMIT 1",
    "SELECT * WHERE { ?s ?p ?o } ORDER BY ?s ?p ?o LIMIT 50",
    "ASK { ?s a ?c }",
    "CONSTRUCT { <http://x/s> <http://x/p> ?n } WHERE { BIND(1 AS ?n) }",
    "SELECT * WHERE { ?s ?p ?o",
    "",
)
fresh = itertools.count()


def ask(server: str, query: str, way: str, accept: str = "application/sparql-results+json") -> requests.Response:
    """Send a query that is in no cache; a conditional request always goes through Flask."""
    headers = {"Accept": accept, "Accept-Encoding": "identity"}
    if way == "long":
        headers["If-None-Match"] = '"something else"'
    return requests.get(
        f"{server}/sparql", {"query": f"{query} # {next(fresh)}" if query else ""}, headers=headers, timeout=20
    )


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("query", QUERIES)
def test_both_paths_give_the_same_answer(server: str, query: str, accept: str) -> None:
    short, long = (ask(server, query, way, accept) for way in ("short", "long"))
    assert short.status_code == long.status_code
    assert set(short.headers) == set(long.headers)
    if short.ok:
        assert {name: value for name, value in short.headers.items() if name.lower() not in OWN} == {
            name: value for name, value in long.headers.items() if name.lower() not in OWN
        }
        assert short.content == long.content
    else:
        assert short.json()["type"] == long.json()["type"]


def test_both_paths_share_the_cache(server: str) -> None:
    query = f"SELECT ?n WHERE {{ BIND({next(fresh)} AS ?n) }} # kept"
    first, again, posted = (
        requests.get(f"{server}/sparql", {"query": query}, timeout=20),
        requests.get(f"{server}/sparql", {"query": query}, timeout=20),
        requests.post(f"{server}/sparql", {"query": query}, timeout=20),
    )
    unchanged = requests.get(
        f"{server}/sparql", {"query": query}, headers={"If-None-Match": first.headers["ETag"]}, timeout=20
    )
    assert first.content == again.content == posted.content
    assert first.headers["ETag"] == again.headers["ETag"]
    assert unchanged.status_code == 304
    assert unchanged.headers["ETag"] == first.headers["ETag"]
    assert unchanged.content == b""


def test_a_long_query_beside_short_ones(server: str) -> None:
    """The dispatcher takes over long queries, and short ones are answered meanwhile."""
    wild = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"
    with ThreadPoolExecutor(12) as pool:
        runs = [
            pool.submit(requests.get, f"{server}/sparql", {"query": f"{wild} # {n}", "timeout": "1"}, timeout=20)
            for n in range(4)
        ]
        short = list(pool.map(lambda _: ask(server, QUERIES[0], "short").status_code, range(50)))
        assert short == [200] * 50
        for run in runs:
            assert run.result().status_code == 503
            assert run.result().json()["type"].endswith("/problem/deadline")


def test_a_long_result(server: str) -> None:
    result = requests.get(
        f"{server}/sparql",
        {"query": f"SELECT ?s ?p ?o ?n WHERE {{ ?s ?p ?o VALUES ?n {{ 1 2 3 4 }} }} # {next(fresh)}"},
        headers={"Accept": "text/csv"},
        timeout=20,
    )
    assert result.status_code == 200
    assert len(result.content) > 1024 * 1024
    assert int(result.headers["Content-Length"]) == len(result.content)


def test_requests_on_the_fast_path_are_counted(server: str) -> None:
    ask(server, QUERIES[2], "short")
    lines = requests.get(f"{server}/metrics", timeout=20).text.splitlines()
    assert any(line.startswith("hpkg_engine_leases") for line in lines)
    assert any('endpoint="sparql.get"' in line and line.startswith("hpkg_requests_total") for line in lines)

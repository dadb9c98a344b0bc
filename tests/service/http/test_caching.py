"""Conditional requests, the caches of responses and results, and compression, through an app."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli
import pytest
import requests
from backports import zstd
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryRequest, QueryResult
from kg.errors import UnreachableError
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse, place_in_graph
from kg.rdf.terms import NamedNode, Quad
from service import create_app, graph_state
from service.http.cache import MAX_ENTRY_BYTES
from service.http.compression import CODINGS
from service.settings import Settings

ASK = "ASK { <urn:a> <urn:p> ?o }"
ALL = "SELECT * { ?s ?p ?o }"
XML = "application/sparql-results+xml"
GRAPH = NamedNode("https://w3id.org/hpez/graph/entities")
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": zstd.decompress,
}


def facts(turtle: str) -> list[Quad]:
    return list(place_in_graph(parse(turtle.encode(), TURTLE), GRAPH))


class CountingEngine(EmbeddedEngine):
    """An engine that counts evaluations, and can change during one or become unreachable."""

    def __init__(self) -> None:
        super().__init__(facts("<urn:a> <urn:p> 1 ."), "digest")
        self.evaluated = 0
        self.changes_meanwhile = False
        self.gone = False

    @property
    def version(self) -> str:
        if self.gone:
            raise UnreachableError
        return super().version

    def evaluate(self, request: QueryRequest) -> QueryResult:
        self.evaluated += 1
        if self.changes_meanwhile:
            self.extend([])
        return super().evaluate(request)


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: CountingEngine) -> Callable[..., Flask]:
    monkeypatch.setattr(graph_state, "open_or_build", lambda _: engine)

    def made(**settings: int) -> Flask:
        return create_app(Settings(tmp_path, access_log=False, **settings))  # type: ignore[arg-type]

    return made


@pytest.fixture
def client(make: Callable[..., Flask]) -> Iterator[FlaskClient]:
    with make().test_client() as client:
        yield client


def ask(client: FlaskClient, query: str = ASK, method: str = "GET", **headers: str) -> TestResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.open("/sparql", method=method, query_string={"query": query}, headers=names, buffered=True)


# --- conditional requests


def test_an_unchanged_result_is_not_evaluated_again(client: FlaskClient, engine: CountingEngine) -> None:
    tag = ask(client).headers["ETag"]
    answer = ask(client, If_None_Match=tag)
    assert (answer.status_code, answer.data, engine.evaluated) == (304, b"", 1)
    assert answer.headers["ETag"] == tag
    assert answer.headers["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert answer.headers["Vary"] == "Accept, Accept-Encoding, Accept-Language"
    assert answer.headers["Cache-Status"] == 'haiphong-kg; hit; detail="not modified"'
    assert "Content-Type" not in answer.headers
    assert "Content-Length" not in answer.headers


def test_a_process_with_an_empty_cache_revalidates_without_evaluating(
    make: Callable[..., Flask], engine: CountingEngine
) -> None:
    tag = ask(make().test_client()).headers["ETag"]
    other = make(cache_bytes=0).test_client()
    answer = ask(other, If_None_Match=tag)
    assert (answer.status_code, answer.headers["ETag"], engine.evaluated) == (304, tag, 1)
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize("cache_bytes", [0, 10**6])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"a",W/{} , "b"', "*"])
def test_if_none_match_with_the_current_tag(make: Callable[..., Flask], cache_bytes: int, form: str) -> None:
    client = make(cache_bytes=cache_bytes).test_client()
    tag = ask(client).headers["ETag"]
    for method in ("GET", "HEAD"):
        answer = ask(client, method=method, If_None_Match=form.format(tag))
        assert (answer.status_code, answer.data) == (304, b"")


@pytest.mark.parametrize("sent", ['"other"', "W/", "garbage", '"'])
def test_if_none_match_without_the_current_tag(client: FlaskClient, sent: str) -> None:
    assert ask(client, If_None_Match=sent).status_code == 200
    assert ask(client, If_None_Match=sent).status_code == 200


def test_an_asterisk_does_not_match_an_error(client: FlaskClient) -> None:
    assert ask(client, "ASK {", If_None_Match="*").status_code == 400


def test_a_post_is_not_conditional(client: FlaskClient) -> None:
    tag = ask(client).headers["ETag"]
    answer = client.post("/sparql", data={"query": ASK}, headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert "ETag" not in answer.headers


def test_a_change_changes_the_tag(client: FlaskClient, engine: CountingEngine) -> None:
    before = ask(client, ALL)
    engine.extend(facts("<urn:b> <urn:p> 2 ."))
    after = ask(client, ALL, If_None_Match=before.headers["ETag"])
    assert after.status_code == 200
    assert after.headers["ETag"] != before.headers["ETag"]
    assert len(after.json["results"]["bindings"]) == 2  # type: ignore[index]
    assert engine.evaluated == 2


def test_the_tag_depends_on_query_format_and_dataset(client: FlaskClient) -> None:
    entities = {"default-graph-uri": GRAPH.value}
    answers = [
        ask(client),
        ask(client, ASK + " "),
        ask(client, Accept=XML),
        ask(client, Accept="application/json"),
        client.get("/sparql", query_string={"query": ASK, **entities}),
        client.get("/sparql", query_string={"query": ASK, "named-graph-uri": GRAPH.value}),
    ]
    tags = {answer.headers["ETag"] for answer in answers}
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert len(tags) == len(answers)
    assert ask(client, Accept="*/*").headers["ETag"] == answers[0].headers["ETag"]


def test_a_result_computed_during_a_change_has_no_tag(client: FlaskClient, engine: CountingEngine) -> None:
    engine.changes_meanwhile = True
    assert "ETag" not in ask(client).headers
    assert ask(client).headers["Cache-Status"] == "haiphong-kg; fwd=miss"
    assert engine.evaluated == 2


@pytest.mark.parametrize("path", ["/doc/zone/x", "/ontology", "/shapes.ttl", "/"])
def test_documents_are_conditional(server: str, path: str) -> None:
    url = server + path.replace("zone/x", "zone/deep-c")
    first = requests.get(url, timeout=30)
    again = requests.get(url, headers={"If-None-Match": first.headers["ETag"]}, timeout=30)
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    vietnamese = requests.get(url, headers={"Accept-Language": "vi", "Accept": "text/html, */*;q=0.1"}, timeout=30)
    turtle = "." in path
    assert (vietnamese.headers["ETag"] == first.headers["ETag"]) == turtle


# --- cached answers and results


def test_a_cached_answer_is_sent_again(client: FlaskClient, engine: CountingEngine) -> None:
    first, again = ask(client), ask(client)
    assert (again.data, again.content_type, again.headers["ETag"]) == (
        first.data,
        first.content_type,
        first.headers["ETag"],
    )
    assert first.headers["Cache-Status"] == "haiphong-kg; fwd=miss"
    assert again.headers["Cache-Status"] == "haiphong-kg; hit"
    assert engine.evaluated == 1


def test_a_cached_result_is_shared_by_get_and_post(client: FlaskClient, engine: CountingEngine) -> None:
    direct = client.post("/sparql", data=ASK, content_type="application/sparql-query")
    form = client.post("/sparql", data={"query": ASK})
    get = ask(client)
    other = ask(client, Accept="*/*")
    assert direct.data == form.data == get.data == other.data
    assert {form.headers["Cache-Status"], get.headers["Cache-Status"]} == {"haiphong-kg; hit"}
    assert engine.evaluated == 1


@pytest.mark.parametrize("first", ["GET", "HEAD"])
def test_head(client: FlaskClient, engine: CountingEngine, first: str) -> None:
    answers = {
        method: ask(client, ALL, method=method, Accept_Encoding="gzip") for method in (first, "HEAD", "GET", "HEAD")
    }
    assert answers["HEAD"].data == b""
    for name in ("Content-Length", "Content-Type", "ETag", "Cache-Control", "Vary"):
        assert answers["HEAD"].headers[name] == answers["GET"].headers[name]
    assert engine.evaluated == 1


def test_errors_are_not_cached(client: FlaskClient) -> None:
    answers = [ask(client, "ASK {"), ask(client, "ASK {"), ask(client, Accept="image/png"), client.get("/nowhere")]
    assert [answer.status_code for answer in answers] == [400, 400, 406, 404]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert not any("ETag" in answer.headers for answer in answers)


def test_nondeterministic_queries_are_not_cached(client: FlaskClient, engine: CountingEngine) -> None:
    answers = [ask(client, "SELECT (RAND() AS ?x) {}", If_None_Match="*") for _ in range(2)]
    assert answers[0].data != answers[1].data
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert {answer.headers["Cache-Status"] for answer in answers} == {"haiphong-kg; fwd=bypass"}
    assert "ETag" not in answers[0].headers
    assert engine.evaluated == 2


def test_the_cache_can_be_switched_off(make: Callable[..., Flask], engine: CountingEngine) -> None:
    client = make(cache_bytes=0).test_client()
    assert [ask(client).status_code for _ in range(2)] == [200, 200]
    assert engine.evaluated == 2


def test_max_age_is_configurable(make: Callable[..., Flask]) -> None:
    client = make(max_age=60).test_client()
    assert ask(client).headers["Cache-Control"] == "public, max-age=60, must-revalidate"


def test_a_long_result_is_revalidated_but_not_cached(client: FlaskClient, engine: CountingEngine) -> None:
    def post_like(**headers: str) -> TestResponse:
        return ask(
            client, 'SELECT (CONCAT(?x, ?x) AS ?y) { VALUES ?x { "' + "x" * (MAX_ENTRY_BYTES // 2) + '" } }', **headers
        )

    first, second = post_like(Accept_Encoding="gzip"), post_like(Accept_Encoding="gzip")
    assert len(second.data) > MAX_ENTRY_BYTES
    assert int(second.headers["Content-Length"]) == len(second.data)
    assert "Content-Encoding" not in second.headers
    assert engine.evaluated == 2
    assert post_like(Accept_Encoding="gzip", If_None_Match=first.headers["ETag"]).status_code == 304
    assert engine.evaluated == 2


def test_an_unreachable_engine_is_a_503(client: FlaskClient, engine: CountingEngine) -> None:
    ask(client)
    engine.gone = True
    answer = ask(client)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (503, "no-store")
    assert answer.headers["Retry-After"]


def test_hosts_do_not_share_pages(client: FlaskClient) -> None:
    tags = {client.get("/", headers={"Host": host}).headers["ETag"] for host in ("a.example", "b.example")}
    assert len(tags) == 2


def test_a_foreign_extension_is_an_internal_error(make: Callable[..., Flask]) -> None:
    app = make()
    app.extensions["hpkg.conditional"] = object()
    assert ask(app.test_client()).status_code == 500


def test_compressed_answers_are_cached_compressed(client: FlaskClient, engine: CountingEngine) -> None:
    query = 'SELECT * { VALUES ?x { "' + "x" * 1000 + '" } }'
    first, again = (ask(client, query, Accept_Encoding="br;q=0.5, gzip;q=0") for _ in range(2))
    assert first.headers["Content-Encoding"] == again.headers["Content-Encoding"] == "br"
    assert first.data == again.data
    assert DECODERS["br"](again.data) == ask(client, query).data
    assert first.headers["Vary"] == "Accept, Accept-Encoding, Accept-Language"
    assert engine.evaluated == 1


# --- compression, on the real server


def raw(server: str, query: str, accepted: str, **headers: str) -> tuple[requests.Response, bytes]:
    answer = requests.get(
        f"{server}/sparql",
        params={"query": query},
        headers={"Accept-Encoding": accepted, **{name.replace("_", "-"): value for name, value in headers.items()}},
        stream=True,
        timeout=30,
    )
    return answer, answer.raw.read(decode_content=False)


@pytest.mark.parametrize("name", CODINGS)
def test_round_trip(server: str, name: str) -> None:
    query = ALL + " LIMIT 300"
    plain, body = raw(server, query, "identity")
    for _ in range(2):
        packed, data = raw(server, query, name)
        assert packed.headers["Content-Encoding"] == name
        assert int(packed.headers["Content-Length"]) == len(data) < len(body)
        assert DECODERS[name](data) == body
        assert packed.headers["ETag"] == plain.headers["ETag"][:-1] + f':{name}"'


def test_each_coding_has_its_tag(server: str) -> None:
    query = ALL + " LIMIT 301"
    tags = {name: raw(server, query, name)[0].headers["ETag"] for name in (*CODINGS, "identity")}
    assert len(set(tags.values())) == 4
    for name, tag in tags.items():
        answer, body = raw(server, query, name, If_None_Match=tag)
        assert (answer.status_code, body, answer.headers["ETag"]) == (304, b"", tag)
    assert raw(server, query, "br", If_None_Match=tags["gzip"])[0].status_code == 200


def test_short_bodies_are_not_compressed(server: str) -> None:
    answer, body = raw(server, "ASK {}", "gzip")
    assert "Content-Encoding" not in answer.headers
    assert body == b'{"head":{},"boolean":true}'


def test_pages_and_styles(server: str) -> None:
    page = requests.get(f"{server}/", headers={"Accept-Encoding": "gzip", "Accept": "text/html"}, timeout=30)
    assert page.headers["Content-Encoding"] == "gzip"
    style = requests.get(f"{server}/static/style.css", headers={"Accept-Encoding": "gzip"}, timeout=30)
    assert style.headers["Content-Encoding"] == "gzip"
    headers = {"Accept-Encoding": "gzip", "If-None-Match": style.headers["ETag"]}
    again = requests.get(f"{server}/static/style.css", headers=headers, timeout=30)
    assert (style.status_code, again.status_code) == (200, 304)
    assert style.headers["Cache-Control"] == "no-cache"


def test_if_match(server: str) -> None:
    def get(query: str, tag: str) -> requests.Response:
        return requests.get(f"{server}/sparql", {"query": query}, headers={"If-Match": tag}, timeout=20)

    query = "SELECT (1 AS ?matched) {}"
    tag = requests.get(f"{server}/sparql", {"query": query}, timeout=20).headers["ETag"]
    assert get(query, f'"other", {tag}').status_code == 200
    assert get(query, "*").status_code == 200
    for refused in ('"other"', f"W/{tag}"):
        problem = get(query, refused)
        assert problem.status_code == 412
        assert problem.headers["Content-Type"] == "application/problem+json"


def test_results_with_new_blank_nodes_are_not_cached(server: str) -> None:
    query = "CONSTRUCT { _:new <urn:example:p> 1 } WHERE {}"
    first, again = (requests.get(f"{server}/sparql", {"query": query}, timeout=20) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert "ETag" not in first.headers
    assert "bypass" in again.headers["Cache-Status"]

"""The app in one process: failures of the engine, pages over hostile data, headers, settings."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryRequest, QueryResult
from kg.errors import ConfigurationError, EngineError, KgError
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse, place_in_graph
from kg.rdf.terms import NamedNode
from service import create_app, graph_state, rsgi
from service.settings import Settings

SECRET = "secret words of the engine"  # noqa: S105 - none that opens anything
HOSTILE = r"""
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
<https://w3id.org/hpez/id/zone/x> rdfs:label "<script>alert(1)</script>" ;
  rdfs:seeAlso <javascript:alert(1)> , <https://w3id.org/hpez/graph/entities> , <urn:x:y> , <http://example.org/?a="b> ;
  <urn:p> [ <urn:q> [ <urn:r> [ <urn:s> "deep" ] ] ] , 3 , "ba"@vi .
""".replace('?a="b', "?a=b&c=d")


class FailingEngine(EmbeddedEngine):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def evaluate(self, request: QueryRequest) -> QueryResult:  # noqa: ARG002
        raise self._error


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Flask:
    quads = place_in_graph(parse(HOSTILE.encode(), TURTLE), NamedNode("https://w3id.org/hpez/graph/entities"))
    monkeypatch.setattr(graph_state, "open_or_build", lambda _: EmbeddedEngine(quads))
    return create_app(Settings(tmp_path))


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    with app.test_client() as client:
        yield client


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngineError(SECRET), "engine"),
        (KgError(SECRET), "error"),
        (ConfigurationError(SECRET), "configuration"),
        (RuntimeError(SECRET), "internal-server-error"),
    ],
)
def test_failures_are_logged_but_not_sent(
    app: Flask, caplog: pytest.LogCaptureFixture, error: Exception, code: str
) -> None:
    app.extensions["kg"].engine = FailingEngine(error)
    answer = app.test_client().get("/sparql", query_string={"query": "ASK {}"})
    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert answer.json
    assert answer.json["type"] == f"https://w3id.org/hpez/problem/{code}"
    assert SECRET not in answer.text
    assert answer.json["instance"] in caplog.text
    assert SECRET in caplog.text


def test_pages_escape_their_content(client: FlaskClient) -> None:
    page = client.get("/doc/zone/x.html?view=statements").text
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert 'href="javascript:' not in page
    assert 'href="/graph/entities"' in page
    assert 'href="urn:' not in page
    assert 'href="http://example.org/?a=b&amp;c=d"' in page
    assert "deep" not in page, "a page follows blank nodes to the same depth as the description"
    assert '<span lang="vi">ba</span>' in page
    assert "&lt;script&gt;" in client.get("/").text


def test_a_label_without_language(client: FlaskClient) -> None:
    assert "<h1>&lt;script&gt;" in client.get("/doc/zone/x.html?lang=vi").text


def test_the_fact_validator_is_created_once(app: Flask) -> None:
    served = app.extensions["kg"]
    assert served.fact_validator is served.fact_validator


def test_an_invalid_extension_is_a_type_error(app: Flask) -> None:
    app.extensions["kg"] = object()
    with app.app_context(), pytest.raises(TypeError):
        graph_state.current_graph_state()


def test_application_reads_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HPKG_DATA", str(tmp_path))
    monkeypatch.setenv("HPKG_MAX_BODY", "5")
    assert Settings.from_environment() == Settings(tmp_path, max_body=5)


def test_application_refuses_bad_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPKG_MAX_BODY", "many")
    with pytest.raises(ConfigurationError):
        rsgi.application()


def test_an_incomplete_body_is_refused(client: FlaskClient) -> None:
    answer = client.post(
        "/sparql",
        data=b"ASK {}",
        content_type="application/sparql-query",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": "9"},
    )
    assert answer.status_code == 400


def test_wrong_tokens_are_counted_in_the_metrics(client: FlaskClient) -> None:
    def count() -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("hpkg_wrong_tokens_total"))

    before = count()
    for number in range(5):
        headers = {"Authorization": f"Bearer hpkg_{number}"}
        assert client.post("/facts", headers=headers, buffered=True).status_code == 401
    assert client.post("/facts", buffered=True).status_code in {401, 403}
    assert count() == before + 5


def test_pages_load_only_files_of_the_service(client: FlaskClient) -> None:
    policy = client.get("/", headers={"Accept": "text/html"}).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_a_chosen_language_is_kept_in_a_cookie(client: FlaskClient) -> None:
    html = {"Accept": "text/html", "Accept-Language": "en"}
    chosen = client.get("/?lang=vi", headers=html)
    assert "lang=vi" in chosen.headers["Set-Cookie"]
    remembered = client.get("/", headers=html)
    assert remembered.headers["Content-Language"] == "vi"
    assert "Cookie" in remembered.headers["Vary"]
    assert client.get("/?lang=en", headers=html).headers["Content-Language"] == "en"
    client.delete_cookie("lang")
    assert client.get("/?lang=xx", headers=html).headers["Content-Language"] == "en"


def test_static_files_are_compressed_and_revalidated(client: FlaskClient) -> None:
    plain = client.get("/static/style.css", headers={"Accept-Encoding": ""}, buffered=True)
    packed = client.get("/static/style.css", headers={"Accept-Encoding": "gzip"}, buffered=True)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    for coding, tag in (("gzip", packed.headers["ETag"]), ("", plain.headers["ETag"])):
        headers = {"Accept-Encoding": coding, "If-None-Match": tag}
        again = client.get("/static/style.css", headers=headers, buffered=True)
        assert (again.status_code, again.data) == (304, b"")

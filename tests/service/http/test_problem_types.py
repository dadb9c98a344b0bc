"""Problem types: the type of every error leads to its documentation."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, abort
from flask.testing import FlaskClient

from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryRequest, QueryResult
from kg.errors import KgError, NotAcceptableError, UnreachableError
from service import create_app, graph_state
from service.http.problem_types import PROBLEM_NAMESPACE, PROBLEM_TYPES
from service.settings import Settings

ReadPage = Callable[[requests.Response], Any]
Problem = Callable[[requests.Response, int, str], dict[str, object]]

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class FailingEngine(EmbeddedEngine):
    def __init__(self, error: KgError) -> None:
        super().__init__()
        self._error = error

    def evaluate(self, request: QueryRequest) -> QueryResult:  # noqa: ARG002
        raise self._error


class UnreachableEngine(EmbeddedEngine):
    @property
    def version(self) -> str:
        raise UnreachableError


def tree(root: type[KgError] = KgError) -> Iterator[type[KgError]]:
    yield root
    for cls in root.__subclasses__():
        yield from tree(cls)


def instance_of(cls: type[KgError]) -> KgError:
    return cls("what", ("text/csv",)) if issubclass(cls, NotAcceptableError) else cls("what")


ERRORS = sorted({cls for cls in tree() if cls.__module__ == "kg.errors"}, key=lambda cls: cls.__name__)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Flask:
    monkeypatch.setattr(graph_state, "open_or_build", lambda _: EmbeddedEngine())
    return create_app(Settings(tmp_path, max_body=10))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def followed(client: FlaskClient, problem: dict[str, Any]) -> dict[str, Any]:
    """Return the documentation of a problem's type."""
    assert problem["type"].startswith(PROBLEM_NAMESPACE)
    answer = client.get(
        "/problem/" + problem["type"].removeprefix(PROBLEM_NAMESPACE), headers={"Accept": "application/json"}
    )
    assert answer.status_code == 200, problem
    found: dict[str, Any] = answer.get_json()
    return found


def test_the_error_tree_is_complete() -> None:
    assert len(ERRORS) > 15


@pytest.mark.parametrize("cls", ERRORS)
def test_every_error_links_to_its_type(app: Flask, client: FlaskClient, cls: type[KgError]) -> None:
    app.extensions["kg"].engine = FailingEngine(instance_of(cls))
    answer = client.get("/sparql", query_string={"query": "ASK {}"})
    problem = answer.get_json(force=True)
    found = followed(client, problem)
    assert {name: found[name] for name in ("type", "title", "status")} == {
        "type": PROBLEM_NAMESPACE + cls.code,
        "title": problem["title"],
        "status": answer.status_code,
    }
    assert answer.headers["Link"] == f"</problem/{cls.code}>; rel=help"


@pytest.mark.parametrize(
    ("method", "path", "sent", "code"),
    [
        ("GET", "/nowhere", {}, "not-found"),
        ("PUT", "/sparql", {}, "method-not-allowed"),
        ("GET", "/data", {}, "bad-request"),
        ("POST", "/sparql", {"data": "x", "content_type": "text/csv"}, "unsupported-media-type"),
        ("POST", "/validate", {"data": "x" * 11, "content_type": "text/turtle"}, "request-entity-too-large"),
        ("POST", "/validate", {"data": "x", "content_type": "image/png"}, "unsupported-format"),
        ("GET", "/static/style.css", {"headers": {"Range": "bytes=999999-"}}, "requested-range-not-satisfiable"),
        ("GET", "/ontology", {"headers": {"Accept": "image/png"}}, "not-acceptable"),
    ],
)
def test_every_refusal_links_to_its_type(
    client: FlaskClient, method: str, path: str, sent: dict[str, Any], code: str
) -> None:
    answer = client.open(path, method=method, **sent)
    problem = answer.get_json(force=True)
    assert problem["type"] == PROBLEM_NAMESPACE + code
    assert followed(client, problem)["status"] == answer.status_code


def test_an_unexpected_failure_links_to_its_type(app: Flask, client: FlaskClient) -> None:
    app.extensions["kg"].engine = None
    problem = client.get("/sparql", query_string={"query": "ASK {}"}).get_json(force=True)
    assert followed(client, problem)["status"] == 500


def test_a_status_without_a_specific_type(app: Flask) -> None:
    app.add_url_rule("/tea", view_func=lambda: abort(418))
    found = app.test_client().get("/tea").get_json(force=True)
    assert (found["type"], found["status"]) == ("about:blank", 418)


def test_an_error_without_a_type_has_that_of_its_base_class(app: Flask, client: FlaskClient) -> None:
    class OwnError(UnreachableError):
        code = "own"

    app.extensions["kg"].engine = FailingEngine(OwnError())
    answer = client.get("/sparql", query_string={"query": "ASK {}"})
    assert answer.status_code == 503
    assert answer.get_json(force=True)["title"] == PROBLEM_TYPES["unreachable"].title


def test_types_are_documented_while_the_graph_is_unreachable(app: Flask, client: FlaskClient) -> None:
    app.extensions["kg"].engine = UnreachableEngine()
    assert client.get("/doc/zone/deep-c").status_code == 503
    assert client.get("/problem/unreachable").status_code == 200
    assert client.get("/problem").status_code == 200


@pytest.mark.parametrize("name", sorted(PROBLEM_TYPES))
def test_page(server: str, page: ReadPage, name: str) -> None:
    for language, other in (("en", "vi"), ("vi", "en")):
        headers = {"Accept": FIREFOX, "Accept-Language": language}
        answer = requests.get(f"{server}/problem/{name}", headers=headers, timeout=30)
        found, words = page(answer), PROBLEM_TYPES[name].translated(language)
        assert (found.language, answer.headers["Content-Language"]) == (language, language)
        assert found.text("h1") == [words.title]
        assert found.text("code") == [PROBLEM_NAMESPACE + name]
        assert found.text("dd")[1:] == [words.meaning, words.advice]
        assert str(PROBLEM_TYPES[name].status.value) in found.text("dd")[0]
        assert PROBLEM_TYPES[name].translated(other).title in found.text("p")


@pytest.mark.parametrize("name", sorted(PROBLEM_TYPES))
def test_every_type_has_texts_in_both_languages(name: str) -> None:
    english, vietnamese = PROBLEM_TYPES[name], PROBLEM_TYPES[name].translated("vi")
    for text in ("title", "meaning", "advice"):
        assert getattr(english, text).strip()
        assert getattr(vietnamese, text).strip()
        assert getattr(english, text) != getattr(vietnamese, text)


def test_the_type_of_syntax_errors_covers_updates() -> None:
    found = PROBLEM_TYPES["query-syntax"]
    assert "update" in found.meaning
    assert "not taken" not in found.advice


def test_all_types(server: str, page: ReadPage) -> None:
    found = page(requests.get(f"{server}/problem", headers={"Accept": FIREFOX}, timeout=30))
    assert {f"/problem/{name}" for name in PROBLEM_TYPES} <= set(found.links)
    listed = requests.get(f"{server}/problem", headers={"Accept": "application/json"}, timeout=30).json()
    assert {item["type"] for item in listed} == {PROBLEM_NAMESPACE + name for name in PROBLEM_TYPES}


def test_links_lead_to_the_other_representation(server: str) -> None:
    links = requests.get(f"{server}/problem/deadline.html", timeout=30).links
    assert links["describes"]["url"] == f"{PROBLEM_NAMESPACE}deadline"
    assert links["alternate"] == {"url": "/problem/deadline.json", "rel": "alternate", "type": "application/json"}
    answer = requests.get(f"{server}/problem/deadline.json", headers={"Accept": "text/html"}, timeout=30)
    assert answer.json()["status"] == 503


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json", "application/*"])
def test_json(server: str, accept: str) -> None:
    answer = requests.get(f"{server}/problem/crash", headers={"Accept": accept, "Accept-Language": "vi"}, timeout=30)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Language"] == "vi"
    assert answer.json()["title"] == PROBLEM_TYPES["crash"].translated("vi").title


@pytest.mark.parametrize("path", ["problem/nowhere", "problem/deadline.pdf", "problem/", "problem/a/b", "problem/%FF"])
def test_no_such_type(server: str, problem: Problem, path: str) -> None:
    problem(requests.get(f"{server}/{path}", timeout=30), 404, "not-found")


def test_no_acceptable_representation(server: str, problem: Problem) -> None:
    answer = requests.get(f"{server}/problem/deadline", headers={"Accept": "text/turtle"}, timeout=30)
    assert problem(answer, 406, "not-acceptable")["offered"] == ["text/html", "application/json"]


def test_conditional_requests(server: str) -> None:
    url = f"{server}/problem/deadline"
    first = requests.get(url, timeout=30)
    head = requests.head(url, headers={"Accept-Encoding": "identity"}, timeout=30)
    assert (head.status_code, head.headers["ETag"]) == (200, first.headers["ETag"])
    again = requests.get(url, headers={"If-None-Match": f'"x", {first.headers["ETag"]}'}, timeout=30)
    assert (again.status_code, again.content) == (304, b"")
    assert "no-store" not in first.headers["Cache-Control"]
    other = requests.get(url, headers={"If-None-Match": first.headers["ETag"], "Accept-Language": "vi"}, timeout=30)
    assert other.status_code == 200


@pytest.mark.parametrize(("language", "title"), [("en", "There is nothing here"), ("vi-VN", "Không có gì ở đây")])
def test_titles_are_in_the_readers_language(server: str, problem: Problem, language: str, title: str) -> None:
    answer = requests.get(f"{server}/nowhere", headers={"Accept-Language": language}, timeout=30)
    assert problem(answer, 404, "not-found")["title"] == title
    assert "Accept-Language" in answer.headers["Vary"]


def test_every_type_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "http.md").read_text(encoding="utf-8")
    assert [name for name in PROBLEM_TYPES if f"`{name}`" not in text] == []

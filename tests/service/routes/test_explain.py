"""The plan of a query by `explain=true`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from kg.changes.credentials import CredentialStore

Problem = Callable[[requests.Response, int, str], dict[str, object]]

PATTERNS = "?about ?says ?zone . ?about hpez:subject ?zone"
QUERY = f"""PREFIX hpez: <https://w3id.org/hpez/ontology#>
SELECT ?zone {{
  ?zone a hpez:Zone
  FILTER NOT EXISTS {{ {PATTERNS} }}
}}"""


@pytest.fixture(scope="module")
def unplanned_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unplanned")


@pytest.fixture(scope="module")
def unplanned(serve: Callable[..., Iterator[str]], unplanned_folder: Path) -> Iterator[str]:
    """A server without query planning and without tokens."""
    yield from serve(unplanned_folder, HPKG_PLAN="off")


@pytest.fixture(scope="module")
def holder(folder: Path) -> Iterator[requests.Session]:
    """A session with a token for one graph only."""
    with requests.Session() as session:
        token = CredentialStore(folder / "data").create("holder", graphs=("https://w3id.org/hpez/graph/example",))
        session.headers["Authorization"] = f"Bearer {token}"
        yield session


def explain(session: requests.Session, home: str, query: str, **parameters: str) -> requests.Response:
    return session.get(f"{home}/sparql", params={"query": query, "explain": "true", **parameters}, timeout=30)


def test_the_plan_of_a_query(home: str, holder: requests.Session) -> None:
    answer = explain(holder, home, QUERY)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    explained = answer.json()
    assert explained.keys() == {"query", "planned", "changes"}
    assert explained["query"] == QUERY
    planned = QUERY.replace(PATTERNS, "?about hpez:subject ?zone LATERAL { ?about ?says ?zone }")
    assert explained["planned"].split() == planned.split()
    (change,) = explained["changes"]
    assert change["line"] == 4
    assert "?about hpez:subject ?zone" in change["words"]


def test_a_query_without_changes_has_the_reason(home: str, holder: requests.Session) -> None:
    query = "SELECT * { ?s ?p ?o MINUS { ?s a ?o } OPTIONAL { ?o ?q ?r } }"
    explained = explain(holder, home, query).json()
    assert explained["planned"] == query
    assert explained["changes"] == [{"line": 1, "words": "left alone: it has MINUS"}]


@pytest.mark.parametrize("kind", ["form", "direct"])
def test_by_post(home: str, holder: requests.Session, kind: str) -> None:
    expected = explain(holder, home, QUERY).json()
    url, wanted = f"{home}/sparql", {"explain": "true"}
    if kind == "form":
        answer = holder.post(url, {"query": QUERY, **wanted}, timeout=30)
    else:
        media_type = {"Content-Type": "application/sparql-query"}
        answer = holder.post(url, QUERY.encode(), params=wanted, headers=media_type, timeout=30)
    assert answer.json() == expected


@pytest.mark.parametrize(
    "query", ["SELECT * {\n  ?s ?p OPTIONAL { ?s ?q ?o }\n}", "BASE <http://[> ASK {}", "", "{" * 200]
)
def test_a_syntax_error_is_the_same_with_explain(
    home: str, holder: requests.Session, problem: Problem, query: str
) -> None:
    answer, plain = explain(holder, home, query), holder.get(f"{home}/sparql", params={"query": query}, timeout=30)
    found, expected = (problem(sent, 400, plain.json()["type"].rpartition("/")[2]) for sent in (answer, plain))
    assert {**found, "instance": ""} == {**expected, "instance": ""}


def test_only_with_a_token(home: str, holder: requests.Session, problem: Problem) -> None:
    assert explain(holder, home, QUERY).status_code == 200
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
        with requests.Session() as stranger:
            stranger.headers.update(headers)
            answer = explain(stranger, home, QUERY)
        problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("value", ["", "false", "yes"])
def test_explain_must_be_true_or_absent(home: str, holder: requests.Session, problem: Problem, value: str) -> None:
    problem(explain(holder, home, QUERY, explain=value), 400, "bad-request")


def test_an_update_with_explain_is_refused(home: str, holder: requests.Session, problem: Problem) -> None:
    graph = "https://w3id.org/hpez/graph/example"
    text = f"INSERT DATA {{ GRAPH <{graph}> {{ <urn:a> <urn:b> <urn:c> }} }}"
    problem(holder.post(f"{home}/sparql", {"update": text, "explain": "true"}, timeout=30), 400, "bad-request")
    assert graph not in requests.get(f"{home}/graph.nq", timeout=30).text


def test_with_planning_switched_off(unplanned: str, unplanned_folder: Path, problem: Problem) -> None:
    with requests.Session() as session:
        found = problem(explain(session, unplanned, QUERY), 403, "forbidden")
        assert "hpkg token create" in str(found["detail"])
        session.headers["Authorization"] = f"Bearer {CredentialStore(unplanned_folder / 'data').create('holder')}"
        explained = explain(session, unplanned, QUERY).json()
        problem(explain(session, unplanned, "ASK { ?s ?p }"), 400, "query-syntax")
    assert explained["planned"] == QUERY
    assert explained["changes"] == [{"line": 1, "words": "left alone: planning is switched off"}]

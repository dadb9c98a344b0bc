"""Refused changes: each response names the findings, and nothing is changed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from kg.changes.credentials import CredentialStore

TURTLE, TRIG, NQUADS, UPDATE = "text/turtle", "application/trig", "application/n-quads", "application/sparql-update"
EXAMPLE = "https://w3id.org/hpez/graph/source/example"
ASSERTED = "https://w3id.org/hpez/graph/asserted"
CASES = Path(__file__).parents[2] / "shapes"
FIGURE = (CASES / "Observation" / "valid" / "stated.ttl").read_text(encoding="utf-8")
"""A valid figure with its evidence and its source."""
UNKNOWN_SOURCE = FIGURE[: FIGURE.index("\nsrc:example\n")]
OF_THE_ARTICLE = (FIGURE.removeprefix(UNKNOWN_SOURCE), ""), ("src:example", "src:dnhn-94474")
"""A replacement that makes the figure cite the source of the packaged graph."""
CLAIM, EVIDENCE = "claim/example/example-fdi", "evidence/example/100-110"
LINES = 50_000
Problem = Callable[[requests.Response, int, str], dict[str, object]]


@dataclass(frozen=True)
class Home:
    """A running service, and a session with a token for it."""

    url: str
    data: Path
    session: requests.Session

    @property
    def generation(self) -> int:
        return int(requests.get(f"{self.url}/health", timeout=30).json()["generation"])

    def send(self, data: str, path: str = "/facts", media_type: str = TURTLE, **headers: str) -> requests.Response:
        sent = {"Content-Type": media_type, **headers}
        return self.session.post(f"{self.url}{path}", data.encode(), headers=sent, timeout=60)


@pytest.fixture(scope="module")
def home(serve: Callable[..., Iterator[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("bad")
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {CredentialStore(folder / 'data').create('writer')}"
        for url in serve(folder):
            yield Home(url, folder / "data", session)


@pytest.fixture
def unchanged(home: Home) -> Iterator[Home]:
    """The service, with a check that the test has changed nothing."""
    before = home.generation
    yield home
    assert home.generation == before


def test_a_syntax_error_in_a_long_body_has_its_line(unchanged: Home, problem: Problem) -> None:
    lines = [f'<urn:many:{number}> <urn:b> "{number}" <urn:graph:many> .' for number in range(LINES)]
    lines[LINES // 2] = "<urn:many> oops <urn:graph:many> ."
    found = problem(unchanged.send("\n".join(lines), media_type=NQUADS), 400, "rdf-syntax")
    assert found["line"] == LINES // 2 + 1
    assert "predicate" in str(found["detail"])


@pytest.mark.parametrize(
    ("sent", "data", "code", "said"),
    [
        (f"{TURTLE} /facts?graph=not+an+iri", "<urn:a> <urn:b> 1 .", "bad-request", "not an iri"),
        (f"{TURTLE} /facts?graph={ASSERTED}", "<urn:a> <urn:b> 1 .", "scope", ASSERTED),
        (f"{NQUADS} /facts", f"<urn:a> <urn:b> <urn:c> <{ASSERTED}> .", "scope", ASSERTED),
        (f"{TURTLE} /data?graph={ASSERTED}", "<urn:a> <urn:b> 1 .", "scope", ASSERTED),
        (f"{UPDATE} /sparql", f"INSERT DATA {{ GRAPH <{ASSERTED}> {{ <urn:a> <urn:b> 1 }} }}", "scope", ASSERTED),
        (f"{NQUADS} /facts", "<urn:a> <urn:b> <urn:c> _:nobody .", "bad-input", "<urn:a> <urn:b> <urn:c>"),
        (f"{TRIG} /facts", "_:nobody { <urn:a> <urn:b> <urn:c> }", "bad-input", "<urn:a> <urn:b> <urn:c>"),
        (f"{NQUADS} /facts", "<urn:a> <urn:b> <urn:c> <not an iri> .", "rdf-syntax", "IRI"),
        (f"{UPDATE} /sparql", "INSERT DATA { GRAPH <not an iri> { <urn:a> <urn:b> 1 } }", "query-syntax", "IRI"),
        (f"{UPDATE} /sparql", "INSERT DATA { GRAPH _:nobody { <urn:a> <urn:b> 1 } }", "query-syntax", "_:nobody"),
        (f"{TURTLE} /commits/99999/revert", "", "not-found", "99999"),
    ],
)
def test_an_invalid_request_is_named_in_the_detail(unchanged: Home, sent: str, data: str, code: str, said: str) -> None:
    media_type, path = sent.split(" ")
    answer = unchanged.send(data, path, media_type)
    found = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (found["type"].rpartition("/")[2], found["status"]) == (code, answer.status_code)
    assert said in found["detail"]
    assert found.get("line", 1) == 1


def test_deleting_an_absent_statement_changes_nothing(unchanged: Home) -> None:
    absent = "DELETE DATA { GRAPH <urn:graph:absent> { <urn:absent> <urn:b> 1 } }"
    answer = unchanged.send(absent, "/sparql", UPDATE)
    assert (answer.status_code, answer.content) == (204, b"")
    assert not {"Location", "Content-Location"} & answer.headers.keys()


def test_deleting_an_absent_graph_is_not_found(unchanged: Home, problem: Problem) -> None:
    answer = unchanged.session.delete(f"{unchanged.url}/data?graph=urn:graph:absent", timeout=30)
    assert "urn:graph:absent" in str(problem(answer, 404, "not-found")["detail"])


def edited(*edits: tuple[str, str]) -> str:
    text = FIGURE
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("payload", "shape", "focus", "said"),
    [
        pytest.param(edited(("oa:end 110", "oa:end 90")), "Evidence", EVIDENCE, "less than the end 90", id="reversed"),
        pytest.param(edited(("oa:end 110", "oa:end 100")), "Evidence", EVIDENCE, "less than the end 100", id="empty"),
        pytest.param(edited(("oa:end 110", "oa:end 111")), "Evidence", EVIDENCE, "length of “4,1 tỷ USD”", id="length"),
        pytest.param(edited(("oa:start 100", "oa:start -1")), "Evidence-start", EVIDENCE, "oa:start", id="below zero"),
        pytest.param(edited(("4100000000.0", "4350000000")), "Value-value", CLAIM, "xsd:decimal", id="integer"),
        pytest.param(edited(("4100000000.0", '"17 USD"')), "Value-value", CLAIM, "xsd:decimal", id="text"),
        pytest.param(edited(("4100000000.0", "4.1e9")), "Value-value", CLAIM, "xsd:decimal", id="double"),
        pytest.param(UNKNOWN_SOURCE, "Source-url", "source/example", "schema:url", id="unknown source"),
        pytest.param(edited(("evidence ev:100", "evidence ev:9")), "Claim-evidence", CLAIM, "evidence", id="evidence"),
        pytest.param(edited(("hpez:status", "hpez:stat")), "Vocabulary", CLAIM, "hpez:stat", id="unknown term"),
        pytest.param("<urn:a> a <https://w3id.org/hpez/ontology#Zoo> .", "Vocabulary", "urn:a", "Zoo", id="class"),
    ],
)
def test_nonconforming_facts_are_refused_with_the_shape_and_the_reason(
    unchanged: Home, payload: str, shape: str, focus: str, said: str
) -> None:
    found = unchanged.send(payload, f"/facts?graph={EXAMPLE}").json()
    assert (found["status"], found["type"].rpartition("/")[2]) == (422, "refused")
    fitting = [
        item
        for item in found["findings"]
        if item["shape"].endswith(f"#{shape}") and item["focusNode"].endswith(focus) and said in item["message"]
    ]
    assert fitting, found["findings"]
    assert all(item["severity"] == "violation" and {"vi", "en"} <= item["messages"].keys() for item in fitting)
    assert found["findings"][0]["message"] in found["detail"]
    assert found["instance"].startswith("urn:uuid:")


def test_evidence_beyond_the_text_of_its_source(home: Home) -> None:
    beyond = edited(("oa:start 100", "oa:start 6345"), ("oa:end 110", "oa:end 6355"), *OF_THE_ARTICLE)
    found = home.send(beyond, "/validate", **{"Accept-Language": "en"}).json()
    assert found["findings"][0]["message"] == "The evidence ends at 6355, but the text of its source at 6354."
    within = edited(("oa:start 100", "oa:start 6344"), ("oa:end 110", "oa:end 6354"), *OF_THE_ARTICLE)
    assert home.send(within, "/validate").json()["admissible"] is True


def test_a_graph_outside_the_scope_of_a_token_is_refused(unchanged: Home, problem: Problem) -> None:
    token = CredentialStore(unchanged.data).create("narrow", "write", ("urn:graph:own",))
    for path, data, media_type in (
        ("/facts?graph=urn:graph:other", "<urn:a> <urn:b> 1 .", TURTLE),
        ("/facts", "<urn:a> <urn:b> <urn:c> <urn:graph:own> .\n<urn:a> <urn:b> <urn:c> <urn:graph:other> .", NQUADS),
        ("/data?graph=urn:graph:other", "<urn:a> <urn:b> 1 .", TURTLE),
        ("/sparql", "INSERT DATA { GRAPH <urn:graph:other> { <urn:a> <urn:b> 1 } }", UPDATE),
    ):
        answer = unchanged.send(data, path, media_type, Authorization=f"Bearer {token}")
        assert "urn:graph:other" in str(problem(answer, 403, "scope")["detail"])


def test_an_idempotency_key_cannot_be_reused_for_another_body(home: Home, problem: Problem) -> None:
    key, path = {"Idempotency-Key": '"once"'}, "/facts?graph=urn:graph:once"
    assert home.send("<urn:once> <urn:b> 1 .", path, **key).status_code == 201
    before = home.generation
    found = problem(home.send("<urn:once> <urn:b> 2 .", path, **key), 400, "bad-input")
    assert "Idempotency-Key" in str(found["detail"])
    assert home.generation == before


def test_a_reverted_commit_cannot_be_reverted_again(home: Home, problem: Problem) -> None:
    number = home.send("<urn:undone> <urn:b> 1 .", "/facts?graph=urn:graph:undone").json()["commit"]["number"]
    assert home.send("", f"/commits/{number}/revert").status_code == 201
    before = home.generation
    found = problem(home.send("", f"/commits/{number}/revert"), 409, "conflict")
    assert str(number) in str(found["detail"])
    assert str(number + 1) in str(found["detail"])
    assert home.generation == before


def test_the_unedited_figure_is_admitted(home: Home) -> None:
    assert home.send(FIGURE, f"/facts?graph={EXAMPLE}").status_code == 201

"""The form at `/validate` for validating and adding facts."""

from pathlib import Path

import pytest
import requests

from kg.changes.credentials import CredentialStore

PLACE = """@prefix schema: <https://schema.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .

<https://w3id.org/hpez/id/place/{name}> a schema:Place ;
  rdfs:label "Bãi {name}"@vi , "Beach {name}"@en ;
  skos:prefLabel "Bãi {name}"@vi{more} .
"""
ENGLISH = ' , "Beach {name}"@en'


@pytest.fixture(scope="module")
def token(home: str, folder: Path) -> str:  # noqa: ARG001 - the service makes the folder
    return CredentialStore(folder / "data").create("reader")


def place(name: str, more: str = "") -> str:
    return PLACE.format(name=name, more=more.format(name=name))


def send(home: str, fields: dict[str, str], file: tuple[str, str] | None = None, lang: str = "en") -> requests.Response:
    parts = {name: (None, value) for name, value in fields.items()}
    files = parts if file is None else {**parts, "file": file}
    return requests.post(f"{home}/validate/form?lang={lang}", files=files, timeout=30)


def test_the_form_is_a_page(home: str) -> None:
    answer = requests.get(f"{home}/validate", headers={"Accept": "text/html", "Accept-Language": "vi"}, timeout=30)
    assert answer.status_code == 200
    assert "Kiểm tra dữ kiện" in answer.text
    assert requests.get(f"{home}/validate", headers={"Accept": "text/turtle"}, timeout=30).status_code == 406


@pytest.mark.parametrize(
    ("lang", "message"), [("en", "Exactly one English preferred name"), ("vi", "Cần đúng một tên chính tiếng Anh")]
)
def test_findings_stand_beside_their_lines(home: str, lang: str, message: str) -> None:
    answer = send(home, {"text": place("xanh"), "check": "1"}, lang=lang)
    assert answer.status_code == 200
    assert message in answer.text
    assert 'href="#L7"' in answer.text
    assert '<li id="L7" class="marked">' in answer.text
    assert "Beach xanh" in answer.text


def test_conforming_facts(home: str) -> None:
    assert "Nothing to complain of." in send(home, {"text": place("trong", ENGLISH), "check": "1"}).text


def test_the_format_of_a_file_follows_its_name(home: str) -> None:
    line = "<https://w3id.org/hpez/id/org/lg> <https://w3id.org/hpez/ontology#investsIn> <urn:x> .\n"
    answer = send(home, {"text": "", "check": "1"}, ("new.nt", line))
    assert "No relation claim says" in answer.text


def test_a_syntax_error_is_shown_with_its_line(home: str) -> None:
    answer = send(home, {"text": place("vo").replace("a schema:Place ;", "a schema:Place ,;"), "check": "1"})
    assert answer.status_code == 400
    assert "does not parse" in answer.text
    assert '<li id="L5" class="marked">' in answer.text


@pytest.mark.parametrize("fields", [{"format": "doc"}, {"format": "jsonld"}])
def test_a_wrong_format_is_reported(home: str, fields: dict[str, str]) -> None:
    answer = send(home, {"text": place("dang"), "check": "1", **fields})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


def test_hostile_text_is_shown_as_text(home: str) -> None:
    answer = send(home, {"text": place("<script>alert(1)</script>"), "check": "1"})
    assert "<script>alert" not in answer.text


def test_facts_are_added_with_a_token(home: str, token: str) -> None:
    fields = {"text": place("moi", ENGLISH), "add": "1", "token": token, "message": "A new beach"}
    added = send(home, fields)
    assert added.status_code == 201
    assert "/commits/1" in added.text
    commit = requests.get(f"{home}/commits/1", headers={"Accept": "application/json"}, timeout=30).json()
    assert (commit["agent"], commit["message"]) == ("reader", "A new beach")
    assert "known already" in send(home, fields).text
    assert send(home, {**fields, "text": place("thieu")}).status_code == 422


def test_without_a_valid_token_nothing_is_added(home: str, token: str) -> None:  # noqa: ARG001 - there is a token
    for wrong in ("", "guess"):
        answer = send(home, {"text": place("kin", ENGLISH), "add": "1", "token": wrong})
        assert answer.status_code == 401
        assert 'role="alert"' in answer.text
    query = "ASK { <https://w3id.org/hpez/id/place/kin> ?p ?o }"
    assert requests.get(f"{home}/sparql", {"query": query}, timeout=30).json()["boolean"] is False

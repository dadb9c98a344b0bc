"""`/search` and `/suggest`, as pages and as JSON, through a real server."""

import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from kg.changes.credentials import CredentialStore

ReadPage = Callable[[requests.Response], Any]
Problem = Callable[[requests.Response, int, str], dict[str, object]]
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
ID = "https://w3id.org/hpez/id/"
HOSTILE = '<script>alert(1)</script> "Đồ" & co'
PLACE = """
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
<{iri}> a <https://schema.org/Place> ; rdfs:label '{name}'@vi, '{name} in English'@en ;
  skos:prefLabel '{name}'@vi, '{name} in English'@en .
"""


def search(
    home: str, text: str = "", path: str = "search", accept: str = "application/json", **more: str
) -> requests.Response:
    headers = {"Accept": accept, "Accept-Language": more.pop("language", "en")}
    return requests.get(f"{home}/{path}", params={"q": text, **more}, headers=headers, timeout=30)


def add(home: str, folder: Path, name: str, iri: str) -> None:
    token = CredentialStore(folder / "data").create(f"writer-{time.time_ns()}")
    headers = {"Content-Type": "text/turtle", "Authorization": f"Bearer {token}"}
    data = PLACE.format(iri=iri, name=name).encode()
    answer = requests.post(f"{home}/facts", data=data, headers=headers, timeout=30)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("KKT dinh vu", "zone/dinh-vu-cat-hai"),
        ("HEZA", "org/heza"),
        ("Ban quan ly", "org/heza"),
        (unicodedata.normalize("NFD", "Đình Vũ"), "zone/dinh-vu-cat-hai"),
    ],
)
def test_inexact_names_are_found_as_json(server: str, text: str, first: str) -> None:
    found = search(server, text).json()
    assert found["results"][0]["iri"] == ID + first
    assert found["results"][0]["url"] == f"{server}/doc/{first}"
    assert found["total"] >= len(found["results"])
    assert not found["totalIsLowerBound"]
    assert sum(kind["count"] for kind in found["kinds"]) == found["total"]
    assert search(server, text, "suggest").json()["suggestions"][0]["iri"] == ID + first


def test_a_page_shows_names_in_both_languages_and_the_one_that_matched(server: str, page: ReadPage) -> None:
    answer = search(server, "kkt dinh vu", accept=FIREFOX, language="vi")
    found = page(answer)
    assert found.language == "vi"
    assert "/doc/zone/dinh-vu-cat-hai" in found.links
    assert found.text("h2")[0] == "Khu kinh tế Đình Vũ – Cát Hải"
    assert found.text("q") == ["KKT Đình Vũ - Cát Hải"]
    assert found.text("mark") == ["Đình", "Vũ", "KKT", "Đình", "Vũ"]
    assert "Dinh Vu – Cat Hai Economic Zone" in answer.text


def test_results_can_be_limited_to_a_kind(server: str, page: ReadPage) -> None:
    found = page(search(server, "khu", accept=FIREFOX))
    assert "/search?q=khu&kind=zone" in found.links
    zones = search(server, "khu", kind="zone").json()
    assert {result["kind"] for result in zones["results"]} == {"zone"}
    assert zones["total"] == next(kind["count"] for kind in zones["kinds"] if kind["kind"] == "zone")
    assert page(search(server, "khu", accept=FIREFOX, kind="zone")).text("h2")


def test_results_are_paged(server: str, page: ReadPage) -> None:
    seen, url = list[str](), f"{server}/search?q=k"
    while url:
        answer = requests.get(url, timeout=30)
        seen += [result["iri"] for result in answer.json()["results"]]
        following = answer.links.get("next")
        url = server + following["url"] if following else ""
    assert len(seen) == len(set(seen)) == answer.json()["total"] > 40
    assert answer.links["prev"]["url"] == f"/search?q=k&page={(len(seen) - 1) // 20}"
    assert "/search?q=k&page=3" in page(search(server, "k", accept=FIREFOX, page="2")).links
    assert "not so many pages" in search(server, "k", accept=FIREFOX, page="999999").text


@pytest.mark.parametrize("number", ["0", "-1", "x", "1" * 5000, "١", ""])
def test_a_page_number_must_be_positive(server: str, problem: Problem, number: str) -> None:
    problem(search(server, "k", page=number), 400, "bad-request")


def test_a_search_without_results_offers_other_searches(server: str, page: ReadPage) -> None:
    answer = search(server, "dinh vu xyzzy", accept=FIREFOX, kind="org")
    found = page(answer)
    assert "/search?q=dinh" in found.links
    assert "all of these words" in answer.text
    assert page(search(server, accept=FIREFOX, language="vi")).links.count("/search?q=HEZA") == 1


@pytest.mark.parametrize("text", ['NEAR("', "*", "a AND", "\0", "…", "x" * 10_000, "' --", "\ue000", "<script>", "%"])
@pytest.mark.parametrize("accept", ["application/json", FIREFOX])
def test_no_text_is_an_error(server: str, text: str, accept: str) -> None:
    assert search(server, text, accept=accept).status_code == 200
    assert search(server, text, "suggest").status_code == 200
    assert search(server, text, accept=accept, kind=text).status_code == 200


def test_invalid_utf8_is_not_an_error(server: str) -> None:
    for query in ("q=%ff%fe", "q=%ed%a0%80", "q=k&kind=%ff", "kind=zone", "q=a&q=b"):
        assert requests.get(f"{server}/search?{query}", timeout=30).status_code == 200


def test_answers_are_negotiated_and_conditional(server: str, problem: Problem) -> None:
    problem(search(server, "k", accept="text/turtle"), 406, "not-acceptable")
    problem(search(server, "k", "suggest", accept="text/html"), 406, "not-acceptable")
    for path, accept in (("search", FIREFOX), ("search", "application/json"), ("suggest", "*/*")):
        answer = search(server, "heza", path, accept)
        headers = {"Accept": accept, "Accept-Language": "en", "If-None-Match": answer.headers["ETag"]}
        assert requests.get(answer.url, headers=headers, timeout=30).status_code == 304
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    tags = {search(server, "heza", language=language).headers["ETag"] for language in ("en", "vi")}
    assert len(tags) == 2


def test_suggestions_are_few_and_in_the_reader_s_language(server: str) -> None:
    found = search(server, "k", "suggest", language="vi").json()["suggestions"]
    assert len(found) == 10
    (heza, *_) = search(server, "bql", "suggest", language="vi").json()["suggestions"]
    assert heza == {
        "iri": f"{ID}org/heza",
        "kind": "org",
        "kindName": "Tổ chức",
        "label": "Ban Quản lý Khu kinh tế Hải Phòng",
        "match": {"language": "vi", "text": "BQL"},
        "url": f"{server}/doc/org/heza",
    }


@pytest.mark.parametrize("path", ["", "ontology", "commits", "sparql", "graph", "problem", "doc/org/heza"])
def test_every_page_has_a_search(server: str, page: ReadPage, path: str) -> None:
    for query, hidden in (("", 0), ("?lang=vi", 1)):
        answer = requests.get(f"{server}/{path}{query}", headers={"Accept": FIREFOX}, timeout=30)
        found = page(answer)
        assert found.ids.count("search") == 1
        assert found.links.count("/search") == 1
        assert answer.text.count('name="lang" value="vi"') == hidden
        assert "/static/suggest.js" in found.links


@pytest.mark.parametrize(
    ("path", "words"),
    [("doc/zone/dinh-vu", "dinh vu"), ("id/org/Bridge_stone.ttl", "Bridge stone ttl"), ("x/", "x"),
     (f"doc/zone/{quote('<b>đ-v')}", "&lt;b&gt;đ v"), ("y" * 5000, "y" * 200)],
)  # fmt: skip
def test_the_page_of_an_unknown_path_offers_a_search(server: str, path: str, words: str) -> None:
    answer = requests.get(f"{server}/{path}", headers={"Accept": FIREFOX}, timeout=30)
    assert answer.status_code == 404
    assert f'value="{words}"' in answer.text


def test_the_script_is_served(server: str) -> None:
    answer = requests.get(f"{server}/static/suggest.js", timeout=30)
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "innerHTML" not in answer.text


def test_a_new_name_is_found_by_the_next_search_in_every_worker(home: str, folder: Path) -> None:
    assert search(home, "do son moi").json()["total"] == 0
    add(home, folder, "Đồ Sơn Mới", f"{ID}place/do-son-moi")
    for _ in range(20):
        found = requests.get(f"{home}/search?q=do+son+moi", headers={"Connection": "close"}, timeout=30).json()
        assert [result["iri"] for result in found["results"]] == [f"{ID}place/do-son-moi"]


def test_hostile_names_are_shown_as_text(home: str, folder: Path) -> None:
    add(home, folder, HOSTILE, f"{ID}place/hostile")
    answer = search(home, "script alert", accept=FIREFOX)
    assert "<script>alert" not in answer.text
    assert "&lt;<mark>script</mark>&gt;<mark>alert</mark>" in answer.text
    assert search(home, "script alert", "suggest").json()["suggestions"][0]["match"]["text"] == HOSTILE


def test_an_entity_without_a_page_is_shown_without_a_link(home: str, folder: Path, page: ReadPage) -> None:
    add(home, folder, "Nowhere land", "urn:example:nowhere")
    found = page(search(home, "nowhere land", accept=FIREFOX))
    assert not [link for link in found.links if "urn:" in link]
    (result, *_) = search(home, "nowhere land").json()["results"]
    assert (result["url"], result["kind"], result["iri"]) == (None, "other", "urn:example:nowhere")


def test_a_lost_or_damaged_index_is_rebuilt(home: str, folder: Path) -> None:
    for damage in (Path.unlink, lambda path: path.write_bytes(b"rubbish" * 5000)):
        (path,) = (folder / "data").glob("search-*.db")
        damage(path)
        end, status = time.monotonic() + 20, 0
        while status != 200 and time.monotonic() < end:
            answer = search(home, "heza", page=str(1 + time.monotonic_ns() % 1000))
            status = answer.status_code
            assert status == 200 or (answer.json()["type"].endswith("/indexing") and answer.headers["Retry-After"])
            time.sleep(0.1)
        assert status == 200
        end = time.monotonic() + 20
        while not list((folder / "data").glob("search-*.db")) and time.monotonic() < end:
            time.sleep(0.05)
        assert search(home, "bql").json()["results"][0]["iri"] == f"{ID}org/heza"

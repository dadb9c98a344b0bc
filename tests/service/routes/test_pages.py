"""The pages about entities, claims, evidence, sources, issues and changes, through a running server."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ARTICLE

Problem = Callable[[requests.Response, int, str], dict[str, object]]
ReadPage = Callable[[requests.Response], Any]
Show = Callable[..., Any]

CLAIM = "/doc/claim/dnhn-94474"
LONG = "rất dài " * 20_000
ODD = (
    f"""
@prefix id: <https://w3id.org/hpez/id/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
<https://w3id.org/hpez/id/thing/odd> rdfs:label "<script>alert('tên')</script>"@vi ; skos:definition "{LONG}"@vi ;
  <urn:note> "{LONG}" , "<b>bold</b>" ; <urn:on> "no date"^^xsd:date ; <urn:sure> true ;
  <urn:day> "2025-03-01"^^xsd:date ; <urn:size> 1234567.5 ; <urn:part> [ <urn:has> 1 ] ;
  <urn:site> <https://example.org/?a=b&c=d> , <javascript:alert(1)> .
<https://w3id.org/hpez/id/thing/busy> rdfs:label "Bận rộn"@vi , "Busy"@en .
<https://w3id.org/hpez/id/thing/lister> <urn:has> "Đồ Sơn", "Hà Nội", "Dương Kinh", "hải Phòng", "Hải An", "Đà Nẵng" .
"""
    + "".join(
        f"<https://w3id.org/hpez/id/thing/t{n}> <urn:in> <https://w3id.org/hpez/id/thing/throng> ." for n in range(1001)
    )
    + "".join(
        f'<https://w3id.org/hpez/id/thing/n{n}> rdfs:label "Láng {n}"@vi ; '
        "<urn:near> <https://w3id.org/hpez/id/thing/busy> ."
        for n in range(120)
    )
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with unusual facts, added by commit 1."""
    folder = tmp_path_factory.mktemp("pages")
    facts = folder / "odd.ttl"
    facts.write_text(ODD, encoding="utf-8")
    command = [str(Path(sys.executable).with_name("hpkg")), "add", str(facts), "--graph", "odd", "-m", "Odd things"]
    subprocess.run([*command, "--data", str(folder / "data")], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def home(serve: Callable[..., Iterator[str]], folder: Path) -> Iterator[str]:
    yield from serve(folder)


@pytest.fixture(scope="module")
def show(home: str, page: ReadPage) -> Show:
    def shown(path: str, language: str = "en", at: str = home) -> Any:  # noqa: ANN401 - a page of the tests
        headers = {"Accept": "text/html", "Accept-Language": language}
        return page(requests.get(at + path, headers=headers, timeout=30))

    return shown


# --- things


def test_the_page_of_an_entity_uses_words_for_properties(show: Show) -> None:
    found = show("/doc/org/heza")
    assert {"figures", "relations", "issues", "facts", "data"} <= set(found.ids)
    assert "organisation" in found.text("li")
    assert "Managed by" not in found.text("dt")
    assert {"Manages", "Headed by", "Carries out"} <= set(found.text("dt"))
    assert {"/doc/person/le-trung-kien", f"{CLAIM}/heza-manages-zones", "/doc/org/heza?view=statements"} <= set(
        found.links
    )
    assert any("HEZA" in text for text in found.text("dd"))
    assert "Actual figures beside estimates ambiguity" in found.text("h3")


def test_relations_are_shown_from_both_ends(show: Show) -> None:
    found = show("/doc/zone/dinh-vu-cat-hai", "vi")
    assert "Nhà đầu tư" in found.text("dt")
    assert "LG" in found.text("q")
    assert {"/doc/org/lg", "/doc/evidence/dnhn-94474/1563-1565", "/doc/source/dnhn-94474"} <= set(found.links)
    assert found.text("dt").count("Nằm ở") == 1
    assert "do dự án bổ sung, không lấy từ nguồn" in found.text("span")


def test_a_symmetric_relation_is_shown_once(show: Show) -> None:
    assert show("/doc/place/quang-ninh").text("dt").count("Competes with") == 1


@pytest.mark.parametrize(
    ("language", "short", "exact"),
    [("vi", "4,35 tỷ USD", "4.350.000.000 USD"), ("en", "US$4.35 billion", "US$4,350,000,000")],
)
def test_figures_in_short_and_exactly(show: Show, language: str, short: str, exact: str) -> None:
    found = show("/doc/zone-group/hai-phong-ips-and-ezs", language)
    assert f"{short} {exact}" in found.text("td")
    assert exact in found.text("small")
    assert "85,07%" in found.text("td") or "85.07%" in found.text("td"), "a computed figure is rounded"
    assert {"words", "figures"} <= set(found.ids)


@pytest.mark.parametrize("path", ["/doc/indicator/fdi-attracted", "/doc/period/2024", "/doc/status/forecast"])
def test_figures_of_an_indicator_a_period_and_a_status(show: Show, path: str) -> None:
    found = show(path)
    assert "figures" in found.ids
    assert [link for link in found.links if link.startswith(f"{CLAIM}/")]


def test_the_picture_has_links_and_words(show: Show) -> None:
    found = show("/doc/zone/dinh-vu-cat-hai")
    assert "The neighbourhood of Dinh Vu – Cat Hai Economic Zone" in found.text("title")
    assert found.text("desc")[0]
    assert "Invests in" in found.text("text")
    assert found.links.count("/doc/org/lg") == 3


def test_links_are_in_alphabetical_order(show: Show) -> None:
    names = ["Đà Nẵng", "Đồ Sơn", "Dương Kinh", "Hà Nội", "Hải An", "hải Phòng"]
    found = show("/doc/thing/lister?view=links&of=urn:has&way=out", "vi").text("li")
    assert [text for text in found if text in names] == names
    many = show("/doc/thing/throng?view=links&of=urn:in&way=in")
    assert "They are too many to sort" in " ".join(many.text("p"))
    assert len([link for link in many.links if link.startswith("/doc/thing/t")]) >= 50


def test_many_links_are_counted_and_paged(show: Show, home: str) -> None:
    found = show("/doc/thing/busy")
    every = [link for link in found.links if "view=links" in link]
    assert set(every) == {"/doc/thing/busy?view=links&of=urn:near&way=in"}
    assert "All 120" in found.text("a")
    seen = list[str]()
    for number in (1, 2, 3):
        part = show(f"{every[0]}&page={number}")
        seen += [link for link in part.links if link.startswith("/doc/thing/n")]
        assert "too many to sort" not in " ".join(part.text("p"))
    assert seen == [f"/doc/thing/n{n}" for n in sorted(range(120), key=str)]
    assert "There is no such page of it." in show(f"{every[0]}&page=4").text("p")
    for query in (
        "of=urn:nothing&way=in",
        "of=urn:near&way=out",
        "of=urn:near&way=in&page=0",
        "of=x> y",
        "of=urn:near&way=in&page=²",
    ):
        address = f"{home}/doc/thing/busy?view=links&{query}"
        assert requests.get(address, headers={"Accept": "text/html"}, timeout=30).status_code == 400


# --- claims, evidence, sources


def test_an_emended_figure_has_its_explanation(show: Show) -> None:
    found = show(f"{CLAIM}/fdi-term-forecast")
    assert found.text("h1") == ["FDI over the 2020–2025 term is forecast at 17 billion USD."]
    assert {"US$17 billion", "forecast", "corrected"} <= set(found.text("span"))
    assert "17 USD" in found.text("q")
    assert any(text.startswith("Corrected against the letter") for text in found.text("p"))
    assert "The word for billion is missing from the forecast emendation" in found.text("h3")
    assert "computed" in found.ids


def test_a_relation_claim_is_one_sentence(show: Show) -> None:
    found = show(f"{CLAIM}/lg-invests")
    assert found.text("h1") == ["LG invests in the Dinh Vu – Cat Hai zone."]
    assert "LG — invests in → Dinh Vu – Cat Hai Economic Zone" in found.text("dd")


def test_evidence_names_the_claims_that_cite_it(show: Show) -> None:
    found = show("/doc/evidence/dnhn-94474/1884-1895")
    assert f"{CLAIM}/fdi-2024" in found.links
    assert any("1884–1895" in text and "not checked here" in text for text in found.text("p"))
    assert found.text("mark") == []


def test_the_page_of_a_source_has_its_claims_in_text_order(show: Show) -> None:
    first, second = show("/doc/source/dnhn-94474"), show("/doc/source/dnhn-94474?page=2")
    places = [
        int(match[1])
        for found in (first, second)
        for text in found.text("li")
        if (match := re.search(r"(\d+)–\d+: “?", text))
    ]
    assert places == sorted(places)
    assert any("US$4.35 billion" in text for text in first.text("li"))
    assert "/doc/source/dnhn-94474?page=2" in first.links
    assert "March 11, 2026" in first.text("dd")


@pytest.fixture(scope="module")
def with_text(serve: Callable[..., Iterator[str]], article: bytes) -> Iterator[str]:
    assert article
    yield from serve(HPKG_TEXT=str(ARTICLE))


def test_with_the_text_evidence_is_shown_in_its_sentence(show: Show, with_text: str, article: bytes) -> None:
    found = show(f"{CLAIM}/fdi-2024", "vi", with_text)
    assert found.text("mark") == ["4,35 tỷ USD"]
    sentence = next(text for text in found.text("p") if "4,35 tỷ USD," in text)
    assert 100 < len(sentence) < 320
    assert sentence in " ".join(article.decode().split())
    assert "✓ đã đối chiếu với văn bản" in found.text("span")
    assert "lang" not in requests.get(with_text + f"{CLAIM}/fdi-2024.ttl", timeout=30).headers


def test_the_text_changes_the_entity_tag_of_pages_only(home: str, with_text: str, server: str) -> None:
    def tag(at: str, path: str) -> str:
        answer = requests.get(at + path, headers={"Accept-Encoding": "identity"}, timeout=30)
        return answer.headers["ETag"]

    assert home
    path = f"{CLAIM}/fdi-2024"
    assert tag(with_text, f"{path}.html") != tag(server, f"{path}.html")


def test_an_unknown_source_text_is_refused_at_the_start(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "other.txt"
    file.write_text("no source says this", encoding="utf-8")
    command = [str(Path(sys.executable).with_name("hpkg")), "serve", "--port", "0", "--text", str(file)]
    for cells in ("0", "1"):
        done = subprocess.run(
            [*command, "--cells", cells, "--data", str(folder / "data")],
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert "other.txt is not the text of any source: its SHA-256 is " in done.stderr


# --- issues


def test_issues_are_listed_by_kind(show: Show, home: str) -> None:
    found = show("/issues", "vi")
    assert "Vấn đề còn bỏ ngỏ" in found.text("h1")
    assert "Tất cả (20)" in found.text("a")
    assert "/issues?page=2" in found.links
    kind = "https://w3id.org/hpez/id/issue-type/contradiction"
    only = show(f"/issues?kind={kind}")
    assert only.text("h2") == ["Two different lists of three pillars contradiction"]
    assert "All 8 that it concerns" in only.text("a")
    answer = requests.get(f"{home}/issues?kind={kind}", headers={"Accept": "application/json"}, timeout=30)
    (issue,) = answer.json()["issues"]
    assert (issue["kind"], len(issue["concerns"]), set(issue["text"])) == (kind, 8, {"vi", "en"})
    assert "There are none." in show("/issues?kind=urn:none").text("p")


def test_adjacent_pages_of_issues_are_linked(home: str, problem: Problem) -> None:
    answer = requests.get(f"{home}/issues", headers={"Accept": "application/json"}, timeout=30)
    assert "prev" not in answer.links
    following = requests.get(home + answer.links["next"]["url"], headers={"Accept": "application/json"}, timeout=30)
    assert following.links["prev"]["url"] == "/issues?page=1"
    assert len(answer.json()["issues"]) + len(following.json()["issues"]) == 20
    for query in ("page=x", "kind=a b>", "page=9999999999999"):
        assert requests.get(f"{home}/issues?{query}", timeout=30).status_code in {200, 400}
    problem(requests.get(f"{home}/issues", headers={"Accept": "image/png"}, timeout=30), 406, "not-acceptable")
    tag = requests.get(f"{home}/issues", headers={"Accept": "text/html"}, timeout=30).headers["ETag"]
    assert (
        requests.get(f"{home}/issues", headers={"Accept": "text/html", "If-None-Match": tag}, timeout=30).status_code
        == 304
    )


def test_an_issue_has_its_page(show: Show) -> None:
    found = show("/doc/issue/dnhn-94474/two-pillar-lists")
    assert found.text("h1") == ["Two different lists of three pillars"]
    assert len(found.text("li")) >= 8


# --- history


def test_the_page_of_a_commit_uses_words(show: Show) -> None:
    found = show("/commits/1")
    assert "Odd things" in found.text("dd")
    assert "Busy" in found.text("h3")
    assert "+ added" in found.text("span")
    assert "Name:" in found.text("span")
    assert "/commits/1.rdfp" in found.links
    assert any(text.startswith("Further statements") for text in found.text("p"))
    assert len(found.text("li")) < 250
    assert "/commits/1" in show("/commits").links


# --- odd data and bad input


@pytest.mark.parametrize("query", ["", "?view=statements"])
def test_odd_data(home: str, show: Show, query: str) -> None:
    found = show(f"/doc/thing/odd{query}")
    assert found.text("h1") == ["<script>alert('tên')</script>"]
    assert "vi" in found.languages, "a label in the other language has its language tag"
    answer = requests.get(f"{home}/doc/thing/odd{query}", headers={"Accept": "text/html"}, timeout=30)
    assert "<script>" not in answer.text
    assert 'href="javascript:' not in answer.text
    assert 'href="https://example.org/?a=b&amp;c=d"' in answer.text
    assert len(answer.text) < 20_000, "long values are shortened"
    assert "/doc/thing/odd.ttl" in found.links
    assert "no date" in answer.text


def test_literals_are_formatted_for_the_language(show: Show) -> None:
    found = show("/doc/thing/odd", "vi")
    assert {"1 tháng 3, 2025", "1.234.567,5", "có", "no date"} <= set(found.text("dd"))


@pytest.mark.parametrize(
    "query", ["?lang=", "?lang=xx", "?lang=%00", "?lang=vi&lang=en", "?lang=" + "v" * 5000, "?view=nothing"]
)
def test_invalid_query_parameters_are_ignored(show: Show, query: str) -> None:
    assert show(f"/doc/org/heza{query}").text("h1")[0]


@pytest.mark.parametrize(
    "path", ["/doc/zone/atlantis", "/doc/zone/%3Cscript%3E", "/doc/x%00", "/doc/issue/none?view=links", "/commits/99"]
)
def test_unknown_pages_are_not_found(home: str, path: str) -> None:
    answer = requests.get(home + path, headers={"Accept": "text/html"}, timeout=30)
    assert answer.status_code == 404
    assert "<script>" not in answer.text

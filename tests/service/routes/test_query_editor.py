"""The page `/sparql`: the editor, its example queries, and the form without scripts."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests
from flask import Flask

import service
from kg.changes import data_folder
from kg.changes.data_folder import BuiltGraph
from kg.rdf.namespaces import HPEZ, PREFIXES
from kg.views.example_queries import all_examples, find_example
from service import create_app
from service.presentation import query_editor_page
from service.settings import Settings

STATIC = Path(service.__file__).parent / "static"
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}
"""The Accept header of browsers."""


class Loaded(HTMLParser):
    """The files that a browser loads for a page, and its inline scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.files: list[str] = []
        self.inline: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in {"script", "img", "iframe"}:
            self.files.append(values.get("src") or "")
        if tag == "link" and values.get("rel") in {"stylesheet", "icon"}:
            self.files.append(values.get("href") or "")
        if tag == "script" and "src" not in values:
            self.inline.append("script")
        self.inline += [name for name in values if name.startswith("on") or name == "style"]


def get(server: str, path: str = "/sparql", **headers: str) -> requests.Response:
    return requests.get(server + path, headers=HTML | headers, timeout=30)


def test_the_page_loads_only_from_this_host_and_has_no_inline_scripts(server: str) -> None:
    loaded = Loaded(get(server).text)
    assert {urlsplit(file).path for file in loaded.files} >= {
        "/static/editor.js", "/static/editor.css", "/static/editor/yasgui.min.js", "/static/editor/yasgui.min.css",
    }  # fmt: skip
    assert loaded.inline == []
    for file in loaded.files:
        url = urljoin(f"{server}/sparql", file)
        assert url.startswith(server)
        assert requests.get(url, timeout=30).status_code == 200


def test_the_content_policy_is_that_of_every_page(server: str) -> None:
    policy = get(server).headers["Content-Security-Policy"]
    assert policy == get(server, "/").headers["Content-Security-Policy"]
    assert "script-src 'self'; style-src 'self';" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy


def test_own_scripts_and_style_sheets_name_no_other_host() -> None:
    for file in (STATIC / "editor.js", STATIC / "editor.css", STATIC / "editor" / "yasgui.min.css"):
        addresses = re.findall(r"https?://[^\s\"')]+", file.read_text(encoding="utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, file


def test_the_licences_of_the_editor_are_included() -> None:
    text = (STATIC / "editor" / "LICENSES.txt").read_text(encoding="utf-8")
    for package in ("@zazuko/yasgui", "@zazuko/yasqe", "@zazuko/yasr", "codemirror", "jquery", "datatables.net", "n3"):
        assert re.search(rf"^{package} [0-9.]+ \(MIT\)", text, re.MULTILINE), package
    assert text.count("WITHOUT WARRANTY") > 30


@pytest.mark.parametrize("language", ["en", "vi"])
def test_each_example_query_is_a_link_that_runs(server: str, page: Callable[..., Any], language: str) -> None:
    shown = page(get(server, **{"Accept-Language": language}))
    asked = [parse_qs(urlsplit(url).query)["query"][0] for url in shown.links if url.startswith("/sparql?query=")]
    assert asked == [item.text_in(language) for item in all_examples()]
    assert set(shown.text("h3")) == {item.titles[language] for item in all_examples()}
    links = [url for url in shown.links if url.startswith("/sparql?query=")]
    for url in links[:3]:
        assert requests.get(server + url, timeout=30).json()["results"]["bindings"]


def test_the_form_has_a_query_and_works_without_scripts(server: str, page: Callable[..., Any]) -> None:
    shown = page(get(server))
    assert "query-form" in shown.ids
    (text,) = shown.texts["textarea"]
    answer = requests.get(f"{server}/sparql", params={"query": text.strip()}, headers=HTML, timeout=30)
    assert answer.status_code == 200
    assert all(name in answer.text for name in ("Bridgestone", "LG", "Pegatron", "USI"))


def test_an_example_query_is_opened_by_its_slug(server: str, page: Callable[..., Any]) -> None:
    answer = get(server, "/sparql?example=fdi-2024")
    assert page(answer).texts["textarea"][0].strip() == find_example("fdi-2024").text_in("en").strip()
    assert 'data-run="yes"' in answer.text
    assert 'data-run="no"' in get(server).text


def test_an_unknown_example_query_is_not_found(server: str) -> None:
    assert get(server, "/sparql?example=nothing").status_code == 404


def test_the_texts_of_the_editor_are_in_the_language_of_the_page(server: str) -> None:
    words = {}

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
            words.update(json.loads(dict(attrs).get("data-words") or "{}"))

    Reader().feed(get(server, "/sparql?lang=vi").text)
    assert words["Run query"] == "Chạy truy vấn"


def test_terms_are_served_for_completion(server: str) -> None:
    answer = requests.get(f"{server}/sparql/terms", timeout=30)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["prefixes"] == PREFIXES
    assert HPEZ + "RelationClaim" in answer.json()["classes"]
    assert PREFIXES["oa"] + "exact" in answer.json()["properties"]
    again = requests.get(f"{server}/sparql/terms", headers={"If-None-Match": answer.headers["ETag"]}, timeout=30)
    assert again.status_code == 304


@pytest.fixture
def app(built: BuiltGraph, tmp_path: Path) -> Flask:
    data_folder.save(built, tmp_path)
    return create_app(Settings(data=tmp_path))


def test_a_build_without_the_editor_shows_the_form(app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(query_editor_page, "_BUNDLE", tmp_path / "nothing")
    html = app.test_client().get("/sparql", headers=HTML).text
    assert Loaded(html).files == ["/static/style.css", "/static/icon.svg", "/static/suggest.js"]
    assert "<textarea" in html
    assert html.count('class="example"') == len(all_examples())

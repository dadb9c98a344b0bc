"""Readers of the server's responses."""

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """The parts of a page that tests check; unclosed or misplaced tags are errors."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.language: str | None = None
        self.links: list[str] = []
        self.ids: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.languages: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "html":
            self.language = values.get("lang")
        self.links += [values[name] or "" for name in ("href", "src", "action") if name in values]
        self.ids += [values["id"] or ""] if "id" in values else []
        self.languages |= {values["lang"] or ""} if "lang" in values else set()
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def text(self, tag: str) -> list[str]:
        return [" ".join(text.split()) for text in self.texts.get(tag, [])]


@pytest.fixture(scope="session")
def page() -> Callable[[requests.Response], Page]:
    def read(response: requests.Response) -> Page:
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        return Page(response.text)

    return read


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that only one module's tests write to."""
    return tmp_path_factory.mktemp("module")


@pytest.fixture(scope="module")
def home(serve: Callable[..., Iterator[str]], folder: Path) -> Iterator[str]:
    """The base URL of that server."""
    yield from serve(folder)


@pytest.fixture(scope="session")
def small_strict_server(serve: Callable[..., Iterator[str]]) -> Iterator[str]:
    """A server with the strict default graph and a body limit of 1000 bytes."""
    yield from serve(HPKG_DEFAULT_GRAPH="strict", HPKG_MAX_BODY="1000")


def assert_problem(response: requests.Response, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, object] = response.json()
    assert problem["type"] == f"https://w3id.org/hpez/problem/{code}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert str(problem["instance"]).startswith("urn:uuid:")
    assert "Traceback" not in response.text
    return problem


@pytest.fixture(scope="session")
def problem() -> Callable[[requests.Response, int, str], dict[str, object]]:
    return assert_problem

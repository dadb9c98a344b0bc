"""Fixtures for browser tests: the system's Chromium, driven by Playwright, and a running service."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from kg.changes.credentials import CredentialStore
from tests.browser.accessibility import Open

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def chromium() -> str:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        assert not os.environ.get("CI"), "continuous integration must install Chromium"
        pytest.skip("Chromium is not installed")
    return path


@pytest.fixture(scope="module")  # its event loop must not run during other modules' tests
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium_browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield chromium_browser
        chromium_browser.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="session")
def home(serve: Callable[..., Iterator[str]], folder: Path) -> Iterator[str]:
    yield from serve(folder)


@pytest.fixture(scope="session")
def token(home: str, folder: Path) -> str:  # noqa: ARG001 - the service creates the folder
    return CredentialStore(folder / "data").create("reader")


@pytest.fixture
def show(browser: Browser, home: str) -> Iterator[Open]:
    """Open pages; afterwards check that none sent a request to another host or reported an error."""
    contexts, foreign_requests, page_errors = [], list[str](), list[str]()

    def record(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != urlsplit(home).netloc:
            foreign_requests.append(request.url)

    def open_page(path: str, **options: Any) -> Page:  # noqa: ANN401 - Playwright's keywords
        context = browser.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("request", record)
        page.on("console", lambda message: page_errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page_errors.append(str(error)))
        page.goto(home + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert foreign_requests == []
    assert page_errors == []

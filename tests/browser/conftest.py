"""A real browser: Debian's Chromium, driven by Playwright against a real server, with axe-core's rules at hand."""

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
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        assert not os.environ.get("CI"), "continuous integration must install chromium"
        pytest.skip("there is no Chromium on this machine")
    return found


@pytest.fixture(scope="module")  # Playwright keeps an event loop running meanwhile, which tests elsewhere do not expect
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seen")


@pytest.fixture(scope="session")
def home(serve: Callable[..., Iterator[str]], folder: Path) -> Iterator[str]:
    yield from serve(folder)


@pytest.fixture(scope="session")
def token(home: str, folder: Path) -> str:  # noqa: ARG001 - the service makes the folder
    return CredentialStore(folder / "data").create("reader")


@pytest.fixture
def show(browser: Browser, home: str) -> Iterator[Open]:
    """Open pages; at the end, none has asked another host for anything, nor complained on its console."""
    contexts, elsewhere, complaints = [], list[str](), list[str]()

    def seen(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != urlsplit(home).netloc:
            elsewhere.append(request.url)

    def opened(path: str, **context: Any) -> Page:  # noqa: ANN401 - as Playwright has them
        made = browser.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **context})
        contexts.append(made)
        page = made.new_page()
        page.on("request", seen)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(home + path)
        return page

    yield opened
    for made in contexts:
        made.close()
    assert elsewhere == []
    assert complaints == []

"""Accessibility checks for browser tests."""

from typing import Any, Protocol

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


class Open(Protocol):
    """Open a page in its own browser context; the keywords are those of Playwright's `Browser.new_context`."""

    def __call__(self, path: str, **context: Any) -> Page: ...  # noqa: ANN401 - Playwright's keywords


def violations(page: Page) -> list[str]:
    """Return the WCAG 2.2 AA rules that axe-core finds violated, each with the first elements that violate it."""
    violated = Axe().run(page, options={"runOnly": WCAG, "resultTypes": ["violations"]}).response["violations"]
    return [f"{item['id']}: {[node['html'][:160] for node in item['nodes'][:3]]}" for item in violated]

"""What browser tests look at."""

from typing import Any, Protocol

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


class Open(Protocol):
    """Opens a page in a context of its own; keywords are those of Playwright's Browser.new_context."""

    def __call__(self, path: str, **context: Any) -> Page: ...  # noqa: ANN401 - as Playwright has them


def violations(page: Page) -> list[str]:
    """What axe-core finds by the rules of WCAG 2.2 AA: each rule with the first places that break it."""
    found = Axe().run(page, options={"runOnly": WCAG, "resultTypes": ["violations"]}).response["violations"]
    return [f"{item['id']}: {[node['html'][:160] for node in item['nodes'][:3]]}" for item in found]

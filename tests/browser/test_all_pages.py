"""Every kind of page: accessible in both languages and colour schemes, usable on a phone and without JavaScript."""

import pytest
from playwright.sync_api import Page

from tests.browser.accessibility import Open, violations

PAGES = [
    "/",
    "/sparql",
    "/validate",
    "/figures",
    "/figures?period=2024",
    "/issues",
    "/search",
    "/search?q=dinh+vu",
    "/search?q=xyzzy",
    "/commits",
    "/ontology",
    "/shapes",
    "/graph",
    "/graph/entities",
    "/problem",
    "/problem/refused",
    "/doc/org/heza",
    "/doc/zone/dinh-vu-cat-hai",
    "/doc/zone-group/hai-phong-ips-and-ezs",
    "/doc/claim/dnhn-94474/fdi-2024",
    "/doc/source/dnhn-94474",
    "/doc/claim/dnhn-94474/lg-invests",
    "/doc/evidence/dnhn-94474/1884-1895",
    "/doc/indicator/fdi-attracted",
    "/doc/issue/dnhn-94474/actual-or-estimate",
    "/doc/org/heza?view=statements",
]
PHONE = {"width": 360, "height": 740}


def fits(page: Page) -> bool:
    """Return whether the page needs no horizontal scrolling (WCAG 2.2, success criterion 1.4.10)."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_accessible(show: Open, path: str) -> None:
    for locale, scheme in (("vi-VN", "light"), ("en-GB", "dark")):
        page = show(path, locale=locale, color_scheme=scheme)
        assert page.locator("html").get_attribute("lang") == locale[:2]
        assert violations(page) == [], (locale, scheme)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_phone(show: Open, path: str) -> None:
    page = show(path, viewport=PHONE)
    assert fits(page)
    assert page.locator("h1").count() == 1


@pytest.mark.parametrize("path", PAGES)
def test_a_page_can_be_read_without_javascript(show: Open, path: str) -> None:
    page = show(path, java_script_enabled=False)
    assert page.locator("h1").is_visible()
    assert len(page.locator("main").inner_text()) > 100

"""The editor at /sparql in a browser: running queries by mouse and keyboard, completion, tabs, accessibility."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from kg.rdf.namespaces import HPEZ
from tests.browser.accessibility import Open, violations

ROWS = ".tabPanel.active .yasr_results tbody tr"
TEXT = ".tabPanel.active .yasqe textarea"
RUN = ".tabPanel.active .yasqe_queryButton"
HINT = ".CodeMirror-hint"
THEMES: list[dict[str, Any]] = [
    {"locale": "en-GB", "color_scheme": "light"},
    {"locale": "vi-VN", "color_scheme": "dark"},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 800}},
]


def write(page: Page, query: str) -> None:
    page.focus(TEXT)
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(query)


@pytest.mark.parametrize("theme", THEMES, ids=["light", "dark, Vietnamese", "phone"])
def test_a_query_shows_rows_and_is_accessible(show: Open, theme: dict[str, Any]) -> None:
    page = show("/sparql", **theme)
    expect(page.locator("#query-form")).to_be_hidden()
    assert violations(page) == []
    page.click(RUN)
    expect(page.locator(ROWS)).to_have_count(4)
    expect(page.locator(ROWS).first).to_contain_text("Bridgestone")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_question_opens_in_a_tab_and_its_numbers_become_a_chart(show: Open) -> None:
    page = show("/sparql")
    page.get_by_role("link", name="What does the source leave open?").click()
    expect(page.locator(".tab")).to_have_count(2)
    expect(page.locator(ROWS)).to_have_count(6)
    page.click(".tabPanel.active .select_chart")
    expect(page.locator(".bars rect")).to_have_count(6)
    assert violations(page) == []
    page.click(".tabPanel.active .select_response")
    expect(page.locator(".tabPanel.active .yasr_results .CodeMirror")).to_be_visible()
    assert violations(page) == []


def test_tabs_persist_and_an_example_in_the_url_opens_once(show: Open) -> None:
    page = show("/sparql?example=issues-by-kind")
    for _ in range(2):
        expect(page.locator(ROWS)).to_have_count(6)
        expect(page.locator(".tab")).to_have_count(1)
        page.reload()


def test_the_editor_is_usable_by_keyboard(show: Open) -> None:
    page = show("/sparql")
    write(page, "SELECT ?n { VALUES ?n { 1 2 3 } }")
    page.keyboard.press("Control+Enter")
    expect(page.locator(ROWS)).to_have_count(3)
    for leave in (["Tab"], ["Escape", "Tab"], ["Shift+Tab"]):
        page.focus(TEXT)
        for key in leave:
            page.keyboard.press(key)
        assert not page.evaluate(f"document.activeElement === document.querySelector('{TEXT}')"), leave


def test_terms_are_completed_with_their_prefix(show: Open) -> None:
    page = show("/sparql")
    write(page, "SELECT * { ?claim a ")
    page.keyboard.press("Control+Space")
    expect(page.locator(HINT).first).to_contain_text("hpez:")
    page.locator(HINT, has_text="hpez:Issue – issue").click()
    lines = page.locator(".tabPanel.active .yasqe .CodeMirror-line")
    expect(lines).to_have_text([f"PREFIX hpez: <{HPEZ}>", "SELECT * { ?claim a hpez:Issue"])


def test_iris_link_to_pages_of_this_service(show: Open, home: str) -> None:
    page = show("/sparql")
    write(page, "SELECT ?zone { ?zone a <https://w3id.org/hpez/ontology#Zone> } ORDER BY ?zone")
    page.keyboard.press("Control+Enter")
    expect(page.locator(ROWS)).to_have_count(5)
    link = page.locator(f"{ROWS} a").first
    expect(link).to_have_attribute("href", f"{home}/id/zone/deep-c")


def test_without_javascript_there_is_a_form(show: Open, home: str) -> None:
    page = show("/sparql", java_script_enabled=False)
    expect(page.get_by_role("button", name="Run")).to_be_visible()
    query = page.get_by_label("Query text").input_value()
    assert "Bridgestone" in page.request.get(f"{home}/sparql", params={"query": query}).text()

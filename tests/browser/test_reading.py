"""Reading in a browser: search without diacritics, pages with evidence, switching the language."""

import re

from playwright.sync_api import expect

from tests.browser.accessibility import Open, violations


def test_a_search_without_diacritics_leads_to_the_evidence(show: Open) -> None:
    page = show("/", locale="vi-VN")
    field = page.locator("main").get_by_role("combobox")
    field.press_sequentially("kkt dinh vu")
    option = page.get_by_role("option").first
    expect(option).to_contain_text("Đình Vũ – Cát Hải")
    assert violations(page) == []
    field.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    field.press("Enter")
    page.wait_for_url("**/doc/zone/dinh-vu-cat-hai*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Khu kinh tế Đình Vũ – Cát Hải")
    investors = page.locator("dd", has=page.get_by_role("link", name="Bridgestone", exact=True)).first
    investors.locator("summary").first.click()
    expect(investors.get_by_text("1582–1593").or_(investors.get_by_text(re.compile("1582"))).first).to_be_visible()


def test_a_search_works_without_javascript(show: Open) -> None:
    page = show("/", locale="vi-VN", java_script_enabled=False)
    page.locator("main input[name=q]").fill("Ban quan ly")
    page.locator("main").get_by_role("button").first.click()
    page.get_by_role("link", name="Ban Quản lý Khu kinh tế Hải Phòng").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ban Quản lý Khu kinh tế Hải Phòng")


def test_the_language_is_switched_and_remembered(show: Open) -> None:
    page = show("/doc/person/le-trung-kien", locale="vi-VN")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.goto(page.url.split("?", maxsplit=1)[0].replace("/doc/person/le-trung-kien", "/figures"))
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", level=1)).to_have_text("Figures")


def test_figures_are_filtered(show: Open) -> None:
    page = show("/figures", locale="en-GB")
    all_rows = page.locator("main table tbody tr").count()
    page.get_by_label("Period").select_option(label="2024")
    page.get_by_role("button", name="Show").click()
    filtered_rows = page.locator("main table tbody tr").count()
    assert 0 < filtered_rows < all_rows
    assert violations(page) == []


def test_the_skip_link_works_by_keyboard(show: Open) -> None:
    page = show("/issues")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_have_text("Skip to the content")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.wait_for_url("**#content")


def test_an_unknown_address_offers_a_search(show: Open) -> None:
    page = show("/", locale="vi-VN")
    response = page.request.get(page.url + "doc/zone/dinh-vu-cat-ba", headers={"Accept": "text/html"})
    assert response.status == 404
    assert 'value="dinh vu cat ba"' in response.text()

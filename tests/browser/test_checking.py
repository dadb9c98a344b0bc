"""The form at /validate in a browser."""

from playwright.sync_api import expect

from tests.browser.accessibility import Open, violations

FAULTY = """@prefix schema: <https://schema.org/> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
<https://w3id.org/hpez/id/place/thu> a schema:Place ;
  skos:prefLabel "Thử"@vi .
"""


def test_findings_lead_to_their_lines(show: Open) -> None:
    page = show("/validate?lang=vi")
    page.get_by_label("Văn bản RDF").fill(FAULTY)
    page.get_by_role("button", name="Kiểm tra", exact=True).click()
    expect(page.get_by_role("heading", name="Những điều tìm thấy")).to_be_visible()
    expect(page.get_by_text("Chưa thể thêm vào như hiện tại.")).to_be_visible()
    page.get_by_role("link", name="Dòng 4").click()
    expect(page.locator("#L4")).to_be_in_viewport()
    expect(page.locator("#findings").get_by_text("Gợi ý")).to_have_count(1)
    assert violations(page) == []


def test_facts_are_added(show: Open, token: str) -> None:
    page = show("/validate?lang=en", java_script_enabled=False)
    page.get_by_label("Text in RDF").fill(FAULTY.replace('"Thử"@vi', '"Thử"@vi , "Test"@en'))
    page.get_by_text("Add to the graph").click()
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Check and add").click()
    expect(page.get_by_text("Added.")).to_be_visible()

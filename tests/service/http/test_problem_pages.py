"""Problem details as pages for browsers."""

import pytest
import requests

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/sparql?query=SELECT+nonsense", 400, "Dòng 1"),
        ("/search?page=x", 400, "page"),
        ("/doc/org/heza?lang=vi&x=1", 200, "Ban Quản lý"),
        ("/validate/form", 405, "405"),
    ],
)
def test_a_browser_gets_a_page(server: str, path: str, status: int, words: str) -> None:
    headers = {"Accept": FIREFOX, "Accept-Language": "vi"}
    answer = requests.get(server + path, headers=headers, timeout=30)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Content-Language"] == "vi"
    assert "Content-Security-Policy" in answer.headers
    assert words in answer.text


def test_a_program_gets_problem_details(server: str) -> None:
    answer = requests.get(f"{server}/sparql?query=SELECT+nonsense", headers={"Accept": "*/*"}, timeout=30)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_detail_is_escaped(server: str) -> None:
    query = {"query": "SELECT <script>alert(1)</script>"}
    answer = requests.get(f"{server}/sparql", query, headers={"Accept": FIREFOX}, timeout=30)
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text

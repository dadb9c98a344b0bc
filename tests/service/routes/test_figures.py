"""`/figures`: the page with filters and charts, CSV and JSON."""

import csv
import io
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import requests

from kg.changes import data_folder
from kg.changes.data_folder import BuiltGraph
from kg.rdf.namespaces import ID
from kg.views.observations import find_observations
from service import create_app
from service.presentation.figure_files import escape_formula
from service.presentation.names import DisplayNames
from service.routes.home import charts_of_2024
from service.settings import Settings

Problem = Callable[[requests.Response, int, str], dict[str, object]]
ReadPage = Callable[[requests.Response], Any]


def get(url: str, accept: str = "text/html", language: str = "en", **parameters: str) -> requests.Response:
    headers = {"Accept": accept, "Accept-Language": language}
    return requests.get(f"{url}/figures", parameters, headers=headers, timeout=30)


def rows(response: requests.Response) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].startswith("text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(response.content.decode(), newline=""), strict=True))


def links(page: Any) -> set[str]:  # noqa: ANN401 - the fixture's class
    return {link for link in page.links if link.startswith("/doc/claim/")}


@pytest.mark.parametrize("language", ["en", "vi"])
def test_the_page_shows_every_figure_with_its_claim(
    server: str, page: ReadPage, built: BuiltGraph, language: str
) -> None:
    shown = page(get(server, language=language))
    assert shown.language == language
    expected = {item.claim.replace(ID, "/doc/") for item in find_observations(built.engine, {})}
    assert {link.partition("?")[0] for link in links(shown)} == expected
    assert len(expected) >= 19
    assert len(shown.ids) == len(set(shown.ids))
    words = {"en": ("US$4.35 billion", "Figures", "plan"), "vi": ("4,35 tỷ USD", "Số liệu", "kế hoạch")}
    text = " ".join(shown.text("main"))
    assert all(word in text for word in words[language])


def test_charts_are_part_of_the_page_and_obey_its_policy(server: str, page: ReadPage) -> None:
    answer = get(server, language="vi")
    svgs = re.findall(r"<svg.*?</svg>", answer.text, re.DOTALL)
    assert len(svgs) == 3
    assert page(answer).text("title")[1:] == [
        "Con số năm 2024, tính bằng USD", "So với kế hoạch, tính bằng USD", "So với kế hoạch, tính bằng đồng",
    ]  # fmt: skip
    assert "Xuất khẩu: 28,5 tỷ USD (ước thực hiện)" in svgs[0]
    assert "4,35 tỷ USD (242%)" in svgs[1]
    assert not re.search(r"style=|<style|<script|href", "".join(svgs))


@pytest.mark.parametrize(
    ("parameters", "claims"),
    [
        ({"indicator": "exports"}, {"exports-2024"}),
        ({"indicator": f"{ID}indicator/exports"}, {"exports-2024"}),
        ({"status": "forecast"}, {"fdi-term-forecast", "derived/dnhn-94474/fdi-term-forecast/forecast-to-plan"}),
        ({"about": "zone/xuan-cau", "period": ""}, {"xuan-cau-area"}),
        ({"period": "2025", "status": "plan", "indicator": "area"}, {"new-parks-area"}),
        ({"period": "2024", "status": "forecast"}, set()),
    ],
)
def test_filters(server: str, page: ReadPage, parameters: dict[str, str], claims: set[str]) -> None:
    shown = page(get(server, **parameters))
    assert links(shown) == {f"/doc/claim/{'' if '/' in name else 'dnhn-94474/'}{name}" for name in claims}
    found = rows(get(server, "text/csv", **parameters))
    assert {row["claim"].replace(ID, "/doc/") for row in found} == links(shown)


def test_a_chosen_filter_is_kept_in_the_form_and_the_links(server: str) -> None:
    text = get(server, indicator="area").text
    assert '<option value="area" selected>Area</option>' in text
    assert "/figures.csv?indicator=area" in text


def test_a_filter_with_an_unknown_value_matches_nothing(server: str, page: ReadPage) -> None:
    shown = page(get(server, status="nowhere"))
    assert links(shown) == set()
    assert "Nothing here is known as id:status/nowhere." in shown.text("p")
    assert rows(get(server, "text/csv", about="https://example.org/x")) == []


@pytest.mark.parametrize(
    "parameters",
    [{"about": "<x>"}, {"status": "a b"}, {"page": "0"}, {"page": "x"}, {"page": "9" * 5000}, {"format": "pdf"},
     {"indicator": ["area", "exports"]}],
)  # fmt: skip
def test_invalid_parameters_are_refused(server: str, problem: Problem, parameters: dict[str, Any]) -> None:
    problem(get(server, "application/json", **parameters), 400, "bad-request")


def test_hostile_filter_values_are_escaped(server: str) -> None:
    answer = get(server, about='https://example.org/"><script>')
    assert answer.status_code in {200, 400}
    assert "<script>" not in answer.text
    assert get(server, about="https://example.org/" + "x" * 5000).status_code == 200


def test_csv_has_the_values_of_the_graph(server: str, built: BuiltGraph) -> None:
    answer = get(server, "text/csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="figures.csv"'
    assert answer.content.count(b"\r\n") == answer.content.count(b"\n") == len(rows(answer)) + 1
    stored = {item.claim: item for item in find_observations(built.engine, {})}
    found = {row["claim"]: row for row in rows(answer)}
    assert found.keys() == stored.keys()
    for claim, item in stored.items():
        row = found[claim]
        assert [row["low"] and Decimal(row["low"]), row["high"] and Decimal(row["high"])] == [
            "" if bound is None else bound for bound in (item.low, item.high)
        ]
        assert (row["about"], row["indicator"], row["unit"]) == (item.about, item.indicator, item.unit or "")
        assert (row["status"], row["period"], row["said_by"]) == (
            item.status or "", item.period or "", " ".join(item.speakers),
        )  # fmt: skip
    exports = found[f"{ID}claim/dnhn-94474/exports-2024"]
    assert (exports["indicator_en"], exports["indicator_vi"], exports["low"]) == ("exports", "xuất khẩu", "28500000000")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1"])
def test_no_label_is_a_formula(text: str) -> None:
    assert escape_formula(text) == f"'{text}"


def test_json(server: str) -> None:
    answer = get(server, "application/json", indicator="fdi-attracted", status="target").json()
    (figure,) = answer["figures"]
    assert answer["total"] == 1
    assert (figure["low"], figure["high"]) == ("2000000000", "2500000000")
    assert figure["status"] == {"iri": f"{ID}status/target", "label": {"en": "target", "vi": "mục tiêu"}}
    assert figure["period"] is None


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/figures.csv", "text/csv"), ("/figures?format=csv", "text/csv"), ("/figures.json", "application/json"),
     ("/figures.html", "text/html"), ("/figures", "text/html")],
)  # fmt: skip
def test_forms(server: str, path: str, media_type: str) -> None:
    answer = requests.get(server + path, timeout=30)
    assert answer.headers["Content-Type"].partition(";")[0] == media_type


def test_other_formats_are_refused(server: str, problem: Problem) -> None:
    problem(requests.get(f"{server}/figures.pdf", headers={"Accept": "application/json"}, timeout=30), 404, "not-found")
    problem(get(server, "image/png"), 406, "not-acceptable")


@pytest.mark.parametrize("accept", ["text/html", "text/csv", "application/json"])
def test_unchanged_figures_are_not_sent_again(server: str, accept: str) -> None:
    first = get(server, accept)
    headers = {"Accept": accept, "Accept-Language": "en", "If-None-Match": first.headers["ETag"]}
    assert requests.get(f"{server}/figures", headers=headers, timeout=30).status_code == 304
    assert get(server, accept, language="vi").headers["ETag"] != first.headers["ETag"] or accept != "text/html"


def test_pages(built: BuiltGraph, monkeypatch: pytest.MonkeyPatch, app_of: Callable[[], Any]) -> None:
    monkeypatch.setattr("service.routes.figures.PAGE_SIZE", 10)
    client = app_of().test_client()
    found: list[str] = []
    for number in (1, 2, 3):
        answer = client.get(f"/figures?page={number}", headers={"Accept": "text/html"})
        found += re.findall(r'href="(/doc/claim/[^"]+)"', answer.text)
        assert ('rel="next"' in answer.text) == ("rel=next" in answer.headers["Link"]) == (number < 3)
        assert ('rel="prev"' in answer.text) == ("rel=prev" in answer.headers["Link"]) == (number > 1)
    assert len(found) == len(set(found)) == len(find_observations(built.engine, {}))
    assert "No figure fits" in client.get("/figures?page=9", headers={"Accept": "text/html"}).text


def test_a_filter_with_many_values_is_a_text_field(monkeypatch: pytest.MonkeyPatch, app_of: Callable[[], Any]) -> None:
    monkeypatch.setattr("service.routes.figures.MAX_CHOICES", 3)
    text = app_of().test_client().get("/figures?about=zone/xuan-cau", headers={"Accept": "text/html"}).text
    assert '<input id="filter-about" name="about" value="zone/xuan-cau" list="choices-about">' in text
    assert len(re.findall(r"<option", text.partition('choices-about">')[2].partition("</datalist>")[0])) == 3


@pytest.mark.parametrize(("language", "title"), [("en", "2024 in figures"), ("vi", "Con số năm 2024")])
def test_charts_for_the_start_page(built: BuiltGraph, app_of: Callable[[], Any], language: str, title: str) -> None:
    with app_of().test_request_context(f"/?lang={language}"):
        found = charts_of_2024(built.engine, language)
    assert found[0].title.startswith(title)
    assert len(found) == 3
    assert all(item.chart.shapes for item in found)


def test_display_names_fall_back_to_another_language() -> None:
    names = DisplayNames({"urn:a": {"en": "one"}, "urn:b": {"vi": "hai", "en": "two"}}, "vi")
    assert [(names(iri), names.language(iri)) for iri in ("urn:a", "urn:b", f"{ID}x")] == [
        ("one", "en"), ("hai", None), ("x", None),
    ]  # fmt: skip
    assert [names.capitalized(iri) for iri in ("urn:b", f"{ID}x")] == ["Hai", "x"]
    assert [names.has_name(iri) for iri in ("urn:b", f"{ID}x")] == [True, False]
    assert names.as_dict() == {"urn:a": "one", "urn:b": "hai"}


@pytest.fixture(scope="module")
def app_of(built: BuiltGraph, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Any]:
    folder = tmp_path_factory.mktemp("figures")
    data_folder.save(built, folder)
    return lambda: create_app(Settings(data=folder))

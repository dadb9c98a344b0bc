from collections.abc import Callable
from typing import Any

import pytest
import rdflib
import requests
from rdflib.compare import isomorphic
from rdflib.namespace import RDFS, SH

Problem = Callable[[requests.Response, int, str], dict[str, object]]
ReadPage = Callable[[requests.Response], Any]

BASE = "https://w3id.org/hpez/"
HPEZ = rdflib.Namespace(f"{BASE}ontology#")
HPSH = rdflib.Namespace(f"{BASE}shapes#")
HEZA = rdflib.URIRef(f"{BASE}id/org/heza")
FORMATS = [
    ("text/turtle", "ttl", "turtle"),
    ("application/n-triples", "nt", "nt"),
    ("application/ld+json", "jsonld", "json-ld"),
    ("application/rdf+xml", "rdf", "xml"),
]
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def get(url: str, accept: str | None = None, language: str | None = None) -> requests.Response:
    headers = {"Accept": accept, "Accept-Language": language, "Accept-Encoding": "identity"}
    return requests.get(url, headers=headers, timeout=30, allow_redirects=False)  # type: ignore[arg-type]


def local_links(links: list[str]) -> set[str]:
    return {link.partition("#")[0] for link in links if link.startswith("/")} - {""}


# --- identifiers and documents


@pytest.mark.parametrize("accept", [None, FIREFOX, "text/turtle"])
@pytest.mark.parametrize("name", ["org/heza", "claim/dnhn-94474/fdi-2024", "evidence/dnhn-94474/1884-1895"])
def test_303(server: str, name: str, accept: str | None) -> None:
    answer = get(f"{server}/id/{name}", accept)
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/doc/{name}"
    assert "Accept" in answer.headers["Vary"]
    assert get(server + answer.headers["Location"]).status_code == 200


@pytest.mark.parametrize(("accept", "_suffix", "parser"), FORMATS)
def test_an_identifier_redirects_to_its_rdf(server: str, accept: str, _suffix: str, parser: str) -> None:
    headers = {"Accept": accept, "Accept-Encoding": "identity"}
    answer = requests.get(f"{server}/id/org/heza", headers=headers, timeout=30)
    assert answer.url == f"{server}/doc/org/heza"
    assert answer.headers["Content-Type"].partition(";")[0] == accept
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    graph = rdflib.Graph().parse(data=answer.content, format=parser)
    assert rdflib.Literal("Ban Quản lý Khu kinh tế Hải Phòng", lang="vi") in set(graph.objects(HEZA, RDFS.label))
    assert list(graph.subjects(object=HEZA))


@pytest.mark.parametrize(("media_type", "suffix", "parser"), FORMATS)
def test_a_suffix_overrides_accept(server: str, media_type: str, suffix: str, parser: str) -> None:
    answer = get(f"{server}/doc/zone/dinh-vu-cat-hai.{suffix}", "image/png")
    assert answer.headers["Content-Type"].partition(";")[0] == media_type
    assert len(rdflib.Graph().parse(data=answer.content, format=parser)) > 5


def test_all_formats_have_the_same_statements(server: str) -> None:
    name = "evidence/dnhn-94474/1884-1895"
    first, *others = (
        rdflib.Graph().parse(data=get(f"{server}/doc/{name}.{suffix}").content, format=parser)
        for _, suffix, parser in FORMATS
    )
    assert all(isomorphic(first, other) for other in others)


@pytest.mark.parametrize("condition", ["*", '"x"', 'W/"x", "y"'])
def test_a_redirect_ignores_preconditions(server: str, condition: str) -> None:
    for method in ("GET", "HEAD"):
        answer = requests.request(
            method, f"{server}/id/org/heza", headers={"If-None-Match": condition}, timeout=30, allow_redirects=False
        )
        assert (answer.status_code, answer.headers["Location"]) == (303, "/doc/org/heza")
        assert "ETag" not in answer.headers
        assert answer.headers["Cache-Control"] == "public, max-age=0, must-revalidate"
        assert answer.headers["Vary"] == "Accept, Accept-Encoding, Accept-Language, Cookie"


def test_head_and_options_of_an_identifier(server: str) -> None:
    url = f"{server}/id/org/heza"
    head = requests.head(url, headers={"Accept-Encoding": "identity"}, timeout=30, allow_redirects=False)
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(get(url).content)))
    options = requests.options(url, headers={"Origin": "https://example.org"}, timeout=30)
    assert options.status_code == 200
    assert set(options.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert requests.head(f"{server}/id/org/nobody", timeout=30, allow_redirects=False).status_code == 404


@pytest.mark.parametrize(
    ("language", "words"), [("en", "The document about this is at"), ("vi", "Tài liệu về đối tượng này ở")]
)
def test_a_redirect_has_a_body_that_links_to_the_document(
    server: str, page: ReadPage, language: str, words: str
) -> None:
    answer = get(f"{server}/id/org/heza", FIREFOX, language)
    assert answer.links["describedby"]["url"] == "/doc/org/heza"
    assert answer.headers["Content-Language"] == language
    answer.status_code = 200
    found = page(answer)
    assert (found.links, found.language) == (["/doc/org/heza"], language)
    assert found.text("p") == [f"{words} /doc/org/heza"]


@pytest.mark.parametrize(("accept", "suffix", "_parser"), FORMATS)
@pytest.mark.parametrize("path", ["/doc/org/heza", "/ontology", "/ontology/0.1.0", "/shapes"])
def test_each_negotiated_format_has_its_own_url(server: str, path: str, accept: str, suffix: str, _parser: str) -> None:
    answer = get(server + path, accept)
    assert answer.headers["Content-Location"] == f"{path}.{suffix}"
    alone = get(f"{server}{path}.{suffix}", "image/png")
    assert alone.content == answer.content
    assert "Content-Location" not in alone.headers
    headers = {"Accept": accept, "If-None-Match": answer.headers["ETag"], "Accept-Encoding": "identity"}
    again = requests.get(server + path, headers=headers, timeout=30)
    assert (again.status_code, again.headers["Content-Location"]) == (304, f"{path}.{suffix}")
    assert "Content-Location" not in get(server + path, FIREFOX).headers


def test_percent_encoded_path(server: str) -> None:
    assert get(f"{server}/id/org%2Fheza").headers["Location"] == "/doc/org/heza"
    assert get(f"{server}/doc/zone/dinh%2Dvu%2Dcat%2Dhai.ttl").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "zone/atlantis", "zone", "nothing/at/all", "zone/đình-vũ", "zone/a%20b", "zone/a%3Eb", "zone/%22", "zone/%00",
        "zone/%FF", "org/heza%3E%20%3Fp%20%3Fo%20%7D%20%23", "org/heza/", "org/heza.pdf",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["id", "doc"])
def test_unknown(server: str, problem: Problem, path: str, name: str) -> None:
    problem(get(f"{server}/{path}/{name}"), 404, "not-found")


def test_identifiers_have_no_suffix(server: str, problem: Problem) -> None:
    problem(get(f"{server}/id/org/heza.ttl"), 404, "not-found")


def test_document_not_acceptable(server: str, problem: Problem) -> None:
    found = problem(get(f"{server}/doc/org/heza", "image/png, text/csv"), 406, "not-acceptable")
    assert set(found["offered"]) == {"text/html", *(media_type for media_type, _, _ in FORMATS)}  # type: ignore[call-overload]


def test_head_of_a_document(server: str) -> None:
    head = requests.head(f"{server}/doc/org/heza.ttl", headers={"Accept-Encoding": "identity"}, timeout=30)
    assert head.headers["Content-Length"] == str(len(get(f"{server}/doc/org/heza.ttl").content))


# --- pages


@pytest.mark.parametrize(
    ("header", "query", "language"),
    [
        (None, "", "en"),
        ("en-US,en;q=0.5", "", "en"),
        ("vi-VN,vi;q=0.9,en-US;q=0.8", "", "vi"),
        ("fr", "", "en"),
        ("vi", "?lang=en", "en"),
        ("en", "?lang=vi", "vi"),
        ("vi", "?lang=xx", "vi"),
        ("en", "?lang=%3Cscript%3E", "en"),
    ],
)
def test_document_page(server: str, page: ReadPage, header: str | None, query: str, language: str) -> None:
    names = {"en": "Hai Phong Economic Zone Authority", "vi": "Ban Quản lý Khu kinh tế Hải Phòng"}
    answer = get(f"{server}/doc/org/heza{query}", FIREFOX, header)
    found = page(answer)
    assert (found.language, answer.headers["Content-Language"]) == (language, language)
    assert found.text("h1") == [names.pop(language)]
    assert names.popitem()[1] in found.text("p")
    assert "Accept-Language" in answer.headers["Vary"]
    assert {"en": "Relations", "vi": "Quan hệ"}[language] in found.text("h2")


def test_page_shows_values_inverse_links_and_evidence(server: str, page: ReadPage) -> None:
    found = page(get(f"{server}/doc/zone/dinh-vu-cat-hai?view=statements", FIREFOX, "en"))
    assert {"statements", "claims", "inverse"} <= set(found.ids)
    assert "LG" in found.text("q")
    assert "1563–1565" in found.text("td")
    assert {"/doc/org/lg", "/doc/evidence/dnhn-94474/1563-1565", "/doc/source/dnhn-94474"} <= set(found.links)
    assert "/ontology#investsIn" in found.links
    assert {f"/doc/zone/dinh-vu-cat-hai.{suffix}" for _, suffix, _ in FORMATS} <= set(found.links)


def test_page_of_a_figure(server: str, page: ReadPage) -> None:
    found = page(get(f"{server}/doc/claim/dnhn-94474/fdi-2024?view=statements", FIREFOX, "en"))
    assert "4,35 tỷ USD" in found.text("q")
    assert any(text.startswith("4350000000") and text.endswith("xsd:decimal") for text in found.text("dd"))
    assert "/doc/indicator/fdi-attracted" in found.links


def test_a_page_shows_the_content_of_blank_nodes(server: str, page: ReadPage) -> None:
    found = page(get(f"{server}/doc/evidence/dnhn-94474/1884-1895?view=statements", FIREFOX))
    assert "4,35 tỷ USD" in found.text("span")


def test_html_suffix(server: str, page: ReadPage) -> None:
    assert page(get(f"{server}/doc/org/heza.html", "text/turtle")).text("h1")


@pytest.mark.parametrize("path", ["/", "/sparql", "/ontology", "/shapes", "/doc/org/heza", "/doc/person/le-trung-kien"])
@pytest.mark.parametrize("language", ["en", "vi"])
def test_local_links_resolve(server: str, page: ReadPage, path: str, language: str) -> None:
    found = page(get(server + path, FIREFOX, language))
    assert found.language == language
    links = local_links(found.links)
    assert len(links) > 4
    statuses = {link: get(server + link, FIREFOX).status_code for link in links}
    failing = {link for link, status in statuses.items() if status != 200}
    assert failing == set()


def test_a_chosen_language_is_kept_in_links(server: str, page: ReadPage) -> None:
    found = page(get(f"{server}/doc/org/heza?lang=vi", FIREFOX, "en"))
    assert "/doc/zone-group/hai-phong-ips-and-ezs?lang=vi" in found.links
    statements = page(get(f"{server}/doc/org/heza?view=statements&lang=vi", FIREFOX, "en"))
    assert "/ontology?lang=vi#manages" in statements.links
    assert get(f"{server}/id/org/heza?lang=vi").headers["Location"] == "/doc/org/heza?lang=vi"


def test_every_entity_has_its_page(server: str, page: ReadPage) -> None:
    links = {link for link in local_links(page(get(server, FIREFOX)).links) if link.startswith("/doc/")}
    assert len(links) >= 40
    for link in sorted(links):
        assert page(get(server + link, FIREFOX, "vi")).text("h1")[0]


@pytest.mark.parametrize(
    ("language", "title"), [("en", "Economic zones of Hải Phòng"), ("vi", "Các khu kinh tế Hải Phòng")]
)
def test_start_page(server: str, page: ReadPage, language: str, title: str) -> None:
    found = page(get(f"{server}/", FIREFOX, language))
    assert found.text("h1") == [title]
    assert {"/sparql", "/ontology", "/shapes", "/health", "/doc/org/heza"} <= set(found.links)


@pytest.mark.parametrize("accept", [None, "*/*", FIREFOX, "text/html, text/turtle"])
def test_the_start_page_prefers_html_to_rdf(server: str, accept: str | None) -> None:
    answer = get(f"{server}/", accept)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Content-Location" not in answer.headers
    links = requests.utils.parse_header_links(answer.headers["Link"])
    alternates = {link["type"]: link["url"] for link in links if link["rel"] == "alternate"}
    assert set(alternates) == {*(media_type for media_type, _, _ in FORMATS), "application/trig", "application/n-quads"}
    for media_type, url in alternates.items():
        assert get(server + url, media_type).headers["Content-Type"].partition(";")[0] == media_type


@pytest.mark.parametrize(("accept", "_suffix", "parser"), FORMATS)
def test_start_for_programs(server: str, accept: str, _suffix: str, parser: str) -> None:
    answer = get(f"{server}/", f"{accept}, text/html;q=0.5")
    assert (answer.status_code, answer.headers["Content-Location"]) == (200, "/.well-known/void")
    assert answer.headers["Content-Type"].partition(";")[0] == accept
    assert answer.content == get(f"{server}/.well-known/void", accept).content
    assert answer.links["describedby"]["url"] == "/.well-known/void"
    assert answer.links["service-desc"]["url"] == "/sparql"
    dataset = rdflib.URIRef(f"{server}/.well-known/void#dataset")
    graph = rdflib.Graph().parse(data=answer.content, format=parser)
    assert (dataset, rdflib.RDF.type, rdflib.URIRef("http://rdfs.org/ns/void#Dataset")) in graph
    again = requests.get(
        f"{server}/",
        headers={"Accept": accept, "Accept-Encoding": "identity", "If-None-Match": get(server, accept).headers["ETag"]},
        timeout=30,
    )
    assert (again.status_code, again.headers["Content-Location"]) == (304, "/.well-known/void")


def test_start_not_acceptable(server: str, problem: Problem) -> None:
    assert "text/html" in problem(get(f"{server}/", "image/png"), 406, "not-acceptable")["offered"]  # type: ignore[operator]


def test_stylesheet(server: str) -> None:
    assert get(f"{server}/static/style.css").headers["Content-Type"].startswith("text/css")


# --- ontology and shapes


@pytest.mark.parametrize(("media_type", "suffix", "parser"), FORMATS)
@pytest.mark.parametrize("path", ["ontology", "shapes"])
def test_vocabulary(server: str, path: str, media_type: str, suffix: str, parser: str) -> None:
    known = {"ontology": (HPEZ.Zone, RDFS.label, None), "shapes": (HPSH.Bounds, SH.message, None)}
    for answer in (get(f"{server}/{path}.{suffix}", "image/png"), get(f"{server}/{path}", media_type)):
        assert answer.headers["Content-Type"].partition(";")[0] == media_type
        assert known[path] in rdflib.Graph().parse(data=answer.content, format=parser)


@pytest.mark.parametrize("suffix", ["", ".html"])
def test_ontology_page(server: str, page: ReadPage, suffix: str) -> None:
    found = page(get(f"{server}/ontology{suffix}", FIREFOX, "vi"))
    graph = rdflib.Graph().parse(data=get(f"{server}/ontology.ttl").content)
    own = {str(term).removeprefix(HPEZ) for term in graph.subjects() if str(term).startswith(HPEZ)}
    assert own <= set(found.ids)
    assert {"Zone", "manages", "status"} <= own
    assert {"en", "vi"} <= found.languages
    assert any("khu" in text.lower() for text in found.text("h2"))


def test_shapes_page(server: str, page: ReadPage) -> None:
    found = page(get(f"{server}/shapes", FIREFOX, "en"))
    assert {"Observation", "Bounds", "Label"} <= set(found.ids)
    assert "Severity: violation" in found.text("p")
    assert {"en", "vi"} <= found.languages


@pytest.mark.parametrize("path", ["ontology", "shapes"])
def test_vocabulary_refusals(server: str, problem: Problem, path: str) -> None:
    problem(get(f"{server}/{path}.pdf"), 404, "not-found")
    problem(get(f"{server}/{path}", "image/png"), 406, "not-acceptable")


def test_an_unknown_path_is_not_found(server: str, problem: Problem) -> None:
    problem(get(f"{server}/nowhere"), 404, "not-found")


def test_health(server: str) -> None:
    found = get(f"{server}/health", "text/html").json()
    assert found["status"] == "ok"
    assert isinstance(found["generation"], int)
    assert found["triples"] > 1000

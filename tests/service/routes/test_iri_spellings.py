"""Vietnamese names in the IRIs of entities and graphs: composed, decomposed, plain or percent-encoded."""

import gzip
from pathlib import Path
from unicodedata import normalize
from urllib.parse import quote, unquote

import pytest
from flask.testing import FlaskClient

from kg.engine.embedded import EmbeddedEngine
from kg.rdf.formats import TRIG
from kg.rdf.io import parse
from service import create_app, graph_state
from service.settings import Settings

NAME = normalize("NFC", "đình-vũ-cát-hải")
DECOMPOSED = normalize("NFD", NAME)
ENCODED = quote("báo-đầu-tư")
DATA = f"""
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX id: <https://w3id.org/hpez/id/>
<https://w3id.org/hpez/graph/source/{NAME}> {{
  <https://w3id.org/hpez/id/zone/{NAME}> rdfs:label "Đình Vũ" ; rdfs:seeAlso <https://w3id.org/hpez/id/{ENCODED}> .
}}
<https://w3id.org/hpez/graph/{ENCODED}> {{ <https://w3id.org/hpez/id/{ENCODED}> rdfs:label "Báo Đầu tư" . }}
"""


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FlaskClient:
    monkeypatch.setattr(graph_state, "open_or_build", lambda _: EmbeddedEngine(parse(DATA.encode(), TRIG)))
    return create_app(Settings(tmp_path)).test_client()


@pytest.mark.parametrize("name", [NAME, quote(NAME), quote(NAME).lower(), DECOMPOSED, quote(DECOMPOSED)])
def test_an_entity_is_found_in_every_spelling(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/id/zone/{name}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/doc/zone/{quote(NAME)}")
    document = client.get(answer.headers["Location"], headers={"Accept": "text/turtle"})
    assert document.status_code == 200
    assert document.headers["Content-Location"] == f"/doc/zone/{quote(NAME)}.ttl"
    assert client.get(document.headers["Content-Location"]).data == document.data
    assert f"<https://w3id.org/hpez/id/zone/{quote(NAME)}>; rel=describes" in document.headers["Link"]


@pytest.mark.parametrize("suffix", ["", ".ttl"])
def test_a_decomposed_name_redirects_to_the_composed_one(client: FlaskClient, suffix: str) -> None:
    answer = client.get(f"/doc/zone/{DECOMPOSED}{suffix}?lang=vi")
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"/doc/zone/{quote(NAME)}{suffix}?lang=vi"
    assert "Tài liệu về đối tượng này" in answer.text
    assert client.get(answer.headers["Location"]).status_code == 200


@pytest.mark.parametrize("path", ["id", "doc"])
def test_an_unknown_name_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(f"/{path}/zone/{DECOMPOSED}-2").status_code == 404


def test_an_iri_stored_percent_encoded(client: FlaskClient) -> None:
    assert client.get(f"/id/{ENCODED}").status_code == 303
    document = client.get(f"/doc/{ENCODED}.nt")
    assert f"<https://w3id.org/hpez/id/{ENCODED}>" in document.text


@pytest.mark.parametrize("name", [f"source/{NAME}", ENCODED])
def test_graphs(client: FlaskClient, name: str) -> None:
    encoded = quote(unquote(name))
    whole = client.get(f"/graph/{name}", headers={"Accept": "application/n-triples"})
    assert (whole.status_code, whole.headers["Content-Location"]) == (200, f"/graph/{encoded}.nt")
    packed = client.get(f"/graph/{name}.nt.gz")
    assert gzip.decompress(packed.data) == whole.data
    assert f"filename*=UTF-8''{encoded.replace('/', '-')}.nt.gz" in packed.headers["Content-Disposition"]
    assert packed.headers["Content-Disposition"].isascii()
    page = client.get(f"/graph/{name}.html").text
    assert f"/graph/{encoded}.ttl" in page
    assert f"/graph/{encoded}" in client.get("/graph.html").text


@pytest.mark.parametrize(
    "iri", [f"https://w3id.org/hpez/graph/source/{NAME}", f"https://w3id.org/hpez/graph/{ENCODED}"]
)
def test_graphs_by_parameter(client: FlaskClient, iri: str) -> None:
    answer = client.get("/data", query_string={"graph": iri}, headers={"Accept": "application/n-triples"})
    assert (answer.status_code, len(answer.text.splitlines())) == (200, 2 if NAME in iri else 1)
    head = client.head("/data", query_string={"graph": iri}, headers={"Accept": "application/n-triples"})
    assert (head.status_code, head.content_length) == (200, len(answer.data))


def test_the_dataset_names_them(client: FlaskClient) -> None:
    found = client.get("/.well-known/void").text
    assert f"<http://localhost/graph/source/{quote(NAME)}.ttl>" in found
    assert f"<http://localhost/graph/{ENCODED}.ttl>" in found

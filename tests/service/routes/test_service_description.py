"""The service description depends on the settings."""

from pathlib import Path

import pytest
import rdflib

from kg.engine.embedded import EmbeddedEngine
from service import create_app, graph_state
from service.settings import Settings

SD = rdflib.Namespace("http://www.w3.org/ns/sparql-service-description#")


@pytest.mark.parametrize(
    ("settings", "features"),
    [
        ({}, {SD.UnionDefaultGraph}),
        ({"default_graph": "strict"}, set()),
        ({"services": ("query.wikidata.org",)}, {SD.UnionDefaultGraph, SD.BasicFederatedQuery}),
        ({"default_graph": "strict", "services": ("a.example", "b.example:8000")}, {SD.BasicFederatedQuery}),
    ],
)
@pytest.mark.parametrize("accept", ["text/turtle", "application/n-triples"])
def test_features(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    settings: dict[str, object],
    features: set[rdflib.URIRef],
    accept: str,
) -> None:
    monkeypatch.setattr(graph_state, "open_or_build", lambda _: EmbeddedEngine())
    client = create_app(Settings(tmp_path, **settings)).test_client()  # type: ignore[arg-type]
    graph = rdflib.Graph().parse(data=client.get("/sparql", headers={"Accept": accept}).data, format=accept)
    service = graph.value(predicate=rdflib.RDF.type, object=SD.Service)
    assert set(graph.objects(service, SD.feature)) == features

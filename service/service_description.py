"""The endpoint's description of itself (SPARQL 1.1 Service Description), as triples; pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from kg.rdf import RDF_TYPE, BlankNode, Literal, NamedNode, Triple
from service.settings import DefaultGraph

_SD: Final = "http://www.w3.org/ns/sparql-service-description#"
_FORMATS: Final = "http://www.w3.org/ns/formats/"
_TRIPLES: Final = NamedNode("http://rdfs.org/ns/void#triples")
_FORMAT_NAMES: Final = (
    "SPARQL_Results_JSON", "SPARQL_Results_XML", "SPARQL_Results_CSV", "SPARQL_Results_TSV",
    "Turtle", "N-Triples", "JSON-LD", "RDF_XML", "TriG", "N-Quads",
)  # fmt: skip


def service_description(endpoint: str, default_graph: DefaultGraph, sizes: Mapping[str, int]) -> list[Triple]:
    """Describe the service at an endpoint's URL; `sizes` counts the triples of each named graph by IRI."""
    service, dataset = BlankNode(), BlankNode()
    return [
        Triple(service, RDF_TYPE, _sd("Service")),
        Triple(service, _sd("endpoint"), NamedNode(endpoint)),
        Triple(service, _sd("supportedLanguage"), _sd("SPARQL11Query")),
        *(Triple(service, _sd("resultFormat"), NamedNode(_FORMATS + name)) for name in _FORMAT_NAMES),
        *([Triple(service, _sd("feature"), _sd("UnionDefaultGraph"))] if default_graph == "union" else []),
        Triple(service, _sd("defaultDataset"), dataset),
        *_dataset(dataset, default_graph, sizes),
    ]


def _dataset(dataset: BlankNode, default_graph: DefaultGraph, sizes: Mapping[str, int]) -> Iterator[Triple]:
    default = BlankNode()
    yield Triple(dataset, RDF_TYPE, _sd("Dataset"))
    yield Triple(dataset, _sd("defaultGraph"), default)
    yield Triple(default, RDF_TYPE, _sd("Graph"))
    if default_graph == "union":
        yield Triple(default, _TRIPLES, Literal(sum(sizes.values())))
    for iri, size in sizes.items():
        named, graph = BlankNode(), BlankNode()
        yield Triple(dataset, _sd("namedGraph"), named)
        yield Triple(named, RDF_TYPE, _sd("NamedGraph"))
        yield Triple(named, _sd("name"), NamedNode(iri))
        yield Triple(named, _sd("graph"), graph)
        yield Triple(graph, RDF_TYPE, _sd("Graph"))
        yield Triple(graph, _TRIPLES, Literal(size))


def _sd(name: str) -> NamedNode:
    return NamedNode(_SD + name)

"""The SPARQL endpoint's description of itself (SPARQL 1.1 Service Description), as triples."""

from collections.abc import Iterator
from typing import Final

from kg.engine.statistics import DatasetStatistics
from kg.rdf.formats import RDF_FORMATS, RESULT_FORMATS
from kg.rdf.namespaces import SD, VOID
from kg.rdf.terms import RDF_TYPE, BlankNode, Literal, NamedNode, Triple
from kg.views.dataset_description import Site
from service.graph_state import current_graph_state
from service.settings import DefaultGraphMode

_TRIPLES: Final = NamedNode(VOID + "triples")
_SIMPLE: Final = NamedNode("http://www.w3.org/ns/entailment/Simple")


def service_description(site: Site, default_graph: DefaultGraphMode, statistics: DatasetStatistics) -> list[Triple]:
    """Describe the endpoint of a site and its default dataset, which is the dataset of the site's VoID description.

    BasicFederatedQuery is a feature if the operator allows at least one SERVICE host. sd:inputFormat and
    sd:extensionFunction are absent, because the endpoint reads no documents and adds no functions. Blank nodes have
    fixed labels, so that equal descriptions are equal byte for byte.
    """
    features = {
        "UnionDefaultGraph": default_graph == "union",
        "BasicFederatedQuery": bool(current_graph_state().settings.services),
    }
    service, dataset = BlankNode("service"), NamedNode(site.dataset_iri)
    return [
        Triple(service, RDF_TYPE, _sd("Service")),
        Triple(service, _sd("endpoint"), NamedNode(site.endpoint_url)),
        Triple(service, _sd("supportedLanguage"), _sd("SPARQL11Query")),
        *(Triple(service, _sd("resultFormat"), NamedNode(fmt.iri)) for fmt in (*RESULT_FORMATS, *RDF_FORMATS)),
        *(Triple(service, _sd("feature"), _sd(name)) for name, supported in features.items() if supported),
        Triple(service, _sd("defaultEntailmentRegime"), _SIMPLE),
        Triple(service, _sd("defaultDataset"), dataset),
        *_dataset(dataset, default_graph, statistics),
    ]


def _dataset(dataset: NamedNode, default_graph: DefaultGraphMode, statistics: DatasetStatistics) -> Iterator[Triple]:
    yield Triple(dataset, RDF_TYPE, _sd("Dataset"))
    default, size = BlankNode("default"), statistics.triples if default_graph == "union" else statistics.unnamed
    yield Triple(dataset, _sd("defaultGraph"), default)
    yield from _graph(default, size)
    for number, (iri, named_size) in enumerate(statistics.graphs.items()):
        named, graph = BlankNode(f"named{number}"), BlankNode(f"graph{number}")
        yield Triple(dataset, _sd("namedGraph"), named)
        yield Triple(named, RDF_TYPE, _sd("NamedGraph"))
        yield Triple(named, _sd("name"), NamedNode(iri))
        yield Triple(named, _sd("graph"), graph)
        yield from _graph(graph, named_size)


def _graph(graph: BlankNode, size: int | None) -> Iterator[Triple]:
    yield Triple(graph, RDF_TYPE, _sd("Graph"))
    if size is not None:
        yield Triple(graph, _TRIPLES, Literal(size))


def _sd(name: str) -> NamedNode:
    return NamedNode(SD + name)

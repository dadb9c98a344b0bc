"""The dataset as this service publishes it: URLs of its dumps and descriptions, and its description as a response."""

from flask import Response

from kg.rdf.formats import DATASET_FORMATS, GRAPH_FORMATS, NQUADS, TURTLE, RdfFormat
from kg.rdf.namespaces import graph_name
from kg.rdf.terms import NamedNode
from kg.views.dataset_description import Dump, Site, describe_dataset
from service.graph_state import current_graph_state
from service.http.conditional import evaluate_preconditions
from service.http.jsonld import compact_response
from service.http.urls import absolute_url, url_name


def dataset_response(fmt: RdfFormat) -> Response:
    """Send the description of the dataset (VoID, DCAT) in a format."""
    evaluate_preconditions(fmt.media_type)
    here = site()
    statistics = current_graph_state().statistics.current()
    return compact_response(describe_dataset(statistics, here), fmt, NamedNode(here.dataset_iri))


def site() -> Site:
    """Return the absolute URLs of this service, as the client reaches it."""
    return Site(
        home_url=absolute_url("resource.home"),
        description_url=absolute_url("catalog.void"),
        endpoint_url=absolute_url("sparql.get"),
        dumps=graph_dumps(None),
        graph_dumps={iri: graph_dumps(iri) for iri in current_graph_state().statistics.graph_sizes()},
    )


def graph_dumps(graph: str | None) -> tuple[Dump, ...]:
    """Return the dumps of a graph, or of the whole dataset if `graph` is None, at absolute URLs."""
    if graph is None:
        return _dump_files(absolute_url("graph_store.graphs"), DATASET_FORMATS, NQUADS)
    name = graph_name(graph)
    if name is None:  # the graph's IRI is not below this service's base
        return (Dump(absolute_url("graph_store.data", graph=graph), TURTLE),)
    return _dump_files(absolute_url("graph_store.graph", name=url_name(name)), GRAPH_FORMATS, TURTLE)


def _dump_files(path: str, formats: tuple[RdfFormat, ...], gzipped: RdfFormat) -> tuple[Dump, ...]:
    plain = (Dump(f"{path}.{fmt.suffixes[0]}", fmt) for fmt in formats)
    return (*plain, Dump(f"{path}.{gzipped.suffixes[0]}.gz", gzipped, gzipped=True))

"""The dataset described for harvesters: `/.well-known/void` (VoID, DCAT 3), and the context of the JSON-LD here."""

import json
from typing import Final

from flask import Blueprint, Response, request

from kg.rdf.formats import DATASET_FORMATS, GRAPH_FORMATS, JSONLD, NQUADS, RDF_FORMATS, TURTLE, RdfFormat
from kg.rdf.namespaces import graph_name
from kg.rdf.terms import NamedNode
from kg.views.dataset_description import Dump, Site, describe_dataset
from kg.views.jsonld_context import project_context
from service.graph_state import current_graph_state
from service.http.caching import evaluate_preconditions
from service.http.negotiation import require_offer
from service.http.responses import absolute_url, compact_response, url_name

blueprint: Final = Blueprint("catalog", __name__)


@blueprint.get("/.well-known/void")
def void() -> Response:
    """What there is, how much, under which licence and where (VoID section 7.2, DCAT 3), in any RDF format."""
    return dataset_response(require_offer(request.accept_mimetypes, RDF_FORMATS))


def dataset_response(fmt: RdfFormat) -> Response:
    """The description of the dataset in a format."""
    evaluate_preconditions(fmt.media_type)
    here = site()
    return compact_response(
        describe_dataset(current_graph_state().statistics.current(), here), fmt, NamedNode(here.dataset_iri)
    )


@blueprint.get("/context.jsonld")
def context() -> Response:
    """The JSON-LD 1.1 context that documents refer to, application/ld+json."""
    evaluate_preconditions(JSONLD.media_type)
    text = json.dumps(project_context().to_json(), indent=2) + "\n"
    return Response(text, mimetype=JSONLD.media_type)


def site() -> Site:
    """The absolute URLs of this service, as the client reaches it."""
    return Site(
        home_url=absolute_url("resource.home"),
        description_url=absolute_url("catalog.void"),
        endpoint_url=absolute_url("sparql.get"),
        dumps=graph_dumps(None),
        graph_dumps={iri: graph_dumps(iri) for iri in current_graph_state().statistics.graph_sizes()},
    )


def graph_dumps(graph: str | None) -> tuple[Dump, ...]:
    """The files that hold a graph, or everything where `graph` is None, at absolute URLs."""
    if graph is None:
        return _dump_files(absolute_url("graph_store.graphs"), DATASET_FORMATS, NQUADS)
    name = graph_name(graph)
    if name is None:  # whose IRI is not under this service's base
        return (Dump(absolute_url("graph_store.data", graph=graph), TURTLE),)
    return _dump_files(absolute_url("graph_store.graph", name=url_name(name)), GRAPH_FORMATS, TURTLE)


def _dump_files(path: str, formats: tuple[RdfFormat, ...], packed: RdfFormat) -> tuple[Dump, ...]:
    plain = (Dump(f"{path}.{fmt.suffixes[0]}", fmt) for fmt in formats)
    return (*plain, Dump(f"{path}.{packed.suffixes[0]}.gz", packed, gzipped=True))

"""The dataset described for harvesters: `/.well-known/void` (VoID, DCAT 3), and the context of the JSON-LD here."""

import json
from typing import Final

from flask import Blueprint, Response, request

from kg.rdf.formats import DATASET_FORMATS, GRAPH_FORMATS, JSONLD, NQUADS, RDF_FORMATS, TURTLE, RdfFormat
from kg.rdf.io import NamedNode
from kg.rdf.namespaces import graph_name
from kg.views.dataset_description import Dump, Site, catalogue
from kg.views.jsonld_context import project_context
from service.graph_state import knowledge_graph
from service.http.caching import revalidated
from service.http.negotiation import required
from service.http.responses import absolute_url, compact_response, url_name

blueprint: Final = Blueprint("catalog", __name__)


@blueprint.get("/.well-known/void")
def void() -> Response:
    """What there is, how much, under which licence and where (VoID section 7.2, DCAT 3), in any RDF format."""
    return described(required(request.accept_mimetypes, RDF_FORMATS))


def described(fmt: RdfFormat) -> Response:
    """The description of the dataset in a format."""
    revalidated(fmt.media_type)
    here = site()
    return compact_response(catalogue(knowledge_graph().census.counts(), here), fmt, NamedNode(here.dataset))


@blueprint.get("/context.jsonld")
def context() -> Response:
    """The JSON-LD 1.1 context that documents refer to, application/ld+json."""
    revalidated(JSONLD.media_type)
    text = json.dumps(project_context().to_json(), indent=2) + "\n"
    return Response(text, mimetype=JSONLD.media_type)


def site() -> Site:
    """The absolute URLs of this service, as the client reaches it."""
    return Site(
        home=absolute_url("resource.home"),
        description=absolute_url("catalog.void"),
        endpoint=absolute_url("sparql.get"),
        dumps=dumps(None),
        graphs={iri: dumps(iri) for iri in knowledge_graph().census.graphs()},
    )


def dumps(graph: str | None) -> tuple[Dump, ...]:
    """The files that hold a graph, or everything where `graph` is None, at absolute URLs."""
    if graph is None:
        return _files(absolute_url("graph_store.graphs"), DATASET_FORMATS, NQUADS)
    name = graph_name(graph)
    if name is None:  # whose IRI is not under this service's base
        return (Dump(absolute_url("graph_store.data", graph=graph), TURTLE),)
    return _files(absolute_url("graph_store.graph", name=url_name(name)), GRAPH_FORMATS, TURTLE)


def _files(path: str, formats: tuple[RdfFormat, ...], packed: RdfFormat) -> tuple[Dump, ...]:
    plain = (Dump(f"{path}.{fmt.suffixes[0]}", fmt) for fmt in formats)
    return (*plain, Dump(f"{path}.{packed.suffixes[0]}.gz", packed, gzipped=True))

"""Whole graphs: the Graph Store HTTP Protocol at `/data`, and dumps at `/graph`."""

import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.exceptions import BadRequest

from kg.changes.changeset import ChangeSet, GraphRemoval, GraphReplacement, QuadAddition
from kg.changes.commit import replacement_of_graphs
from kg.engine.protocol import QueryResult
from kg.engine.query import gzip_result
from kg.errors import NotFoundError
from kg.rdf.formats import DATASET_FORMATS, GZIP, RDF_FORMATS, RdfFormat
from kg.rdf.io import place_in_graph
from kg.rdf.iris import resolve
from kg.rdf.namespaces import graph_iri, graph_name, slugify
from kg.rdf.terms import DefaultGraph, NamedNode, Quad, iri_candidates
from kg.views.dataset_description import graph_title
from service.graph_state import current_graph_state
from service.http import body
from service.http.conditional import evaluate_preconditions
from service.http.exchange import measure_engine_time
from service.http.i18n import page_language
from service.http.negotiation import HTML, Representation, requested_media_type, require_offer, split_suffix
from service.http.parameters import parse_iri
from service.http.responses import (
    Link,
    add_links,
    dataset_link,
    file_response,
    page_response,
    set_content_location,
)
from service.http.urls import url_name
from service.presentation.dataset_site import graph_dumps
from service.routes.write_requests import apply_change
from service.routes.write_responses import write_response

blueprint: Final = Blueprint("graph_store", __name__)

_GRAPH_REPRESENTATIONS: Final[dict[str, Representation]] = {
    **{fmt.suffixes[0]: fmt for fmt in RDF_FORMATS},
    "html": HTML,
}
_DATASET_REPRESENTATIONS: Final[dict[str, Representation]] = {
    "html": HTML,
    **{fmt.suffixes[0]: fmt for fmt in DATASET_FORMATS},
}
"""The representations of one graph, and of the whole dataset, by the suffix of the URL."""


@blueprint.get("/data")
def data() -> Response:
    """The graph of `?graph=IRI`, or with `?default` the default graph (Graph Store Protocol, section 5.2).

    Any RDF format, Turtle by default. Errors: 400 unless exactly one graph is named, 404 for a graph that does not
    exist.
    """
    graph = _target_graph()
    fmt = require_offer(request.accept_mimetypes, RDF_FORMATS)
    return _dump_response(graph, fmt, requested_media_type(request.accept_mimetypes, fmt))


@blueprint.put("/data")
def replace() -> Response:
    """Replace a graph's content by RDF (section 5.3): 201 if the graph is new, else 204."""
    graph = _target_graph()
    return _change_graph(lambda: GraphReplacement((graph,), tuple(place_in_graph(_read_payload(), graph))), graph)


@blueprint.post("/data")
def merge() -> Response:
    """Add RDF to a graph (section 5.5): 201 if that created the graph, else 204.

    Without `?graph=` and `?default`, a new graph is created, and Location has its URL. The RDF is in the body, or in
    the parts of multipart/form-data.
    """
    is_named = bool({"graph", "default"} & request.args.keys())
    graph = _target_graph() if is_named else NamedNode(graph_iri(f"posted/{uuid.uuid4()}"))

    def merged() -> ChangeSet:
        quads = tuple(place_in_graph(_read_payload(), graph))
        return QuadAddition(quads) if quads or isinstance(graph, DefaultGraph) else GraphReplacement((graph,), ())

    return _change_graph(merged, graph, located=not is_named)


@blueprint.delete("/data")
def remove() -> Response:
    """Delete a graph (section 5.4): 204, or 404 if it does not exist."""
    graph = _target_graph()
    return _change_graph(lambda: GraphRemoval(graph), graph)


def _target_graph() -> NamedNode | DefaultGraph:
    """Return the graph that the URL names (section 4.2); a relative IRI is resolved against the request's URL."""
    sent = body.decode_urlencoded(request.query_string)
    iris, default = sent.getlist("graph"), sent.getlist("default")
    if len(iris) + len(default) != 1:
        raise BadRequest("Name exactly one graph, with ?graph=IRI or ?default; /graph lists all graphs.")
    return DefaultGraph() if default else parse_iri(resolve(request.base_url, iris[0]))


def _read_payload() -> list[Quad]:
    if request.mimetype == "multipart/form-data":
        return [quad for part in body.read_form_parts(request) for quad in body.read_part_rdf(part)]
    return body.read_rdf(request)


def _change_graph(read: Callable[[], ChangeSet], graph: NamedNode | DefaultGraph, *, located: bool = False) -> Response:
    """Change one graph: 201 if that created it, else 204; `located` means that Location is its URL at `/data`."""
    outcome = apply_change(read)
    created = outcome.commit is not None and graph in outcome.commit.delta.created
    response = write_response(
        outcome, HTTPStatus.CREATED if created else HTTPStatus.NO_CONTENT, default_return="minimal"
    )
    if created and isinstance(graph, NamedNode):
        response.headers["Location"] = url_for(".data", graph=graph.value, lang=None) if located else request.url
    return response


@blueprint.get("/graph")
@blueprint.get("/graph.<suffix>")
def graphs(suffix: str = "") -> Response:
    """The list of graphs as text/html, or the dataset as TriG, N-Quads or JSON-LD, also gzipped (`.nq.gz`)."""
    stem, representation, gzipped = _choose_representation(
        f"graph.{suffix}" if suffix else "graph", _DATASET_REPRESENTATIONS
    )
    if stem != "graph":
        raise NotFoundError(
            f"There is no format .{suffix} of this; choose {', '.join(_DATASET_REPRESENTATIONS)}, also with .gz."
        )
    if isinstance(representation, RdfFormat):
        return _file_response(None, representation, "everything", gzipped=gzipped)
    evaluate_preconditions(HTML.media_type, page_language())
    sizes = current_graph_state().statistics.graph_sizes()
    page = render_template(
        "graph_store/graphs.html",
        sizes=sizes,
        files=graph_dumps(None),
        graph_link=_graph_url,
        graph_name=graph_name,
        graph_title=graph_title,
    )
    response = page_response(page)
    add_links(response, *_alternate_links(None))
    return response


@blueprint.post("/graph")
def load() -> Response:
    """Replace the content of all graphs that the RDF names in one commit, except graphs that rules derive.

    The body should be in a format that names graphs; triples without a graph replace the default graph. 201 with the
    commit's URL in Location and the commit as JSON; 200 if nothing changed; 422 with the report if validation refuses
    the change.
    """
    return write_response(
        apply_change(lambda: replacement_of_graphs(body.read_rdf(request))),
        HTTPStatus.CREATED,
        default_return="representation",
    )


@blueprint.get("/graph/<path:name>")
def graph(name: str) -> Response:
    """One graph of the project as RDF, also gzipped (`.ttl.gz`), or a page about it; 404 if it does not exist.

    This is the Graph Store Protocol's direct identification (section 4.1), so RDF has precedence over the page.
    """
    sent, (name, representation, gzipped) = name, _choose_representation(name, _GRAPH_REPRESENTATIONS)
    node = _find_graph(graph_iri(name))
    if isinstance(representation, RdfFormat) and name == sent:
        set_content_location(url_for(".graph", name=f"{name}.{representation.suffixes[0]}", lang=None))
    iri = node.value
    if isinstance(representation, RdfFormat):
        response = _file_response(node, representation, name.replace("/", "-"), gzipped=gzipped)
    else:
        evaluate_preconditions(HTML.media_type, page_language())
        response = _graph_page(iri, name)
    add_links(response, Link(iri, "describes"), *_alternate_links(iri))
    return response


def _alternate_links(iri: str | None) -> list[Link]:
    """Return links to the dumps of a graph, or of the dataset."""
    return [Link(file.url, "alternate", GZIP if file.gzipped else file.fmt.media_type) for file in graph_dumps(iri)]


def _graph_page(iri: str, name: str) -> Response:
    size = current_graph_state().statistics.graph_sizes().get(iri)
    if size is None:
        raise _unknown_graph(iri)
    page = render_template(
        "graph_store/graph.html", iri=iri, name=name, size=size, files=graph_dumps(iri), graph_title=graph_title
    )
    return page_response(page)


def _find_graph(iri: str) -> NamedNode:
    """Return the graph of a URL, whose stored IRI may be percent-encoded."""
    nodes, sizes = iri_candidates(iri), current_graph_state().statistics.graph_sizes()
    graph = next((node for node in nodes if node.value in sizes), next(iter(nodes), None))
    if graph is None:
        raise _unknown_graph(iri)
    return graph


def _unknown_graph(iri: str) -> NotFoundError:
    return NotFoundError(f"There is no graph <{iri}> here.")


def _choose_representation(name: str, representations: dict[str, Representation]) -> tuple[str, Representation, bool]:
    """Return a name without its suffixes, the representation by suffix or Accept, and whether to gzip it."""
    plain = name.removesuffix(".gz")
    stem, representation = split_suffix(plain, representations)
    gzipped = plain != name and isinstance(representation, RdfFormat)
    if representation is not None and gzipped == (plain != name):
        return stem, representation, gzipped
    return name, require_offer(request.accept_mimetypes, tuple(representations.values())), False


def _file_response(graph: NamedNode | None, fmt: RdfFormat, name: str, *, gzipped: bool) -> Response:
    """Send the dump of a graph, or of the dataset, as it is or as a gzipped attachment."""
    if not gzipped:
        return _dump_response(graph, fmt, fmt.media_type)
    evaluate_preconditions(GZIP, fmt.media_type)
    response = _linked_result(gzip_result(_dump(graph, fmt)), GZIP)
    response.headers.set("Content-Disposition", "attachment", **_file_names(name, f".{fmt.suffixes[0]}.gz"))
    return response


def _file_names(name: str, suffix: str) -> dict[str, str]:
    """Return a file name for Content-Disposition, with a fallback in ASCII if it needs one (RFC 6266, section 5)."""
    if name.isascii():
        return {"filename": name + suffix}
    return {"filename": slugify(name) + suffix, "filename*": f"UTF-8''{quote(name + suffix, safe='')}"}


def _dump_response(graph: NamedNode | DefaultGraph | None, fmt: RdfFormat, media_type: str) -> Response:
    evaluate_preconditions(media_type)
    return _linked_result(_dump(graph, fmt), media_type)


def _dump(graph: NamedNode | DefaultGraph | None, fmt: RdfFormat) -> QueryResult:
    with measure_engine_time():
        return current_graph_state().engine.dump(graph, fmt)


def _linked_result(result: QueryResult, media_type: str) -> Response:
    response = file_response(result.body, result.length, media_type)
    add_links(response, dataset_link())
    return response


def _graph_url(iri: str) -> str:
    name = graph_name(iri)
    return (
        url_for("graph_store.data", graph=iri, lang=None)
        if name is None
        else url_for("graph_store.graph", name=url_name(name))
    )

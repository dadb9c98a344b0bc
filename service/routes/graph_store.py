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
from kg.engine.query import gzip_result
from kg.errors import NotFoundError
from kg.rdf.formats import DATASET_FORMATS, GZIP, RDF_FORMATS, RdfFormat
from kg.rdf.iris import resolve
from kg.rdf.namespaces import graph_iri, graph_name, slugify
from kg.rdf.terms import DefaultGraph, NamedNode, Quad, iri_candidates
from kg.views.dataset_description import graph_title
from service.graph_state import current_graph_state
from service.http import body
from service.http.caching import evaluate_preconditions, result_response
from service.http.negotiation import HTML, Representation, requested_media_type, require_offer, split_suffix
from service.http.observability import measure_engine_time
from service.http.responses import (
    Link,
    add_links,
    dataset_link,
    page_language,
    page_response,
    set_content_location,
    url_name,
)
from service.routes.void import graph_dumps
from service.routes.write_requests import apply_change, write_response

blueprint: Final = Blueprint("graph_store", __name__)

_GRAPH_REPRESENTATIONS: Final[dict[str, Representation]] = {
    **{fmt.suffixes[0]: fmt for fmt in RDF_FORMATS},
    "html": HTML,
}
_DATASET_REPRESENTATIONS: Final[dict[str, Representation]] = {
    "html": HTML,
    **{fmt.suffixes[0]: fmt for fmt in DATASET_FORMATS},
}
"""What one graph, and all graphs with their names, can be had as, by the suffix of the URL."""


@blueprint.get("/data")
def data() -> Response:
    """The graph that `?graph=IRI` names, or with `?default` the one without a name (Graph Store Protocol, 5.2).

    Any RDF format, Turtle unless another is asked for. Errors: 400 unless exactly one graph is named, 404 for a
    graph that is not held.
    """
    graph = _parse_graph_parameters(body.decode_urlencoded(request.query_string).to_dict(flat=False))
    fmt = require_offer(request.accept_mimetypes, RDF_FORMATS)
    return _dump_response(graph, fmt, requested_media_type(request.accept_mimetypes, fmt))


@blueprint.put("/data")
def replace() -> Response:
    """Put RDF in the place of a graph's content (section 5.3): 201 if the graph is new, else 204."""
    graph = _target_graph()
    return _change_graph(
        lambda: GraphReplacement((graph,), tuple(_with_graph(graph, quad) for quad in _read_payload())), graph
    )


@blueprint.post("/data")
def merge() -> Response:
    """Add RDF to a graph (section 5.5), which is made if need be: 201 if so, else 204.

    Without the name of a graph, a new one is made, and Location says which. RDF is in the body, or in the parts of
    multipart/form-data.
    """
    named = {"graph", "default"} & request.args.keys()
    graph = _target_graph() if named else NamedNode(graph_iri(f"posted/{uuid.uuid4()}"))

    def merged() -> ChangeSet:
        quads = tuple(_with_graph(graph, quad) for quad in _read_payload())
        return QuadAddition(quads) if quads or isinstance(graph, DefaultGraph) else GraphReplacement((graph,), ())

    return _change_graph(merged, graph, located=not named)


@blueprint.delete("/data")
def remove() -> Response:
    """Delete a graph (section 5.4): 204, or 404 if there is none."""
    graph = _target_graph()
    return _change_graph(lambda: GraphRemoval(graph), graph)


def _target_graph() -> NamedNode | DefaultGraph:
    return _parse_graph_parameters(body.decode_urlencoded(request.query_string).to_dict(flat=False))


def _read_payload() -> list[Quad]:
    if request.mimetype == "multipart/form-data":
        return [quad for part in body.read_form_parts(request) for quad in body.read_part_rdf(part)]
    return body.read_rdf(request)


def _with_graph(graph: NamedNode | DefaultGraph, quad: Quad) -> Quad:
    return Quad(quad.subject, quad.predicate, quad.object, graph)


def _change_graph(read: Callable[[], ChangeSet], graph: NamedNode | DefaultGraph, *, located: bool = False) -> Response:
    """Make a change to one graph, and say whether it came to be."""
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
    """A list of all graphs as text/html, or everything as TriG, N-Quads or JSON-LD, also gzipped (`.nq.gz`)."""
    stem, representation, packed = _choose_representation(
        f"graph.{suffix}" if suffix else "graph", _DATASET_REPRESENTATIONS
    )
    if stem != "graph":
        raise NotFoundError(
            f"There is no form .{suffix} of this; there are {', '.join(_DATASET_REPRESENTATIONS)}, also with .gz."
        )
    if isinstance(representation, RdfFormat):
        return _file_response(None, representation, "everything", packed=packed)
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
    """Put RDF in the place of what the graphs that it names hold, all at once; graphs that rules make are left out.

    The body is best in a format that names graphs; what names none is for the one without a name. 201 with the
    commit's URL in Location and the commit as JSON; 200 if nothing changed; 422 with the report if the gate refuses it.
    """
    return write_response(
        apply_change(lambda: replacement_of_graphs(body.read_rdf(request))),
        HTTPStatus.CREATED,
        default_return="representation",
    )


@blueprint.get("/graph/<path:name>")
def graph(name: str) -> Response:
    """One graph of the project as RDF, also gzipped (`.ttl.gz`), or as text/html what it is; 404 if there is none.

    This is the Graph Store Protocol's direct identification (section 4.1), so RDF goes before the page.
    """
    sent, (name, representation, packed) = name, _choose_representation(name, _GRAPH_REPRESENTATIONS)
    node = _find_graph(graph_iri(name))
    if isinstance(representation, RdfFormat) and name == sent:
        set_content_location(url_for(".graph", name=f"{name}.{representation.suffixes[0]}", lang=None))
    iri = node.value
    if isinstance(representation, RdfFormat):
        response = _file_response(node, representation, name.replace("/", "-"), packed=packed)
    else:
        evaluate_preconditions(HTML.media_type, page_language())
        response = _graph_page(iri, name)
    add_links(response, Link(iri, "describes"), *_alternate_links(iri))
    return response


def _alternate_links(iri: str | None) -> list[Link]:
    """The files that hold a graph, or everything, as links."""
    return [Link(file.url, "alternate", GZIP if file.gzipped else file.fmt.media_type) for file in graph_dumps(iri)]


def _graph_page(iri: str, name: str) -> Response:
    size = current_graph_state().statistics.graph_sizes().get(iri)
    if size is None:
        raise NotFoundError(f"There is no graph <{iri}> here.")
    page = render_template(
        "graph_store/graph.html", iri=iri, name=name, size=size, files=graph_dumps(iri), graph_title=graph_title
    )
    return page_response(page)


def _find_graph(iri: str) -> NamedNode:
    """The graph that a URL means, which may be held percent-encoded."""
    nodes, sizes = iri_candidates(iri), current_graph_state().statistics.graph_sizes()
    found = next((node for node in nodes if node.value in sizes), next(iter(nodes), None))
    if found is None:
        raise NotFoundError(f"There is no graph <{iri}> here.")
    return found


def _parse_graph_parameters(sent: dict[str, list[str]]) -> NamedNode | DefaultGraph:
    """The graph that a request means (section 4.2); a relative IRI is resolved against the request's URL."""
    named, default = sent.get("graph", []), sent.get("default", [])
    if len(named) + len(default) != 1:
        raise BadRequest("Name exactly one graph, with ?graph=IRI or ?default; /graph has all of them.")
    if default:
        return DefaultGraph()
    try:
        return NamedNode(resolve(request.base_url, named[0]))
    except ValueError:
        raise BadRequest(f"<{named[0]}> is no IRI.") from None


def _choose_representation(name: str, forms: dict[str, Representation]) -> tuple[str, Representation, bool]:
    """Split a URL's suffixes off: what remains, the representation, and whether it is to be gzipped."""
    plain = name.removesuffix(".gz")
    stem, representation = split_suffix(plain, forms)
    packed = plain != name and isinstance(representation, RdfFormat)
    if representation is not None and packed == (plain != name):
        return stem, representation, packed
    return name, require_offer(request.accept_mimetypes, tuple(forms.values())), False


def _file_response(graph: NamedNode | None, fmt: RdfFormat, name: str, *, packed: bool) -> Response:
    if not packed:
        return _dump_response(graph, fmt, fmt.media_type)
    evaluate_preconditions(GZIP, fmt.media_type)
    with measure_engine_time():
        result = current_graph_state().engine.dump(graph, fmt)
    response = result_response(gzip_result(result), GZIP)
    response.headers.set("Content-Disposition", "attachment", **_file_names(name, f".{fmt.suffixes[0]}.gz"))
    add_links(response, dataset_link())
    return response


def _file_names(name: str, suffix: str) -> dict[str, str]:
    """A file's name for Content-Disposition, with another in ASCII where it has other letters (RFC 6266, section 5)."""
    if name.isascii():
        return {"filename": name + suffix}
    return {"filename": slugify(name) + suffix, "filename*": f"UTF-8''{quote(name + suffix, safe='')}"}


def _dump_response(graph: NamedNode | DefaultGraph | None, fmt: RdfFormat, media_type: str) -> Response:
    evaluate_preconditions(media_type)
    with measure_engine_time():
        result = current_graph_state().engine.dump(graph, fmt)
    response = result_response(result, media_type)
    add_links(response, dataset_link())
    return response


def _graph_url(iri: str) -> str:
    name = graph_name(iri)
    return (
        url_for("graph_store.data", graph=iri, lang=None)
        if name is None
        else url_for("graph_store.graph", name=url_name(name))
    )

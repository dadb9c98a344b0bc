"""Whole graphs: the Graph Store HTTP Protocol at `/data`, and dumps at `/graph`."""

import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.exceptions import BadRequest

from kg.changes.changeset import Addition, Change, Removal, Replacement
from kg.changes.commit import replacements
from kg.engine.query import gzipped
from kg.errors import NotFoundError
from kg.rdf.formats import DATASET_FORMATS, GZIP, RDF_FORMATS, RdfFormat
from kg.rdf.io import DefaultGraph, NamedNode, Quad, iri_spellings
from kg.rdf.iris import resolve
from kg.rdf.namespaces import graph_iri, graph_name, slug
from kg.views.dataset_description import graph_title
from service.graph_state import knowledge_graph
from service.http import body
from service.http.caching import result_response, revalidated
from service.http.negotiation import HTML, Representation, by_suffix, required, spelled
from service.http.observability import engine_time
from service.http.responses import (
    Link,
    add_links,
    content_location,
    dataset_link,
    page_language,
    page_response,
    url_name,
)
from service.routes.void import dumps
from service.routes.write_requests import answer, change

blueprint: Final = Blueprint("graph_store", __name__)

_GRAPH: Final[dict[str, Representation]] = {**{fmt.suffixes[0]: fmt for fmt in RDF_FORMATS}, "html": HTML}
_EVERYTHING: Final[dict[str, Representation]] = {"html": HTML, **{fmt.suffixes[0]: fmt for fmt in DATASET_FORMATS}}
"""What one graph, and all graphs with their names, can be had as, by the suffix of the URL."""


@blueprint.get("/data")
def data() -> Response:
    """The graph that `?graph=IRI` names, or with `?default` the one without a name (Graph Store Protocol, 5.2).

    Any RDF format, Turtle unless another is asked for. Errors: 400 unless exactly one graph is named, 404 for a
    graph that is not held.
    """
    graph = _named(body.parameters(request.query_string).to_dict(flat=False))
    fmt = required(request.accept_mimetypes, RDF_FORMATS)
    return _dump(graph, fmt, spelled(request.accept_mimetypes, fmt))


@blueprint.put("/data")
def replace() -> Response:
    """Put RDF in the place of a graph's content (section 5.3): 201 if the graph is new, else 204."""
    graph = _sent_to()
    return _changed(lambda: Replacement(graph, tuple(quad.triple for quad in _payload())), graph)


@blueprint.post("/data")
def merge() -> Response:
    """Add RDF to a graph (section 5.5), which is made if need be: 201 if so, else 204.

    Without the name of a graph, a new one is made, and Location says which. RDF is in the body, or in the parts of
    multipart/form-data.
    """
    named = {"graph", "default"} & request.args.keys()
    graph = _sent_to() if named else NamedNode(graph_iri(f"posted/{uuid.uuid4()}"))

    def merged() -> Change:
        quads = tuple(_in(graph, quad) for quad in _payload())
        return Addition(quads) if quads or isinstance(graph, DefaultGraph) else Replacement(graph, ())

    return _changed(merged, graph, located=not named)


@blueprint.delete("/data")
def remove() -> Response:
    """Delete a graph (section 5.4): 204, or 404 if there is none."""
    graph = _sent_to()
    return _changed(lambda: Removal(graph), graph)


def _sent_to() -> NamedNode | DefaultGraph:
    return _named(body.parameters(request.query_string).to_dict(flat=False))


def _payload() -> list[Quad]:
    if request.mimetype == "multipart/form-data":
        return [quad for part in body.parts(request) for quad in body.rdf_of_part(part)]
    return body.rdf(request)


def _in(graph: NamedNode | DefaultGraph, quad: Quad) -> Quad:
    return Quad(quad.subject, quad.predicate, quad.object, graph)


def _changed(read: Callable[[], Change], graph: NamedNode | DefaultGraph, *, located: bool = False) -> Response:
    """Make a change to one graph, and say whether it came to be."""
    outcome = change(read)
    created = outcome.commit is not None and graph in outcome.commit.delta.created
    response = answer(outcome, HTTPStatus.CREATED if created else HTTPStatus.NO_CONTENT, body="minimal")
    if created and isinstance(graph, NamedNode):
        response.headers["Location"] = url_for(".data", graph=graph.value, lang=None) if located else request.url
    return response


@blueprint.get("/graph")
@blueprint.get("/graph.<suffix>")
def graphs(suffix: str = "") -> Response:
    """A list of all graphs as text/html, or everything as TriG, N-Quads or JSON-LD, also gzipped (`.nq.gz`)."""
    stem, representation, packed = _chosen(f"graph.{suffix}" if suffix else "graph", _EVERYTHING)
    if stem != "graph":
        raise NotFoundError(f"There is no form .{suffix} of this; there are {', '.join(_EVERYTHING)}, also with .gz.")
    if isinstance(representation, RdfFormat):
        return _file(None, representation, "everything", packed=packed)
    revalidated(HTML.media_type, page_language())
    sizes = knowledge_graph().census.graphs()
    page = render_template(
        "graph_store/graphs.html",
        sizes=sizes,
        files=dumps(None),
        graph_link=_link,
        graph_name=graph_name,
        graph_title=graph_title,
    )
    response = page_response(page)
    add_links(response, *_alternates(None))
    return response


@blueprint.post("/graph")
def load() -> Response:
    """Put RDF in the place of what the graphs that it names hold, all at once; graphs that rules make are left out.

    The body is best in a format that names graphs; what names none is for the one without a name. 201 with the
    commit's URL in Location and the commit as JSON; 200 if nothing changed; 422 with the report if the gate refuses it.
    """
    return answer(change(lambda: replacements(body.rdf(request))), HTTPStatus.CREATED, body="representation")


@blueprint.get("/graph/<path:name>")
def graph(name: str) -> Response:
    """One graph of the project as RDF, also gzipped (`.ttl.gz`), or as text/html what it is; 404 if there is none.

    This is the Graph Store Protocol's direct identification (section 4.1), so RDF goes before the page.
    """
    sent, (name, representation, packed) = name, _chosen(name, _GRAPH)
    node = _held(graph_iri(name))
    if isinstance(representation, RdfFormat) and name == sent:
        content_location(url_for(".graph", name=f"{name}.{representation.suffixes[0]}", lang=None))
    iri = node.value
    if isinstance(representation, RdfFormat):
        response = _file(node, representation, name.replace("/", "-"), packed=packed)
    else:
        revalidated(HTML.media_type, page_language())
        response = _page(iri, name)
    add_links(response, Link(iri, "describes"), *_alternates(iri))
    return response


def _alternates(iri: str | None) -> list[Link]:
    """The files that hold a graph, or everything, as links."""
    return [Link(file.url, "alternate", GZIP if file.gzipped else file.fmt.media_type) for file in dumps(iri)]


def _page(iri: str, name: str) -> Response:
    size = knowledge_graph().census.graphs().get(iri)
    if size is None:
        raise NotFoundError(f"There is no graph <{iri}> here.")
    page = render_template(
        "graph_store/graph.html", iri=iri, name=name, size=size, files=dumps(iri), graph_title=graph_title
    )
    return page_response(page)


def _held(iri: str) -> NamedNode:
    """The graph that a URL means, which may be held percent-encoded."""
    nodes, sizes = iri_spellings(iri), knowledge_graph().census.graphs()
    found = next((node for node in nodes if node.value in sizes), next(iter(nodes), None))
    if found is None:
        raise NotFoundError(f"There is no graph <{iri}> here.")
    return found


def _named(sent: dict[str, list[str]]) -> NamedNode | DefaultGraph:
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


def _chosen(name: str, forms: dict[str, Representation]) -> tuple[str, Representation, bool]:
    """Split a URL's suffixes off: what remains, the representation, and whether it is to be gzipped."""
    plain = name.removesuffix(".gz")
    stem, representation = by_suffix(plain, forms)
    packed = plain != name and isinstance(representation, RdfFormat)
    if representation is not None and packed == (plain != name):
        return stem, representation, packed
    return name, required(request.accept_mimetypes, tuple(forms.values())), False


def _file(graph: NamedNode | None, fmt: RdfFormat, name: str, *, packed: bool) -> Response:
    if not packed:
        return _dump(graph, fmt, fmt.media_type)
    revalidated(GZIP, fmt.media_type)
    with engine_time():
        result = knowledge_graph().engine.dump(graph, fmt)
    response = result_response(gzipped(result), GZIP)
    response.headers.set("Content-Disposition", "attachment", **_file_names(name, f".{fmt.suffixes[0]}.gz"))
    add_links(response, dataset_link())
    return response


def _file_names(name: str, suffix: str) -> dict[str, str]:
    """A file's name for Content-Disposition, with another in ASCII where it has other letters (RFC 6266, section 5)."""
    if name.isascii():
        return {"filename": name + suffix}
    return {"filename": slug(name) + suffix, "filename*": f"UTF-8''{quote(name + suffix, safe='')}"}


def _dump(graph: NamedNode | DefaultGraph | None, fmt: RdfFormat, media_type: str) -> Response:
    revalidated(media_type)
    with engine_time():
        result = knowledge_graph().engine.dump(graph, fmt)
    response = result_response(result, media_type)
    add_links(response, dataset_link())
    return response


def _link(iri: str) -> str:
    name = graph_name(iri)
    return (
        url_for("graph_store.data", graph=iri, lang=None)
        if name is None
        else url_for("graph_store.graph", name=url_name(name))
    )

"""Linked data: entities and their documents, the ontology, the shapes, and the page where to start."""

from typing import Final

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from kg.describe import Description, describe, is_known
from kg.errors import NotFoundError
from kg.formats import GRAPH_FORMATS, RdfFormat
from kg.rdf import NamedNode
from kg.terms import HPEZ, HPSH, ID, graph_iri
from service.document import arrange
from service.glossary import Entry, entries
from service.negotiation import HTML, Representation, required
from service.pages import other_language, page_language, page_response, rdf_response
from service.state import knowledge_graph

blueprint: Final = Blueprint("resource", __name__)

_REPRESENTATIONS: Final[dict[str, Representation]] = {"html": HTML, **{fmt.suffixes[0]: fmt for fmt in GRAPH_FORMATS}}
"""What a document can be had as, by the suffix of its URL; text/html goes before the RDF formats."""


@blueprint.get("/")
def home() -> Response:
    """The start page, text/html: what is here, and everything that the graph describes."""
    required(request.accept_mimetypes, (HTML,))
    described = _entries("entities", ID)
    kinds = sorted({entry.name.partition("/")[0] for entry in described})
    groups = {kind: [entry for entry in described if entry.name.startswith(f"{kind}/")] for kind in kinds}
    return page_response(render_template("resource/home.html", groups=groups))


@blueprint.get("/id/<path:name>")
def identifier(name: str) -> WerkzeugResponse:
    """Redirect (303) from a thing to the document about it; 404 if nothing is said about it."""
    if not is_known(knowledge_graph().engine, ID + name):
        raise NotFoundError(f"Nothing is said about <{ID}{name}> here.")
    return redirect(url_for("resource.document", name=name), code=303)


@blueprint.get("/doc/<path:name>")
def document(name: str) -> Response:
    """The document about a thing as text/html or RDF, by the suffix of the URL or else by Accept."""
    name, representation = _representation(name)
    description = _describe(name)
    if isinstance(representation, RdfFormat):
        return rdf_response(description.triples(), representation)
    language = page_language()
    page = render_template(
        "resource/document.html",
        document=arrange(description, language, other_language(language)),
        formats=_alternates(url_for(".document", name=name, lang=None)),
    )
    return page_response(page)


@blueprint.get("/ontology")
@blueprint.get("/ontology.<suffix>")
def ontology(suffix: str = "") -> Response:
    """The ontology as RDF, or as text/html with every term at its own anchor."""
    return _vocabulary("ontology", HPEZ, suffix)


@blueprint.get("/shapes")
@blueprint.get("/shapes.<suffix>")
def shapes(suffix: str = "") -> Response:
    """The shapes as RDF, or as text/html with every shape at its own anchor."""
    return _vocabulary("shapes", HPSH, suffix)


def _vocabulary(graph: str, namespace: str, suffix: str) -> Response:
    representation = _REPRESENTATIONS.get(suffix) if suffix else _negotiated()
    if representation is None:
        raise NotFoundError(f"There is no form .{suffix} of this; there are {', '.join(_REPRESENTATIONS)}.")
    if isinstance(representation, RdfFormat):
        quads = knowledge_graph().engine.quads(NamedNode(graph_iri(graph)))
        return rdf_response((quad.triple for quad in quads), representation)
    page = render_template(
        "resource/terms.html",
        graph=graph,
        entries=_entries(graph, namespace),
        formats=_alternates(url_for(f".{graph}", lang=None)),
    )
    return page_response(page)


def _describe(name: str) -> Description:
    return describe(knowledge_graph().engine, ID + name)


def _entries(graph: str, namespace: str) -> list[Entry]:
    return entries(knowledge_graph().engine.quads(NamedNode(graph_iri(graph))), namespace)


def _representation(name: str) -> tuple[str, Representation]:
    stem, _, suffix = name.rpartition(".")
    if stem and suffix in _REPRESENTATIONS:
        return stem, _REPRESENTATIONS[suffix]
    return name, _negotiated()


def _negotiated() -> Representation:
    return required(request.accept_mimetypes, tuple(_REPRESENTATIONS.values()))


def _alternates(path: str) -> list[tuple[RdfFormat, str]]:
    """Each RDF format of the document at a path, with its URL."""
    return [(fmt, f"{path}.{fmt.suffixes[0]}") for fmt in GRAPH_FORMATS]

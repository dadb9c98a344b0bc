"""Linked data: entities and their documents, the ontology, the shapes, and the page where to start."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, render_template, request, url_for
from flask_babel import gettext

from kg.errors import NotFoundError
from kg.rdf.formats import GRAPH_FORMATS, RDF_FORMATS, RdfFormat
from kg.rdf.namespaces import BASE, HPEZ, HPSH, ID, graph_iri
from kg.rdf.terms import NamedNode
from kg.views.dataset_description import read_version_iri
from kg.views.description import Description, describe, is_known, load_labels
from kg.views.summary import summarize
from kg.views.term_usage import UsageExample, find_usage_examples, instance_usage, usage_count
from service.graph_state import current_graph_state
from service.http.caching import evaluate_preconditions, result_response
from service.http.negotiation import HTML, Representation, require_offer, split_suffix
from service.http.observability import measure_engine_time
from service.http.responses import (
    Link,
    add_links,
    compact_response,
    dataset_link,
    other_language,
    page_language,
    page_response,
    set_content_location,
)
from service.presentation.resource_page import render_page
from service.presentation.statement_table import build_statement_table
from service.presentation.term_list import TermEntry, term_entries
from service.routes import home
from service.routes.void import dataset_response

blueprint: Final = Blueprint("resource", __name__)

_REPRESENTATIONS: Final[dict[str, Representation]] = {"html": HTML, **{fmt.suffixes[0]: fmt for fmt in GRAPH_FORMATS}}
"""What a document can be had as, by the suffix of its URL; text/html goes before the RDF formats."""


@blueprint.get("/", endpoint="home")
def index() -> Response:
    """The start page, text/html: what is here, and everything that the graph describes; or as RDF the dataset.

    The RDF is that of /.well-known/void, which Content-Location says; links lead there and to the endpoint (RFC 8631).
    """
    representation = require_offer(request.accept_mimetypes, (HTML, *RDF_FORMATS))
    description = url_for("catalog.void", lang=None)
    if isinstance(representation, RdfFormat):
        set_content_location(description)
        response = dataset_response(representation)
        add_links(response, dataset_link(), Link(url_for(".home", lang=None), "alternate", HTML.media_type))
    else:
        evaluate_preconditions(HTML.media_type, page_language())
        response = home.home_page()
        add_links(response, *(Link(description, "alternate", fmt.media_type) for fmt in RDF_FORMATS))
    add_links(response, Link(description, "describedby"), Link(url_for("sparql.get", lang=None), "service-desc"))
    return response


@blueprint.get("/id/<path:name>")
def identifier(name: str) -> Response:
    """Redirect (303) from a thing to the document about it; 404 if nothing is said about it.

    A redirect has no entity tag: conditions hold for answers of 2xx only (RFC 9110, section 13.2.1).
    """
    known = next(
        (spelling for spelling in _unicode_forms(name) if is_known(current_graph_state().engine, ID + spelling)), None
    )
    if known is None:
        raise NotFoundError(f"Nothing is said about <{ID}{name}> here.")
    response = _redirect(url_for(".document", name=known), HTTPStatus.SEE_OTHER)
    add_links(response, Link(url_for(".document", name=known, lang=None), "describedby"))
    return response


def _redirect(location: str, status: HTTPStatus) -> Response:
    """Lead to another path, with a note in the reader's language."""
    response = page_response(render_template("resource/redirect.html", location=location))
    response.status_code = status
    response.location = location
    return response


def _unicode_forms(name: str) -> tuple[str, ...]:
    """A name as it was sent and, where it is decomposed Unicode (NFD), composed (NFC), as Vietnamese is kept here."""
    return tuple(dict.fromkeys((name, unicodedata.normalize("NFC", name))))


@blueprint.get("/doc/<path:name>")
def document(name: str) -> Response:
    """The document about a thing as text/html or RDF, by the suffix of the URL or else by Accept.

    JSON-LD is compact, by reference to /context.jsonld. Links (RFC 8288) lead to the other forms (alternate), the
    classes of the thing (type), the thing (describes, RFC 6892) and the dataset.
    """
    sent, (name, representation) = name, _choose_representation(name)
    path = url_for(".document", name=name, lang=None)
    if isinstance(representation, RdfFormat) and name == sent:
        set_content_location(f"{path}.{representation.suffixes[0]}")
    evaluate_preconditions(*_variant_key(representation), *_source_digests(representation))
    try:
        if isinstance(representation, RdfFormat) or request.args.get("view") == "statements":
            return _statements_response(name, path, representation)
        return _page_about(name, path)
    except NotFoundError:
        return _redirect_to_normal_form(sent, name)


def _statements_response(name: str, path: str, representation: Representation) -> Response:
    """All statements about a thing, in RDF or as a page."""
    with measure_engine_time():
        description = describe(current_graph_state().engine, ID + name)
    if isinstance(representation, RdfFormat):
        response = compact_response(description.triples(), representation, description.iri)
        add_links(response, dataset_link())
    else:
        response = _statements_page(description, path)
    _add_document_links(response, description.iri, description.types, path, representation)
    return response


def _page_about(name: str, path: str) -> Response:
    """The page about a thing."""
    with measure_engine_time():
        found = summarize(current_graph_state().engine, ID + name)
    response = page_response(render_page(found, _format_urls(path)))
    _add_document_links(response, found.iri, found.types, path, HTML)
    return response


def _add_document_links(
    response: Response, iri: NamedNode, types: Iterable[str], path: str, representation: Representation
) -> None:
    classes = (Link(name, "type") for name in types)
    add_links(response, Link(iri.value, "describes"), *classes, *_alternate_links(path, representation))


def _source_digests(representation: Representation) -> tuple[str, ...]:
    """What a page depends on besides the graph: the texts of the sources that the operator has."""
    return () if isinstance(representation, RdfFormat) else current_graph_state().source_texts.digests


def _redirect_to_normal_form(sent: str, name: str) -> Response:
    """Lead on (308) to the document at a name's other spelling; raises NotFoundError if there is none."""
    other = _unicode_forms(name)[-1]
    if other == name or not is_known(current_graph_state().engine, ID + other):
        raise NotFoundError(f"Nothing is said about <{ID}{name}> here.")
    return _redirect(url_for(".document", name=other + sent.removeprefix(name)), HTTPStatus.PERMANENT_REDIRECT)


def _statements_page(description: Description, path: str) -> Response:
    language = page_language()
    arranged = build_statement_table(description, language, other_language(language))
    page = render_template("resource/statements.html", document=arranged, formats=_format_urls(path))
    return page_response(page)


@blueprint.get("/ontology")
@blueprint.get("/ontology.<suffix>")
@blueprint.get("/ontology/<version>")
def ontology(suffix: str = "", version: str = "") -> Response:
    """The ontology as RDF, or as text/html with every term at its own anchor; at its version IRI only that version."""
    return _vocabulary_response("ontology", HPEZ, suffix, version)


@blueprint.get("/shapes")
@blueprint.get("/shapes.<suffix>")
@blueprint.get("/shapes/<version>")
def shapes(suffix: str = "", version: str = "") -> Response:
    """The shapes as RDF, or as text/html with every shape at its own anchor; at their version IRI only that version."""
    return _vocabulary_response("shapes", HPSH, suffix, version)


def _vocabulary_response(graph: str, namespace: str, suffix: str, version: str) -> Response:
    plain = f"{graph}/{version}" if version else graph
    name, representation = _choose_representation(f"{plain}.{suffix}" if suffix else plain)
    if suffix and name != graph:
        raise NotFoundError(f"There is no form .{suffix} of this; there are {', '.join(_REPRESENTATIONS)}.")
    if isinstance(representation, RdfFormat) and not suffix and name == plain:
        set_content_location(f"{request.script_root}/{name}.{representation.suffixes[0]}")
    evaluate_preconditions(*_variant_key(representation))
    if version and read_version_iri(current_graph_state().engine, BASE + graph) != BASE + name:
        raise NotFoundError(f"There is no version <{BASE}{name}> here.")
    path = url_for(f".{graph}", lang=None)
    if isinstance(representation, RdfFormat):
        result = current_graph_state().engine.dump(NamedNode(graph_iri(graph)), representation)
        response = result_response(result, representation.media_type)
        add_links(response, dataset_link())
    else:
        response = _terms_page(graph, namespace, path)
    add_links(response, Link(BASE + graph, "describes"), *_alternate_links(path, representation))
    return response


def _terms_page(graph: str, namespace: str, path: str) -> Response:
    titles = {"ontology": gettext("Ontology"), "shapes": gettext("Shapes")}
    found = _term_entries(graph, namespace)
    usage = _usage_of_shapes(found) if graph == "shapes" else _usage_of_terms(found)
    nodes = {term for _, use in usage.values() for term in (use.subject, use.value) if isinstance(term, NamedNode)}
    names, _ = load_labels(current_graph_state().engine, nodes)
    page = render_template(
        "resource/terms.html",
        title=titles[graph], entries=found, formats=_format_urls(path), usage=usage, names=names,
    )  # fmt: skip
    return page_response(page)


def _usage_of_terms(found: list[TermEntry]) -> dict[str, tuple[int, UsageExample]]:
    """How often each term is used, with an example."""
    counts = current_graph_state().statistics.current()
    some = find_usage_examples(current_graph_state().engine, [entry.iri for entry in found])
    return {iri: (usage_count(counts, iri), use) for iri, use in some.items()}


def _usage_of_shapes(found: list[TermEntry]) -> dict[str, tuple[int, UsageExample]]:
    """How many things each shape is about, with an example; of shapes that go by class."""
    targets = {entry.iri: entry.targets for entry in found if entry.targets}
    return instance_usage(current_graph_state().engine, current_graph_state().statistics.current(), targets)


def _term_entries(graph: str, namespace: str) -> list[TermEntry]:
    return list(_cached_term_entries(current_graph_state().engine.version, graph, namespace))


@lru_cache(maxsize=4)
def _cached_term_entries(_version: str, graph: str, namespace: str) -> tuple[TermEntry, ...]:
    """The terms of a graph, which is read once for each version of the dataset."""
    return tuple(term_entries(current_graph_state().engine.quads(NamedNode(graph_iri(graph))), namespace))


def _choose_representation(name: str) -> tuple[str, Representation]:
    stem, representation = split_suffix(name, _REPRESENTATIONS)
    return stem, representation or require_offer(request.accept_mimetypes, tuple(_REPRESENTATIONS.values()))


def _variant_key(representation: Representation) -> tuple[str, ...]:
    """All that was negotiated for a representation: its media type, and the language of a page."""
    media_type = representation.media_type
    return (media_type,) if isinstance(representation, RdfFormat) else (media_type, page_language())


def _alternate_links(path: str, representation: Representation) -> list[Link]:
    """The other representations of the document at a path."""
    others = ((suffix, other) for suffix, other in _REPRESENTATIONS.items() if other is not representation)
    return [Link(f"{path}.{suffix}", "alternate", other.media_type) for suffix, other in others]


def _format_urls(path: str) -> list[tuple[RdfFormat, str]]:
    """Each RDF format of the document at a path, with its URL."""
    return [(fmt, f"{path}.{fmt.suffixes[0]}") for fmt in GRAPH_FORMATS]

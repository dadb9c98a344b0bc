"""Linked data: a redirect from each entity's IRI, `/id/…`, to the document about it, `/doc/…`."""

import unicodedata
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from flask import Response, render_template, request, url_for

from kg.errors import NotFoundError
from kg.rdf.formats import RdfFormat
from kg.rdf.namespaces import ID
from kg.rdf.terms import NamedNode
from kg.views.description import Description, describe, is_known
from kg.views.summary import summarize
from service.graph_state import current_graph_state
from service.http.conditional import evaluate_preconditions
from service.http.exchange import measure_engine_time
from service.http.i18n import other_language, page_language
from service.http.jsonld import compact_response
from service.http.negotiation import HTML, Representation
from service.http.responses import Link, add_links, dataset_link, page_response, set_content_location
from service.presentation.resource_page import render_page
from service.presentation.statement_table import build_statement_table
from service.routes import documents
from service.routes.documents import choose_representation, format_urls, other_representations, variant_key

blueprint: Final = documents.blueprint


@blueprint.get("/id/<path:name>")
def identifier(name: str) -> Response:
    """Redirect (303) from an entity to the document about it; 404 if the graph says nothing about it.

    A redirect has no entity tag: preconditions apply only to 2xx responses (RFC 9110, section 13.2.1).
    """
    engine = current_graph_state().engine
    known = next((spelling for spelling in _unicode_forms(name) if is_known(engine, ID + spelling)), None)
    if known is None:
        raise _unknown_entity(name)
    response = _redirect(url_for(".document", name=known), HTTPStatus.SEE_OTHER)
    add_links(response, Link(url_for(".document", name=known, lang=None), "describedby"))
    return response


def _unknown_entity(name: str) -> NotFoundError:
    return NotFoundError(f"Nothing is said about <{ID}{name}> here.")


def _redirect(location: str, status: HTTPStatus) -> Response:
    """Redirect to another path, with a short page in the reader's language."""
    response = page_response(render_template("resource/redirect.html", location=location))
    response.status_code = status
    response.location = location
    return response


def _unicode_forms(name: str) -> tuple[str, ...]:
    """Return a name as sent, and composed (NFC) if it differs; Vietnamese IRIs are stored composed."""
    return tuple(dict.fromkeys((name, unicodedata.normalize("NFC", name))))


@blueprint.get("/doc/<path:name>")
def document(name: str) -> Response:
    """The document about an entity as text/html or RDF, by the suffix of the URL or else by Accept.

    JSON-LD is compact and refers to /context.jsonld. Links (RFC 8288) lead to the other representations (alternate),
    the entity's classes (type), the entity (describes, RFC 6892) and the dataset.
    """
    sent, (name, representation) = name, choose_representation(name)
    path = url_for(".document", name=name, lang=None)
    if isinstance(representation, RdfFormat) and name == sent:
        set_content_location(f"{path}.{representation.suffixes[0]}")
    evaluate_preconditions(*variant_key(representation), *_source_digests(representation))
    try:
        if isinstance(representation, RdfFormat) or request.args.get("view") == "statements":
            return _statements_response(name, path, representation)
        return _entity_page(name, path)
    except NotFoundError:
        return _redirect_to_normal_form(sent, name)


def _statements_response(name: str, path: str, representation: Representation) -> Response:
    """Send all statements about an entity, in RDF or as a page."""
    with measure_engine_time():
        description = describe(current_graph_state().engine, ID + name)
    if isinstance(representation, RdfFormat):
        response = compact_response(description.triples(), representation, description.iri)
        add_links(response, dataset_link())
    else:
        response = _statements_page(description, path)
    _add_document_links(response, description.iri, description.types, path, representation)
    return response


def _entity_page(name: str, path: str) -> Response:
    with measure_engine_time():
        summary = summarize(current_graph_state().engine, ID + name)
    response = page_response(render_page(summary, format_urls(path)))
    _add_document_links(response, summary.iri, summary.types, path, HTML)
    return response


def _add_document_links(
    response: Response, iri: NamedNode, types: Iterable[str], path: str, representation: Representation
) -> None:
    classes = (Link(name, "type") for name in types)
    add_links(response, Link(iri.value, "describes"), *classes, *other_representations(path, representation))


def _source_digests(representation: Representation) -> tuple[str, ...]:
    """Return the digests of the operator's source texts, on which a page depends besides the graph."""
    return () if isinstance(representation, RdfFormat) else current_graph_state().source_texts.digests


def _redirect_to_normal_form(sent: str, name: str) -> Response:
    """Redirect (308) to the document at a name's composed spelling; raises NotFoundError if there is none."""
    composed = _unicode_forms(name)[-1]
    if composed == name or not is_known(current_graph_state().engine, ID + composed):
        raise _unknown_entity(name)
    return _redirect(url_for(".document", name=composed + sent.removeprefix(name)), HTTPStatus.PERMANENT_REDIRECT)


def _statements_page(description: Description, path: str) -> Response:
    language = page_language()
    table = build_statement_table(description, language, other_language(language))
    page = render_template("resource/statements.html", document=table, formats=format_urls(path))
    return page_response(page)

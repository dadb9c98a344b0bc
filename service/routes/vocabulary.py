"""The ontology and the shapes: `/ontology` and `/shapes`, as RDF or as a page with an anchor for each term."""

from functools import lru_cache
from typing import Final

from flask import Response, render_template, request, url_for
from flask_babel import gettext

from kg.errors import NotFoundError
from kg.rdf.formats import RdfFormat
from kg.rdf.namespaces import BASE, HPEZ, HPSH, graph_iri
from kg.rdf.terms import NamedNode
from kg.views.dataset_description import read_version_iri
from kg.views.description import load_labels
from kg.views.term_usage import UsageExample, find_usage_examples, instance_usage, usage_count
from service.graph_state import current_graph_state
from service.http.conditional import evaluate_preconditions
from service.http.responses import (
    Link,
    add_links,
    dataset_link,
    file_response,
    page_response,
    set_content_location,
)
from service.presentation.term_list import TermEntry, term_entries
from service.routes import documents
from service.routes.documents import choose_representation, format_urls, other_representations, variant_key

blueprint: Final = documents.blueprint


@blueprint.get("/ontology")
@blueprint.get("/ontology.<suffix>")
@blueprint.get("/ontology/<version>")
def ontology(suffix: str = "", version: str = "") -> Response:
    """The ontology as RDF, or as text/html with an anchor for each term; a version IRI has only that version."""
    return _vocabulary_response("ontology", HPEZ, suffix, version)


@blueprint.get("/shapes")
@blueprint.get("/shapes.<suffix>")
@blueprint.get("/shapes/<version>")
def shapes(suffix: str = "", version: str = "") -> Response:
    """The shapes as RDF, or as text/html with an anchor for each shape; a version IRI has only that version."""
    return _vocabulary_response("shapes", HPSH, suffix, version)


def _vocabulary_response(graph: str, namespace: str, suffix: str, version: str) -> Response:
    plain_name = f"{graph}/{version}" if version else graph
    name, representation = choose_representation(f"{plain_name}.{suffix}" if suffix else plain_name)
    if suffix and name != graph:
        raise NotFoundError(f"There is no format .{suffix} of this; choose {', '.join(documents.REPRESENTATIONS)}.")
    if isinstance(representation, RdfFormat) and not suffix and name == plain_name:
        set_content_location(f"{request.script_root}/{name}.{representation.suffixes[0]}")
    evaluate_preconditions(*variant_key(representation))
    if version and read_version_iri(current_graph_state().engine, BASE + graph) != BASE + name:
        raise NotFoundError(f"There is no version <{BASE}{name}> here.")
    path = url_for(f".{graph}", lang=None)
    if isinstance(representation, RdfFormat):
        result = current_graph_state().engine.dump(NamedNode(graph_iri(graph)), representation)
        response = file_response(result.body, result.length, representation.media_type)
        add_links(response, dataset_link())
    else:
        response = _terms_page(graph, namespace, path)
    add_links(response, Link(BASE + graph, "describes"), *other_representations(path, representation))
    return response


def _terms_page(graph: str, namespace: str, path: str) -> Response:
    titles = {"ontology": gettext("Ontology"), "shapes": gettext("Shapes")}
    entries = _cached_term_entries(current_graph_state().engine.version, graph, namespace)
    usage = _usage_of_shapes(entries) if graph == "shapes" else _usage_of_terms(entries)
    nodes = {term for _, use in usage.values() for term in (use.subject, use.value) if isinstance(term, NamedNode)}
    names, _ = load_labels(current_graph_state().engine, nodes)
    page = render_template(
        "resource/terms.html",
        title=titles[graph], entries=entries, formats=format_urls(path), usage=usage, names=names,
    )  # fmt: skip
    return page_response(page)


def _usage_of_terms(entries: tuple[TermEntry, ...]) -> dict[str, tuple[int, UsageExample]]:
    """Return the number of uses of each term, with an example."""
    counts = current_graph_state().statistics.current()
    examples = find_usage_examples(current_graph_state().engine, [entry.iri for entry in entries])
    return {iri: (usage_count(counts, iri), use) for iri, use in examples.items()}


def _usage_of_shapes(entries: tuple[TermEntry, ...]) -> dict[str, tuple[int, UsageExample]]:
    """Return the number of instances of each shape's target classes, with an example."""
    targets = {entry.iri: entry.targets for entry in entries if entry.targets}
    return instance_usage(current_graph_state().engine, current_graph_state().statistics.current(), targets)


@lru_cache(maxsize=4)
def _cached_term_entries(_version: str, graph: str, namespace: str) -> tuple[TermEntry, ...]:
    """Return the terms of a graph, read once for each version of the dataset."""
    return tuple(term_entries(current_graph_state().engine.quads(NamedNode(graph_iri(graph))), namespace))

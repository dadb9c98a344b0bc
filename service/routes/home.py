"""The start page: search, entities by kind, charts of 2024, open issues and example queries."""

from dataclasses import dataclass
from typing import Final

from flask import Response, render_template, request, url_for

from kg.engine.protocol import Engine
from kg.errors import IndexingError
from kg.rdf.formats import RDF_FORMATS, RdfFormat
from kg.rdf.namespaces import ID
from kg.rdf.terms import NamedNode
from kg.sources.search_query import SearchQuery, SearchResult
from kg.views.description import load_labels
from kg.views.example_queries import ExampleQuery, all_examples
from kg.views.issues import count_issues_by_kind
from kg.views.observations import find_observations
from service.graph_state import current_graph_state
from service.http.conditional import evaluate_preconditions
from service.http.exchange import measure_engine_time
from service.http.i18n import page_language
from service.http.negotiation import HTML, require_offer
from service.http.responses import Link, add_links, dataset_link, page_response, set_content_location
from service.presentation.dataset_site import dataset_response
from service.presentation.figure_charts import FigureChart, build_charts
from service.presentation.kind_names import kind_name
from service.presentation.names import load_names
from service.routes import documents

blueprint: Final = documents.blueprint

SHOWN_KINDS: Final = ("zone", "org", "port", "place", "person", "pillar", "zone-group", "indicator", "event", "source")
"""The kinds of entities on the page, in order."""
NAMES_PER_KIND: Final = 12
"""The most names of a kind on the page."""
MAX_CHARTED_FIGURES: Final = 100
EXAMPLE_SLUGS: Final = ("fdi-2024", "who-invests-where", "plan-and-actual", "contradictions", "zones-and-areas")
"""The slugs of the example queries on the page."""


@dataclass(frozen=True)
class KindGroup:
    """The first entities of a kind, with the number of all."""

    kind: str
    name: str
    found: SearchResult


@blueprint.get("/", endpoint="home")
def index() -> Response:
    """The start page, text/html, or the description of the dataset as RDF.

    The RDF is that of /.well-known/void, which is its Content-Location; links lead there and to the SPARQL endpoint
    (RFC 8631).
    """
    representation = require_offer(request.accept_mimetypes, (HTML, *RDF_FORMATS))
    description = url_for("catalog.void", lang=None)
    if isinstance(representation, RdfFormat):
        set_content_location(description)
        response = dataset_response(representation)
        add_links(response, dataset_link(), Link(url_for(".home", lang=None), "alternate", HTML.media_type))
    else:
        evaluate_preconditions(HTML.media_type, page_language())
        response = _home_page()
        add_links(response, *(Link(description, "alternate", fmt.media_type) for fmt in RDF_FORMATS))
    add_links(response, Link(description, "describedby"), Link(url_for("sparql.get", lang=None), "service-desc"))
    return response


def _home_page() -> Response:
    engine, language = current_graph_state().engine, page_language()
    with measure_engine_time():
        groups, open_issues = _kind_groups(), count_issues_by_kind(engine)
        issue_names, _ = load_labels(engine, map(NamedNode, open_issues))
    return page_response(
        render_template(
            "home/index.html",
            groups=groups,
            questions=_shown_examples(),
            charts=charts_of_2024(engine, language),
            open_issues=open_issues,
            issue_names=issue_names,
        )
    )


def charts_of_2024(engine: Engine, language: str) -> list[FigureChart]:
    """Draw the charts of the figures of 2024, with texts in a language."""
    items = find_observations(engine, {"period": NamedNode(ID + "period/2024")}, limit=MAX_CHARTED_FIGURES)
    names = load_names(engine, {iri for item in items for iri in item.mentioned_iris}, language)
    return build_charts(items, names.as_dict(), language)


def _kind_groups() -> list[KindGroup]:
    """Return the entities of each kind; none while the index of names is being built."""
    graph = current_graph_state()
    try:
        results = {
            kind: graph.name_search.find(SearchQuery("", kind, limit=NAMES_PER_KIND), graph.engine.version)
            for kind in SHOWN_KINDS
        }
    except IndexingError:
        return []
    return [KindGroup(kind, kind_name(kind), result) for kind, result in results.items() if result.total]


def _shown_examples() -> list[ExampleQuery]:
    examples = {item.slug: item for item in all_examples()}
    return [examples[slug] for slug in EXAMPLE_SLUGS]

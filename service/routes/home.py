"""The start page: what this is, where to search, what there is to see, and questions that run."""

from dataclasses import dataclass
from typing import Final

from flask import Response, render_template

from kg.errors import IndexingError
from kg.rdf.terms import NamedNode
from kg.sources.search_query import SearchResult
from kg.views.description import load_labels
from kg.views.example_queries import ExampleQuery, all_examples
from kg.views.issues import count_issues_by_kind
from service.graph_state import current_graph_state
from service.http.observability import measure_engine_time
from service.http.responses import page_language, page_response
from service.presentation.kind_names import kind_name
from service.routes.figures import charts_of_2024

SHOWN_KINDS: Final = ("zone", "org", "port", "place", "person", "pillar", "zone-group", "indicator", "event", "source")
"""The kinds of things that the page shows, as it orders them."""
NAMES_PER_KIND: Final = 12
"""Names that are shown of each kind."""
EXAMPLE_SLUGS: Final = ("fdi-2024", "who-invests-where", "plan-and-actual", "contradictions", "zones-and-areas")
"""The slugs of the questions that the page offers."""


@dataclass(frozen=True)
class KindGroup:
    """Things of one kind: some, and how many there are, which `more` says to be a lower bound."""

    kind: str
    name: str
    found: SearchResult


def home_page() -> Response:
    """The start page, text/html."""
    engine, language = current_graph_state().engine, page_language()
    with measure_engine_time():
        groups, open_issues = _kind_groups(), count_issues_by_kind(engine)
        named, _ = load_labels(engine, map(NamedNode, open_issues))
    drawn = charts_of_2024(engine, language)
    return page_response(
        render_template(
            "home/index.html",
            groups=groups,
            questions=_shown_examples(),
            charts=drawn,
            open_issues=open_issues,
            issue_names=named,
        )
    )


def _kind_groups() -> list[KindGroup]:
    """What there is of each kind; nothing while the index of names is being made."""
    graph = current_graph_state()
    try:
        found = {
            kind: graph.name_search.find_by_kind(kind, NAMES_PER_KIND, graph.engine.version) for kind in SHOWN_KINDS
        }
    except IndexingError:
        return []
    return [KindGroup(kind, kind_name(kind), some) for kind, some in found.items() if some.total]


def _shown_examples() -> list[ExampleQuery]:
    known = {item.slug: item for item in all_examples()}
    return [known[slug] for slug in EXAMPLE_SLUGS]

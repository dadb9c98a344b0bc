"""Search of entities by name: `/search` for people and programs, `/suggest` for completion while typing."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from flask import Blueprint, Response, jsonify, render_template, request, url_for

from kg.sources.folding import split_highlights
from kg.sources.search_query import SearchMatch, SearchQuery, SearchResult
from service.graph_state import current_graph_state
from service.http.conditional import evaluate_preconditions
from service.http.exchange import measure_engine_time
from service.http.i18n import other_language, page_language
from service.http.negotiation import HTML, JSON, require_offer
from service.http.parameters import Paging, page_number
from service.http.responses import add_links, page_response
from service.presentation.kind_names import kind_name
from service.presentation.page_context import link_url

blueprint: Final = Blueprint("search", __name__)

PAGE_SIZE: Final = 20
"""Results on a page."""
MAX_SUGGESTIONS: Final = 10
MAX_KINDS: Final = 24
"""The most kinds that a page offers as filters."""


@dataclass(frozen=True)
class Hit:
    """A result on a page; texts are split into pieces, each with whether it matches a word of the query."""

    url: str | None
    kind: str
    name: tuple[tuple[str, bool], ...]
    language: str | None
    other_name: str | None
    matched: tuple[tuple[str, bool], ...]
    matched_language: str


@blueprint.get("/search")
def index() -> Response:
    """Entities with the words of `?q=` in a name, 20 on a `?page=`, optionally of one `?kind=`: text/html or JSON.

    503 with Retry-After while the index of names is being built.
    """
    offer = require_offer(request.accept_mimetypes, (JSON, HTML))
    number, kind = page_number(), request.args.get("kind") or None
    evaluate_preconditions(offer.media_type, page_language())
    query = SearchQuery(request.args.get("q", ""), kind, (number - 1) * PAGE_SIZE, PAGE_SIZE)
    result = _find(query)
    paging = Paging(number, has_more=number * PAGE_SIZE < result.total)

    def url(page: int) -> str:
        return url_for(".index", q=query.truncated_text, kind=kind, page=page)

    if offer is HTML:
        response = _results_page(query, result, paging.urls(url))
    else:
        response = jsonify(_results_json(query, result, number))
    add_links(response, *paging.links(url))
    return response


@blueprint.get("/suggest")
def suggest() -> Response:
    """At most ten entities whose names start with the words of `?q=`, the best match first: application/json."""
    require_offer(request.accept_mimetypes, (JSON,))
    evaluate_preconditions(JSON.media_type, page_language())
    query = SearchQuery(request.args.get("q", ""), limit=MAX_SUGGESTIONS)
    matches = _find(query).matches
    return jsonify({"query": query.truncated_text, "suggestions": [_match_json(match) for match in matches]})


def _find(query: SearchQuery) -> SearchResult:
    graph = current_graph_state()
    with measure_engine_time():
        return graph.name_search.find(query, graph.engine.version)


def _results_json(query: SearchQuery, result: SearchResult, page: int) -> dict[str, object]:
    kinds = [{"kind": kind, "name": kind_name(kind), "count": count} for kind, count in result.kind_counts.items()]
    return {
        "query": query.truncated_text,
        "kind": query.kind,
        "page": page,
        "total": result.total,
        "totalIsLowerBound": result.total_is_lower_bound,
        "kinds": kinds,
        "kindsAreLowerBounds": result.kinds_are_lower_bounds,
        "results": [{**_match_json(match), "names": dict(match.names)} for match in result.matches],
    }


def _match_json(match: SearchMatch) -> dict[str, object]:
    path = link_url(match.iri)
    return {
        "label": match.name(page_language()),
        "kind": match.kind,
        "kindName": kind_name(match.kind),
        "iri": match.iri,
        "url": None if path is None else urljoin(request.url_root, path),
        "match": {"text": match.text, "language": match.language or None},
    }


def _results_page(query: SearchQuery, result: SearchResult, links: dict[str, str]) -> Response:
    chosen = {query.kind: result.kind_counts.get(query.kind, 0)} if query.kind else {}
    kinds = chosen | dict(list(result.kind_counts.items())[:MAX_KINDS])
    page = render_template(
        "search/index.html",
        question=query,
        found=result,
        hits=[_hit(match, query) for match in result.matches],
        kinds=[(kind, kind_name(kind), count) for kind, count in kinds.items()],
        words=re.findall(r"\S+", query.truncated_text)[:8],
        links=links,
    )
    return page_response(page)


def _hit(match: SearchMatch, query: SearchQuery) -> Hit:
    language = page_language()
    name, other = match.name(language), match.names.get(other_language(language))
    name_language = next((tag for tag, text in match.names.items() if tag and text == name), None)
    return Hit(
        url=link_url(match.iri),
        kind=kind_name(match.kind),
        name=tuple(split_highlights(name, query.folded_words)),
        language=name_language,
        other_name=other if other != name else None,
        matched=() if match.text in {name, other} else tuple(split_highlights(match.text, query.folded_words)),
        matched_language=match.language,
    )

"""Finding things by their names: `/search` for people and programs, `/suggest` while somebody types."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urljoin

from flask import Blueprint, Response, jsonify, render_template, request, url_for

from kg.sources.folding import split_highlights
from kg.sources.search_query import SearchMatch, SearchQuery, SearchResult
from service.graph_state import current_graph_state
from service.http.caching import evaluate_preconditions
from service.http.negotiation import HTML, MediaType, require_offer
from service.http.observability import measure_engine_time
from service.http.responses import Link, add_links, link_url, other_language, page_language, page_number, page_response
from service.presentation.kind_names import kind_name

blueprint: Final = Blueprint("search", __name__)

PAGE_SIZE: Final = 20
"""Results on one page."""
MAX_SUGGESTIONS: Final = 10
MAX_KINDS: Final = 24
"""Kinds that a page lists to choose from."""
_JSON: Final = MediaType("application/json")


@dataclass(frozen=True)
class Hit:
    """A result as a page shows it; a name is in pieces, each with whether it is a word that was asked for."""

    url: str | None
    kind: str
    name: tuple[tuple[str, bool], ...]
    language: str | None
    other_name: str | None
    matched: tuple[tuple[str, bool], ...]
    matched_language: str


@blueprint.get("/search")
def index() -> Response:
    """What has the words of `?q=` in a name, 20 on a `?page=`, of one `?kind=` if wanted: text/html, application/json.

    503 with Retry-After while the index of names is being made.
    """
    offer = require_offer(request.accept_mimetypes, (_JSON, HTML))
    page, kind = page_number(), request.args.get("kind") or None
    evaluate_preconditions(offer.media_type, page_language())
    question = SearchQuery(request.args.get("q", ""), kind, (page - 1) * PAGE_SIZE, PAGE_SIZE)
    found = _find(question)
    here = partial(url_for, ".index", q=question.truncated_text, kind=kind)
    pages = {"prev": page - 1 if page > 1 else None, "next": page + 1 if page * PAGE_SIZE < found.total else None}
    links = {relation: here(page=number) for relation, number in pages.items() if number is not None}
    response = _results_page(question, found, links) if offer is HTML else jsonify(_results_json(question, found, page))
    add_links(response, *(Link(url, relation) for relation, url in links.items()))
    return response


@blueprint.get("/suggest")
def suggest() -> Response:
    """At most ten things whose names begin with the words of `?q=`, the likeliest first: application/json."""
    require_offer(request.accept_mimetypes, (_JSON,))
    evaluate_preconditions(_JSON.media_type, page_language())
    question = SearchQuery(request.args.get("q", ""), limit=MAX_SUGGESTIONS)
    found = _find(question)
    return jsonify({"query": question.truncated_text, "suggestions": [_match_json(match) for match in found.matches]})


def _find(question: SearchQuery) -> SearchResult:
    graph = current_graph_state()
    with measure_engine_time():
        return graph.name_search.find(question, graph.engine.version)


def _results_json(question: SearchQuery, found: SearchResult, page: int) -> dict[str, object]:
    kinds = [{"kind": kind, "name": kind_name(kind), "count": count} for kind, count in found.kind_counts.items()]
    return {
        "query": question.truncated_text,
        "kind": question.kind,
        "page": page,
        "total": found.total,
        "totalIsLowerBound": found.total_is_lower_bound,
        "kinds": kinds,
        "kindsAreLowerBounds": found.kinds_are_lower_bounds,
        "results": [{**_match_json(match), "names": dict(match.names)} for match in found.matches],
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


def _results_page(question: SearchQuery, found: SearchResult, links: dict[str, str]) -> Response:
    chosen = {question.kind: found.kind_counts.get(question.kind, 0)} if question.kind else {}
    kinds = chosen | dict(list(found.kind_counts.items())[:MAX_KINDS])
    page = render_template(
        "search/index.html",
        question=question,
        found=found,
        hits=[_hit(match, question) for match in found.matches],
        kinds=[(kind, kind_name(kind), count) for kind, count in kinds.items()],
        words=re.findall(r"\S+", question.truncated_text)[:8],
        links=links,
    )
    return page_response(page)


def _hit(match: SearchMatch, question: SearchQuery) -> Hit:
    language = page_language()
    name, other = match.name(language), match.names.get(other_language(language))
    shown = next((tag for tag, text in match.names.items() if tag and text == name), None)
    return Hit(
        url=link_url(match.iri),
        kind=kind_name(match.kind),
        name=tuple(split_highlights(name, question.folded_words)),
        language=shown,
        other_name=other if other != name else None,
        matched=() if match.text in {name, other} else tuple(split_highlights(match.text, question.folded_words)),
        matched_language=match.language,
    )

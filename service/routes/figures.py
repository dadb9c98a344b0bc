"""`/figures`: all figures, as a page with filters and charts, as CSV and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, jsonify, render_template, request, url_for
from flask_babel import gettext
from werkzeug.exceptions import BadRequest

from kg.engine.protocol import Engine
from kg.errors import NotFoundError
from kg.rdf.namespaces import ID
from kg.rdf.terms import NamedNode
from kg.views.description import load_labels
from kg.views.observations import FILTER_NAMES, Observation, ObservationPage, filter_choices, load_page
from service.graph_state import current_graph_state
from service.http.conditional import evaluate_preconditions
from service.http.exchange import measure_engine_time
from service.http.i18n import page_language
from service.http.negotiation import HTML, JSON, MediaType, require_offer, split_suffix
from service.http.parameters import Paging, page_number, parse_iri
from service.http.responses import add_links, alternate_links, page_response, set_content_location
from service.presentation import number_format
from service.presentation.figure_charts import build_charts, status_name
from service.presentation.figure_files import Labels, figures_csv, figures_json
from service.presentation.names import DisplayNames, alphabetical_key, load_names

blueprint: Final = Blueprint("figures", __name__)

PAGE_SIZE: Final = 100
"""Figures on a page."""
EXPORT_PAGE_SIZE: Final = 2000
"""Figures in a CSV or JSON document."""
MAX_CHOICES: Final = 200
"""The most choices of a filter; if there are more values, readers can type one."""

_CSV: Final = MediaType("text/csv")
_REPRESENTATIONS: Final[dict[str, MediaType]] = {"html": HTML, "csv": _CSV, "json": JSON}
_FILE_REPRESENTATIONS: Final = {suffix: offer for suffix, offer in _REPRESENTATIONS.items() if offer is not HTML}
_ID_PATHS: Final = {"about": "", "indicator": "indicator/", "period": "period/", "status": "status/"}
"""The path below /id/ that completes the short value of a filter to an IRI."""


@dataclass(frozen=True)
class NamedMediaType(MediaType):
    """A file format that the page links to, with its name."""

    name: str = ""


@dataclass(frozen=True)
class FilterField:
    """A filter on the page: its parameter, title, current value and choices; `more` if there are too many to list."""

    name: str
    title: str
    chosen: str
    choices: tuple[tuple[str, str], ...]
    more: bool


@blueprint.get("/figures")
@blueprint.get("/figures.<suffix>")
def index(suffix: str = "") -> Response:
    """The figures that match `?indicator=`, `?period=`, `?status=` and `?about=`: text/html, text/csv or JSON.

    A filter takes an IRI or, for the project's own, its last part (for `about` with the kind: `zone/xuan-cau`). The
    format is chosen by suffix, `?format=` or Accept. `?page=` counts from 1; 400 for invalid IRIs and numbers.
    """
    offer = _negotiate(suffix)
    if not suffix and offer is not HTML:
        set_content_location(_figures_url(_suffix_of(offer), **_filter_parameters()))
    filters, number = _requested_filters(), page_number()
    evaluate_preconditions(offer.media_type, page_language())
    engine = current_graph_state().engine
    with measure_engine_time():
        page = load_page(engine, filters, number, PAGE_SIZE if offer is HTML else EXPORT_PAGE_SIZE)
    paging = Paging(number, page.has_more)
    if offer is HTML:
        response = _figures_page(engine, page, filters, paging)
    else:
        labels, _ = load_labels(engine, (NamedNode(iri) for item in page.items for iri in item.mentioned_iris))
        response = _csv_response(page.items, labels) if offer is _CSV else jsonify(figures_json(page, labels))
    return _add_page_links(response, paging, offer)


def _negotiate(suffix: str) -> MediaType:
    name = suffix or request.args.get("format", "")
    _, offer = split_suffix(f"figures.{name}", _REPRESENTATIONS)
    if isinstance(offer, MediaType):
        return offer
    if suffix:
        raise NotFoundError(f"There is no format .{suffix} of this; choose {', '.join(_REPRESENTATIONS)}.")
    if name:
        raise BadRequest(f"`format` must be one of {', '.join(_REPRESENTATIONS)}.")
    return require_offer(request.accept_mimetypes, tuple(_REPRESENTATIONS.values()))


def _suffix_of(offer: MediaType) -> str:
    return next(suffix for suffix, other in _REPRESENTATIONS.items() if other is offer)


def _requested_filters() -> dict[str, NamedNode]:
    return {
        name: _filter_iri(name, request.args[name].strip())
        for name in FILTER_NAMES
        if request.args.get(name, "").strip()
    }


def _filter_iri(name: str, value: str) -> NamedNode:
    if len(request.args.getlist(name)) > 1:
        raise BadRequest(f"`{name}` must be given once.")
    iri = value if ":" in value else ID + _ID_PATHS[name] + value.removeprefix(_ID_PATHS[name])
    return parse_iri(iri, f"`{name}` must be an IRI or the last part of one.")


def _filter_parameters() -> dict[str, str]:
    """Return the filters of the request's URL, without the page and the format."""
    return {name: request.args[name] for name in FILTER_NAMES if request.args.get(name)}


def _figures_url(suffix: str = "", **values: Any) -> str:  # noqa: ANN401 - values of a URL
    return url_for(".index", suffix=suffix, lang=None, **values) if suffix else url_for(".index", **values)


def _add_page_links(response: Response, paging: Paging, offer: MediaType) -> Response:
    """Link to the previous and next pages, and to the other formats."""
    suffix, filters = "" if offer is HTML else _suffix_of(offer), _filter_parameters()
    pages = paging.links(lambda page: _figures_url(suffix, **filters, page=page))
    others = alternate_links(_REPRESENTATIONS, offer, lambda other: _figures_url(other, **filters))
    add_links(response, *pages, *others)
    return response


def _csv_response(items: Iterable[Observation], labels: Labels) -> Response:
    response = Response(figures_csv(items, labels), content_type="text/csv; charset=utf-8; header=present")
    response.headers["Content-Disposition"] = 'attachment; filename="figures.csv"'
    return response


def _figures_page(engine: Engine, page: ObservationPage, filters: Mapping[str, NamedNode], paging: Paging) -> Response:
    language = page_language()
    with measure_engine_time():
        offered = {name: filter_choices(engine, name, MAX_CHOICES + 1) for name in FILTER_NAMES}
        nodes = (*filters.values(), *(node for group in offered.values() for node in group))
        iris = {iri for item in page.items for iri in item.mentioned_iris} | {node.value for node in nodes}
        names = load_names(engine, iris, language)
    html = render_template(
        "figures/index.html", found=page, names=names, filters=_filter_fields(filters, offered, names),
        number=paging.number, following=paging.next, asked=_filter_parameters(),
        unknown=[node.value for node in filters.values() if not names.has_name(node.value)],
        charts=build_charts(page.items, names.as_dict(), language),
        short=number_format.short_amount, exact=number_format.exact_amount, status_name=status_name,
        formats=[
            (NamedMediaType(offer.media_type, name=suffix.upper()), _figures_url(suffix, **_filter_parameters()))
            for suffix, offer in _FILE_REPRESENTATIONS.items()
        ],
    )  # fmt: skip
    return page_response(html)


def _filter_fields(
    filters: Mapping[str, NamedNode], offered: Mapping[str, Sequence[NamedNode]], names: DisplayNames
) -> list[FilterField]:
    titles = {
        "about": gettext("About"),
        "indicator": gettext("Indicator"),
        "period": gettext("Period"),
        "status": gettext("Reported as"),
    }
    return [_filter_field(name, titles[name], filters.get(name), offered[name], names) for name in FILTER_NAMES]


def _filter_field(
    name: str, title: str, chosen: NamedNode | None, nodes: Sequence[NamedNode], names: DisplayNames
) -> FilterField:
    more = len(nodes) > MAX_CHOICES
    shown = {node.value: None for node in (*nodes[:MAX_CHOICES], *((chosen,) if chosen and not more else ()))}
    options = sorted(
        ((_filter_value(name, iri), names.capitalized(iri)) for iri in shown), key=lambda o: alphabetical_key(o[1])
    )
    return FilterField(name, title, _filter_value(name, chosen.value) if chosen else "", tuple(options), more)


def _filter_value(name: str, iri: str) -> str:
    """Return the value of a filter for an IRI: its last part if that is unambiguous."""
    prefix = ID + _ID_PATHS[name]
    return iri.removeprefix(prefix) if ":" not in iri.removeprefix(prefix) else iri

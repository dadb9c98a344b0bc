"""All figures at `/figures`, as a page with filters and charts, CSV and JSON; and charts for the start page."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from flask import Blueprint, Response, jsonify, render_template, request, url_for
from flask_babel import gettext
from werkzeug.exceptions import BadRequest

from kg.engine.protocol import Engine
from kg.errors import NotFoundError
from kg.rdf.namespaces import ID
from kg.rdf.terms import NamedNode
from kg.views.description import load_labels
from kg.views.observations import (
    FILTER_NAMES,
    Observation,
    ObservationPage,
    filter_choices,
    find_observations,
    load_page,
)
from service.graph_state import current_graph_state
from service.http.caching import evaluate_preconditions
from service.http.negotiation import HTML, LANGUAGES, MediaType, require_offer, split_suffix
from service.http.observability import measure_engine_time
from service.http.responses import Link, add_links, page_language, page_number, page_response, set_content_location
from service.presentation import number_format
from service.presentation.figure_charts import FigureChart, build_charts, status_name
from service.presentation.names import DisplayNames, alphabetical_key, load_names

blueprint: Final = Blueprint("figures", __name__)

PAGE_SIZE: Final = 100
"""Figures on one page."""
EXPORT_PAGE_SIZE: Final = 2000
"""Figures in one CSV or JSON document."""
MAX_CHOICES: Final = 200
"""Things that a list of choices offers; where there are more, any other may be typed."""

_CSV: Final = MediaType("text/csv")
_JSON: Final = MediaType("application/json")
_REPRESENTATIONS: Final[dict[str, MediaType]] = {"html": HTML, "csv": _CSV, "json": _JSON}
_FILE_REPRESENTATIONS: Final = {key: form for key, form in _REPRESENTATIONS.items() if form is not HTML}
_ID_PATHS: Final = {"about": "", "indicator": "indicator/", "period": "period/", "status": "status/"}
"""What stands before the last part of an IRI that a filter takes."""
_ENTITY_FIELDS: Final = ("claim", "about", "indicator", "period", "status")
_CSV_COLUMNS: Final = (
    *(column for name in _ENTITY_FIELDS for column in (name, *(f"{name}_{language}" for language in LANGUAGES))),
    *("starts", "low", "high", "unit", "qualifier", "said_by", "said_by_en", "said_by_vi", "emended", "computed_by"),
)
_FORMULA_PREFIXES: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would take for a formula."""

Labels = Mapping[str, Mapping[str, str]]
"""What each IRI is called, by language."""


@dataclass(frozen=True)
class NamedMediaType(MediaType):
    """A form of the figures that a page links to."""

    name: str = ""


@dataclass(frozen=True)
class FilterField:
    """What a page offers for one filter: its name, what is chosen, and the choices, not all if `more`."""

    name: str
    title: str
    chosen: str
    choices: tuple[tuple[str, str], ...]
    more: bool


def charts_of_2024(engine: Engine, language: str) -> list[FigureChart]:
    """Charts of the figures of 2024, for a request in that language: a heading, SVG, a note and the statuses shown."""
    items = find_observations(engine, {"period": NamedNode(ID + "period/2024")}, limit=PAGE_SIZE)
    return build_charts(items, _figure_names(engine, items, (), language).as_dict(), language)


@blueprint.get("/figures")
@blueprint.get("/figures.<suffix>")
def index(suffix: str = "") -> Response:
    """The figures that fit `?indicator=`, `?period=`, `?status=` and `?about=`: text/html, text/csv, application/json.

    A filter takes an IRI or, for the project's own, the last part of one (for `about` with its kind: `zone/xuan-cau`).
    The form is chosen by suffix, `?format=` or Accept. `?page=` counts from 1; 400 for what is no IRI or no number.
    """
    offer = _negotiate(suffix)
    if not suffix and offer is not HTML:
        set_content_location(
            _figures_url(next(key for key, form in _REPRESENTATIONS.items() if form is offer), **_filter_parameters())
        )
    filters, number = _requested_filters(), page_number()
    evaluate_preconditions(offer.media_type, page_language())
    engine = current_graph_state().engine
    with measure_engine_time():
        found = load_page(engine, filters, number, PAGE_SIZE if offer is HTML else EXPORT_PAGE_SIZE)
    if offer is HTML:
        response = _figures_page(engine, found, filters, number)
    else:
        texts = _load_labels(engine, (iri for item in found.items for iri in item.mentioned_iris))
        response = _csv_response(found.items, texts) if offer is _CSV else _json_response(found, texts)
    return _add_page_links(response, found, number, offer)


def _negotiate(suffix: str) -> MediaType:
    wanted = suffix or request.args.get("format", "")
    _, form = split_suffix(f"figures.{wanted}", _REPRESENTATIONS)
    if isinstance(form, MediaType):
        return form
    if suffix:
        raise NotFoundError(f"There is no form .{suffix} of this; there are {', '.join(_REPRESENTATIONS)}.")
    if wanted:
        raise BadRequest(f"`format` must be one of {', '.join(_REPRESENTATIONS)}.")
    return require_offer(request.accept_mimetypes, tuple(_REPRESENTATIONS.values()))


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
    try:
        return NamedNode(iri)
    except ValueError:
        raise BadRequest(f"`{name}` must be an IRI or the last part of one.") from None


def _filter_parameters() -> dict[str, str]:
    """What the URL of the request asks for, but for the page and the form."""
    return {name: request.args[name] for name in FILTER_NAMES if request.args.get(name)}


def _figures_url(suffix: str = "", **values: Any) -> str:  # noqa: ANN401 - values of a URL
    return url_for(".index", suffix=suffix, lang=None, **values) if suffix else url_for(".index", **values)


def _add_page_links(response: Response, found: ObservationPage, number: int, offer: MediaType) -> Response:
    """Link to the pages before and after, and to the other forms."""
    suffix = "" if offer is HTML else next(key for key, form in _REPRESENTATIONS.items() if form is offer)
    beside = {"prev": number - 1 if number > 1 else None, "next": number + 1 if found.has_more else None}
    pages = [
        Link(_figures_url(suffix, **_filter_parameters(), page=at), relation) for relation, at in beside.items() if at
    ]
    others = [(key, form) for key, form in _REPRESENTATIONS.items() if form is not offer]
    add_links(
        response,
        *pages,
        *(Link(_figures_url(key, **_filter_parameters()), "alternate", form.media_type) for key, form in others),
    )
    return response


def _load_labels(engine: Engine, iris: Iterable[str]) -> Labels:
    nodes = {NamedNode(iri) for iri in iris}
    return load_labels(engine, nodes)[0] if nodes else {}


def _figure_names(
    engine: Engine, items: Iterable[Observation], others: Iterable[NamedNode], language: str
) -> DisplayNames:
    return load_names(
        engine, {iri for item in items for iri in item.mentioned_iris} | {node.value for node in others}, language
    )


# --- the page


def _figures_page(engine: Engine, found: ObservationPage, filters: Mapping[str, NamedNode], number: int) -> Response:
    language = page_language()
    with measure_engine_time():
        offered = {name: filter_choices(engine, name, MAX_CHOICES + 1) for name in FILTER_NAMES}
        nodes = (*filters.values(), *(node for group in offered.values() for node in group))
        names = _figure_names(engine, found.items, nodes, language)
    html = render_template(
        "figures/index.html", found=found, names=names, filters=_filter_fields(filters, offered, names), number=number,
        unknown=[node.value for node in filters.values() if not names.has_name(node.value)],
        charts=build_charts(found.items, names.as_dict(), language),
        short=number_format.short_amount, exact=number_format.exact_amount,
        status_name=status_name, asked=_filter_parameters(), following=number + 1 if found.has_more else None,
        formats=[
            (NamedMediaType(form.media_type, name=key.upper()), _figures_url(key, **_filter_parameters()))
            for key, form in _FILE_REPRESENTATIONS.items()
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
    """What a filter is given for an IRI: its last part if that is enough."""
    prefix = ID + _ID_PATHS[name]
    return iri.removeprefix(prefix) if ":" not in iri.removeprefix(prefix) else iri


# --- the files


def _json_response(found: ObservationPage, texts: Labels) -> Response:
    return jsonify({"figures": [_figure_json(item, texts) for item in found.items], "total": found.total})


def _figure_json(item: Observation, texts: Labels) -> dict[str, object]:
    named = {name: _entity_json(getattr(item, name), texts) for name in (*_ENTITY_FIELDS, "unit", "qualifier")}
    return {
        **named, "starts": item.period_start, "low": _decimal_text(item.low), "high": _decimal_text(item.high),
        "saidBy": [_entity_json(iri, texts) for iri in item.speakers], "emended": item.emended,
        "computedBy": _entity_json(item.rule, texts),
    }  # fmt: skip


def _entity_json(iri: str | None, texts: Labels) -> dict[str, object] | None:
    return None if iri is None else {"iri": iri, "label": dict(texts.get(iri, {}))}


def _csv_response(items: Iterable[Observation], texts: Labels) -> Response:
    """The figures as CSV (RFC 4180), whose numbers are plain decimals."""
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(_CSV_COLUMNS)
    rows.writerows(_csv_row(item, texts) for item in items)
    response = Response(written.getvalue(), content_type="text/csv; charset=utf-8; header=present")
    response.headers["Content-Disposition"] = 'attachment; filename="figures.csv"'
    return response


def _csv_row(item: Observation, texts: Labels) -> list[str]:
    named = [part for name in _ENTITY_FIELDS for part in _label_cells(getattr(item, name), texts)]
    speakers = [_label_cells(iri, texts) for iri in item.speakers]
    said_by = [" ".join(cells[0] for cells in speakers), *("; ".join(c[i] for c in speakers) for i in (1, 2))]
    numbers = [item.period_start or "", _decimal_text(item.low) or "", _decimal_text(item.high) or ""]
    rest = [item.unit or "", item.qualifier or "", *said_by, "true" if item.emended else "false", item.rule or ""]
    return [*named, *numbers, *rest]


def _label_cells(iri: str | None, texts: Labels) -> list[str]:
    found = texts.get(iri or "", {})
    return [iri or "", *(_escape_formula(found.get(language, found.get("", ""))) for language in LANGUAGES)]


def _escape_formula(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA_PREFIXES) or text.startswith(_FORMULA_PREFIXES) else text


def _decimal_text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"

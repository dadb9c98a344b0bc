"""All figures at `/figures`, as a page with filters and charts, CSV and JSON; and charts for the start page."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from flask import Blueprint, Response, jsonify, render_template, request, url_for
from flask_babel import gettext
from werkzeug.exceptions import BadRequest

from kg.engine.protocol import Engine
from kg.errors import NotFoundError
from kg.rdf.io import NamedNode
from kg.rdf.namespaces import ID
from kg.views.description import labels
from kg.views.observations import FILTERS, Observation, Page, choices, observations, page
from service.graph_state import knowledge_graph
from service.http.caching import revalidated
from service.http.negotiation import HTML, LANGUAGES, MediaType, by_suffix, required
from service.http.observability import engine_time
from service.http.responses import Link, add_links, content_location, page_language, page_number, page_response
from service.presentation import number_format
from service.presentation.figure_charts import Chart, charts, status_name
from service.presentation.names import Names, alphabetical, named

blueprint: Final = Blueprint("figures", __name__)

PAGE: Final = 100
"""Figures on one page."""
FILE: Final = 2000
"""Figures in one CSV or JSON document."""
MOST_CHOICES: Final = 200
"""Things that a list of choices offers; where there are more, any other may be typed."""

_CSV: Final = MediaType("text/csv")
_JSON: Final = MediaType("application/json")
_FORMS: Final[dict[str, MediaType]] = {"html": HTML, "csv": _CSV, "json": _JSON}
_FILES: Final = {key: form for key, form in _FORMS.items() if form is not HTML}
_KINDS: Final = {"about": "", "indicator": "indicator/", "period": "period/", "status": "status/"}
"""What stands before the last part of an IRI that a filter takes."""
_NAMED: Final = ("claim", "about", "indicator", "period", "status")
_COLUMNS: Final = (
    *(column for name in _NAMED for column in (name, *(f"{name}_{language}" for language in LANGUAGES))),
    *("starts", "low", "high", "unit", "qualifier", "said_by", "said_by_en", "said_by_vi", "emended", "computed_by"),
)
_LARGE: Final = 10**6
"""From which amount on a computed one is rounded to a whole number."""
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would take for a formula."""

Labels = Mapping[str, Mapping[str, str]]
"""What each IRI is called, by language."""


@dataclass(frozen=True)
class Named(MediaType):
    """A form of the figures that a page links to."""

    name: str = ""


@dataclass(frozen=True)
class Filter:
    """What a page offers for one filter: its name, what is chosen, and the choices, not all if `more`."""

    name: str
    title: str
    chosen: str
    choices: tuple[tuple[str, str], ...]
    more: bool


def charts_of_2024(engine: Engine, language: str) -> list[Chart]:
    """Charts of the figures of 2024, for a request in that language: a heading, SVG, a note and the statuses shown."""
    items = observations(engine, {"period": NamedNode(ID + "period/2024")}, limit=PAGE)
    return charts(items, _names(engine, items, (), language).plain(), language)


@blueprint.get("/figures")
@blueprint.get("/figures.<suffix>")
def index(suffix: str = "") -> Response:
    """The figures that fit `?indicator=`, `?period=`, `?status=` and `?about=`: text/html, text/csv, application/json.

    A filter takes an IRI or, for the project's own, the last part of one (for `about` with its kind: `zone/xuan-cau`).
    The form is chosen by suffix, `?format=` or Accept. `?page=` counts from 1; 400 for what is no IRI or no number.
    """
    offer = _form(suffix)
    if not suffix and offer is not HTML:
        content_location(_url(next(key for key, form in _FORMS.items() if form is offer), **_asked()))
    filters, number = _filters(), page_number()
    revalidated(offer.media_type, page_language())
    engine = knowledge_graph().engine
    with engine_time():
        found = page(engine, filters, number, PAGE if offer is HTML else FILE)
    if offer is HTML:
        response = _page(engine, found, filters, number)
    else:
        texts = _labels(engine, (iri for item in found.items for iri in item.iris))
        response = _file(found.items, texts) if offer is _CSV else _json(found, texts)
    return _linked(response, found, number, offer)


def _form(suffix: str) -> MediaType:
    wanted = suffix or request.args.get("format", "")
    _, form = by_suffix(f"figures.{wanted}", _FORMS)
    if isinstance(form, MediaType):
        return form
    if suffix:
        raise NotFoundError(f"There is no form .{suffix} of this; there are {', '.join(_FORMS)}.")
    if wanted:
        raise BadRequest(f"`format` must be one of {', '.join(_FORMS)}.")
    return required(request.accept_mimetypes, tuple(_FORMS.values()))


def _filters() -> dict[str, NamedNode]:
    return {name: _node(name, request.args[name].strip()) for name in FILTERS if request.args.get(name, "").strip()}


def _node(name: str, value: str) -> NamedNode:
    if len(request.args.getlist(name)) > 1:
        raise BadRequest(f"`{name}` must be given once.")
    iri = value if ":" in value else ID + _KINDS[name] + value.removeprefix(_KINDS[name])
    try:
        return NamedNode(iri)
    except ValueError:
        raise BadRequest(f"`{name}` must be an IRI or the last part of one.") from None


def _asked() -> dict[str, str]:
    """What the URL of the request asks for, but for the page and the form."""
    return {name: request.args[name] for name in FILTERS if request.args.get(name)}


def _url(suffix: str = "", **values: Any) -> str:  # noqa: ANN401 - values of a URL
    return url_for(".index", suffix=suffix, lang=None, **values) if suffix else url_for(".index", **values)


def _linked(response: Response, found: Page, number: int, offer: MediaType) -> Response:
    """Link to the pages before and after, and to the other forms."""
    suffix = "" if offer is HTML else next(key for key, form in _FORMS.items() if form is offer)
    beside = {"prev": number - 1 if number > 1 else None, "next": number + 1 if found.more else None}
    pages = [Link(_url(suffix, **_asked(), page=at), relation) for relation, at in beside.items() if at]
    others = [(key, form) for key, form in _FORMS.items() if form is not offer]
    add_links(response, *pages, *(Link(_url(key, **_asked()), "alternate", form.media_type) for key, form in others))
    return response


def _labels(engine: Engine, iris: Iterable[str]) -> Labels:
    nodes = {NamedNode(iri) for iri in iris}
    return labels(engine, nodes)[0] if nodes else {}


def _names(engine: Engine, items: Iterable[Observation], others: Iterable[NamedNode], language: str) -> Names:
    return named(engine, {iri for item in items for iri in item.iris} | {node.value for node in others}, language)


# --- the page


def _page(engine: Engine, found: Page, filters: Mapping[str, NamedNode], number: int) -> Response:
    language = page_language()
    with engine_time():
        offered = {name: choices(engine, name, MOST_CHOICES + 1) for name in FILTERS}
        nodes = (*filters.values(), *(node for group in offered.values() for node in group))
        names = _names(engine, found.items, nodes, language)
    html = render_template(
        "figures/index.html", found=found, names=names, filters=_offered(filters, offered, names), number=number,
        unknown=[node.value for node in filters.values() if not names.known(node.value)],
        charts=charts(found.items, names.plain(), language), short=number_format.short, exact=_exact,
        status_name=status_name, asked=_asked(), following=number + 1 if found.more else None,
        formats=[(Named(form.media_type, name=key.upper()), _url(key, **_asked())) for key, form in _FILES.items()],
    )  # fmt: skip
    return page_response(html)


def _exact(item: Observation, language: str) -> str:
    """An amount in all its digits, of a computed one those that mean something."""
    if item.rule and item.low is not None and item.high is not None:
        digits = 0 if abs(item.high) >= _LARGE else 2
        item = replace(item, low=round(item.low, digits), high=round(item.high, digits))
    return number_format.exact(item, language)


def _offered(
    filters: Mapping[str, NamedNode], offered: Mapping[str, Sequence[NamedNode]], names: Names
) -> list[Filter]:
    titles = {
        "about": gettext("About"),
        "indicator": gettext("Indicator"),
        "period": gettext("Period"),
        "status": gettext("Reported as"),
    }
    return [_filter(name, titles[name], filters.get(name), offered[name], names) for name in FILTERS]


def _filter(name: str, title: str, chosen: NamedNode | None, nodes: Sequence[NamedNode], names: Names) -> Filter:
    more = len(nodes) > MOST_CHOICES
    shown = {node.value: None for node in (*nodes[:MOST_CHOICES], *((chosen,) if chosen and not more else ()))}
    options = sorted(((_value(name, iri), names.capital(iri)) for iri in shown), key=lambda o: alphabetical(o[1]))
    return Filter(name, title, _value(name, chosen.value) if chosen else "", tuple(options), more)


def _value(name: str, iri: str) -> str:
    """What a filter is given for an IRI: its last part if that is enough."""
    prefix = ID + _KINDS[name]
    return iri.removeprefix(prefix) if ":" not in iri.removeprefix(prefix) else iri


# --- the files


def _json(found: Page, texts: Labels) -> Response:
    return jsonify({"figures": [_figure(item, texts) for item in found.items], "total": found.total})


def _figure(item: Observation, texts: Labels) -> dict[str, object]:
    named = {name: _thing(getattr(item, name), texts) for name in (*_NAMED, "unit", "qualifier")}
    return {
        **named, "starts": item.starts, "low": _plain(item.low), "high": _plain(item.high),
        "saidBy": [_thing(iri, texts) for iri in item.speakers], "emended": item.emended,
        "computedBy": _thing(item.rule, texts),
    }  # fmt: skip


def _thing(iri: str | None, texts: Labels) -> dict[str, object] | None:
    return None if iri is None else {"iri": iri, "label": dict(texts.get(iri, {}))}


def _file(items: Iterable[Observation], texts: Labels) -> Response:
    """The figures as CSV (RFC 4180), whose numbers are plain decimals."""
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(_COLUMNS)
    rows.writerows(_row(item, texts) for item in items)
    response = Response(written.getvalue(), content_type="text/csv; charset=utf-8; header=present")
    response.headers["Content-Disposition"] = 'attachment; filename="figures.csv"'
    return response


def _row(item: Observation, texts: Labels) -> list[str]:
    named = [part for name in _NAMED for part in _cells(getattr(item, name), texts)]
    speakers = [_cells(iri, texts) for iri in item.speakers]
    said_by = [" ".join(cells[0] for cells in speakers), *("; ".join(c[i] for c in speakers) for i in (1, 2))]
    numbers = [item.starts or "", _plain(item.low) or "", _plain(item.high) or ""]
    rest = [item.unit or "", item.qualifier or "", *said_by, "true" if item.emended else "false", item.rule or ""]
    return [*named, *numbers, *rest]


def _cells(iri: str | None, texts: Labels) -> list[str]:
    found = texts.get(iri or "", {})
    return [iri or "", *(_text(found.get(language, found.get("", ""))) for language in LANGUAGES)]


def _text(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip().startswith(_FORMULAS) or text.startswith(_FORMULAS) else text


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"

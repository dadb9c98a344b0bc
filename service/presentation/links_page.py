"""The page that lists all values of one property of a resource: `?view=links`."""

from dataclasses import replace
from typing import Any, Final

from flask import render_template, request
from werkzeug.exceptions import BadRequest

from kg.views.summary import PropertyDirection, ResourceSummary, load_values_page
from service.graph_state import current_graph_state
from service.http.exchange import measure_engine_time
from service.http.i18n import page_language
from service.http.parameters import adjacent_pages, page_number
from service.presentation.names import load_names
from service.presentation.page_values import PAGE_SIZE, property_values

MAX_SORTED: Final = 1000
"""Lists of up to this length are sorted as a whole; longer ones only within each page."""


def render_links_page(summary: ResourceSummary, shared: dict[str, Any]) -> str:
    """Render one page of the list: `?of=` names the property, `?way=` (in or out) its direction, `?page=` the page.

    Raises BadRequest (400) if the resource does not have the property.
    """
    direction: PropertyDirection = "in" if request.args.get("way") == "in" else "out"
    predicate, number = request.args.get("of", ""), page_number()
    whole = next(
        (item for item in summary.properties if (item.direction, item.predicate) == (direction, predicate)), None
    )
    if whole is None:
        raise BadRequest("`of` must be a property of the resource, and `way` must be `in` or `out`.")
    start, is_sorted = (number - 1) * PAGE_SIZE, whole.total <= MAX_SORTED
    engine, bounds = current_graph_state().engine, (0, MAX_SORTED) if is_sorted else (start, PAGE_SIZE)
    with measure_engine_time():
        loaded = load_values_page(engine, summary.iri, whole, *bounds)
        iris = [summary.iri.value, predicate, *(node.value for node in loaded.named_nodes)]
        names = load_names(engine, iris, page_language())
    values = property_values(loaded, names)
    return render_template(
        "resource/links.html",
        fact=replace(values, values=values.values[start : start + PAGE_SIZE]) if is_sorted else values,
        sorted=is_sorted,
        subject=names.value(summary.iri.value),
        first=start + 1,
        **adjacent_pages(number, loaded.total, PAGE_SIZE),
        **shared,
    )

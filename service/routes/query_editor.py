"""The page `/sparql` for people: an editor where scripts run, else a form; with stored questions that run."""

import json
from pathlib import Path
from typing import Final

from flask import Blueprint, Response, render_template, request
from flask_babel import gettext
from werkzeug.exceptions import NotFound

from kg.rdf.namespaces import BASE
from kg.views.autocomplete import autocomplete_terms
from kg.views.example_queries import all_examples, find_example
from service.graph_state import current_graph_state
from service.http.caching import evaluate_preconditions
from service.http.responses import page_response

blueprint: Final = Blueprint("editor", __name__)

_BUNDLE: Final = Path(__file__).parents[1] / "static" / "editor" / "yasgui.min.js"
_DEFAULT_EXAMPLE: Final = "who-invests-where"
"""The slug of the question that stands in the editor at first."""


@blueprint.get("/sparql/terms")
def terms() -> Response:
    """The prefixes, classes and properties that the editor completes, as JSON."""
    evaluate_preconditions("application/json")
    counts = current_graph_state().statistics.current()
    found = autocomplete_terms(counts.classes, counts.properties)
    return Response(json.dumps(found, ensure_ascii=False, separators=(",", ":")), mimetype="application/json")


def editor_page() -> Response:
    """The page, with the question that `?example=` names by its slug; raises NotFound (404) if there is none such."""
    try:
        chosen = find_example(request.args.get("example", _DEFAULT_EXAMPLE))
    except KeyError:
        raise NotFound("There is no such example; /sparql lists them.") from None
    html = render_template(
        "sparql/form.html",
        chosen=chosen, asked="example" in request.args, examples=all_examples(), base=BASE,
        has_editor=_BUNDLE.is_file(), words=_editor_messages(),
    )  # fmt: skip
    return page_response(html)


def _editor_messages() -> dict[str, str]:
    """What the editor says of itself in English, in the page's language."""
    return {
        "Query": gettext("Query"),
        "Query text": gettext("Query text"),
        "Queries": gettext("Queries"),
        "Run query": gettext("Run query"),
        "Share query": gettext("Share query"),
        "Link to this query": gettext("Link to this query"),
        "Add tab": gettext("Add tab"),
        "Add a new tab": gettext("Add a new tab"),
        "Close tab": gettext("Close tab"),
        "Name of the tab": gettext("Name of the tab"),
        "Table": gettext("Table"),
        "Response": gettext("Response"),
        "Chart": gettext("Chart"),
        "Shows Table view": gettext("Shows Table view"),
        "Shows Response view": gettext("Shows Response view"),
        "Shows Chart view": gettext("Shows Chart view"),
        "Download Results": gettext("Download Results"),
        "Download result": gettext("Download result"),
        "Simple view": gettext("Simple view"),
        "Ellipse": gettext("Shorten long cells"),
        "Filter query results": gettext("Filter query results"),
        "Page size: ": gettext("Page size: "),
        "Rows per page": gettext("Rows per page"),
        "All": gettext("All"),
        "Number": gettext("Number"),
        "No data available in table": gettext("No data available in table"),
        "Results": gettext("Results"),
        "Press CTRL - <spacebar> to autocomplete": gettext("Press Ctrl+Space to complete"),
        "New Tab": gettext("New Tab"),
        "Copy Tab": gettext("Copy Tab"),
        "Rename Tab": gettext("Rename Tab"),
        "Close Tab": gettext("Close Tab"),
        "Close other tabs": gettext("Close other tabs"),
        "Undo close Tab": gettext("Undo close Tab"),
        "Response in {seconds} seconds": gettext("Response in {seconds} seconds"),
        "{rows} results in {seconds} seconds": gettext("{rows} results in {seconds} seconds"),
    }

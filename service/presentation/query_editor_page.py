"""The page `/sparql`: a query editor, a plain form for browsers without scripts, and example queries."""

from pathlib import Path
from typing import Final

from flask import Response, render_template, request
from flask_babel import gettext
from werkzeug.exceptions import NotFound

from kg.rdf.namespaces import BASE
from kg.views.example_queries import all_examples, find_example
from service.http.responses import page_response

_BUNDLE: Final = Path(__file__).parents[1] / "static" / "editor" / "yasgui.min.js"
_DEFAULT_EXAMPLE: Final = "who-invests-where"
"""The slug of the example that the editor shows first."""


def query_editor_page() -> Response:
    """Return the page with the example that `?example=` names by its slug; raises NotFound (404) for an unknown one."""
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
    """Return the translations of the editor's English texts into the page's language."""
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

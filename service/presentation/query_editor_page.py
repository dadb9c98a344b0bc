"""The page `/sparql`: a query editor, a plain form for browsers without scripts, and example queries."""

from pathlib import Path
from typing import Final

from flask import Response, render_template, request
from flask_babel import gettext
from werkzeug.exceptions import NotFound

from kg.rdf.namespaces import BASE
from kg.views.example_queries import all_examples, find_example
from service.http.i18n import gettext_noop as _
from service.http.responses import page_response

_BUNDLE: Final = Path(__file__).parents[1] / "static" / "editor" / "yasgui.min.js"
_DEFAULT_EXAMPLE: Final = "who-invests-where"
"""The slug of the example that the editor shows first."""
_EDITOR_TEXTS: Final = (
    _("Query"), _("Query text"), _("Queries"), _("Run query"), _("Share query"), _("Link to this query"),
    _("Add tab"), _("Add a new tab"), _("Close tab"), _("Name of the tab"), _("New Tab"), _("Copy Tab"),
    _("Rename Tab"), _("Close Tab"), _("Close other tabs"), _("Undo close Tab"),
    _("Table"), _("Response"), _("Chart"), _("Shows Table view"), _("Shows Response view"), _("Shows Chart view"),
    _("Download Results"), _("Download result"), _("Simple view"), _("Filter query results"), _("Page size: "),
    _("Rows per page"), _("All"), _("Number"), _("No data available in table"), _("Results"),
    _("Response in {seconds} seconds"), _("{rows} results in {seconds} seconds"),
)  # fmt: skip


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
        **{text: gettext(text) for text in _EDITOR_TEXTS},
        "Ellipse": gettext("Shorten long cells"),
        "Press CTRL - <spacebar> to autocomplete": gettext("Press Ctrl+Space to complete"),
    }

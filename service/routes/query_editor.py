"""Data for the query editor on `/sparql`."""

import json
from typing import Final

from flask import Blueprint, Response

from kg.views.autocomplete import autocomplete_terms
from service.graph_state import current_graph_state
from service.http.conditional import evaluate_preconditions

blueprint: Final = Blueprint("editor", __name__)


@blueprint.get("/sparql/terms")
def terms() -> Response:
    """The prefixes, classes and properties that the editor completes, as JSON."""
    evaluate_preconditions("application/json")
    counts = current_graph_state().statistics.current()
    completions = autocomplete_terms(counts.classes, counts.properties)
    return Response(json.dumps(completions, ensure_ascii=False, separators=(",", ":")), mimetype="application/json")

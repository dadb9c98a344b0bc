"""New facts through the gate: `/facts`."""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from kg.changes.changeset import QuadAddition
from kg.changes.commit import SUBMISSION_GRAPH, in_submission_graph
from kg.rdf.terms import NamedNode
from service.http import body
from service.routes.write_requests import apply_change, write_response

blueprint: Final = Blueprint("facts", __name__)


@blueprint.post("/facts")
def add() -> Response:
    """Add RDF of any format to `?graph=IRI`, or to the graphs that it names, else to the one for submissions.

    201 with the commit's URL in Location and the commit as JSON; 200 if all of it was known; 422 with the report if
    the gate refuses it. Nothing is added unless all of it is.
    """
    graph = _target_graph()

    def addition() -> QuadAddition:
        return QuadAddition(tuple(in_submission_graph(quad, graph) for quad in body.read_rdf(request)))

    return write_response(apply_change(addition), HTTPStatus.CREATED, default_return="representation")


def _target_graph() -> NamedNode:
    named = request.args.getlist("graph")
    if len(named) > 1:
        raise BadRequest("Name one graph at most, with ?graph=IRI.")
    try:
        return NamedNode(named[0]) if named else SUBMISSION_GRAPH
    except ValueError:
        raise BadRequest(f"<{named[0]}> is no IRI.") from None

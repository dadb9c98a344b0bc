"""`/facts`: adding facts to the graph after validation."""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from kg.changes.changeset import QuadAddition
from kg.changes.commit import SUBMISSION_GRAPH, in_submission_graph
from kg.rdf.terms import NamedNode
from service.http import body
from service.http.parameters import parse_iri
from service.routes.write_requests import apply_change
from service.routes.write_responses import write_response

blueprint: Final = Blueprint("facts", __name__)


@blueprint.post("/facts")
def add() -> Response:
    """Add RDF of any format to `?graph=IRI`, or to the graphs that the RDF names, else to the submission graph.

    201 with the commit's URL in Location and the commit as JSON; 200 if the graph already has all facts; 422 with the
    report if validation refuses them. Either all facts are added or none.
    """
    graph = _target_graph()

    def addition() -> QuadAddition:
        return QuadAddition(tuple(in_submission_graph(quad, graph) for quad in body.read_rdf(request)))

    return write_response(apply_change(addition), HTTPStatus.CREATED, default_return="representation")


def _target_graph() -> NamedNode:
    iris = request.args.getlist("graph")
    if len(iris) > 1:
        raise BadRequest("Name one graph at most, with ?graph=IRI.")
    return parse_iri(iris[0]) if iris else SUBMISSION_GRAPH

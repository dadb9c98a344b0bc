"""`/validate`: validation of facts without storing them."""

from typing import Final

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest

from kg.rdf.formats import RDF_FORMATS
from kg.validation.report import ValidationReport
from kg.validation.report_rdf import report_triples
from service.graph_state import current_graph_state
from service.http import body
from service.http.negotiation import MediaType, Representation, require_offer
from service.http.responses import rdf_response
from service.routes.reports import request_report_json

blueprint: Final = Blueprint("validate", __name__)

MULTIPART_MEDIA_TYPE: Final = "multipart/form-data"

_OFFERS: Final[tuple[Representation, ...]] = (MediaType("application/json"), *RDF_FORMATS)


@blueprint.post("/validate")
def judge() -> Response:
    """Validate RDF of any format, or the part `data` of a form against its part `shapes`.

    200 with the report as application/json or RDF, conforming or not. Errors: 400 for a body that does not parse, 415
    for other content types, 422 for shapes that cannot be used.
    """
    offer = require_offer(request.accept_mimetypes, _OFFERS)
    report = _report_on_form() if request.mimetype == MULTIPART_MEDIA_TYPE else _report_on_body()
    if isinstance(offer, MediaType):
        return jsonify(request_report_json(report))
    return rdf_response(report_triples(report), offer)


def _report_on_body() -> ValidationReport:
    contexts = request.args.getlist("context")
    if contexts not in ([], ["none"]):
        raise BadRequest(
            "The only value of `context` is `none`; without it, facts are validated together with the graph."
        )
    validator, facts = current_graph_state().fact_validator, body.read_rdf(request)
    return validator.validate_alone(facts) if contexts else validator.validate_in_context(facts)


def _report_on_form() -> ValidationReport:
    parts = body.read_form_parts(request)
    if sorted(part.name for part in parts) != ["data", "shapes"]:
        raise BadRequest("The form must have exactly one part `data` and one part `shapes`.")
    data, shapes = sorted(parts, key=lambda part: part.name)
    return current_graph_state().fact_validator.validate_with_shapes(
        body.read_part_rdf(data), body.read_part_rdf(shapes)
    )

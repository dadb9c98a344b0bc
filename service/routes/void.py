"""The description of the dataset for harvesters, `/.well-known/void` (VoID, DCAT 3), and `/context.jsonld`."""

import json
from typing import Final

from flask import Blueprint, Response, request

from kg.rdf.formats import JSONLD, RDF_FORMATS
from kg.views.jsonld_context import project_context
from service.http.conditional import evaluate_preconditions
from service.http.negotiation import require_offer
from service.presentation.dataset_site import dataset_response

blueprint: Final = Blueprint("catalog", __name__)


@blueprint.get("/.well-known/void")
def void() -> Response:
    """The dataset's content, size, licence and location (VoID section 7.2, DCAT 3), in any RDF format."""
    return dataset_response(require_offer(request.accept_mimetypes, RDF_FORMATS))


@blueprint.get("/context.jsonld")
def context() -> Response:
    """The JSON-LD 1.1 context that documents refer to, application/ld+json."""
    evaluate_preconditions(JSONLD.media_type)
    text = json.dumps(project_context().to_json(), indent=2) + "\n"
    return Response(text, mimetype=JSONLD.media_type)

"""What an operator asks: is it alive, is it ready."""

from typing import Final

from flask import Blueprint, Response, jsonify

from service.state import knowledge_graph

blueprint: Final = Blueprint("operations", __name__)


@blueprint.get("/health")
def health() -> Response:
    """Say as application/json that the service is live and ready, with its generation and its number of triples."""
    engine = knowledge_graph().engine
    triples = sum(engine.graph_sizes().values())
    return jsonify(status="ok", generation=engine.generation, triples=triples)

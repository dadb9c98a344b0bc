"""Endpoints for operators: liveness and readiness at `/health`, Prometheus metrics at `/metrics`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Flask, Response, current_app, jsonify, request

from kg.engine.protocol import Engine
from kg.errors import KgError
from kg.resources import project_version
from service.graph_state import current_graph_state
from service.http.extensions import get_extension
from service.http.metrics import METRICS_MEDIA_TYPE, Metrics

blueprint: Final = Blueprint("operations", __name__)

_EXTENSION_KEY: Final = "hpkg.metrics"


def attach(app: Flask, metrics: Metrics) -> None:
    """Set the metrics that an app serves."""
    app.extensions[_EXTENSION_KEY] = metrics


@blueprint.get("/health")
def health() -> Response:
    """Liveness, readiness and the engine's status, as application/json.

    200 if the engine can be queried, else 503; with `?live`, 200 as long as this process answers.
    """
    if "live" in request.args:
        return jsonify(status="ok", live=True)
    state = _engine_state(current_graph_state().engine)
    response = jsonify(live=True, software=project_version(), **state)
    if not state["ready"]:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return response


def _engine_state(engine: Engine) -> Mapping[str, object]:
    try:
        return {**engine.status(), "status": "ok", "ready": True, "version": engine.version}
    except KgError as error:
        return {"status": error.code, "ready": False}


@blueprint.get("/metrics")
def metrics() -> Response:
    """The metrics of this web process and of the engine, in Prometheus's text format (text/plain; version=0.0.4)."""
    text = get_extension(current_app, _EXTENSION_KEY, Metrics).text()
    return Response(text, content_type=METRICS_MEDIA_TYPE)

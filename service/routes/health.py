"""What an operator asks: is it alive, is it ready, what has it done."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Flask, Response, current_app, jsonify, request

from kg.engine.protocol import Engine
from kg.errors import KgError
from kg.resources import project_version
from service.graph_state import current_graph_state
from service.http.observability import METRICS_MEDIA_TYPE, Metrics

blueprint: Final = Blueprint("operations", __name__)

_KEY: Final = "hpkg.metrics"


def attach(app: Flask, metrics: Metrics) -> None:
    """Let an app show its metrics."""
    app.extensions[_KEY] = metrics


@blueprint.get("/health")
def health() -> Response:
    """Say as application/json whether the service is live and ready, and what the engine tells of itself.

    200 when the graph can be asked, 503 when it cannot; with `?live`, 200 as long as this process answers.
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
    """The numbers of this worker and of the engine, in Prometheus's text format (text/plain; version=0.0.4)."""
    found = current_app.extensions[_KEY]
    if not isinstance(found, Metrics):
        raise TypeError(f"app.extensions[{_KEY!r}] holds something else")
    return Response(found.text(), content_type=METRICS_MEDIA_TYPE)

"""The graph over HTTP: SPARQL, validation, linked data and pages. It imports kg, never the reverse."""

from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider

from service import errors, operations, pages, resource, sparql, state, validate
from service.settings import Settings


def create_app(settings: Settings) -> Flask:
    """Make an app that serves the graph of the settings' data folder, building it first if need be.

    Raises ConfigurationError when the folder cannot be used or the packaged graph violates its shapes.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + 1  # service.body says why one more
    if isinstance(app.json, DefaultJSONProvider):
        app.json.ensure_ascii = False
    state.attach(app, settings)
    errors.register(app)
    pages.register(app)
    for module in (sparql, validate, resource, operations):
        app.register_blueprint(module.blueprint)
    app.after_request(_common_headers)
    return app


def application() -> Flask:
    """Make the app from the environment; the factory that the web server calls."""
    return create_app(Settings.from_environment())


def _common_headers(response: Response) -> Response:
    """Say what a representation depends on, and let pages of other origins read it (CORS)."""
    response.vary.update(("Accept", "Accept-Language"))
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "Allow, Content-Length, Location"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = ", ".join(sorted(response.allow))
        response.headers["Access-Control-Allow-Headers"] = "Accept, Accept-Language, Content-Type"
        response.headers["Access-Control-Max-Age"] = "86400"
    return response

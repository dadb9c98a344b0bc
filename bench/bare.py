"""A minimal SPARQL server for comparison: Flask around a pyoxigraph store, without limits, caches or negotiation.

It shows what the service costs on top of the engine. granian runs it with the service's own options.
"""

import os

import pyoxigraph as ox
from flask import Flask, Response, request

DATASET = "BENCH_DATASET"
"""The environment variable that names the N-Quads file."""


def application() -> Flask:
    """Load the dataset and create the app; granian calls this factory."""
    store = ox.Store()
    store.bulk_load(path=os.environ[DATASET], format=ox.RdfFormat.N_QUADS)
    app = Flask(__name__)

    @app.get("/sparql")
    def sparql() -> Response:
        result = store.query(request.args["query"], use_default_graph_as_union=True)
        body = result.serialize(format=ox.QueryResultsFormat.JSON)
        return Response(body, mimetype=ox.QueryResultsFormat.JSON.media_type)

    return app

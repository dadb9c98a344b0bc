"""Observability: health, metrics, the access log, request ids and Server-Timing."""

import json
import logging
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from kg.engine.embedded import EmbeddedEngine
from kg.errors import UnreachableError
from kg.resources import project_version
from service import create_app, graph_state
from service.http.access_log import ACCESS_LOG, access_logger
from service.http.metrics import Metrics
from service.http.observability import ObservabilityMiddleware
from service.settings import Settings

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class StatusEngine(EmbeddedEngine):
    """An engine with the status of a worker pool; a status of None means that it is unreachable."""

    reported: Mapping[str, object] | None = {
        "generation": 3,
        "triples": 12,
        "killed": {"deadline": 3, "memory-limit": 1},
        "cells": {"idle": 1, "busy": 2},
        "forked": 9,
        "mode": "forked",
        "nothing": {},
    }

    def status(self) -> Mapping[str, object]:
        if self.reported is None:
            raise UnreachableError
        return self.reported


@pytest.fixture
def engine() -> StatusEngine:
    return StatusEngine(digest="d")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: StatusEngine) -> Flask:
    monkeypatch.setattr(graph_state, "open_or_build", lambda _: engine)
    return create_app(Settings(tmp_path, access_log=False))


class ClosingClient(FlaskClient):
    """A client that reads every response to its end and closes it, as web servers do."""

    def open(self, *args: object, **options: object) -> TestResponse:
        return super().open(*args, **{"buffered": True, **options})  # type: ignore[arg-type]


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    app.test_client_class = ClosingClient
    with app.test_client() as client:
        yield client


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted((k, v) for k, v in sample.labels.items() if k != "worker"))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# --- health


def test_health(server: str) -> None:
    answer = requests.get(f"{server}/health", timeout=30)
    found = answer.json()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert {"status": "ok", "live": True, "ready": True, "software": project_version()}.items() <= found.items()
    assert found["generation"] >= 0
    assert found["triples"] > 1000
    assert found["version"]


def test_health_has_the_whole_engine_status(client: FlaskClient, engine: StatusEngine) -> None:
    found = client.get("/health").json
    assert found
    assert dict(engine.reported or {}).items() <= found.items()


def test_an_unreachable_engine(client: FlaskClient, engine: StatusEngine) -> None:
    engine.reported = None
    answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.json == {"status": "unreachable", "live": True, "ready": False, "software": project_version()}
    assert client.get("/health?live").json == {"status": "ok", "live": True}
    assert samples(client.get("/metrics").text)["hpkg_engine_up", ()] == 0


# --- metrics


def test_requests_are_counted(client: FlaskClient) -> None:
    query = {"query": "ASK {}"}
    tag = client.get("/sparql", query_string=query).headers["ETag"]
    client.get("/sparql", query_string=query)
    client.get("/sparql", query_string=query, headers={"If-None-Match": tag})
    client.get("/sparql", query_string={"query": "SELECT (NOW() AS ?x) {}"})
    client.get("/sparql", query_string={"query": "ASK {"})
    client.get("/nowhere")
    client.open("/sparql", method="BREW")
    found = samples(client.get("/metrics").text)

    def count(method: str, endpoint: str, status: int) -> float:
        labels = (("endpoint", endpoint), ("method", method), ("status", str(status)))
        return found["hpkg_requests_total", labels]

    assert count("GET", "sparql.get", 200) == 3
    assert count("GET", "sparql.get", 304) == 1
    assert count("GET", "sparql.get", 400) == 1
    assert count("GET", "none", 404) == 1
    assert count("other", "none", 405) == 1
    assert found["hpkg_request_seconds_count", (("endpoint", "sparql.get"),)] == 5
    assert found["hpkg_request_seconds_bucket", (("endpoint", "sparql.get"), ("le", "+Inf"))] == 5
    assert found["hpkg_response_bytes_total", (("endpoint", "sparql.get"),)] > 3 * 26
    outcomes = {name: found["hpkg_cache_total", (("outcome", name),)] for name in ("hit", "revalidated", "bypass")}
    assert outcomes == {"hit": 1, "revalidated": 1, "bypass": 1}
    assert found["hpkg_requests_in_flight", ()] == 1, "the request for the metrics"
    assert found["hpkg_cache_bytes", (("cache", "answers"),)] > 0


def test_metrics_have_the_engine_status(client: FlaskClient) -> None:
    text = client.get("/metrics").text
    found = samples(text)
    assert found["hpkg_engine_up", ()] == 1
    assert found["hpkg_engine_generation", ()] == 3
    assert found["hpkg_engine_triples", ()] == 12
    assert found["hpkg_engine_killed_total", (("kind", "deadline"),)] == 3
    assert found["hpkg_engine_killed_total", (("kind", "memory-limit"),)] == 1
    assert found["hpkg_engine_cells", (("kind", "busy"),)] == 2
    assert found["hpkg_engine_forked_total", ()] == 9
    assert "hpkg_engine_mode" not in text
    assert "hpkg_engine_nothing" not in text


def test_metrics_of_the_real_server(server: str) -> None:
    answer = requests.get(f"{server}/metrics", timeout=30)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert samples(answer.text)["hpkg_engine_triples", ()] > 1000


def test_each_app_has_its_own_counters(app: Flask, tmp_path: Path) -> None:
    app.test_client().get("/")
    other = create_app(Settings(tmp_path, access_log=False)).test_client()
    assert not any(name == "hpkg_requests_total" for name, _ in samples(other.get("/metrics").text))


def test_a_foreign_extension_is_an_internal_error(app: Flask) -> None:
    app.extensions["hpkg.metrics"] = object()
    assert app.test_client().get("/metrics").status_code == 500


# --- ids and times


@pytest.mark.parametrize("sent", ["a", "A-Z_0.9", "x" * 64])
def test_a_usable_id_is_echoed(client: FlaskClient, sent: str) -> None:
    answer = client.get("/sparql?query=ASK", headers={"X-Request-ID": sent})
    assert answer.headers["X-Request-ID"] == sent
    assert answer.json
    assert answer.json["instance"] == sent


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", 'a"', "é", "a/b"])
def test_an_invalid_id_is_replaced(client: FlaskClient, sent: str) -> None:
    answer = client.get("/sparql?query=ASK", headers={"X-Request-ID": sent.encode("utf-8").decode("latin-1")})
    given = answer.headers["X-Request-ID"]
    assert uuid.UUID(given).version == 4
    assert answer.json
    assert answer.json["instance"] == f"urn:uuid:{given}"


def test_times(client: FlaskClient) -> None:
    answers = [client.get("/sparql", query_string={"query": "ASK {}"}) for _ in range(2)]
    times = [answer.headers["Server-Timing"] for answer in answers]
    assert re.fullmatch(r"engine;dur=\d+\.\d\d, total;dur=\d+\.\d\d", times[0])
    assert re.fullmatch(r"total;dur=\d+\.\d\d", times[1]), "a cached answer does not use the engine"


def test_other_origins_may_read_them(client: FlaskClient) -> None:
    exposed = client.get("/health").headers["Access-Control-Expose-Headers"]
    assert {"ETag", "X-Request-ID", "Server-Timing", "Cache-Status", "Retry-After"} <= set(exposed.split(", "))


# --- the access log


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: StatusEngine) -> Iterator[FlaskClient]:
    monkeypatch.setattr(graph_state, "open_or_build", lambda _: engine)
    app = create_app(Settings(tmp_path))
    app.test_client_class = ClosingClient
    with app.test_client() as client:
        yield client


def test_the_log_has_a_line_for_each_request(logged: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    query = {"query": "ASK {}"}
    logged.get("/sparql", query_string=query, headers={"X-Request-ID": "first"})
    logged.get("/sparql", query_string=query)
    logged.head("/sparql", query_string=query)
    logged.get("/sparql", query_string={"query": "ASK {"})
    logged.get("/đường/%0Ax")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["status"] for line in lines] == [200, 200, 200, 400, 404]
    assert [line["cache"] for line in lines] == ["miss", "hit", "hit", "miss", None]
    assert [line["error"] for line in lines] == [None, None, None, "query-syntax", "not-found"]
    assert [line["bytes"] for line in lines[:3]] == [26, 26, 0]
    assert (lines[0]["id"], lines[0]["method"], lines[0]["path"]) == ("first", "GET", "/sparql")
    assert lines[0]["format"] == "application/sparql-results+json"
    assert 0 < lines[0]["engine"] < lines[0]["seconds"]
    assert lines[1]["engine"] is None
    assert lines[4]["path"] == "/đường/\nx"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", lines[0]["time"])
    assert "ASK" not in json.dumps(lines), "the log has no query text"


def test_the_log_can_be_switched_off(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.get("/sparql", query_string={"query": "ASK {}"})
    assert capsys.readouterr().err == ""


def test_the_real_server_logs(server: str, served_folder: Path) -> None:
    sent = f"test-{uuid.uuid4()}"
    requests.get(f"{server}/health", headers={"X-Request-ID": sent}, timeout=30)
    requests.get(f"{server}/health", timeout=30)  # when it is answered, the first line is written
    line = next(text for text in (served_folder / "log").read_text().splitlines() if sent in text)
    assert json.loads(line)["id"] == sent


def test_requests_succeed_if_the_log_cannot_be_written(logged: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, _: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setattr("sys.stderr", Closed())
    assert logged.get("/health").status_code == 200


def test_an_existing_log_handler_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logging.NullHandler()
    logger = logging.getLogger(ACCESS_LOG)
    monkeypatch.setattr(logger, "handlers", [handler])
    assert access_logger().handlers == [handler]


def test_an_exception_of_the_app_is_counted() -> None:
    def broken(*_: object) -> list[bytes]:
        raise RuntimeError("broken")

    metrics = Metrics(dict, dict)
    observer = ObservabilityMiddleware(broken, metrics, None)
    with pytest.raises(RuntimeError, match="broken"):
        observer({"REQUEST_METHOD": "GET"}, lambda *_: lambda _: None)
    found = samples(metrics.text().decode())
    assert found["hpkg_requests_total", (("endpoint", "none"), ("method", "GET"), ("status", "500"))] == 1
    assert found["hpkg_requests_in_flight", ()] == 0

"""Restarts of the service with the same data folder: equal entity tags mean equal bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.service.running_service import run_service

PATHS = {
    "/graph.nq": {},
    "/graph/shapes.ttl": {},
    "/.well-known/void": {},
    "/sparql": {"query": "SELECT ?node ?p ?o { ?node ?p ?o FILTER (ISBLANK(?node)) }"},
    "/sparql?": {"query": "DESCRIBE <https://w3id.org/hpez/shapes#Zone>"},
    "/sparql??": {"query": "SELECT ?graph { GRAPH ?graph {} }"},
}

HEADERS = {"Host": "kg.example", "Accept-Encoding": "identity"}
"""A fixed host, since absolute URLs contain it and the port differs for each start."""


def answers(server: str) -> dict[str, tuple[str, bytes]]:
    found = {}
    for path, parameters in PATHS.items():
        answer = requests.get(server + path.rstrip("?"), params=parameters, headers=HEADERS, timeout=30)
        assert answer.status_code == 200, answer.text
        found[path] = (answer.headers["ETag"], answer.content)
    return found


def test_two_starts_give_the_same_bytes(serve: Callable[..., Iterator[str]], tmp_path: Path) -> None:
    started = contextmanager(serve)
    with started(tmp_path) as server:
        first = answers(server)
    with started(tmp_path) as server:
        second = answers(server)
    assert b"_:" in first["/graph.nq"][1]
    assert second == first


def test_a_service_can_be_terminated_just_after_its_start(tmp_path: Path) -> None:
    """One web process may answer before the other handles signals; SIGTERM must end that one too."""
    for _ in range(3):
        with run_service(tmp_path) as served:
            served.process.terminate()
            served.process.wait(120)

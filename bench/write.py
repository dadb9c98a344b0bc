"""Measure the budgets of writing: the gate, and a durable commit from request to answer."""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Final

import pyshacl
import rdflib
import requests

from bench.generate import Dataset, claim_iri, zone_iri
from bench.processes import serving
from bench.report import Row, at_most, milliseconds, skipped
from kg.changes.changeset import QuadAddition, compute_delta
from kg.changes.commit import propose
from kg.changes.credentials import CredentialStore
from kg.changes.data_folder import open_or_build, read_project_shapes
from kg.engine.embedded import EmbeddedEngine
from kg.rdf.delta import Delta
from kg.rdf.formats import NTRIPLES
from kg.rdf.io import serialize
from kg.rdf.namespaces import HPEZ, ID
from kg.rdf.rdflib_terms import rdflib_graph
from kg.rdf.terms import NamedNode, Quad
from kg.validation.incremental import IncrementalValidator
from kg.validation.shacl import validate
from kg.validation.shapes import Shapes

BUDGET: Final = 0.010
"""The budget of the gate for one new observation in seconds, at the 95th percentile."""
COMMIT_BUDGET: Final = 0.025
"""The budget of a durable commit in seconds, at the median."""
FULL_TRIPLES: Final = 200_000
"""Above this number of triples full validation by pySHACL takes minutes and is left out."""
HOME: Final = "https://w3id.org/hpez/graph/bench-new"
"""The graph of the new observations."""
ZONES: Final = 16
"""The number of zones whose figures serve as models: the smallest graph has this many."""
_STATUS: Final = NamedNode(HPEZ + "status")


def new_observation(engine: EmbeddedEngine, number: int, *, faulty: bool = False) -> tuple[Quad, ...]:
    """Return an estimate like a stored observation, with a new IRI; a faulty one has no status."""
    zone = number % ZONES
    model = NamedNode(claim_iri(zone, number % 3, 2022))
    claim = NamedNode(f"{ID}claim/bench-new/{number}")
    home = NamedNode(HOME)
    found = [
        Quad(claim, triple.predicate, triple.object, home)
        for triple in engine.triples_outside_graph(model, None, None, NamedNode("urn:none"))
    ]
    if not found:
        raise RuntimeError(f"{zone_iri(zone)} has no observation to be like")
    return tuple(_estimate(quad) for quad in found if not faulty or quad.predicate != _STATUS)


def _estimate(quad: Quad) -> Quad:
    if quad.predicate == _STATUS:
        return Quad(quad.subject, quad.predicate, NamedNode(ID + "status/estimate"), quad.graph_name)
    return quad


def gate(dataset: Dataset, runs: int) -> Iterator[Row]:
    """Measure the gate on one new observation and on one that violates, and a complete proposal."""
    engine, shapes = open_or_build(dataset.folder), read_project_shapes()
    judge = IncrementalValidator(shapes)
    for what, faulty in (("gate, one new observation", False), ("gate, one that violates", True)):
        deltas = [
            compute_delta(engine, QuadAddition(new_observation(engine, number, faulty=faulty)))
            for number in range(runs + 5)
        ]
        times = _timed([lambda delta=delta: judge.validate_change(engine, delta) for delta in deltas])  # type: ignore[misc]
        yield _row(what, times)
    additions = [QuadAddition(new_observation(engine, number)) for number in range(runs + 5)]
    times = _timed([lambda change=change: propose(engine, judge, change) for change in additions])  # type: ignore[misc]
    yield Row("delta, rules and gate together, p50 · p95", _both(times))
    if dataset.triples > FULL_TRIPLES:
        yield skipped("full validation by pySHACL", "it takes minutes")
        return
    yield from _in_full(engine, shapes, deltas[0], times)


def _in_full(engine: EmbeddedEngine, shapes: Shapes, delta: Delta, times: list[float]) -> Iterator[Row]:
    engine.apply(delta)
    began = time.perf_counter()
    validate(engine.quads(), shapes)
    seconds = time.perf_counter() - began
    focused = _focused(engine, shapes, delta)
    engine.apply(delta.inverse())
    rows = (("full validation of the same", seconds), ("pySHACL with focus_nodes, core constraints only", focused))
    for what, took in rows:
        yield Row(what, f"{took:.2f} s", f"{took / statistics.median(times):,.0f} × as long")


def _focused(engine: EmbeddedEngine, shapes: Shapes, delta: Delta) -> float:
    """Return the seconds that pySHACL takes for the new observation alone, given the whole graph.

    The SPARQL constraints are left out, since one needs a dataset; so pySHACL has less to do than the gate.
    """
    graph, shapes_graph = rdflib_graph(engine.quads()), shapes.core_graph
    focus = {str(quad.subject.value) for quad in delta.added if isinstance(quad.subject, NamedNode)}
    began = time.perf_counter()
    pyshacl.validate(
        graph, shacl_graph=shapes_graph, advanced=True, focus_nodes=[rdflib.URIRef(node) for node in focus]
    )
    return time.perf_counter() - began


def commits(dataset: Dataset, runs: int) -> Iterator[Row]:
    """Measure a durable commit over HTTP from request to answer, and check that the next query sees it."""
    engine = open_or_build(dataset.folder)
    bodies = [
        serialize((quad.triple for quad in new_observation(engine, number)), NTRIPLES) for number in range(runs + 5)
    ]
    token = CredentialStore(dataset.folder).create(f"bench-{time.time():.0f}")
    del engine
    with serving(dataset.folder) as server, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        home = server.endpoint.removesuffix("/sparql")
        times = _timed([lambda body=body: _add(session, home, body) for body in bodies])  # type: ignore[misc]
    yield at_most("durable commit over HTTP, p50", statistics.median(times), COMMIT_BUDGET, 1, "budget")
    yield Row("durable commit over HTTP, p50 · p95", _both(times))


def _add(session: requests.Session, home: str, body: bytes) -> None:
    answer = session.post(
        f"{home}/facts?graph={HOME}",
        data=body,
        headers={"Content-Type": NTRIPLES.media_type},
        timeout=60,
    )
    if answer.status_code != requests.codes.created:
        raise RuntimeError(f"{answer.status_code}: {answer.text[:2000]}")


def _timed(jobs: list[Callable[[], object]]) -> list[float]:
    """Return the seconds of each job after the first five."""
    times = list[float]()
    for job in jobs:
        began = time.perf_counter()
        job()
        times.append(time.perf_counter() - began)
    return times[5:]


def _percentile(times: list[float], percent: float) -> float:
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def _both(times: list[float]) -> str:
    return f"{milliseconds(statistics.median(times))} · {milliseconds(_percentile(times, 95))}"


def _row(what: str, times: list[float]) -> Row:
    late = _percentile(times, 95)
    return Row(f"{what}, p50 · p95", _both(times), budget=f"p95 ≤ {milliseconds(BUDGET)}", met=late <= BUDGET)

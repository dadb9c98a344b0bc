"""One server in strict mode with the data of all suites."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import requests

from kg.changes.credentials import CredentialStore
from kg.changes.data_folder import BuiltGraph, save
from kg.engine.embedded import EmbeddedEngine
from kg.engine.statistics_queries import compute_statistics
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.terms import DefaultGraph, NamedNode, Quad
from kg.validation.report import ValidationReport
from tests.w3c.exchanges import DATA0, graph_store_reads, protocol_tests
from tests.w3c.manifests import quads, query_tests


@pytest.fixture(scope="session")
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture(scope="session")
def w3c_server(serve: Callable[..., Iterator[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server with each data file of the suites as a graph named by the file's IRI."""
    folder = tmp_path_factory.mktemp("w3c")
    engine = EmbeddedEngine(_server_quads())
    save(BuiltGraph(engine, ValidationReport(()), compute_statistics(engine)), folder / "data")
    yield from serve(folder, HPKG_DEFAULT_GRAPH="strict")


@pytest.fixture(scope="session")
def w3c_store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server with an empty dataset, which only the project's shapes constrain."""
    folder = tmp_path_factory.mktemp("w3c-store")
    engine = EmbeddedEngine()
    save(BuiltGraph(engine, ValidationReport(()), compute_statistics(engine)), folder / "data")
    return folder


@pytest.fixture(scope="session")
def w3c_store(serve: Callable[..., Iterator[str]], w3c_store_folder: Path) -> Iterator[str]:
    """The base URL of the server with the empty dataset."""
    yield from serve(w3c_store_folder, HPKG_DEFAULT_GRAPH="strict")


@pytest.fixture(scope="session")
def writer(w3c_store_folder: Path) -> Iterator[requests.Session]:
    """A client with a token for that server."""
    token = CredentialStore(w3c_store_folder / "data").create("w3c")
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        yield session


def _server_quads() -> Iterator[Quad]:
    for iri in {iri for test in query_tests() for iri in (*test.data, *test.graph_data)}:
        yield from _in_graph(quads(iri), NamedNode(iri))
    for graph, iri in {pair for test in protocol_tests() for pair in test.data}:
        yield from _in_graph(quads(iri), NamedNode(graph))
    yield Quad(NamedNode(DATA0), NamedNode("urn:w3c:is"), NamedNode("urn:w3c:held"), NamedNode(DATA0))
    for read in graph_store_reads():
        if read.content is not None and read.reason_to_skip is None:
            graph = read.exchange.graph
            yield from _in_graph(parse(read.content.encode(), TURTLE), NamedNode(graph) if graph else DefaultGraph())


def _in_graph(statements: Iterable[Quad], graph: NamedNode | DefaultGraph) -> Iterator[Quad]:
    return (Quad(item.subject, item.predicate, item.object, graph) for item in statements)

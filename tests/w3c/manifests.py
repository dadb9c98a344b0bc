"""Read the tests in the W3C's manifests, with their files and results."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import pytest
import rdflib
from rdflib.namespace import RDF, Namespace
from rdflib.term import Node

from kg.rdf.formats import rdf_format_of_file
from kg.rdf.io import parse
from kg.rdf.rdflib_terms import rdflib_graph
from kg.rdf.terms import Quad

W3C = Path(__file__).parents[3] / "shared" / "w3c"
IS_THERE = W3C.is_dir()
NEEDS_W3C = pytest.mark.skipif(
    not IS_THERE, reason="the W3C's test data is not part of the project; it lies beside it on the developers' machines"
)

MF = Namespace("http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#")
QT = Namespace("http://www.w3.org/2001/sw/DataAccess/tests/test-query#")
SHT = Namespace("http://www.w3.org/ns/shacl-test#")

SPARQL11 = "http://www.w3.org/2009/sparql/docs/tests/data-sparql11/"
SHACL = "https://w3c.github.io/data-shapes/data-shapes-test-suite/tests/"
_FOLDERS = {SPARQL11: "sparql11", SHACL: "shacl"}

_FROM = re.compile(r"^\s*FROM\b", re.MULTILINE | re.IGNORECASE)
_ORDER = re.compile(r"\bORDER\s+BY\b", re.IGNORECASE)


class Named(Protocol):
    """A test with a readable id such as `bind/bind01`."""

    @property
    def id(self) -> str: ...


def file_of(iri: str) -> Path:
    """The file whose IRI in its suite this is."""
    for suite, folder in _FOLDERS.items():
        if iri.startswith(suite):
            return W3C / folder / iri.removeprefix(suite)
    raise ValueError(iri)


def iri_of(file: Path) -> str:
    """The IRI of a file in its suite, against which its relative IRIs are resolved."""
    folder, _, path = file.relative_to(W3C).as_posix().partition("/")
    return next(suite for suite, name in _FOLDERS.items() if name == folder) + path


@cache
def manifest(file: Path) -> rdflib.Graph:
    return rdflib_graph(quads(iri_of(file)))


@cache
def quads(iri: str) -> tuple[Quad, ...]:
    """The quads of a file, with blank nodes that no other file has."""
    file = file_of(iri)
    return tuple(parse(file.read_bytes(), rdf_format_of_file(file.name), iri))


def items(graph: rdflib.Graph, subject: Node | None, predicate: rdflib.URIRef) -> Iterator[Node]:
    """The members of the list that is the value of a property; none if the property is missing."""
    head = graph.value(subject, predicate)
    return iter(()) if head is None else graph.items(head)


def included(file: Path) -> Iterator[Path]:
    """A manifest and all manifests that it includes."""
    if not IS_THERE:
        return
    yield file
    graph = manifest(file)
    for target in sorted(graph.objects(None, MF.include)):
        several = [target] if isinstance(target, rdflib.URIRef) else list(graph.items(target))
        for iri in several:
            yield from included(file_of(str(iri)))


def entries(files: Iterable[Path]) -> Iterator[tuple[rdflib.Graph, Node]]:
    """Each test of some manifests with the graph that describes it, in the order of the manifests."""
    for file in files:
        graph = manifest(file)
        for head in graph.subjects(RDF.type, MF.Manifest):
            yield from ((graph, entry) for entry in items(graph, head, MF.entries))


def params(tests: Iterable[Named], deviations: Mapping[str, str]) -> list[object]:
    """Tests as parameters with their ids; known deviations are expected to fail, and a stale list is an error."""
    found = list(tests)
    stale = deviations.keys() - {test.id for test in found} if found else ()
    assert not stale, f"no such tests: {sorted(stale)}"

    def marks(test: Named) -> list[pytest.MarkDecorator]:
        return [pytest.mark.xfail(reason=deviations[test.id], strict=True)] if test.id in deviations else []

    return [pytest.param(test, id=test.id, marks=marks(test)) for test in found]


@dataclass(frozen=True)
class QueryTest:
    """A test of the query suite; without `result`, the query need only be accepted or (`negative`) refused."""

    id: str
    query: str
    data: tuple[str, ...] = ()
    graph_data: tuple[str, ...] = ()
    result: str | None = None
    negative: bool = False

    @property
    def text(self) -> str:
        """The query, with the IRI of its file as its base, as the suite requires."""
        return f"BASE <{self.query}>\n{file_of(self.query).read_text('utf-8')}"

    @property
    def good(self) -> bool:
        return self.result is None and not self.negative

    @property
    def bad(self) -> bool:
        return self.negative

    @property
    def chooses_graphs(self) -> bool:
        return bool(_FROM.search(self.text))

    @property
    def ordered(self) -> bool:
        return bool(_ORDER.search(self.text))


def query_tests() -> list[QueryTest]:
    """The evaluation, result format and syntax tests of queries; updates belong to other suites."""
    files = sorted((W3C / "sparql11").glob("*/manifest.ttl")) if IS_THERE else []
    readers: dict[object, Callable[[rdflib.Graph, Node], QueryTest]] = {
        MF.QueryEvaluationTest: _evaluation,
        MF.CSVResultFormatTest: _evaluation,
        MF.PositiveSyntaxTest11: _positive,
        MF.NegativeSyntaxTest11: _negative,
    }
    found = []
    for graph, entry in entries(files):
        reader = readers.get(graph.value(entry, RDF.type))
        if reader is not None:
            test = reader(graph, entry)
            if test.query.endswith(".rq"):  # negative syntax tests of updates have the same type
                found.append(test)
    return found


def _id(entry: Node, action: str) -> str:
    """Folder and name; a manifest names files in its own folder."""
    return f"{file_of(action).parent.name}/{str(entry).rpartition('#')[2]}"


def _evaluation(graph: rdflib.Graph, entry: Node) -> QueryTest:
    action = graph.value(entry, MF.action)
    query = str(graph.value(action, QT.query))
    return QueryTest(
        id=_id(entry, query),
        query=query,
        data=tuple(sorted(map(str, graph.objects(action, QT.data)))),
        graph_data=tuple(sorted(map(str, graph.objects(action, QT.graphData)))),
        result=str(graph.value(entry, MF.result)),
    )


def _positive(graph: rdflib.Graph, entry: Node) -> QueryTest:
    query = str(graph.value(entry, MF.action))
    return QueryTest(_id(entry, query), query)


def _negative(graph: rdflib.Graph, entry: Node) -> QueryTest:
    query = str(graph.value(entry, MF.action))
    return QueryTest(_id(entry, query), query, negative=True)


@dataclass(frozen=True)
class ShaclTest:
    """A test of the SHACL suite; `report` is the expected report's node in `graph`, or sht:Failure."""

    id: str
    data: str
    shapes: str
    graph: rdflib.Graph
    report: Node

    @property
    def fails(self) -> bool:
        return self.report == SHT.Failure


def shacl_tests() -> list[ShaclTest]:
    return [
        ShaclTest(
            id=str(entry).removeprefix(SHACL),
            data=str(graph.value(graph.value(entry, MF.action), SHT.dataGraph)),
            shapes=str(graph.value(graph.value(entry, MF.action), SHT.shapesGraph)),
            graph=graph,
            report=graph.value(entry, MF.result) or SHT.Failure,
        )
        for graph, entry in entries(included(W3C / "shacl" / "manifest.ttl"))
    ]

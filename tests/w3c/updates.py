"""Read the update tests of the SPARQL 1.1 suite: the request, and the datasets before and after it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import rdflib
from rdflib.namespace import RDF, RDFS, Namespace

from kg.rdf.terms import DefaultGraph, NamedNode, Quad
from tests.w3c.manifests import MF, W3C, entries, file_of, quads

UT = Namespace("http://www.w3.org/2009/sparql/tests/test-update#")


@dataclass(frozen=True)
class UpdateTest:
    """An update; `before` and `after` are None for syntax tests; `valid` says whether its syntax is valid."""

    id: str
    text: str
    before: tuple[Quad, ...] | None = None
    graphs: tuple[str, ...] = ()
    after: tuple[Quad, ...] | None = None
    valid: bool = True


@cache
def update_tests() -> tuple[UpdateTest, ...]:
    """All tests of updates, in the order of the manifests."""
    return tuple(_tests()) if W3C.is_dir() else ()


def _tests() -> Iterator[UpdateTest]:
    for graph, entry in entries(sorted((W3C / "sparql11").glob("*/manifest.ttl"))):
        kinds, action = set(graph.objects(entry, RDF.type)), graph.value(entry, MF.action)
        name = "/".join(str(entry).replace("manifest#", "").rsplit("/", 2)[1:])
        if {MF.UpdateEvaluationTest, UT.UpdateEvaluationTest} & kinds:
            request = str(graph.value(action, UT.request))
            before, graphs = _state(graph, action)
            after, _ = _state(graph, graph.value(entry, MF.result))
            yield UpdateTest(name, _text(request), before, graphs, after)
        elif isinstance(action, rdflib.URIRef) and str(action).endswith(".ru"):
            yield UpdateTest(name, _text(str(action)), valid=not any("Negative" in str(kind) for kind in kinds))


def _text(iri: str) -> str:
    return f"BASE <{iri}>\n{file_of(iri).read_text(encoding='utf-8')}"


def _state(graph: rdflib.Graph, node: rdflib.term.Node | None) -> tuple[tuple[Quad, ...], tuple[str, ...]]:
    found, names = list[Quad](), list[str]()
    for data in graph.objects(node, UT.data):
        found += [Quad(q.subject, q.predicate, q.object, DefaultGraph()) for q in quads(str(data))]
    for item in graph.objects(node, UT.graphData):
        name = str(graph.value(item, RDFS.label))
        names.append(name)
        found += [
            Quad(q.subject, q.predicate, q.object, NamedNode(name)) for q in quads(str(graph.value(item, UT.graph)))
        ]
    return tuple(found), tuple(names)

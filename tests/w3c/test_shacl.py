"""SHACL core and SHACL-SPARQL through `/validate` with the parts `data` and `shapes`."""

import pyshacl
import pytest
import rdflib
import requests
from rdflib.namespace import RDF, SH

from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.rdflib_terms import rdflib_graph, term_from_rdflib
from kg.rdf.terms import Triple
from tests.w3c.deviations import PYSHACL, REFUSED
from tests.w3c.manifests import NEEDS_W3C, ShaclTest, file_of, params, shacl_tests
from tests.w3c.results import differences, same_graph

pytestmark = NEEDS_W3C

TESTS = shacl_tests()
COMPARED = (
    SH.focusNode,
    SH.value,
    SH.sourceShape,
    SH.sourceConstraintComponent,
    SH.resultSeverity,
)


def part(iri: str) -> tuple[str, str, str]:
    """A file as part of a form, with an explicit base, since a payload has none."""
    file = file_of(iri)
    return file.name, f"@base <{iri}> .\n{file.read_text('utf-8')}", TURTLE.media_type


def comparable(graph: rdflib.Graph, report: rdflib.term.Node | None = None) -> tuple[Triple, ...]:
    """The part of a report that the suite compares: `sh:conforms`, and some properties of the results."""
    report = report or graph.value(None, RDF.type, SH.ValidationReport)
    kept = [(report, SH.conforms, rdflib.Literal(str(graph.value(report, SH.conforms))))]
    for result in graph.objects(report, SH.result):
        kept.append((report, SH.result, result))
        kept += [(result, name, value) for name in COMPARED for value in graph.objects(result, name)]
        kept += [(result, SH.resultPath, path_text(graph, path)) for path in graph.objects(result, SH.resultPath)]
    return tuple(Triple(*map(term_from_rdflib, triple)) for triple in kept)


def path_text(graph: rdflib.Graph, path: rdflib.term.Node) -> rdflib.Literal:
    """A path as text: results may or may not share the blank nodes of a path."""
    if isinstance(path, rdflib.URIRef):
        return rdflib.Literal(path.n3())
    parts = ((predicate.n3(), path_text(graph, value)) for predicate, value in graph.predicate_objects(path))
    return rdflib.Literal(f"[{' ; '.join(sorted(f'{name} {value}' for name, value in parts))}]")


@pytest.mark.parametrize("test", params(TESTS, {**PYSHACL, **REFUSED}))
def test_shacl(http: requests.Session, w3c_server: str, test: ShaclTest) -> None:
    response = http.post(
        f"{w3c_server}/validate",
        files={"data": part(test.data), "shapes": part(test.shapes)},
        headers={"Accept": TURTLE.media_type},
        timeout=60,
    )
    if test.fails:
        assert 400 <= response.status_code < 500, response.text
        return
    assert response.status_code == 200, response.text
    found, wanted = comparable(rdflib_graph(parse(response.content, TURTLE))), comparable(test.graph, test.report)
    assert same_graph(found, wanted), differences(found, wanted)


@pytest.mark.parametrize("test", params([test for test in TESTS if test.id in PYSHACL], {}))
def test_pyshacl_alone_deviates_too(test: ShaclTest) -> None:
    """pySHACL deviates too if rdflib reads the data and the shapes."""
    data, shapes = (
        rdflib.Graph().parse(file_of(iri), format="turtle", publicID=iri) for iri in (test.data, test.shapes)
    )
    _, report, _ = pyshacl.validate(data, shacl_graph=shapes, inference="none", advanced=True)
    assert not same_graph(comparable(report), comparable(test.graph, test.report))

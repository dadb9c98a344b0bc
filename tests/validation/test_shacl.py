"""Full validation: the split between pySHACL and the engine, reports, and refused shapes."""

import pytest

from kg.errors import ServiceDeniedError, ShapesError
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.rdflib_terms import rdflib_graph
from kg.rdf.terms import Quad
from kg.validation import shacl
from kg.validation.report import INFO, VIOLATION, WARNING, ValidationReport
from kg.validation.report_rdf import report_triples
from kg.validation.shapes import Shapes, read_shapes

PREFIXES = """
PREFIX e: <http://e.org/> PREFIX sh: <http://www.w3.org/ns/shacl#> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> PREFIX owl: <http://www.w3.org/2002/07/owl#>
e:prefixes sh:declare [ sh:prefix "e" ; sh:namespace "http://e.org/"^^xsd:anyURI ] .
"""
TALL = """
e:Tall a sh:NodeShape ; sh:targetClass e:Tower ; sh:severity sh:Warning ; sh:message "too low"@en, "thấp quá"@vi ;
  sh:sparql e:Tall-height .
e:Tall-height sh:prefixes e:prefixes ; sh:message "{$this}: {?value} is low"@en, "{?value} là thấp"@vi ;
  sh:select "SELECT $this ?value WHERE { $this e:height ?value FILTER (?value < 100) }" .
"""
NAMED = """e:Named a sh:NodeShape ; sh:targetClass e:Tower ; sh:property e:Named-name .
e:Named-name sh:path e:name ; sh:minCount 1 ."""


def shapes(text: str) -> Shapes:
    return read_shapes(parse((PREFIXES + text).encode(), TURTLE))


def data(text: str) -> list[Quad]:
    return parse(
        ("PREFIX e: <http://e.org/> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> " + text).encode(), TURTLE
    )


def validate(facts: str, text: str) -> ValidationReport:
    return shacl.validate(data(facts), shapes(text))


def test_core_and_sparql_constraints_together() -> None:
    report = validate("e:a a e:Tower ; e:height 50 . e:b a e:Tower ; e:height 200 ; e:name 'B' .", TALL + NAMED)
    assert [(item.severity, item.shape.value, item.focus.value) for item in report.findings] == [
        (VIOLATION, "http://e.org/Named-name", "http://e.org/a"),
        (WARNING, "http://e.org/Tall", "http://e.org/a"),
    ]
    assert not report.admissible


def test_messages_keep_their_language_and_show_the_value() -> None:
    (finding,) = validate("e:a a e:Tower ; e:height 50 .", TALL).findings
    assert finding.message("vi") == "50 là thấp"
    assert finding.message("en") == "<http://e.org/a>: 50 is low"
    assert finding.message("fr") in {finding.message("vi"), finding.message("en")}


def test_instances_of_subclasses_are_targets() -> None:
    report = validate("e:Mast rdfs:subClassOf e:Tower . e:a a e:Mast ; e:height 1 .", TALL + NAMED)
    assert len(report.findings) == 2


def test_warnings_admit_but_do_not_conform() -> None:
    report = validate("e:a a e:Tower ; e:height 1 ; e:name 'A' .", TALL + NAMED)
    assert report.admissible
    assert not report.conforms
    assert report.with_severity(INFO) == ()


@pytest.mark.parametrize(
    "target",
    [
        "sh:targetNode e:a",
        "sh:targetSubjectsOf e:height",
        "sh:targetObjectsOf e:sees",
        "a rdfs:Class",
        """sh:target [ a sh:SPARQLTarget ; sh:prefixes e:prefixes ; sh:select "SELECT ?this { ?this e:height ?h }" ]""",
    ],
)
def test_the_engine_finds_what_pyshacl_finds(target: str) -> None:
    """Validate the same constraint once in the engine and once in pySHACL, as another shape refers to its shape."""
    facts = "e:a a e:Tall ; e:height 50 . e:b e:sees e:a ; e:sees e:c ."
    text = TALL.replace("sh:targetClass e:Tower", target)
    by_engine = validate(facts, text)
    referenced = shapes(text + "e:Never a sh:NodeShape ; sh:targetNode e:none ; sh:node e:Tall .")
    assert referenced.constraints == ()
    by_pyshacl = shacl.validate(data(facts), referenced)
    assert [item.focus for item in by_engine.findings] == [item.focus for item in by_pyshacl.findings]
    assert len(by_engine.findings) == 1


def test_shapes_graph_is_bound_but_not_part_of_the_data() -> None:
    text = '''e:Known a sh:NodeShape ; sh:targetSubjectsOf e:height ; sh:sparql [ sh:prefixes e:prefixes ; sh:select
      """SELECT $this WHERE { $this e:height ?h FILTER NOT EXISTS { e:Known ?p ?o }
         FILTER EXISTS { GRAPH $shapesGraph { e:Known ?p ?o } } }""" ] .'''
    assert len(validate("e:a e:height 1 .", text).findings) == 1


def test_deactivated_constraints_stay_silent() -> None:
    assert validate("e:a a e:Tower ; e:height 1 .", TALL + "e:Tall sh:deactivated true .").conforms


def test_report_as_rdf() -> None:
    report = validate("e:a a e:Tower ; e:height 50 .", TALL + NAMED)
    graph = rdflib_graph(report_triples(report))
    answer = graph.query(
        """SELECT ?severity ?path { ?r a sh:ValidationReport ; sh:conforms false ; sh:result ?result .
           ?result sh:focusNode <http://e.org/a> ; sh:resultSeverity ?severity
           OPTIONAL { ?result sh:resultPath ?path } }"""
    )
    assert len(answer) == 2


def test_complex_paths_are_spelled_out() -> None:
    text = "e:S a sh:NodeShape ; sh:targetNode e:a ; sh:property [ sh:path [ sh:inversePath e:p ] ; sh:minCount 1 ] ."
    (finding,) = validate("e:b e:q e:c .", text).findings
    assert finding.path_text == "^<http://e.org/p>"
    assert [triple.predicate.value.rpartition("#")[2] for triple in finding.path_triples] == ["inversePath"]


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("e:p", "<http://e.org/p>"),
        ("( e:p [ sh:inversePath e:q ] )", "<http://e.org/p>/^<http://e.org/q>"),
        ("[ sh:alternativePath ( e:p [ sh:zeroOrMorePath e:q ] ) ]", "(<http://e.org/p>|<http://e.org/q>*)"),
        ("[ sh:oneOrMorePath ( e:p e:q ) ]", "(<http://e.org/p>/<http://e.org/q>)+"),
        ("[ sh:zeroOrOnePath e:p ]", "<http://e.org/p>?"),
    ],
)
def test_paths_are_written_as_sparql_does(path: str, written: str) -> None:
    text = f"e:S a sh:NodeShape ; sh:targetNode e:a ; sh:property [ sh:path {path} ; sh:minCount 2 ] ."
    (finding,) = validate("e:b e:q e:c .", text).findings
    assert finding.path_text == written


def test_without_leaves_what_is_new() -> None:
    before = validate("e:a a e:Tower ; e:height 50 .", NAMED)
    after = validate("e:a a e:Tower . e:b a e:Tower .", NAMED)
    assert [item.focus.value for item in after.without(before).findings] == ["http://e.org/b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("e:S a sh:NodeShape ; sh:targetClass e:T ; sh:property [ sh:path e:p ; sh:minCoutn 1 ] .", "sh:minCoutn"),
        ("e:S a sh:NodeShape ; sh:targetClass e:T ; sh:node e:elsewhere .", "http://e.org/elsewhere"),
        ("e:S a sh:NodeShape ; sh:targetClass e:T ; sh:or ( e:S e:elsewhere ) .", "http://e.org/elsewhere"),
        ("<http://e.org/shapes> owl:imports <http://e.org/more> .", "imports"),
        (
            'e:S a sh:NodeShape ; sh:targetNode e:a ; sh:sparql [ sh:select "SELECT $this { SERVICE <c:x> {} }" ] .',
            "SERVICE",
        ),
    ],
)
def test_unusable_shapes_are_refused(text: str, message: str) -> None:
    with pytest.raises(ShapesError, match=message):
        shapes(text)


@pytest.mark.parametrize(
    "text",
    [
        r"""sh:target [ a sh:SPARQLTarget ; sh:select
          "SELECT ?this { ?this ?p ?o . \\u0053ERVICE SILENT <http://127.0.0.1:9/> { ?this ?p ?o } }" ]""",
        """sh:target [ a sh:SPARQLTarget ; sh:prefixes e:odd ; sh:select "SELECT ?this { ?this ?p ?o } } }" ]""",
        """sh:targetNode e:a ; sh:sparql [ sh:prefixes e:odd ; sh:message "m" ;
          sh:select "SELECT $this { $this ?p ?o . SERVICEo:x { $this ?p ?o } }" ]""",
    ],
)
def test_shapes_call_no_server_however_they_are_written(text: str) -> None:
    namespace = "http://127.0.0.1:9/"
    if "SERVICEo:" not in text:
        namespace += "> SELECT ?this { SERVICE SILENT <http://127.0.0.1:9/> { ?this ?p ?o } { #"
    odd = f'e:odd sh:declare [ sh:prefix "o" ; sh:namespace "{namespace}"^^xsd:anyURI ] . '
    with pytest.raises((ShapesError, ServiceDeniedError), match="SERVICE"):
        validate("e:a e:b e:c .", f"{odd} e:S a sh:NodeShape ; sh:nodeKind sh:Literal ; {text} .")

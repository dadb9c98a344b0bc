"""Incremental validation equals full validation of both states, on generated shapes, data and changes.

All terms come from a small vocabulary, so that shapes, data and changes meet.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kg.engine.embedded import EmbeddedEngine
from kg.errors import EngineError, ShapesError
from kg.rdf.delta import Delta
from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.namespaces import RDF, RDFS, XSD
from kg.rdf.terms import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Term
from kg.validation import shacl
from kg.validation.incremental import IncrementalValidator
from kg.validation.report import Finding
from kg.validation.shapes import SHAPES_GRAPH, Shapes, read_shapes

E = "http://e.org/"
HEAD = """
PREFIX e: <http://e.org/> PREFIX sh: <http://www.w3.org/ns/shacl#> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX owl: <http://www.w3.org/2002/07/owl#>
e:prefixes sh:declare [ sh:prefix "e" ; sh:namespace "http://e.org/"^^xsd:anyURI ] ,
  [ sh:prefix "rdfs" ; sh:namespace "http://www.w3.org/2000/01/rdf-schema#"^^xsd:anyURI ] .
"""
IRIS = [NamedNode(E + name) for name in "abc"]
BLANKS = [BlankNode("x"), BlankNode("y")]
NODES = [*IRIS, *BLANKS]
CLASSES = [NamedNode(E + name) for name in ("A", "B", "C")]
PREDICATES = [NamedNode(E + name) for name in "pqr"]
LITERALS = [
    Literal("1", datatype=NamedNode(XSD + "integer")),
    Literal("2", datatype=NamedNode(XSD + "integer")),
    Literal("1.5", datatype=NamedNode(XSD + "decimal")),
    Literal("x", language="en"),
    Literal("y", language="en"),
    Literal("x"),
]
GRAPHS = [NamedNode(E + "g"), NamedNode(E + "h"), DefaultGraph(), SHAPES_GRAPH]

terms = st.sampled_from(["e:a", "e:b", "e:c", "1", "1.5", '"x"@en', '"x"'])
predicates = st.sampled_from(["e:p", "e:p", "e:q", "e:q", "e:r"])
classes = st.sampled_from(["e:A", "e:B", "e:C"])


def _path(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("( {} {} )".format, inner, inner),
        st.builds("[ sh:alternativePath ( {} {} ) ]".format, inner, inner),
        st.builds("[ sh:inversePath {} ]".format, inner),
        st.builds("[ sh:{} {} ]".format, st.sampled_from(["zeroOrMorePath", "oneOrMorePath", "zeroOrOnePath"]), inner),
    )


paths = st.recursive(st.one_of(predicates, st.just("rdf:type")), _path, max_leaves=3)
value_constraints = st.one_of(
    st.builds("sh:class {}".format, classes),
    st.builds("sh:nodeKind sh:{}".format, st.sampled_from(["IRI", "BlankNode", "Literal", "BlankNodeOrIRI"])),
    st.builds("sh:datatype xsd:{}".format, st.sampled_from(["integer", "decimal", "string"])),
    st.builds("sh:in ( {} {} )".format, terms, terms),
    st.builds("sh:hasValue {}".format, terms),
    st.builds("sh:minInclusive {}".format, st.just("1.5")),
    st.builds("sh:{} {}".format, st.sampled_from(["equals", "disjoint"]), predicates),
    st.just('sh:languageIn ( "en" )'),
    st.just("sh:minLength 2"),
)
property_constraints = st.one_of(
    value_constraints,
    st.builds("sh:minCount {}".format, st.integers(1, 2)),
    st.builds("sh:maxCount {}".format, st.integers(0, 2)),
    st.just("sh:uniqueLang true"),
    st.builds("sh:{} {}".format, st.sampled_from(["lessThan", "lessThanOrEquals"]), predicates),
)


def _constraints(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    node = st.builds("[ {} ]".format, inner)
    return st.one_of(
        st.builds("sh:{} {}".format, st.sampled_from(["node", "not"]), node),
        st.builds("sh:{} ( {} {} )".format, st.sampled_from(["and", "or", "xone"]), node, node),
        st.builds("sh:property [ sh:path {} ; {} ]".format, paths, st.one_of(property_constraints, inner)),
        st.builds("sh:property [ sh:path {} ; {} ; sh:property [ sh:path {} ; {} ] ]".format,
                  paths, property_constraints, paths, property_constraints),
        st.builds(
            "sh:property [ sh:path {} ; sh:qualifiedValueShape {} ; sh:qualified{}Count 1 ]".format,
            paths, node, st.sampled_from(["Min", "Max"]),
        ),
        st.builds(
            "sh:property [ sh:path {0} ; sh:qualifiedValueShape {1} ; sh:qualifiedMinCount 1 ;"
            " sh:qualifiedValueShapesDisjoint true ] , [ sh:path {0} ; sh:qualifiedValueShape {2} ;"
            " sh:qualifiedMaxCount 1 ; sh:qualifiedValueShapesDisjoint true ]".format,
            paths, node, node,
        ),
        st.builds("sh:closed true ; sh:ignoredProperties ( {} ) ; sh:property [ sh:path {} ]".format,
                  st.sampled_from(["rdf:type", "e:p"]), predicates),
    )  # fmt: skip


core_constraints = st.one_of(
    st.builds("sh:property [ sh:path {} ; {} ]".format, paths, property_constraints),
    st.recursive(value_constraints, _constraints, max_leaves=3),
)
PATTERNS = [
    "$this {p} ?value .",
    "$this {p}/{q} ?value .",
    "$this {p}/^{p} ?value . FILTER (?value != $this)",
    "?value {p} $this .",
    "$this {p}+ ?value .",
    "$this {p}|^{q} ?value .",
    "$this ?path ?value . FILTER (?path IN ({p}, {q}))",
    "$this a/rdfs:subClassOf* {c} ; {p} ?value .",
    "$this {p} ?value . ?value {q} ?other . ?other {r} ?last .",
    "$this ({p}/{q})* ?value . ?value a {c} .",
]
FILTERS = [
    "",
    "FILTER NOT EXISTS {{ $this {q} ?one }}",
    "FILTER NOT EXISTS {{ ?value {q} ?one }}",
    "FILTER NOT EXISTS {{ ?one {q} $this . FILTER EXISTS {{ ?one a {c} }} }}",
    "FILTER NOT EXISTS {{ $this {p} ?one . FILTER NOT EXISTS {{ ?one {r} ?two }} }}",
    "FILTER EXISTS {{ $this {r} ?one . ?one a {c} }}",
    "OPTIONAL {{ $this {r} ?one }} FILTER (BOUND(?one) || ?value = {q})",
    "OPTIONAL {{ $this {q} ?one }} FILTER (!BOUND(?one))",
    "OPTIONAL {{ ?value {q}/{r} ?one }} FILTER (!BOUND(?one))",
    "FILTER (?value = 1 || EXISTS {{ ?value a {c} }})",
    "{{ $this {q} ?one }} UNION {{ ?one {r} $this . ?one a {c} }}",
    "FILTER NOT EXISTS {{ ?value ?some ?thing }}",
    "FILTER NOT EXISTS {{ ?value {p} ?one . FILTER (?one != $this) }}",
    "BIND (STR(?value) AS ?text)",
]
selects = st.builds(
    lambda head, pattern, condition, p, q, r, c: (
        f"{head} WHERE {{ {pattern} {condition} }}".replace("{{", "{").replace("}}", "}")
        .replace("{p}", p).replace("{q}", q).replace("{r}", r).replace("{c}", c)
    ),
    st.sampled_from(["SELECT $this ?value", "SELECT DISTINCT $this ?value", "SELECT $this ?path ?value ?one"]),
    st.sampled_from(PATTERNS), st.sampled_from(FILTERS), predicates, predicates, predicates, classes,
)  # fmt: skip
sparql = st.builds('sh:sparql [ sh:prefixes e:prefixes ; sh:select "{}" ]'.format, selects)
plain_targets = st.one_of(
    st.builds("sh:targetClass {}".format, classes),
    st.builds("sh:targetNode {}".format, terms),
    st.builds("sh:targetSubjectsOf {}".format, st.one_of(predicates, st.just("rdf:type"))),
    st.builds("sh:targetObjectsOf {}".format, predicates),
    st.just("a rdfs:Class"),
)
sparql_targets = st.builds(
    'sh:target [ a sh:SPARQLTarget ; sh:prefixes e:prefixes ; sh:select "{}" ]'.format,
    st.one_of(
        st.builds(
            "SELECT ?this WHERE {{ ?this {} ?o . FILTER NOT EXISTS {{ ?o {} ?x }} }}".format, predicates, predicates
        ),
        st.builds("SELECT DISTINCT ?this WHERE {{ ?this a/rdfs:subClassOf* {} }}".format, classes),
        st.builds("SELECT ?this WHERE {{ {{ ?this {} ?o }} UNION {{ ?o {} ?this }} }}".format, predicates, predicates),
    ),
)
targets = st.one_of(plain_targets, plain_targets, plain_targets, sparql_targets)
severities = st.sampled_from(["", " ; sh:severity sh:Warning", " ; sh:deactivated true", "", ""])
SHAPE_NAMES = ["e:S", "e:T", "e:A", "[] sh:order 1 ;"]
shape = st.builds(
    "{} {} ; {}{} .".format,
    st.sampled_from(SHAPE_NAMES), st.lists(targets, min_size=1, max_size=2).map(" ; ".join),
    st.one_of(core_constraints, core_constraints, sparql), severities,
)  # fmt: skip
shapes_texts = st.lists(shape, min_size=1, max_size=3).map("\n".join)

subjects = st.sampled_from(NODES)
edges = st.sampled_from([*PREDICATES[:2], *PREDICATES])
quads = st.builds(
    lambda triple, graph: Quad(*triple, graph),
    st.one_of(
        st.tuples(subjects, edges, st.sampled_from([*NODES, *LITERALS])),
        st.tuples(subjects, edges, st.sampled_from(NODES)),
        st.tuples(subjects, st.just(NamedNode(RDF + "type")), st.sampled_from(CLASSES)),
        st.tuples(st.sampled_from(CLASSES), st.just(NamedNode(RDFS + "subClassOf")), st.sampled_from(CLASSES)),
    ),
    st.sampled_from([*GRAPHS[:3], *GRAPHS[:3], *GRAPHS]),
)


@dataclass(frozen=True)
class Case:
    """Shapes, data and a change; `includes_shapes` adds the shapes graph to the data."""

    text: str
    data: frozenset[Quad]
    toggled: frozenset[Quad]
    includes_shapes: bool

    def engine(self, shapes: Shapes) -> EmbeddedEngine:
        return EmbeddedEngine([*self.data, *(shapes.quads if self.includes_shapes else ())])

    @property
    def delta(self) -> Delta:
        """Remove the toggled quads that the data contains, and add the others."""
        return Delta(added=self.toggled - self.data, removed=self.toggled & self.data)


cases = st.builds(
    Case,
    shapes_texts,
    st.frozensets(quads, min_size=5, max_size=18),
    st.frozensets(quads, min_size=1, max_size=6),
    st.booleans(),
) | st.builds(
    lambda text, data, added, removed, includes: Case(text, data, added | frozenset(list(data)[:removed]), includes),
    shapes_texts,
    st.frozensets(quads, min_size=8, max_size=20),
    st.frozensets(quads, max_size=3),
    st.integers(1, 3),
    st.booleans(),
)


def counted(findings: Iterable[Finding]) -> Counter[tuple[object, ...]]:
    """Count findings; blank nodes compare equal, since their labels differ between runs."""

    def shown(term: Term | None) -> str:
        return "_" if isinstance(term, BlankNode) else str(term)

    return Counter(
        (*map(shown, (item.focus, item.path, item.value, item.shape, item.component, item.constraint, item.severity)),)
        for item in findings
    )


def in_full(engine: EmbeddedEngine, delta: Delta, shapes: Shapes) -> Counter[tuple[object, ...]]:
    """Return what a change adds to the findings according to full validation of both states."""
    old = shacl.validate(engine.quads(), shapes)
    engine.apply(delta)
    new = shacl.validate(engine.quads(), shapes)
    engine.apply(delta.inverse())
    return counted(new.findings) - counted(old.findings)


def check(case: Case) -> None:
    """Compare incremental with full validation; the engine must end in its first state."""
    try:
        shapes = read_shapes(parse((HEAD + case.text).encode(), TURTLE))
        engine = case.engine(shapes)
        delta = Delta(
            frozenset(quad for quad in case.delta.added if not engine.holds(quad)),
            frozenset(quad for quad in case.delta.removed if engine.holds(quad)),
        )
        expected = in_full(engine, delta, shapes)
    except (ShapesError, EngineError, RecursionError):
        assume(False)
    before = set(engine.quads())
    report = IncrementalValidator(shapes).validate_change(engine, delta)
    assert counted(report.findings) == expected
    assert set(engine.quads()) == before


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases)
@pytest.mark.filterwarnings("ignore")
def test_equals_full_validation(case: Case) -> None:
    check(case)

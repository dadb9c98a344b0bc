"""Incremental validation of a change finds what full validation before and after the change finds.

The changes are mutations of the project's own graph, and random changes under shapes of every kind.
"""

import functools
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.changes.data_folder import read_project_shapes
from kg.changes.rules import materialised_engine
from kg.engine.embedded import EmbeddedEngine
from kg.errors import KgError
from kg.rdf.delta import Delta
from kg.rdf.formats import TRIG, TURTLE
from kg.rdf.io import parse
from kg.rdf.terms import Literal, NamedNode, Quad
from kg.resources import curated_quads
from kg.validation.incremental import IncrementalValidator
from kg.validation.report import finding_key
from kg.validation.shacl import validate
from kg.validation.shapes import Shapes, read_shapes

PREFIXES = """
@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix e: <http://e/> .
"""


def assert_equals_full_validation(
    validator: IncrementalValidator, shapes: Shapes, engine: EmbeddedEngine, delta: Delta
) -> None:
    """Compare incremental and full validation; if full validation raises an error, the incremental one must too."""
    before = set(engine.quads())
    try:
        old = Counter(map(finding_key, validate(before, shapes).findings))
    except KgError:
        return
    try:
        new = Counter(map(finding_key, validate((before - delta.removed) | delta.added, shapes).findings))
    except KgError:
        with pytest.raises(KgError):
            validator.validate_change(engine, delta)
        return
    found = Counter(map(finding_key, validator.validate_change(engine, delta).findings))
    assert set(engine.quads()) == before, "the engine was changed"
    assert found == new - old


# The project's own shapes


@functools.cache
def own() -> tuple[Shapes, IncrementalValidator]:
    shapes = read_project_shapes()
    return shapes, IncrementalValidator(shapes)


@functools.cache
def article() -> EmbeddedEngine:
    return materialised_engine(curated_quads())


@functools.cache
def facts() -> tuple[Quad, ...]:
    return tuple(sorted((quad for quad in article().quads() if not str(quad.graph_name).endswith("shapes>")), key=str))


@st.composite
def mutations(draw: st.DrawFn) -> Delta:
    """Remove statements, and add some with another subject, another number, or an object of the same predicate."""
    removed = draw(st.lists(st.sampled_from(facts()), max_size=3, unique=True))
    added = set[Quad]()
    for quad in draw(st.lists(st.sampled_from(facts()), max_size=3)):
        other = draw(st.sampled_from([fact for fact in facts() if fact.predicate == quad.predicate]))
        value = draw(st.sampled_from([other.object, quad.object, Literal("x"), Literal(7)]))
        subject = draw(st.sampled_from([quad.subject, other.subject, NamedNode("https://w3id.org/hpez/id/zone/new")]))
        added.add(Quad(subject, quad.predicate, value, draw(st.sampled_from([quad.graph_name, other.graph_name]))))
    return Delta(frozenset(added - set(facts())), frozenset(set(removed) - added))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutations())
def test_changes_of_the_article(delta: Delta) -> None:
    shapes, validator = own()
    assert_equals_full_validation(validator, shapes, article(), delta)


def test_no_own_shape_needs_full_validation() -> None:
    assert [item for item in own()[1].explain() if item.reason is not None] == []


# Shapes of every kind, over a small vocabulary, so that shapes, data and changes meet

nodes = st.sampled_from([f"e:n{number}" for number in range(5)])
classes = st.sampled_from(["e:A", "e:B", "e:C"])
predicates = st.sampled_from(["e:p", "e:q", "e:r"])
values = st.one_of(nodes, st.sampled_from(["1", "2", '"x"', '"x"@en', '"y"@en', '"z"@vi']))
simple = predicates
paths: st.SearchStrategy[str] = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds("[ sh:inversePath {} ]".format, inner),
        st.builds("( {} {} )".format, inner, inner),
        st.builds("[ sh:alternativePath ( {} {} ) ]".format, inner, inner),
        st.builds("[ sh:zeroOrMorePath {} ]".format, inner),
        st.builds("[ sh:oneOrMorePath {} ]".format, inner),
        st.builds("[ sh:zeroOrOnePath {} ]".format, inner),
    ),
    max_leaves=3,
)
numbers = st.integers(0, 2)
atoms = st.one_of(
    st.builds("sh:minCount {}".format, numbers),
    st.builds("sh:maxCount {}".format, numbers),
    st.builds("sh:class {}".format, classes),
    st.builds("sh:hasValue {}".format, nodes),
    st.builds("sh:in ( {} {} )".format, nodes, nodes),
    st.sampled_from(["sh:nodeKind sh:IRI", "sh:datatype xsd:integer", "sh:minInclusive 2", "sh:uniqueLang true"]),
    st.builds("{} {}".format, st.sampled_from(["sh:equals", "sh:disjoint", "sh:lessThan"]), predicates),
)
in_nodes = st.one_of(
    st.builds("sh:class {}".format, classes),
    st.builds("sh:in ( {} {} )".format, nodes, nodes),
    st.builds("sh:disjoint {}".format, predicates),
    st.just("sh:nodeKind sh:IRI"),
    st.builds("sh:closed true ; sh:ignoredProperties ( {} rdf:type )".format, predicates),
)


def shaped(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A node shape that contains others."""
    return st.one_of(
        st.builds("sh:not [ {} ]".format, inner),
        st.builds("sh:{} ( [ {} ] [ {} ] )".format, st.sampled_from(["and", "or", "xone"]), inner, inner),
        st.builds("sh:node [ {} ]".format, inner),
        st.builds("sh:property [ sh:path {} ; {} ]".format, paths, atoms),
        st.builds("sh:property [ sh:path {} ; sh:node [ {} ] ]".format, paths, inner),
        st.builds(
            "sh:property [ sh:path {} ; sh:qualifiedValueShape [ {} ] ; sh:qualifiedMinCount {} ; "
            "sh:qualifiedMaxCount 2 {} ]".format,
            simple, inner, numbers, st.sampled_from(["", "; sh:qualifiedValueShapesDisjoint true"]),
        ),
    )  # fmt: skip


bodies = st.recursive(in_nodes, shaped, max_leaves=4) | st.builds("{} ; {}".format, shaped(in_nodes), shaped(in_nodes))
selects = st.sampled_from([
    "SELECT $this ?value WHERE { $this e:p ?value . FILTER NOT EXISTS { ?value e:q ?other } }",
    "SELECT $this WHERE { $this e:p ?a ; e:q ?b . ?b e:r ?a }",
    "SELECT $this WHERE { $this e:p ?a . ?o e:p ?a FILTER (?o != $this) OPTIONAL { ?o e:q ?c } FILTER (!BOUND(?c)) }",
    "SELECT $this ?value WHERE { $this (e:p|e:q) ?value . ?value a e:A }",
    "SELECT $this WHERE { $this e:p/e:q ?a FILTER EXISTS { ?a ^e:r ?b . ?b a e:B } }",
    "SELECT $this WHERE { { $this e:p ?a . ?a e:q 1 } UNION { $this e:q ?a FILTER NOT EXISTS { $this a e:C } } }",
    "SELECT $this ?value WHERE { $this e:p+ ?value . ?value e:q ?x }",
    "SELECT $this ?p WHERE { $this ?p ?value . ?p a e:A }",
    "SELECT $this WHERE { $this e:p ?a BIND (STR(?a) AS ?b) FILTER (STRLEN(?b) > 10) }",
    "SELECT $this WHERE { $this e:p ?a . ?x e:q ?y FILTER (?y = ?a) }",
])  # fmt: skip
sparql = st.builds('sh:sparql [ sh:select """PREFIX e: <http://e/> {}""" ]'.format, selects)
targets = st.one_of(
    st.builds("sh:targetClass {}".format, classes),
    st.builds("sh:targetNode {}".format, nodes),
    st.builds("sh:targetSubjectsOf {}".format, predicates),
    st.builds("sh:targetObjectsOf {}".format, predicates),
    st.just(
        'sh:target [ a sh:SPARQLTarget ; sh:select "PREFIX e: <http://e/> SELECT ?this { ?this e:p ?x . ?x e:q ?y }" ]'
    ),
)
shape = st.one_of(
    st.builds("a sh:NodeShape ; {} ; {}".format, targets, bodies),
    st.builds("a sh:NodeShape ; {} ; {}".format, targets, sparql),
    st.builds("a sh:NodeShape ; {} ; {} ; {}".format, targets, bodies, sparql),
    st.builds("a sh:PropertyShape ; {} ; sh:path {} ; {}".format, targets, paths, atoms),
    st.builds("a sh:NodeShape , rdfs:Class ; {}".format, bodies),
)
shapes_graphs = st.lists(shape, min_size=1, max_size=3).map(
    lambda found: PREFIXES + "".join(f"e:{'ABC'[number]} {text} .\n" for number, text in enumerate(found))
)
statement = st.one_of(
    st.builds("{} {} {}".format, nodes, predicates, values),
    st.builds("{} a {}".format, nodes | predicates, classes),
    st.builds("{} rdfs:subClassOf {}".format, classes, classes),
    st.builds("_:b {} {}".format, predicates, nodes),
    st.builds("{} {} _:b".format, nodes, predicates),
    st.builds("_:b a {}".format, classes),
)
placed = st.tuples(statement, st.sampled_from(["", "e:g", "e:h"]))


def quads(found: list[tuple[str, str]]) -> frozenset[Quad]:
    text = PREFIXES + "".join(f"{graph} {{ {line} }}\n" if graph else f"{line} .\n" for line, graph in found)
    blank = {item.subject for item in parse(text.encode(), TRIG)}
    return frozenset(EmbeddedEngine.normalize_quads(_same_blank(parse(text.encode(), TRIG)))) if blank else frozenset()


def _same_blank(found: list[Quad]) -> list[Quad]:
    """Give the blank node the same label in all payloads."""
    from kg.rdf.terms import BlankNode  # noqa: PLC0415

    def relabelled(term: object) -> object:
        return BlankNode("b") if isinstance(term, BlankNode) else term

    return [Quad(relabelled(q.subject), q.predicate, relabelled(q.object), q.graph_name) for q in found]  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    shapes_graphs,
    st.lists(placed, max_size=14),
    st.lists(placed, max_size=4),
    st.lists(st.integers(0, 13), max_size=4),
)
def test_changes_under_any_shapes(
    text: str, data: list[tuple[str, str]], added: list[tuple[str, str]], removed: list[int]
) -> None:
    shapes = read_shapes(parse(text.encode(), TURTLE))
    before = quads(data)
    gone = {quad for number in removed if number < len(data) for quad in quads([data[number]])}
    new = quads(added)
    delta = Delta(new - before, frozenset(gone & before) - new)
    assert_equals_full_validation(IncrementalValidator(shapes), shapes, EmbeddedEngine(before), delta)

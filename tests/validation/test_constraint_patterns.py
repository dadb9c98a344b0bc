"""The triple patterns of a SPARQL constraint, by group, and the constructs that the analysis refuses."""

import pytest
import rdflib
from rdflib.paths import AlternativePath, InvPath, MulPath, SequencePath

from kg.rdf.terms import NamedNode
from kg.validation.constraint_patterns import (
    ANY_FORWARD_STEP,
    ConstraintGroup,
    UnsupportedConstraintError,
    parse_constraint_query,
)

SHAPES = "http://e.org/shapes"
P, Q = rdflib.URIRef("http://e.org/p"), rdflib.URIRef("http://e.org/q")


def read(pattern: str, head: str = "SELECT $this ?value") -> ConstraintGroup:
    return parse_constraint_query(f"PREFIX e: <http://e.org/>\n{head} WHERE {{ {pattern} }}", SHAPES)


def kinds(group: ConstraintGroup) -> list[str]:
    return [part.kind for part in group.walk()]


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("e:p", P),
        ("<http://e.org/p>", P),
        ("a", rdflib.RDF.type),
        ("^e:p", InvPath(P)),
        ("e:p/e:q", SequencePath(P, Q)),
        ("e:p|^e:q", AlternativePath(P, InvPath(Q))),
        ("(e:p/e:q)*", MulPath(SequencePath(P, Q), "*")),
        ("^e:p+", InvPath(MulPath(P, "+"))),
        ("e:p?/e:q", SequencePath(MulPath(P, "?"), Q)),
    ],
)
def test_paths(written: str, path: object) -> None:
    (pattern,) = read(f"$this {written} ?value").patterns
    assert repr(pattern.path) == repr(path)
    assert pattern.end_nodes == ("this", "value")


def test_a_variable_may_stand_for_the_predicate() -> None:
    (pattern,) = read("$this ?path ?value").patterns
    assert pattern.path is ANY_FORWARD_STEP
    assert pattern.predicate_variable == "path"


def test_lists_of_predicates_and_objects_share_their_subject() -> None:
    group = read("$this e:p ?value , e:x ; e:q 1.5e3 , 'text'@en , \"1\"^^e:number ; .")
    assert [(item.subject, item.path) for item in group.patterns] == [("this", P)] * 2 + [("this", Q)] * 3
    assert group.patterns[1].object == NamedNode("http://e.org/x")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("$this e:p ?value FILTER (?value > 1 && STRLEN(?value) < 5)", ["main"]),
        ("$this e:p ?value FILTER EXISTS { ?value e:q ?x }", ["main", "exists"]),
        ("$this e:p ?value FILTER NOT EXISTS { ?value e:q ?x }", ["main", "absent"]),
        ("$this e:p ?value FILTER (?value = 1 || EXISTS { ?value e:q ?x })", ["main", "asked"]),
        ("$this e:p ?value OPTIONAL { ?value e:q ?x }", ["main", "optional"]),
        ("{ $this e:p ?value } UNION { $this e:q ?value }", ["main", "branch", "branch"]),
        ("{ $this e:p ?value }", ["main", "plain"]),
        ("$this e:p ?value . GRAPH <http://e.org/shapes> { ?x e:q ?value }", ["main", "static"]),
    ],
)
def test_groups(pattern: str, expected: list[str]) -> None:
    assert kinds(read(pattern)) == expected


def test_bind_assigns_variables() -> None:
    assert read("$this e:p ?value BIND (STR(?value) AS ?text)").assigned_variables == {"text"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT $this WHERE { $this <p:p> [ <p:q> 1 ] }", r"\["),
        ("SELECT $this WHERE { $this <p:p> ( 1 2 ) }", r"\("),
        ("SELECT $this WHERE { $this <p:p> ?x MINUS { $this <p:q> ?x } }", "MINUS"),
        ("SELECT $this WHERE { GRAPH ?g { $this <p:p> ?x } }", r"\?g"),
        ("SELECT $this WHERE { GRAPH <g:g> { $this <p:p> ?x } }", "single graphs"),
        ("SELECT $this WHERE { { SELECT $this WHERE { $this <p:p> ?x } } }", "SELECT"),
        ("SELECT $this (COUNT(?x) AS ?n) WHERE { $this <p:p> ?x } GROUP BY $this", "COUNT"),
        ("SELECT $this WHERE { $this <p:p> ?x } LIMIT 1", "LIMIT"),
        ("SELECT * WHERE { $this <p:p> ?x }", r"\*"),
        ("SELECT $this WHERE { $this x:p ?x }", "x:p"),
        ("BASE <http://e.org/> SELECT $this WHERE { $this <p> ?x }", "BASE"),
        ("SELECT $this WHERE { $this <p:p> ?x", "ends too early"),
    ],
)
def test_unsupported_constructs_are_refused(text: str, message: str) -> None:
    with pytest.raises(UnsupportedConstraintError, match=message):
        parse_constraint_query(text, SHAPES)

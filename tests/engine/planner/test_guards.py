"""Groups that cannot be evaluated with outer bindings, one for each reason, and similar groups that can."""

import pytest

from kg.engine.planner.cardinality import CardinalityEstimator
from kg.engine.planner.guards import lateral_unsafe_reason
from kg.engine.planner.reorder import move_before_optionals
from kg.sparql.query_parser import parse_query
from kg.sparql.syntax_tree import NO_NAMES, GroupGraphPattern

SEEN = frozenset({"x", "y"})


def group(pattern: str) -> GroupGraphPattern:
    return parse_query(f"PREFIX : <http://e/> SELECT * {pattern}").main


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{ ?a :p ?b FILTER(?x = 1) }", "a filter in an inner group"),
        ("{ ?a :p ?b OPTIONAL { ?b :p ?x } }", "not well designed"),
        ("{ ?x :p ?b OPTIONAL { ?b :p ?c FILTER(?x = 1) } }", "a filter in an inner group"),
        ("{ ?a :p ?b BIND(?x AS ?c) }", "BIND in an inner group"),
        ("{ ?a :p ?b BIND(1 AS ?x) }", "BIND in an inner group"),
        ("{ ?a :p ?b VALUES ?x { 1 } }", "VALUES in an inner group"),
        ("{ ?a :p ?b { SELECT ?a { ?a :p ?x } } }", "SELECT in an inner group"),
        ("{ ?a :p ?b { { VALUES ?x { 1 } } UNION { ?a :p ?c } } }", "VALUES in an inner group"),
        ("{ ?a :p* ?x }", "may have length zero"),
        ("{ GRAPH ?g { ?a :p ?g } }", "the variable of GRAPH"),
    ],
)
def test_unsafe(pattern: str, words: str) -> None:
    assert words in (lateral_unsafe_reason(group(pattern), SEEN) or "")


@pytest.mark.parametrize(
    "pattern",
    [
        "{ ?x :p ?b FILTER(?x = 1) }",
        "{ ?x :p ?b OPTIONAL { ?b :p ?x } }",
        "{ ?x :p ?b BIND(?x AS ?c) }",
        "{ ?a :p ?b VALUES ?c { 1 } }",
        "{ ?a :p ?b { SELECT ?a { ?a :p ?c } } }",
        "{ ?a :p* ?b . ?x :p ?y }",
        "{ GRAPH ?g { ?x :p ?y } }",
        "{ { ?a :p ?x } UNION { ?x :p ?y } }",
    ],
)
def test_safe(pattern: str) -> None:
    assert lateral_unsafe_reason(group(pattern), SEEN) is None


def test_filters_of_an_optional_can_use_outer_bindings() -> None:
    assert lateral_unsafe_reason(group("{ ?a :p ?b FILTER(?x = 1) }"), SEEN, is_optional_body=True) is None
    assert (
        lateral_unsafe_reason(group("{ ?a :p ?b { ?a :q ?c FILTER(?x = 1) } }"), SEEN, is_optional_body=True)
        is not None
    )


@pytest.mark.parametrize(
    ("pattern", "kinds"),
    [
        ("{ ?x :p ?y OPTIONAL { ?x :p ?a } FILTER(?y = 1) ?x :p 1 }", "triples optional filter"),
        ("{ ?x :p ?y OPTIONAL { ?x :p ?a } OPTIONAL { ?x :p ?b } ?a :p 1 }", "triples optional triples optional"),
        ("{ ?x :p ?y OPTIONAL { ?x :p ?a } OPTIONAL { ?x :p ?b } ?b :p 1 }", "triples optional optional triples"),
        ("{ ?x :p ?y OPTIONAL { ?x :p ?a } BIND(1 AS ?c) ?x :p 1 }", "triples optional bind triples"),
    ],
)
def test_a_pattern_stays_after_an_optional_that_may_bind_its_variable(pattern: str, kinds: str) -> None:
    elements, _ = move_before_optionals(group(pattern).elements, frozenset({"a", "b"}), CardinalityEstimator(None))
    assert " ".join(element.kind for element in elements) == kinds
    assert move_before_optionals(group("{ ?x :p ?y }").elements, NO_NAMES, CardinalityEstimator(None))[1] == []

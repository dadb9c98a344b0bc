"""Pre-bound variables in the text of SPARQL constraints."""

import pytest

from kg.rdf.terms import NamedNode
from kg.validation.prebinding import bind_shape_variables, prebinding_equals_join, substitute_this

FOCUS = NamedNode("http://e.org/a")


@pytest.mark.parametrize(
    ("pattern", "equal"),
    [
        ("$this ?p ?o", True),
        ("$this ?p ?o FILTER (?o != $this)", True),
        ("$this ?p ?o FILTER NOT EXISTS { ?o ?q ?r FILTER (?r = $this) }", True),
        ("$this ?p ?o OPTIONAL { ?o ?q ?r FILTER (?r = $this) }", True),
        ("$this ?p ?o { ?o ?q ?r FILTER (?r = $this) }", False),
        ("$this ?p ?o { $this ?q ?r FILTER (?r = $this) }", True),
        ("$this ?p ?o BIND ($this AS ?copy)", False),
        ("?s ?p ?o BIND (?s AS ?this)", False),
        ("$this ?p ?o MINUS { ?o ?q ?r }", False),
        ("VALUES ?this { 1 } $this ?p ?o", False),
        ("{ SELECT $this { $this ?p ?o } }", False),
    ],
)
def test_when_prebinding_equals_a_join(pattern: str, equal: bool) -> None:
    assert prebinding_equals_join(f"SELECT $this WHERE {{ {pattern} }}") is equal


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("SELECT $this ?o { $this ?p ?o }", "SELECT (<http://e.org/a> AS ?this) ?o { <http://e.org/a> ?p ?o }"),
        ("SELECT ?o { ?this ?p ?o . ?o ?q $this }", "SELECT ?o { <http://e.org/a> ?p ?o . ?o ?q <http://e.org/a> }"),
        ('SELECT $this { $this ?p "$this" }', 'SELECT (<http://e.org/a> AS ?this) { <http://e.org/a> ?p "$this" }'),
        ("SELECT $this { $this ?p ?o FILTER BOUND($this) }", None),
        ("SELECT $this { $this ?p ?o } GROUP BY $this", None),
    ],
)
def test_this_is_replaced_by_an_iri(select: str, expected: str | None) -> None:
    assert substitute_this(select, FOCUS) == expected


def test_shape_variables_are_replaced_by_terms() -> None:
    select = "SELECT $this { GRAPH $shapesGraph { $currentShape ?p ?o } FILTER (bound(?shapesGraph)) }"
    terms = {"shapesGraph": "<e:g>", "currentShape": "<e:s>"}
    assert bind_shape_variables(select, terms) == "SELECT $this { GRAPH <e:g> { <e:s> ?p ?o } FILTER ((true)) }"

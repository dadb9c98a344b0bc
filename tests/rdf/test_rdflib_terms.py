"""Conversion between the engine's terms and rdflib's, and canonical Turtle."""

import pytest
from hypothesis import given

from kg.errors import EngineError
from kg.rdf.rdflib_terms import canonical_turtle, term_from_rdflib, term_to_rdflib
from kg.rdf.terms import BlankNode, Literal, NamedNode
from tests.rdf.strategies import blanks, literals, nodes


@given(nodes | blanks | literals)
def test_rdflib_keeps_terms(term: NamedNode | BlankNode | Literal) -> None:
    assert term_from_rdflib(term_to_rdflib(term)) == term


def test_rdflib_keeps_lexical_forms() -> None:
    term = Literal("04.50", datatype=NamedNode("http://www.w3.org/2001/XMLSchema#decimal"))
    assert term_from_rdflib(term_to_rdflib(term)) == term


def test_canonical_turtle_is_stable_and_sorted() -> None:
    text = """@prefix e: <http://e.org/> . e:b e:q 2, 1 ; e:p "y"@vi, "x"@en . e:a e:p [ e:q 4350000000.0 ] ."""
    once = canonical_turtle(text)
    assert canonical_turtle(once) == once
    assert once.index("e:a") < once.index("e:b")
    assert "4350000000.0" in once


def test_canonical_turtle_refuses_to_change_a_term() -> None:
    with pytest.raises(EngineError, match="would change a term"):
        canonical_turtle('<http://e.org/a> <http://e.org/p> "04.50"^^<http://www.w3.org/2001/XMLSchema#decimal> .')

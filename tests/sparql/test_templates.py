"""Templates replace only whole tokens, whatever the values contain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.engine.embedded import EmbeddedEngine
from kg.rdf.terms import Literal, NamedNode, Quad
from kg.sparql.templates import Fragment, Template

E = "http://e/"


def test_placeholders_are_whole_tokens() -> None:
    template = Template('SELECT ?iri { ?iri ?p $iri ; ?q "$iri" } # $iri\nLIMIT $limit')
    filled = template.fill(iri=NamedNode(E + "$limit"), limit=3)
    assert filled == 'SELECT ?iri { ?iri ?p <http://e/$limit> ; ?q "$iri" } # $iri\nLIMIT 3'


def test_terms_rows_sets_and_fragments() -> None:
    a, b = NamedNode(E + "a"), Literal('"b', language="vi")
    assert Template("VALUES ?x { $x }").fill(x=[b, a]) == 'VALUES ?x { "\\"b"@vi <http://e/a> }'
    assert Template("VALUES ?x { $x }").fill(x={b, a}) == Template("VALUES ?x { $x }").fill(x=frozenset({a, b}))
    assert Template("VALUES (?x ?y) { $x }").fill(x=[(a, b)]) == 'VALUES (?x ?y) { (<http://e/a> "\\"b"@vi) }'
    assert Template("ASK { $x }").fill(x=Fragment("?s $x ?o")) == "ASK { ?s $x ?o }"
    assert Template("ASK { VALUES ?x { $x } }").fill(x=[]) == "ASK { VALUES ?x {  } }"


def test_placeholders_and_values_must_match() -> None:
    with pytest.raises(KeyError, match="other"):
        Template("ASK { $x ?p ?o }").fill(x=NamedNode(E), other=1)
    with pytest.raises(KeyError, match="x"):
        Template("ASK { $x ?p ?o }").fill()


SLUGS = st.text(st.characters(codec="latin-1", categories=["L", "N"], include_characters="$?/#$limit"), min_size=1)


@given(SLUGS, st.text(st.characters(exclude_categories=["Cs"])))
def test_any_term_can_be_inserted(slug: str, text: str) -> None:
    node, literal = NamedNode(E + slug), Literal(text)
    engine = EmbeddedEngine([Quad(node, NamedNode(E + "p"), literal)])
    query = Template("SELECT ?p { $iri ?p ?o FILTER (?o = $text) } LIMIT $limit").fill(iri=node, text=literal, limit=1)
    assert engine.select(query) == [{"p": NamedNode(E + "p")}]

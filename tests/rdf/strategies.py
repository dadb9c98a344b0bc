"""Hypothesis strategies for RDF terms and quads."""

from hypothesis import strategies as st

from kg.rdf.terms import BlankNode, Literal, NamedNode, Quad

G = NamedNode("http://e.org/g")

languages = st.sampled_from(["vi", "en", "zh-Hant"])
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
literals = st.one_of(
    st.builds(Literal, texts),
    st.builds(lambda text, language: Literal(text, language=language), texts, languages),
    st.decimals(allow_nan=False, allow_infinity=False, places=2).map(
        lambda number: Literal(f"{number:f}", datatype=NamedNode("http://www.w3.org/2001/XMLSchema#decimal"))
    ),
)
nodes = st.integers(0, 4).map(lambda number: NamedNode(f"http://e.org/n{number}"))
blanks = st.integers(0, 3).map(lambda number: BlankNode(f"b{number}"))
quads = st.builds(Quad, nodes | blanks, nodes, nodes | blanks | literals, st.just(G))

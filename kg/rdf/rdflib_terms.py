"""Convert between the engine's terms and rdflib's, which pySHACL and the canonical Turtle serialiser need."""

from collections.abc import Iterable

import rdflib
from rdflib.namespace import NamespaceManager

from kg.errors import EngineError
from kg.rdf.formats import TURTLE
from kg.rdf.io import canonical_nquads, parse
from kg.rdf.namespaces import PREFIXES
from kg.rdf.terms import XSD_STRING, BlankNode, Literal, NamedNode, Quad, Term, Triple


def canonical_turtle(text: str, name: str = "the Turtle") -> str:
    """Rewrite Turtle in the canonical form of the project's files: sorted, with one object a line.

    The prefixes of the text are kept. Comments are lost, so explanations must be triples. `name` names the text in
    errors. Raises RdfSyntaxError if the text does not parse, EngineError if rewriting would change a term.
    """
    before = parse(text.encode(), TURTLE)
    graph = rdflib.Graph(bind_namespaces="none")
    graph.parse(data=text, format="turtle")
    written: str = graph.serialize(format="longturtle", canon=True)
    after = parse(written.encode(), TURTLE)
    if canonical_nquads(before) != canonical_nquads(after):
        raise EngineError(f"{name}: the canonical form would change a term; write numbers in their canonical form")
    return written


def rdflib_graph(statements: Iterable[Quad] | Iterable[Triple]) -> rdflib.Graph:
    """Copy triples, or quads without their graph names, into an rdflib graph; keep the lexical forms of literals."""
    graph = rdflib.Graph(bind_namespaces="none")
    manager = NamespaceManager(graph, bind_namespaces="none")
    for name, iri in PREFIXES.items():
        manager.bind(name, iri)
    graph.namespace_manager = manager
    for item in statements:
        graph.add((term_to_rdflib(item.subject), term_to_rdflib(item.predicate), term_to_rdflib(item.object)))
    return graph


def term_to_rdflib(term: object) -> rdflib.term.Node:
    """Convert a term of the engine to rdflib; raises EngineError for RDF 1.2 terms, which rdflib does not have."""
    match term:
        case NamedNode():
            return rdflib.URIRef(term.value)
        case BlankNode():
            return rdflib.BNode(term.value)
        case Literal() if term.language:
            return rdflib.Literal(term.value, lang=term.language)
        case Literal() if term.datatype.value == XSD_STRING:
            return rdflib.Literal(term.value)
        case Literal():
            return rdflib.Literal(term.value, datatype=rdflib.URIRef(term.datatype.value), normalize=False)
    raise EngineError(f"{term} is a term of RDF 1.2 that the validator does not know")


def term_from_rdflib(node: object) -> Term:
    """Convert an rdflib term to the engine's; raises EngineError for a node that is not a term of RDF 1.1."""
    match node:
        case rdflib.URIRef():
            return NamedNode(str(node))
        case rdflib.BNode():
            return BlankNode(str(node))
        case rdflib.Literal() if node.language:
            return Literal(str(node), language=node.language)
        case rdflib.Literal():
            return Literal(str(node), datatype=NamedNode(str(node.datatype or XSD_STRING)))
    raise EngineError(f"{node!r} is not a term of RDF 1.1")

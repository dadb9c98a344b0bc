"""Parse, serialise and convert RDF.

Untrusted RDF is read only by pyoxigraph's parsers: they load no external entity, no remote
JSON-LD context and no owl:imports. rdflib gives canonical Turtle and feeds pySHACL.
"""

import contextlib
import gzip
import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final
from urllib.parse import quote
from xml.parsers import expat

import pyoxigraph as ox
import rdflib
from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple
from rdflib.namespace import NamespaceManager

from kg.errors import EngineError, RdfSyntaxError
from kg.rdf.formats import JSONLD, NQUADS, NTRIPLES, RDFXML, TRIG, TURTLE, RdfFormat
from kg.rdf.namespaces import PREFIXES, RDF, XSD, compact

__all__ = [
    "BlankNode",
    "DefaultGraph",
    "Literal",
    "NamedNode",
    "Quad",
    "Resource",
    "Term",
    "Triple",
    "canonical_nquads",
    "canonical_turtle",
    "compress",
    "compress_into",
    "iri_candidates",
    "label_blank_nodes_by_content",
    "parse",
    "parse_stream",
    "place_in_graph",
    "rdflib_graph",
    "serialize",
    "serialize_into",
    "term_from_json",
    "term_from_rdflib",
    "term_text",
    "term_to_json",
    "term_to_rdflib",
]  # fmt: skip

Resource = NamedNode | BlankNode
Term = NamedNode | BlankNode | Literal

RDF_TYPE: Final = NamedNode(RDF + "type")
XSD_STRING: Final = XSD + "string"

_OX_RDF_FORMATS: Final = {
    TURTLE: ox.RdfFormat.TURTLE,
    NTRIPLES: ox.RdfFormat.N_TRIPLES,
    JSONLD: ox.RdfFormat.JSON_LD,
    RDFXML: ox.RdfFormat.RDF_XML,
    TRIG: ox.RdfFormat.TRIG,
    NQUADS: ox.RdfFormat.N_QUADS,
}
_IRI_SAFE_CHARACTERS: Final = ":/?#[]@!$&'()*+,;=%"
"""What stays as it is when an IRI is percent-encoded (RFC 3986, section 2.2)."""
MAX_JSON_NESTING: Final = 200
_JSON_BRACKET: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
# Local names of id: hold slashes, which Turtle would escape one by one: the whole IRI reads better.
_SERIALIZER_PREFIXES: Final = {name: iri for name, iri in PREFIXES.items() if name != "id"}
_PARSER_ERROR_POSITION: Final = re.compile(r"^Parser error (?:at|between) .*?line \d+.*?: ", re.DOTALL)


def parse(data: bytes, fmt: RdfFormat, base_iri: str | None = None) -> list[Quad]:
    """Parse a whole payload, with fresh blank nodes, before anything is done with it.

    Raises RdfSyntaxError with the line and column where the parser gives them.
    """
    if fmt is RDFXML:
        _require_well_formed_xml(data)
    if fmt is JSONLD:
        _require_shallow_json(data)
    try:
        return list(ox.parse(data, _OX_RDF_FORMATS[fmt], base_iri=base_iri, rename_blank_nodes=True))
    except SyntaxError as error:
        raise _syntax_error(error, fmt) from None
    except (ValueError, OSError) as error:
        raise RdfSyntaxError(f"The {fmt.name} does not parse: {error}") from None


def parse_stream(source: IO[bytes], fmt: RdfFormat) -> Iterator[Quad]:
    """Parse an open file of the project's own, quad by quad, with its blank nodes named as they stand there.

    Raises RdfSyntaxError like `parse`, after the quads that precede the error.
    """
    try:
        yield from ox.parse(source, _OX_RDF_FORMATS[fmt])
    except SyntaxError as error:
        raise _syntax_error(error, fmt) from None


def _syntax_error(error: SyntaxError, fmt: RdfFormat) -> RdfSyntaxError:
    if fmt is JSONLD and "LoadDocumentCallback" in error.msg:
        return RdfSyntaxError("The JSON-LD names a remote context; write the context into the document.")
    said = _PARSER_ERROR_POSITION.sub("", error.msg)
    return RdfSyntaxError(f"The {fmt.name} does not parse: {said}", error.lineno, error.offset)


def _require_well_formed_xml(data: bytes) -> None:
    """Check that XML is well-formed, resolving nothing: the RDF/XML parser takes a truncated document as complete."""
    parser = expat.ParserCreate()
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise RdfSyntaxError(f"The RDF/XML does not parse: {reason}", error.lineno, error.offset + 1) from None


def _require_shallow_json(data: bytes) -> None:
    """Limit how deep JSON is nested: the time that the JSON-LD parser takes grows with the square of it."""
    depth = 0
    for match in _JSON_BRACKET.finditer(data):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(match[0], 0)
        if depth > MAX_JSON_NESTING:
            line = data.count(b"\n", 0, match.start()) + 1
            raise RdfSyntaxError(f"The JSON-LD is nested deeper than {MAX_JSON_NESTING} levels.", line)


def serialize(statements: Iterable[Quad] | Iterable[Triple], fmt: RdfFormat) -> bytes:
    """Serialise triples or quads, with the project's prefixes where the format has prefixes."""
    if not fmt.supports_datasets:
        statements = _without_graph_names(statements)
    data = ox.serialize(statements, format=_OX_RDF_FORMATS[fmt], prefixes=_SERIALIZER_PREFIXES)
    if data is None:
        raise EngineError(f"The engine gave no {fmt.name}.")
    return data


def serialize_into(statements: Iterable[Quad] | Iterable[Triple], output: IO[bytes], fmt: RdfFormat) -> None:
    """Serialise triples or quads into an open binary file, statement by statement."""
    if not fmt.supports_datasets:
        statements = _without_graph_names(statements)
    ox.serialize(statements, output, _OX_RDF_FORMATS[fmt], prefixes=_SERIALIZER_PREFIXES)


def _without_graph_names(statements: Iterable[Quad] | Iterable[Triple]) -> Iterator[Triple]:
    for statement in statements:
        yield statement.triple if isinstance(statement, Quad) else statement


def compress(data: bytes) -> bytes:
    """Gzip without a clock in the header, so that equal input gives equal bytes."""
    return gzip.compress(data, mtime=0)


def compress_into(source: IO[bytes], target: IO[bytes]) -> None:
    """Gzip one open file into another as `compress` does, however long it is."""
    with gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as packed:
        shutil.copyfileobj(source, packed)


def place_in_graph(statements: Iterable[Quad] | Iterable[Triple], graph: NamedNode) -> list[Quad]:
    """Place statements in a named graph, whatever graph they came from."""
    return [Quad(item.subject, item.predicate, item.object, graph) for item in statements]


def canonical_nquads(quads: Iterable[Quad]) -> bytes:
    """Serialise quads as sorted N-Quads with blank nodes named by RDFC-1.0: equal datasets give equal bytes."""
    dataset = ox.Dataset(quads)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    lines = serialize(dataset, NQUADS).splitlines(keepends=True)
    return b"".join(sorted(lines))


def label_blank_nodes_by_content(quads: Iterable[Quad]) -> list[Quad]:
    """Name the blank nodes of a payload by all of its content: so they are nobody else's, and those of its repetition.

    The names are those of RDFC-1.0 behind a digest of the payload.
    """
    dataset = ox.Dataset(quads)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    lines = sorted(serialize(dataset, NQUADS).splitlines())
    prefix = "p" + hashlib.sha256(b"\n".join(lines)).hexdigest()[:24]
    return [Quad(*(_prefix_blank_nodes(term, prefix) for term in quad)) for quad in dataset]


def _prefix_blank_nodes(term: Any, prefix: str) -> Any:  # noqa: ANN401 - whatever stands in a quad
    match term:
        case BlankNode():
            return BlankNode(prefix + term.value)
        case Triple():
            return Triple(*(_prefix_blank_nodes(part, prefix) for part in term))
    return term


def canonical_turtle(text: str, name: str = "the Turtle") -> str:
    """Rewrite Turtle in the one form that the project's files keep: sorted, one object a line.

    Prefixes of the text are kept; comments are lost, so explanations belong into triples.
    Raises RdfSyntaxError when the text does not parse, EngineError if rewriting would change a term.
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
    """Copy statements into one rdflib graph, keeping every literal's lexical form."""
    graph = rdflib.Graph(bind_namespaces="none")
    manager = NamespaceManager(graph, bind_namespaces="none")
    for name, iri in PREFIXES.items():
        manager.bind(name, iri)
    graph.namespace_manager = manager
    for item in statements:
        graph.add((term_to_rdflib(item.subject), term_to_rdflib(item.predicate), term_to_rdflib(item.object)))
    return graph


def term_to_rdflib(term: object) -> rdflib.term.Node:
    """Convert a term of the engine into rdflib's; raises EngineError for a term that rdflib has none for."""
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


def iri_candidates(iri: str) -> list[NamedNode]:
    """How an IRI that was read from a URL may be held: as it reads, or with percent signs; none if it is no IRI."""
    found = list[NamedNode]()
    for text in dict.fromkeys((iri, quote(iri, safe=_IRI_SAFE_CHARACTERS))):
        with contextlib.suppress(ValueError):
            found.append(NamedNode(text))
    return found


def term_text(term: Term) -> str:
    """Write a term for people: IRIs shortened, literals as in Turtle."""
    return compact(term.value) if isinstance(term, NamedNode) else str(term)


def term_to_json(term: Term) -> list[str]:
    """A term as a list of strings, to travel between processes."""
    match term:
        case NamedNode():
            return ["iri", term.value]
        case BlankNode():
            return ["blank", term.value]
        case Literal():
            return ["literal", term.value, term.language or "", term.datatype.value]


def term_from_json(data: list[str]) -> Term:
    """The term that `term_to_json` made plain; raises EngineError for anything else."""
    match data:
        case ["iri", value]:
            return NamedNode(value)
        case ["blank", value]:
            return BlankNode(value)
        case ["literal", value, "", datatype]:
            return Literal(value, datatype=NamedNode(datatype))
        case ["literal", value, language, _]:
            return Literal(value, language=language)
    raise EngineError(f"{data!r} is no RDF term")


def term_from_rdflib(node: object) -> Term:
    """Convert an rdflib term into the engine's; raises EngineError for a term that is none of RDF 1.1."""
    match node:
        case rdflib.URIRef():
            return NamedNode(str(node))
        case rdflib.BNode():
            return BlankNode(str(node))
        case rdflib.Literal() if node.language:
            return Literal(str(node), language=node.language)
        case rdflib.Literal():
            return Literal(str(node), datatype=NamedNode(str(node.datatype or XSD_STRING)))
    raise EngineError(f"{node!r} is no RDF term")

"""Parse and serialise RDF.

Only pyoxigraph's parsers read untrusted RDF: they load no external entities, no remote JSON-LD contexts and no
owl:imports.
"""

import gzip
import hashlib
import io
import re
import shutil
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final
from xml.parsers import expat

import pyoxigraph as ox

from kg.errors import RdfSyntaxError
from kg.rdf.formats import JSONLD, NQUADS, NTRIPLES, RDFXML, TRIG, TURTLE, RdfFormat
from kg.rdf.namespaces import PREFIXES
from kg.rdf.terms import BlankNode, DefaultGraph, NamedNode, Quad, Triple

_OX_RDF_FORMATS: Final = {
    TURTLE: ox.RdfFormat.TURTLE,
    NTRIPLES: ox.RdfFormat.N_TRIPLES,
    JSONLD: ox.RdfFormat.JSON_LD,
    RDFXML: ox.RdfFormat.RDF_XML,
    TRIG: ox.RdfFormat.TRIG,
    NQUADS: ox.RdfFormat.N_QUADS,
}
MAX_JSON_NESTING: Final = 200
_JSON_BRACKET: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
# Local names in id: contain slashes, each of which Turtle would escape; the whole IRI is easier to read.
_SERIALIZER_PREFIXES: Final = {name: iri for name, iri in PREFIXES.items() if name != "id"}
_PARSER_ERROR_POSITION: Final = re.compile(r"^Parser error (?:at|between) .*?line \d+.*?: ", re.DOTALL)


def parse(data: bytes, fmt: RdfFormat, base_iri: str | None = None) -> list[Quad]:
    """Parse a complete payload and give its blank nodes fresh labels.

    Raises RdfSyntaxError with the line and column, where the parser reports them.
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
    """Parse an open file that the project wrote, quad by quad, keeping the labels of its blank nodes.

    Raises RdfSyntaxError like `parse`, after the quads that precede the error.
    """
    try:
        yield from ox.parse(source, _OX_RDF_FORMATS[fmt])
    except SyntaxError as error:
        raise _syntax_error(error, fmt) from None


def _syntax_error(error: SyntaxError, fmt: RdfFormat) -> RdfSyntaxError:
    if fmt is JSONLD and "LoadDocumentCallback" in error.msg:
        return RdfSyntaxError("The JSON-LD names a remote context; write the context into the document.")
    message = _PARSER_ERROR_POSITION.sub("", error.msg)
    return RdfSyntaxError(f"The {fmt.name} does not parse: {message}", error.lineno, error.offset)


def _require_well_formed_xml(data: bytes) -> None:
    """Check that XML is well-formed, without resolving entities.

    The RDF/XML parser accepts a truncated document as complete.
    """
    parser = expat.ParserCreate()
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise RdfSyntaxError(f"The RDF/XML does not parse: {reason}", error.lineno, error.offset + 1) from None


def _require_shallow_json(data: bytes) -> None:
    """Limit the nesting depth of JSON, because the JSON-LD parser's time grows with the square of the depth."""
    depth = 0
    for match in _JSON_BRACKET.finditer(data):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(match[0], 0)
        if depth > MAX_JSON_NESTING:
            line = data.count(b"\n", 0, match.start()) + 1
            raise RdfSyntaxError(f"The JSON-LD is nested deeper than {MAX_JSON_NESTING} levels.", line)


def serialize(statements: Iterable[Quad] | Iterable[Triple], fmt: RdfFormat) -> bytes:
    """Serialise triples or quads, with the project's prefixes if the format has prefixes."""
    output = io.BytesIO()
    serialize_into(statements, output, fmt)
    return output.getvalue()


def serialize_into(statements: Iterable[Quad] | Iterable[Triple], output: IO[bytes], fmt: RdfFormat) -> None:
    """Serialise triples or quads to an open binary file, statement by statement."""
    if not fmt.supports_datasets:
        statements = _without_graph_names(statements)
    ox.serialize(statements, output, _OX_RDF_FORMATS[fmt], prefixes=_SERIALIZER_PREFIXES)


def _without_graph_names(statements: Iterable[Quad] | Iterable[Triple]) -> Iterator[Triple]:
    for statement in statements:
        yield statement.triple if isinstance(statement, Quad) else statement


def compress(data: bytes) -> bytes:
    """Compress bytes with gzip, without a timestamp in the header, so that equal input gives equal output."""
    return gzip.compress(data, mtime=0)


def compress_into(source: IO[bytes], target: IO[bytes]) -> None:
    """Compress one open file into another as `compress` does, without reading it into memory."""
    with gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as packed:
        shutil.copyfileobj(source, packed)


def place_in_graph(statements: Iterable[Quad] | Iterable[Triple], graph: NamedNode | DefaultGraph) -> list[Quad]:
    """Place statements in a graph, whatever graph they are in."""
    return [Quad(item.subject, item.predicate, item.object, graph) for item in statements]


def canonical_nquads(quads: Iterable[Quad]) -> bytes:
    """Serialise quads as sorted N-Quads with RDFC-1.0 labels for blank nodes: equal datasets give equal bytes."""
    return b"".join(_canonical_lines(ox.Dataset(quads)))


def _canonical_lines(dataset: ox.Dataset) -> list[bytes]:
    """Label the blank nodes of a dataset by RDFC-1.0 and return its sorted lines of N-Quads."""
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return sorted(serialize(dataset, NQUADS).splitlines(keepends=True))


def label_blank_nodes_by_content(quads: Iterable[Quad]) -> list[Quad]:
    """Label the blank nodes of a payload by its whole content.

    The labels are those of RDFC-1.0 with a digest of the payload as prefix. They are the same when the payload is
    repeated, and no other payload has them.
    """
    dataset = ox.Dataset(quads)
    lines = (line.removesuffix(b"\n") for line in _canonical_lines(dataset))
    prefix = "p" + hashlib.sha256(b"\n".join(lines)).hexdigest()[:24]
    return [Quad(*(_prefix_blank_nodes(term, prefix) for term in quad)) for quad in dataset]


def _prefix_blank_nodes(term: Any, prefix: str) -> Any:  # noqa: ANN401 - any part of a quad
    match term:
        case BlankNode():
            return BlankNode(prefix + term.value)
        case Triple():
            return Triple(*(_prefix_blank_nodes(part, prefix) for part in term))
    return term

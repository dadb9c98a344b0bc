"""Read the RDF files and graph names that a user gives on the command line."""

import gzip
import zlib
from pathlib import Path
from typing import Final

from kg.changes.commit import in_submission_graph
from kg.errors import InputError, RdfSyntaxError
from kg.rdf.formats import RdfFormat, rdf_format_of_file
from kg.rdf.io import parse
from kg.rdf.namespaces import graph_iri
from kg.rdf.terms import NamedNode, Quad, parse_iri

_GZIP_SUFFIX: Final = ".gz"


def parse_graph_option(text: str) -> NamedNode:
    """Return the graph that an option names: by its IRI, or by a name of the project such as `entities`."""
    return parse_iri(text if ":" in text else graph_iri(text))


def parse_file(file: Path) -> list[Quad]:
    """Parse an RDF file, which may be gzipped; raises RdfSyntaxError with the file, line and column."""
    content, fmt = read_file(file)
    try:
        return parse(content, fmt, file.resolve().as_uri())
    except RdfSyntaxError as error:
        raise RdfSyntaxError(f"{file}: {error.message}", error.line, error.column) from None


def parse_into_graph(file: Path, graph: NamedNode | None) -> list[Quad]:
    """Parse a file whose statements without a graph go to `graph`.

    Raises InputError if no graph is given and the file's format cannot name graphs.
    """
    if graph is not None:
        return [in_submission_graph(quad, graph) for quad in parse_file(file)]
    if not _format_of(file).supports_datasets:
        raise InputError(f"{file} cannot name a graph; use --graph to say which one it replaces.")
    return parse_file(file)


def read_file(file: Path) -> tuple[bytes, RdfFormat]:
    """Return the content of a file, uncompressed, and its RDF format by its suffix."""
    fmt, content = _format_of(file), file.read_bytes()
    if not file.name.endswith(_GZIP_SUFFIX):
        return content, fmt
    try:
        return gzip.decompress(content), fmt
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file} is not a complete gzip file: {error}") from None


def _format_of(file: Path) -> RdfFormat:
    return rdf_format_of_file(file.name.removesuffix(_GZIP_SUFFIX))

"""The RDF and query result formats that the project reads and writes, by media type and file suffix."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, TypeVar

from kg.errors import UnsupportedFormatError

_FORMAT_NAMESPACE: Final = "http://www.w3.org/ns/formats/"
"""The namespace of the W3C's Unique URIs for File Formats."""


@dataclass(frozen=True)
class _Format:
    """A serialisation by its name, media type and file suffixes; `aliases` are other media types."""

    name: str
    media_type: str
    suffixes: tuple[str, ...]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class RdfFormat(_Format):
    """A serialisation of RDF; `supports_datasets` is true if it keeps graph names."""

    supports_datasets: bool = False

    @property
    def iri(self) -> str:
        """The format's IRI among the W3C's Unique URIs for File Formats."""
        return _FORMAT_NAMESPACE + self.name.replace("/", "_")


@dataclass(frozen=True)
class ResultFormat(_Format):
    """A serialisation of SPARQL query results; `supports_boolean` is true if it can hold the result of ASK."""

    supports_boolean: bool = True

    @property
    def iri(self) -> str:
        """The format's IRI among the W3C's Unique URIs for File Formats."""
        return f"{_FORMAT_NAMESPACE}SPARQL_Results_{self.name}"


FormatT = TypeVar("FormatT", RdfFormat, ResultFormat)

TURTLE: Final = RdfFormat("Turtle", "text/turtle", ("ttl",), aliases=("application/x-turtle",))
NTRIPLES: Final = RdfFormat("N-Triples", "application/n-triples", ("nt",))
JSONLD: Final = RdfFormat("JSON-LD", "application/ld+json", ("jsonld",), supports_datasets=True)
RDFXML: Final = RdfFormat("RDF/XML", "application/rdf+xml", ("rdf", "owl", "xml"))
TRIG: Final = RdfFormat("TriG", "application/trig", ("trig",), supports_datasets=True, aliases=("application/x-trig",))
NQUADS: Final = RdfFormat("N-Quads", "application/n-quads", ("nq",), supports_datasets=True)

GZIP: Final = "application/gzip"
"""The media type of a file that is stored compressed, whatever its content (RFC 6713)."""

RDF_FORMATS: Final = (TURTLE, NTRIPLES, JSONLD, RDFXML, TRIG, NQUADS)
GRAPH_FORMATS: Final = (TURTLE, NTRIPLES, JSONLD, RDFXML)
DATASET_FORMATS: Final = (TRIG, NQUADS, JSONLD)

JSON: Final = ResultFormat("JSON", "application/sparql-results+json", ("srj", "json"), aliases=("application/json",))
XML: Final = ResultFormat(
    "XML", "application/sparql-results+xml", ("srx", "xml"), aliases=("application/xml", "text/xml")
)
CSV: Final = ResultFormat("CSV", "text/csv", ("csv",), supports_boolean=False)
TSV: Final = ResultFormat("TSV", "text/tab-separated-values", ("tsv",), supports_boolean=False)

RESULT_FORMATS: Final = (JSON, XML, CSV, TSV)


def rdf_format(media_type: str) -> RdfFormat:
    """Return the RDF format of a media type without parameters; raises UnsupportedFormatError."""
    normalized = media_type.strip().lower()
    for fmt in RDF_FORMATS:
        if normalized in (fmt.media_type, *fmt.aliases):
            return fmt
    known = ", ".join(fmt.media_type for fmt in RDF_FORMATS)
    raise UnsupportedFormatError(f"{media_type or 'no media type'} is not an RDF format known here: {known}")


def rdf_format_of_file(name: str) -> RdfFormat:
    """Return the RDF format of a file by its suffix; raises UnsupportedFormatError."""
    suffix = PurePath(name).suffix.removeprefix(".").lower()
    for fmt in RDF_FORMATS:
        if suffix in fmt.suffixes:
            return fmt
    known = ", ".join(f".{suffix}" for fmt in RDF_FORMATS for suffix in fmt.suffixes)
    raise UnsupportedFormatError(f"{name}: the suffix names no RDF format; known are {known}")


def format_by_name(formats: tuple[FormatT, ...], name: str) -> FormatT:
    """Return a format by one of its suffixes (`ttl`, `csv`), as in options and URLs; raises UnsupportedFormatError."""
    for fmt in formats:
        if name.lower() in fmt.suffixes:
            return fmt
    known = ", ".join(fmt.suffixes[0] for fmt in formats)
    raise UnsupportedFormatError(f"{name!r} is no known format; choose one of {known}")

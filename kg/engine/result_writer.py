"""Convert pyoxigraph's results into rows, and serialise them into files that are complete before they are sent."""

import errno
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Final

import pyoxigraph as ox

from kg.engine.protocol import QueryRequest, QueryResult, ResultKind, Row
from kg.errors import EngineError, InputError, NotAcceptableError, ResultTooLargeError
from kg.rdf.formats import CSV, JSON, RDF_FORMATS, RESULT_FORMATS, TSV, XML, FormatT, RdfFormat
from kg.rdf.io import serialize_into
from kg.rdf.terms import Quad, Term, Triple

OxResult = ox.QuerySolutions | ox.QueryBoolean | ox.QueryTriples

SPOOL_MEMORY: Final = 1024 * 1024
"""Bytes of a result that are kept in memory; a longer result goes into an anonymous file."""

_UNKNOWN_FUNCTION_ERROR: Final = re.compile(r"custom function (<.*>) is not supported")
_OX_RESULT_FORMATS: Final = {
    JSON: ox.QueryResultsFormat.JSON,
    XML: ox.QueryResultsFormat.XML,
    CSV: ox.QueryResultsFormat.CSV,
    TSV: ox.QueryResultsFormat.TSV,
}


def spool_result(result: OxResult, request: QueryRequest) -> QueryResult:
    """Serialise a result in the format requested for its kind; raises NotAcceptableError if there is none."""
    with _translated_errors(), spooled_body() as body:
        return _write_result(result, request, body)


def spool_quads(quads: Iterator[Quad], fmt: RdfFormat, *, with_graphs: bool) -> QueryResult:
    """Serialise quads, or only their triples unless `with_graphs`."""
    with _translated_errors(), spooled_body() as body:
        serialize_into(quads if with_graphs else (quad.triple for quad in quads), body, fmt)
        return _finish_result("graph", fmt.media_type, body)


@contextmanager
def spooled_body() -> Iterator[IO[bytes]]:
    """Yield a file to write a result into before any of it is sent, so that the status of a response is always true.

    The caller closes the file, unless the block raises. Raises ResultTooLargeError past the limit of a file's size.
    """
    body: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_MEMORY)  # noqa: SIM115 - the caller closes it
    try:
        yield body
    except BaseException as error:
        body.close()
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            raise ResultTooLargeError from error
        raise


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        raise EngineError(f"The query stopped: {error}") from error


def _write_result(result: OxResult, request: QueryRequest, body: IO[bytes]) -> QueryResult:
    if isinstance(result, ox.QueryTriples):
        graph_format = _require_acceptable(request.graph, "triples", RDF_FORMATS)
        serialize_into(result, body, graph_format)
        return _finish_result("graph", graph_format.media_type, body)
    if isinstance(result, ox.QueryBoolean):
        offered = tuple(fmt for fmt in RESULT_FORMATS if fmt.supports_boolean)
        fmt = _require_acceptable(request.boolean, "a boolean", offered)
        result.serialize(body, _OX_RESULT_FORMATS[fmt])
        return _finish_result("boolean", fmt.media_type, body)
    fmt = _require_acceptable(request.solutions, "solutions", RESULT_FORMATS)
    result.serialize(body, _OX_RESULT_FORMATS[fmt])
    return _finish_result("solutions", fmt.media_type, body)


def _finish_result(kind: ResultKind, media_type: str, body: IO[bytes]) -> QueryResult:
    length = body.tell()
    body.seek(0)
    return QueryResult(kind, media_type, body, length)


def _require_acceptable(fmt: FormatT | None, kind: str, offered: tuple[FormatT, ...]) -> FormatT:
    if fmt is None:
        types = tuple(offer.media_type for offer in offered)
        raise NotAcceptableError(f"The result is {kind}; it can be had as {', '.join(types)}.", types)
    return fmt


def rows_from_json(data: bytes) -> list[Row]:
    """Read SPARQL Query Results JSON of a SELECT query."""
    return rows_of_solutions(ox.parse_query_results(data, ox.QueryResultsFormat.JSON))


def rows_of_solutions(result: OxResult) -> list[Row]:
    """Return the solutions of a SELECT query; raises EngineError for other results and for triple terms."""
    return [_reject_triple_terms(row) for row in rows_with_triple_terms(result)]


def rows_with_triple_terms(result: OxResult) -> list[Mapping[str, Term | Triple]]:
    """Return the solutions of a SELECT query, triple terms included; raises EngineError for other results."""
    if not isinstance(result, ox.QuerySolutions):
        raise EngineError("A SELECT query was expected.")
    names = [variable.value for variable in result.variables]
    try:
        return [{name: term for name in names if (term := solution[name]) is not None} for solution in result]
    except (ValueError, OSError, RuntimeError) as error:
        raise evaluation_error(error) from error


def evaluation_error(error: Exception) -> InputError | EngineError:
    """Return the error to raise for one of pyoxigraph's during an evaluation."""
    unknown = _UNKNOWN_FUNCTION_ERROR.search(str(error))
    if unknown is not None:
        return InputError(f"There is no function {unknown[1]} here.")
    return EngineError(f"The query could not be evaluated: {error}")


def _reject_triple_terms(solution: Mapping[str, Term | Triple]) -> Row:
    row = dict[str, Term]()
    for name, term in solution.items():
        if isinstance(term, Triple):
            raise EngineError("A triple term of RDF 1.2 cannot be a value here.")
        row[name] = term
    return row

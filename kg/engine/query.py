"""The read path: a query text with its limits, answered by an engine; and dumps."""

import tempfile
from dataclasses import replace
from typing import IO, Final

from kg.engine.protocol import Engine, QueryRequest, QueryResult
from kg.errors import InputError
from kg.rdf.formats import GZIP
from kg.rdf.io import compress_into
from kg.sparql.tokens import nesting_depth

MAX_QUERY_LENGTH: Final = 1_000_000
"""Code points of query text that are looked at."""
MAX_NESTING: Final = 128
"""How deep brackets, or signs such as `!`, may stand within each other: the parser recurses without a limit."""

_MAX_GZIP_MEMORY: Final = 1024 * 1024


def evaluate_query(engine: Engine, request: QueryRequest) -> QueryResult:
    """Evaluate a query and return its complete, serialised result. Raises what `check` and the engine raise."""
    check_query(request)
    return engine.evaluate(request)


def check_query(request: QueryRequest) -> None:
    """Raise InputError for an empty, overlong or too deeply nested text."""
    if not request.text.strip():
        raise InputError("The query is empty.")
    if len(request.text) > MAX_QUERY_LENGTH:
        raise InputError(f"The query is longer than {MAX_QUERY_LENGTH} characters.")
    check_nesting(request.text)


def check_nesting(text: str) -> None:
    """Raise InputError for a text that is nested too deep for the parser, a query or an update."""
    if nesting_depth(text) > MAX_NESTING:
        raise InputError(f"The text is nested deeper than {MAX_NESTING} levels.")


def gzip_result(result: QueryResult) -> QueryResult:
    """A result as a gzip file, in memory if it is short, else in an anonymous file; closes the result."""
    packed: IO[bytes] = tempfile.SpooledTemporaryFile(_MAX_GZIP_MEMORY)  # noqa: SIM115 - the caller closes it
    with result.body as plain:
        try:
            compress_into(plain, packed)
        except BaseException:
            packed.close()
            raise
    length = packed.tell()
    packed.seek(0)
    return replace(result, media_type=GZIP, body=packed, length=length)

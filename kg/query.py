"""The read path: a query text with its limits, answered by an engine."""

from kg.engine.protocol import Engine, QueryRequest, QueryResult
from kg.errors import InputError

MAX_QUERY_LENGTH = 1_000_000
"""Code points of query text that are looked at."""


def answer(engine: Engine, request: QueryRequest) -> QueryResult:
    """Evaluate a query and return its complete, serialised result.

    Raises InputError for an empty or overlong text, and what the engine raises.
    """
    if not request.text.strip():
        raise InputError("The query is empty.")
    if len(request.text) > MAX_QUERY_LENGTH:
        raise InputError(f"The query is longer than {MAX_QUERY_LENGTH} characters.")
    return engine.evaluate(request)

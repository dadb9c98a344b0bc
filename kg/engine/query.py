"""The read path: check the limits of a query text, have an engine evaluate or explain it, compress the result."""

from dataclasses import replace
from typing import Final

from kg.engine.protocol import Engine, Optimizer, PlanNote, QueryPlan, QueryRequest, QueryResult
from kg.engine.result_writer import spooled_body
from kg.engine.statistics import DatasetStatistics
from kg.engine.syntax_check import check_query_syntax
from kg.errors import InputError
from kg.rdf.formats import GZIP
from kg.rdf.io import compress_into
from kg.sparql.tokens import nesting_depth

MAX_QUERY_LENGTH: Final = 1_000_000
"""The longest query text, in code points."""
MAX_NESTING: Final = 128
"""The deepest nesting of brackets, or of prefix operators such as `!`; the engine's parser has no limit of its own."""


def evaluate_query(engine: Engine, request: QueryRequest) -> QueryResult:
    """Evaluate a query and return its complete, serialised result. Raises what `check_query` and the engine raise."""
    check_query(request)
    return engine.evaluate(request)


def explain_query(text: str, statistics: DatasetStatistics | None, optimizer: Optimizer | None) -> QueryPlan:
    """Return how a query would be planned, without evaluating it.

    Without statistics, the planner uses defaults; without an optimizer, the plan is the query itself. Raises
    QuerySyntaxError for a text that is not a query.
    """
    check_query_syntax(text)
    if optimizer is None:
        return QueryPlan(text, (PlanNote(1, "left alone: planning is switched off"),))
    return optimizer.explain(text, statistics)


def check_query(request: QueryRequest) -> None:
    """Raise InputError for an empty, overlong or too deeply nested query."""
    if not request.text.strip():
        raise InputError("The query is empty.")
    if len(request.text) > MAX_QUERY_LENGTH:
        raise InputError(f"The query is longer than {MAX_QUERY_LENGTH} characters.")
    check_nesting(request.text)


def check_nesting(text: str) -> None:
    """Raise InputError for a query or an update that is nested too deep for the parser."""
    if nesting_depth(text) > MAX_NESTING:
        raise InputError(f"The text is nested deeper than {MAX_NESTING} levels.")


def gzip_result(result: QueryResult) -> QueryResult:
    """Compress a result with gzip, in memory if it is short, else in an anonymous file; closes the given result."""
    with result.body as plain, spooled_body() as compressed:
        compress_into(plain, compressed)
    length = compressed.tell()
    compressed.seek(0)
    return replace(result, media_type=GZIP, body=compressed, length=length)

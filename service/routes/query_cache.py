"""Answers to SPARQL queries from a cache of results.

Its key is what a query means and how its result is sent, so that a GET and a POST of one query share an entry.
"""

import io
from dataclasses import dataclass
from typing import Final

from flask import Flask, current_app

from kg.engine.protocol import QueryRequest, QueryResult, ResultKind
from kg.engine.query import evaluate_query
from kg.sparql.tokens import contains_word, iter_tokens
from service.graph_state import current_graph_state
from service.http.cache import ENTRY_OVERHEAD, MAX_ENTRY_BYTES, BoundedCache, CacheValidator
from service.http.conditional import set_validator
from service.http.exchange import current_exchange, measure_engine_time
from service.http.extensions import get_extension

_EXTENSION_KEY: Final = "hpkg.query_cache"
_VOLATILE_KEYWORDS: Final = frozenset({"NOW", "RAND", "UUID", "STRUUID", "BNODE", "SERVICE"})
"""Keywords of SPARQL whose results differ at each evaluation, or depend on another server."""


@dataclass(frozen=True, slots=True)
class CachedResult:
    """The result of a query."""

    kind: ResultKind
    media_type: str
    body: bytes


class QueryCache:
    """Results of queries by the tag of their validator, bounded in bytes."""

    def __init__(self, capacity: int) -> None:
        self._results = BoundedCache[CachedResult](capacity)

    @property
    def size(self) -> int:
        """The bytes in the cache."""
        return self._results.size

    def get(self, validator: CacheValidator) -> CachedResult | None:
        """Return the result for a validator, or None if it is not cached."""
        return self._results.get(validator.tag)

    def put(self, validator: CacheValidator, result: CachedResult) -> None:
        """Store a result."""
        self._results.put(validator.tag, result, len(result.body) + ENTRY_OVERHEAD)


def attach(app: Flask, cache: QueryCache) -> None:
    """Set the query cache of an app."""
    app.extensions[_EXTENSION_KEY] = cache


def answer_query(query: QueryRequest, media_types: tuple[str, ...]) -> QueryResult:
    """Evaluate a query, or return its cached result; `media_types` are those of each kind of result.

    May abort the request with 304, as `evaluate_preconditions` does. A result of at most MAX_ENTRY_BYTES is in memory.
    A result is stored only if the dataset is still at the version of its validator after the evaluation.
    """
    if not is_deterministic(query.text):
        current_exchange().cache_outcome = "bypass"
        return _evaluate_query(query)
    cache = get_extension(current_app, _EXTENSION_KEY, QueryCache)
    validator = set_validator(*query_cache_key(query, media_types))
    cached = cache.get(validator)
    if cached is not None:
        current_exchange().cache_outcome = "hit"
        return _result_in_memory(cached)
    result = _evaluate_query(query)
    if result.length > MAX_ENTRY_BYTES:
        return result
    with result.body as body:
        evaluated = CachedResult(result.kind, result.media_type, body.read())
    if current_graph_state().engine.version == validator.version:
        cache.put(validator, evaluated)
    return _result_in_memory(evaluated)


def _result_in_memory(result: CachedResult) -> QueryResult:
    return QueryResult(result.kind, result.media_type, io.BytesIO(result.body), len(result.body))


def _evaluate_query(query: QueryRequest) -> QueryResult:
    with measure_engine_time():
        return evaluate_query(current_graph_state().engine, query)


def query_cache_key(query: QueryRequest, media_types: tuple[str, ...]) -> tuple[str, ...]:
    """Return everything in a query that its result depends on."""
    formats = (query.solutions, query.boolean, query.graph)
    names = (fmt.name if fmt is not None else "" for fmt in formats)
    return "sparql", query.text, repr(query.dataset), *names, *media_types


def is_deterministic(query: str) -> bool:
    """Return whether a query's result depends only on the dataset.

    A CONSTRUCT template with blank nodes creates new ones at each evaluation.
    """
    if contains_word(query, "CONSTRUCT") and ("_:" in query or "[" in query):
        return False
    if not any(contains_word(query, word) for word in _VOLATILE_KEYWORDS):
        return True
    return not any(token.kind == "word" and token.text.upper() in _VOLATILE_KEYWORDS for token in iter_tokens(query))

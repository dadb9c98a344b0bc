"""Read IRIs from query results."""

from collections.abc import Iterable

from kg.engine.protocol import Engine
from kg.rdf.terms import NamedNode


def select_iris(engine: Engine, query: str, variable: str) -> list[NamedNode]:
    """Return the IRIs that a SELECT query binds to a variable, in the order of the results."""
    return only_iris(row.get(variable) for row in engine.select(query))


def only_iris(terms: Iterable[object]) -> list[NamedNode]:
    """Return the terms that are IRIs; skip literals, blank nodes and unbound variables."""
    return [term for term in terms if isinstance(term, NamedNode)]

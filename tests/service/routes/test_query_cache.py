"""Which queries may be answered from the cache."""

import pytest

from service.routes.query_cache import is_deterministic


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * { ?s ?p ?o }",
        'SELECT ("NOW()" AS ?x) {}',
        "SELECT ?now { ?now ?rand ?uuid } # RAND()",
        "PREFIX bnode: <urn:> SELECT * { ?s bnode:service <urn:now> }",
        "SELECT * { ?snow ?brand 'service' }",
    ],
)
def test_deterministic(query: str) -> None:
    assert is_deterministic(query)


@pytest.mark.parametrize("word", ["NOW()", "rand()", "Uuid()", "STRUUID()", "BNODE()", "bnode ( 'a' )"])
def test_not_deterministic(word: str) -> None:
    assert not is_deterministic(f"SELECT ({word} AS ?x) {{}}")
    assert not is_deterministic(f"SELECT * {{ BIND ({word} AS ?x) }}")


def test_queries_to_other_servers_are_not_deterministic() -> None:
    assert not is_deterministic("SELECT * { SERVICE <http://example.org/> { ?s ?p ?o } }")

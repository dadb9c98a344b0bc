"""The terms that the query editor completes."""

from kg.rdf.namespaces import HPEZ, PREFIXES
from kg.views.autocomplete import autocomplete_terms


def test_terms_of_the_ontology_have_names_in_both_languages() -> None:
    found = autocomplete_terms([], [])
    assert found["prefixes"] == PREFIXES
    assert found["classes"][HPEZ + "Issue"] == {"en": "issue", "vi": "vấn đề"}  # type: ignore[index]
    assert found["properties"][HPEZ + "investsIn"].keys() == {"en", "vi"}  # type: ignore[index]


def test_terms_that_a_graph_uses_are_added() -> None:
    found = autocomplete_terms(["urn:C"], ["urn:p", HPEZ + "investsIn"])
    assert found["classes"]["urn:C"] == found["properties"]["urn:p"] == {}  # type: ignore[index]
    assert found["properties"][HPEZ + "investsIn"]  # type: ignore[index]

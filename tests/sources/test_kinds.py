"""The kinds of named things."""

import pytest

from kg.rdf.namespaces import BASE, HPEZ, HPSH, ID
from kg.sources.kinds import kind_of


@pytest.mark.parametrize(
    ("iri", "kind"),
    [
        (f"{ID}zone/deep-c", "zone"), (f"{ID}claim/a/b", "claim"), (f"{HPEZ}Zone", "ontology"),
        (f"{BASE}ontology", "ontology"), (f"{BASE}shapes/0.1.0", "shapes"), (f"{HPSH}Label", "shapes"),
        (f"{BASE}graph/source/x", "graph"), (BASE, "other"), (ID, "other"), ("urn:x", "other"),
    ],
)  # fmt: skip
def test_kinds(iri: str, kind: str) -> None:
    assert kind_of(iri) == kind

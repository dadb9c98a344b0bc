"""The terms that the query editor completes: prefixes, and classes and properties with their labels."""

from collections.abc import Iterable
from typing import Final

from kg.rdf.namespaces import OWL, PREFIXES
from kg.rdf.texts_by_language import TextsByLanguage
from kg.views.ontology_terms import ontology_terms

_CLASS_TYPES: Final = frozenset({OWL + "Class"})
_PROPERTY_TYPES: Final = frozenset({OWL + "ObjectProperty", OWL + "DatatypeProperty"})


def autocomplete_terms(classes: Iterable[str], properties: Iterable[str]) -> dict[str, object]:
    """Return the prefixes, classes and properties to offer, as JSON data.

    `classes` and `properties` are the IRIs that a graph uses; the terms of the ontology are added to them. Terms map
    to their labels by language, terms outside the ontology to an empty object.
    """
    return {
        "prefixes": PREFIXES,
        "classes": _labels_by_iri(_CLASS_TYPES, classes),
        "properties": _labels_by_iri(_PROPERTY_TYPES, properties),
    }


def _labels_by_iri(types: frozenset[str], used: Iterable[str]) -> dict[str, TextsByLanguage]:
    labels = {term.iri: term.labels for term in ontology_terms() if term.types & types}
    return {iri: labels.get(iri, TextsByLanguage()) for iri in sorted({*labels, *used})}

"""What an editor of queries offers while one types: the prefixes, and the classes and properties with their names."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.namespaces import OWL, PREFIXES, SKOS
from kg.rdf.terms import RDF_TYPE, Literal, NamedNode
from kg.resources import ontology_files

_CLASS_TYPE: Final = NamedNode(OWL + "Class")
_PROPERTY_TYPES: Final = {NamedNode(OWL + "ObjectProperty"), NamedNode(OWL + "DatatypeProperty")}
_LABEL_PROPERTY: Final = NamedNode(SKOS + "prefLabel")

LabelsByIri = Mapping[str, Mapping[str, str]]
"""The labels of terms, by IRI and language."""


def autocomplete_terms(classes: Iterable[str], properties: Iterable[str]) -> dict[str, object]:
    """The terms of the ontology and those given, which a graph uses, as plain JSON."""
    own_classes, own_properties = _ontology_terms()
    return {
        "prefixes": PREFIXES,
        "classes": {iri: own_classes.get(iri, {}) for iri in sorted({*own_classes, *classes})},
        "properties": {iri: own_properties.get(iri, {}) for iri in sorted({*own_properties, *properties})},
    }


@cache
def _ontology_terms() -> tuple[LabelsByIri, LabelsByIri]:
    labels = defaultdict[str, dict[str, str]](dict)
    classes, properties = set[str](), set[str]()
    for file in ontology_files():
        for quad in parse(file.text.encode(), TURTLE):
            if not isinstance(quad.subject, NamedNode):
                continue
            iri = quad.subject.value
            if quad.predicate == _LABEL_PROPERTY and isinstance(quad.object, Literal) and quad.object.language:
                labels[iri][quad.object.language] = quad.object.value
            elif quad.predicate == RDF_TYPE and quad.object == _CLASS_TYPE:
                classes.add(iri)
            elif quad.predicate == RDF_TYPE and quad.object in _PROPERTY_TYPES:
                properties.add(iri)
    return {iri: labels[iri] for iri in classes}, {iri: labels[iri] for iri in properties}

"""The terms that the packaged ontology declares, with their types and labels."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Final

from kg.rdf.formats import TURTLE
from kg.rdf.io import parse
from kg.rdf.namespaces import SKOS
from kg.rdf.terms import RDF_TYPE, Literal, NamedNode
from kg.rdf.texts_by_language import TextsByLanguage
from kg.resources import ontology_files

_LABEL_PROPERTY: Final = NamedNode(SKOS + "prefLabel")


@dataclass(frozen=True)
class OntologyTerm:
    """A resource with an rdf:type in the ontology or its vocabularies; `types` are IRIs."""

    iri: str
    types: frozenset[str]
    labels: TextsByLanguage


@cache
def ontology_terms() -> tuple[OntologyTerm, ...]:
    """Return all typed IRIs of the ontology files, sorted; the files are parsed once per process."""
    types, labels = defaultdict[str, set[str]](set), defaultdict[str, TextsByLanguage](TextsByLanguage)
    for quad in (quad for file in ontology_files() for quad in parse(file.text.encode(), TURTLE)):
        if not isinstance(quad.subject, NamedNode):
            continue
        if quad.predicate == RDF_TYPE and isinstance(quad.object, NamedNode):
            types[quad.subject.value].add(quad.object.value)
        elif quad.predicate == _LABEL_PROPERTY and isinstance(quad.object, Literal) and quad.object.language:
            labels[quad.subject.value][quad.object.language] = quad.object.value
    return tuple(OntologyTerm(iri, frozenset(types[iri]), labels[iri]) for iri in sorted(types))

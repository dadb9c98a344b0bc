"""Collect the labels, definitions and messages of each term of a namespace, for a list of terms. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kg.rdf.namespaces import DCTERMS, RDFS, SH, SKOS
from kg.rdf.terms import RDF_TYPE, Literal, NamedNode, Quad, Resource, Term
from kg.rdf.texts_by_language import TextsByLanguage

_LABEL_PROPERTIES: Final = (RDFS + "label", SKOS + "prefLabel", SH + "name")
_DEFINITION_PROPERTIES: Final = (SKOS + "definition", RDFS + "comment", DCTERMS + "description", SH + "description")


_Properties = dict[str, list[Term]]


@dataclass(frozen=True)
class TermEntry:
    """A term in a list; `name` is its IRI without the namespace and the HTML id of its entry.

    `severity` and `messages` belong to shapes; `targets` are a shape's target classes.
    """

    iri: str
    name: str
    kinds: tuple[str, ...]
    labels: TextsByLanguage
    definitions: TextsByLanguage
    severity: str | None
    messages: TextsByLanguage
    targets: tuple[str, ...] = ()


def term_entries(quads: Iterable[Quad], namespace: str) -> list[TermEntry]:
    """Return the subjects in a namespace, sorted by IRI; a shape has its SPARQL constraints' messages too."""
    subjects = defaultdict[Term, _Properties](lambda: defaultdict(list))
    for quad in quads:
        if isinstance(quad.subject, Resource) and isinstance(quad.object, Term):
            subjects[quad.subject][quad.predicate.value].append(quad.object)
    iris = (node.value for node in subjects if isinstance(node, NamedNode) and node.value.startswith(namespace))
    return [_term_entry(iri, namespace, subjects) for iri in sorted(iris)]


def _term_entry(iri: str, namespace: str, subjects: dict[Term, _Properties]) -> TermEntry:
    properties = subjects[NamedNode(iri)]
    constraints = (subjects[node] for node in properties.get(SH + "sparql", []))
    messages = [text for item in (properties, *constraints) for text in item.get(SH + "message", [])]
    severities = [node.value.removeprefix(SH) for node in properties.get(SH + "severity", [])]
    return TermEntry(
        iri=iri,
        name=iri.removeprefix(namespace),
        kinds=tuple(node.value for node in properties.get(RDF_TYPE.value, [])),
        labels=_first_texts(properties, _LABEL_PROPERTIES),
        definitions=_first_texts(properties, _DEFINITION_PROPERTIES),
        severity=next(iter(severities), None),
        messages=_texts_by_language(messages),
        targets=tuple(node.value for node in properties.get(SH + "targetClass", []) if isinstance(node, NamedNode)),
    )


def _first_texts(properties: _Properties, predicates: tuple[str, ...]) -> TextsByLanguage:
    return next((_texts_by_language(properties[name]) for name in predicates if name in properties), TextsByLanguage())


def _texts_by_language(terms: Iterable[Term]) -> TextsByLanguage:
    return TextsByLanguage({term.language or "": term.value for term in terms if isinstance(term, Literal)})

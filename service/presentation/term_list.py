"""Collect what a list says of each term of a namespace: labels, definitions, messages; pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kg.rdf.namespaces import DCTERMS, RDFS, SH, SKOS
from kg.rdf.terms import RDF_TYPE, Literal, NamedNode, Quad, Resource, Term

_LABEL_PROPERTIES: Final = (RDFS + "label", SKOS + "prefLabel", SH + "name")
_DEFINITION_PROPERTIES: Final = (SKOS + "definition", RDFS + "comment", DCTERMS + "description", SH + "description")

TextsByLanguage = dict[str, str]
"""A text by language, "" for none."""

_Properties = dict[str, list[Term]]


@dataclass(frozen=True)
class TermEntry:
    """A term of a list; `name` is what its IRI adds to the namespace and serves as its anchor.

    `targets` are the classes whose members a shape is about.
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
    """The subjects of a namespace in a graph, by name; messages of a shape's constraints count as its own."""
    subjects = defaultdict[Term, _Properties](lambda: defaultdict(list))
    for quad in quads:
        if isinstance(quad.subject, Resource) and isinstance(quad.object, Term):
            subjects[quad.subject][quad.predicate.value].append(quad.object)
    iris = (node.value for node in subjects if isinstance(node, NamedNode) and node.value.startswith(namespace))
    return [_term_entry(iri, namespace, subjects) for iri in sorted(iris)]


def _term_entry(iri: str, namespace: str, subjects: dict[Term, _Properties]) -> TermEntry:
    said = subjects[NamedNode(iri)]
    constraints = (subjects[node] for node in said.get(SH + "sparql", []))
    messages = [text for properties in (said, *constraints) for text in properties.get(SH + "message", [])]
    severities = [node.value.removeprefix(SH) for node in said.get(SH + "severity", [])]
    return TermEntry(
        iri=iri,
        name=iri.removeprefix(namespace),
        kinds=tuple(node.value for node in said.get(RDF_TYPE.value, [])),
        labels=_first_texts(said, _LABEL_PROPERTIES),
        definitions=_first_texts(said, _DEFINITION_PROPERTIES),
        severity=next(iter(severities), None),
        messages=_texts_by_language(messages),
        targets=tuple(node.value for node in said.get(SH + "targetClass", []) if isinstance(node, NamedNode)),
    )


def _first_texts(said: _Properties, predicates: tuple[str, ...]) -> TextsByLanguage:
    return next((_texts_by_language(said[name]) for name in predicates if name in said), {})


def _texts_by_language(terms: Iterable[Term]) -> TextsByLanguage:
    return {term.language or "": term.value for term in terms if isinstance(term, Literal)}

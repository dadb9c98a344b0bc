"""Collect what a list says of each term of a namespace: labels, definitions, messages; pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kg.rdf.io import RDF_TYPE, Literal, NamedNode, Quad, Resource, Term
from kg.rdf.namespaces import DCTERMS, RDFS, SH, SKOS

_LABELS: Final = (RDFS + "label", SKOS + "prefLabel", SH + "name")
_DEFINITIONS: Final = (SKOS + "definition", RDFS + "comment", DCTERMS + "description", SH + "description")

Texts = dict[str, str]
"""A text by language, "" for none."""

_Properties = dict[str, list[Term]]


@dataclass(frozen=True)
class Entry:
    """A term of a list; `name` is what its IRI adds to the namespace and serves as its anchor.

    `targets` are the classes whose members a shape is about.
    """

    iri: str
    name: str
    kinds: tuple[str, ...]
    labels: Texts
    definitions: Texts
    severity: str | None
    messages: Texts
    targets: tuple[str, ...] = ()


def entries(quads: Iterable[Quad], namespace: str) -> list[Entry]:
    """The subjects of a namespace in a graph, by name; messages of a shape's constraints count as its own."""
    subjects = defaultdict[Term, _Properties](lambda: defaultdict(list))
    for quad in quads:
        if isinstance(quad.subject, Resource) and isinstance(quad.object, Term):
            subjects[quad.subject][quad.predicate.value].append(quad.object)
    iris = (node.value for node in subjects if isinstance(node, NamedNode) and node.value.startswith(namespace))
    return [_entry(iri, namespace, subjects) for iri in sorted(iris)]


def _entry(iri: str, namespace: str, subjects: dict[Term, _Properties]) -> Entry:
    said = subjects[NamedNode(iri)]
    constraints = (subjects[node] for node in said.get(SH + "sparql", []))
    messages = [text for properties in (said, *constraints) for text in properties.get(SH + "message", [])]
    severities = [node.value.removeprefix(SH) for node in said.get(SH + "severity", [])]
    return Entry(
        iri=iri,
        name=iri.removeprefix(namespace),
        kinds=tuple(node.value for node in said.get(RDF_TYPE.value, [])),
        labels=_first(said, _LABELS),
        definitions=_first(said, _DEFINITIONS),
        severity=next(iter(severities), None),
        messages=_texts(messages),
        targets=tuple(node.value for node in said.get(SH + "targetClass", []) if isinstance(node, NamedNode)),
    )


def _first(said: _Properties, predicates: tuple[str, ...]) -> Texts:
    return next((_texts(said[name]) for name in predicates if name in said), {})


def _texts(terms: Iterable[Term]) -> Texts:
    return {term.language or "": term.value for term in terms if isinstance(term, Literal)}

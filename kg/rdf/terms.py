"""RDF terms: their types, their text for people, and their JSON form."""

import contextlib
from typing import Final
from urllib.parse import quote

from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple

from kg.errors import EngineError, InputError
from kg.rdf.namespaces import RDF, XSD, compact

__all__ = [
    "RDF_TYPE",
    "XSD_STRING",
    "BlankNode",
    "DefaultGraph",
    "Literal",
    "NamedNode",
    "Quad",
    "Resource",
    "Term",
    "Triple",
    "iri_candidates",
    "parse_iri",
    "term_from_json",
    "term_text",
    "term_to_json",
]

Resource = NamedNode | BlankNode
Term = NamedNode | BlankNode | Literal

RDF_TYPE: Final = NamedNode(RDF + "type")
XSD_STRING: Final = XSD + "string"

_IRI_SAFE_CHARACTERS: Final = ":/?#[]@!$&'()*+,;=%"
"""Characters that percent-encoding an IRI leaves alone (RFC 3986, section 2.2)."""


def iri_candidates(iri: str) -> list[NamedNode]:
    """Return the forms in which the graph may store an IRI from a URL: as it is, and percent-encoded.

    Forms that are not valid IRIs are left out, so the list may be empty.
    """
    candidates = list[NamedNode]()
    for text in dict.fromkeys((iri, quote(iri, safe=_IRI_SAFE_CHARACTERS))):
        with contextlib.suppress(ValueError):
            candidates.append(NamedNode(text))
    return candidates


def parse_iri(text: str) -> NamedNode:
    """Return an absolute IRI; raises InputError for any other text."""
    try:
        return NamedNode(text)
    except ValueError:
        raise InputError(f"<{text}> is not an IRI.") from None


def term_text(term: Term) -> str:
    """Format a term for people: IRIs are shortened with prefixes, literals are written as in Turtle."""
    return compact(term.value) if isinstance(term, NamedNode) else str(term)


def term_to_json(term: Term) -> list[str]:
    """Return a term as a list of strings, to send it to another process."""
    match term:
        case NamedNode():
            return ["iri", term.value]
        case BlankNode():
            return ["blank", term.value]
        case Literal():
            return ["literal", term.value, term.language or "", term.datatype.value]


def term_from_json(data: list[str]) -> Term:
    """Return the term that `term_to_json` encoded; raises EngineError for anything else."""
    match data:
        case ["iri", value]:
            return NamedNode(value)
        case ["blank", value]:
            return BlankNode(value)
        case ["literal", value, "", datatype]:
            return Literal(value, datatype=NamedNode(datatype))
        case ["literal", value, language, _]:
            return Literal(value, language=language)
    raise EngineError(f"{data!r} is not an RDF term")

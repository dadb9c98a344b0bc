"""Write triples as compact JSON-LD 1.1, and let the parser read it back without fetching its context; pure.

The serialisers at hand do not serve: pyoxigraph's writes expanded JSON-LD only, and rdflib's changes numbers
("007" becomes 7), never nests blank nodes, and gives other bytes each time, which a strong ETag does not allow.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from textwrap import shorten
from typing import Final

from kg.errors import RdfSyntaxError
from kg.rdf.namespaces import XSD
from kg.rdf.terms import RDF_TYPE, XSD_STRING, BlankNode, Literal, NamedNode, Resource, Term, Triple

REFERENCE_COERCION: Final = "@id"
LANGUAGE_COERCION: Final = "@language"

NodeObject = dict[str, object]
"""A JSON-LD node object."""

_MAX_NATIVE_DIGITS: Final = 15
"""Digits of a JSON number that every reader keeps, also one that reads numbers as doubles."""
_KEYWORD_ALIASES: Final = {"id": "@id", "type": "@type"}
_JSON_TOKEN: Final = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+("|\\?\Z))(\s*+:)?|[\[\]{}]', re.DOTALL)
"""A string of JSON with its end, which is empty or a backslash if nothing closes it, and the colon that makes it a key;
or a bracket. No part gives back what it took, so that looking at any text takes time in proportion to it."""
MAX_CONTEXT_REFERENCES: Final = 1000
"""How often a document may name the project's context, since each time costs as much as the context is long."""


@dataclass(frozen=True)
class TermDefinition:
    """What a term of a context stands for.

    `coercion` says which values it takes: REFERENCE for IRIs and blank nodes, LANGUAGE for language-tagged texts
    (which then stand in an object by language), the IRI of a datatype, or None for any value.
    """

    iri: str
    coercion: str | None = None


@dataclass(frozen=True)
class Context:
    """The names that a document uses: prefixes and terms by name, neither `id` nor `type`, which mean @id and @type."""

    prefixes: Mapping[str, str]
    terms: Mapping[str, TermDefinition]

    @cached_property
    def terms_by_iri(self) -> Mapping[str, tuple[tuple[str, TermDefinition], ...]]:
        """The terms that stand for an IRI, those with a coercion first."""
        found = defaultdict[str, list[tuple[str, TermDefinition]]](list)
        for term, name in sorted(self.terms.items(), key=lambda item: (item[1].coercion is None, item[0])):
            found[name.iri].append((term, name))
        return {iri: tuple(terms) for iri, terms in found.items()}

    def compact_iri(self, iri: str) -> str:
        """An IRI with the longest prefix that fits, or as it is."""
        fits = [(len(start), prefix) for prefix, start in self.prefixes.items() if iri.startswith(start)]
        if not fits:
            return iri
        length, prefix = max(fits)
        return iri if iri[length:].startswith("//") else f"{prefix}:{iri[length:]}"

    def compact_type(self, iri: str) -> str:
        """The term for a class or a datatype, else its shortened IRI."""
        return next(
            (term for term, name in self.terms_by_iri.get(iri, ()) if name.coercion is None), self.compact_iri(iri)
        )

    def to_json(self) -> NodeObject:
        """The context as the document that others refer to."""
        terms = {term: self._definition(name) for term, name in sorted(self.terms.items())}
        return {"@context": {**_KEYWORD_ALIASES, **dict(sorted(self.prefixes.items())), **terms}}

    def _definition(self, name: TermDefinition) -> str | NodeObject:
        iri = self.compact_iri(name.iri)
        match name.coercion:
            case None:
                return iri
            case "@language":
                return {"@id": iri, "@container": "@language"}
            case coercion:
                return {"@id": iri, "@type": self.compact_iri(coercion)}

    def without_prefixes(self, prefixes: Iterable[str]) -> "Context":
        """This context without some prefixes."""
        kept = {prefix: iri for prefix, iri in self.prefixes.items() if prefix not in prefixes}
        return replace(self, prefixes=kept)


def write_document(triples: Iterable[Triple], context: Context, url: str, first: NamedNode | None = None) -> str:
    """Write triples as a document that refers to the context at a URL, with the node `first` before all others.

    Equal triples give equal bytes, but for blank nodes that several others point at.
    """
    known = list(triples)
    masking = _prefixes_used_as_schemes(known, context)
    nodes = _Compactor(known, context.without_prefixes(masking)).nodes(first)
    used: str | list[object] = [url, dict.fromkeys(masking)] if masking else url
    return json.dumps({"@context": used, "@graph": nodes}, ensure_ascii=False, indent=2) + "\n"


def _prefixes_used_as_schemes(triples: Iterable[Triple], context: Context) -> list[str]:
    """The prefixes that are also schemes of IRIs here, as in `geo:20.8,106.7`, which would be taken for the prefix."""
    terms = (term for triple in triples for term in (triple.subject, triple.predicate, triple.object))
    schemes = {term.value.partition(":")[0] for term in terms if isinstance(term, NamedNode)}
    return sorted(schemes & context.prefixes.keys())


class _Compactor:
    def __init__(self, triples: Iterable[Triple], context: Context) -> None:
        self._context = context
        self._statements = defaultdict[Resource, list[tuple[NamedNode, Term]]](list)
        self._references = Counter[Term]()
        self._written = set[Term]()
        for triple in triples:
            if isinstance(triple.subject, Resource) and isinstance(triple.object, Term):
                self._statements[triple.subject].append((triple.predicate, triple.object))
                self._references[triple.object] += 1 if triple.predicate != RDF_TYPE else 2

    def nodes(self, first: NamedNode | None) -> list[NodeObject]:
        """All nodes: the first, the others by IRI, then blank nodes that are not nested in one of these."""
        order = sorted(self._statements, key=lambda node: (node != first, isinstance(node, BlankNode), node.value))
        roots = [node for node in order if not self._is_nestable(node)]
        found = [self._node(node) for node in roots]
        return found + [self._node(node) for node in order if node not in self._written]  # blank nodes in a ring

    def _is_nestable(self, term: Term) -> bool:
        return isinstance(term, BlankNode) and self._references[term] == 1

    def _node(self, node: Resource, *, nested: bool = False) -> NodeObject:
        self._written.add(node)
        anonymous = isinstance(node, BlankNode) and (nested or not self._references[node])
        written: NodeObject = {} if anonymous else {"id": _node_id(node)}
        values = defaultdict[str, list[object]](list)
        texts = defaultdict[str, dict[str, list[object]]](lambda: defaultdict(list))
        for predicate, value in self._statements[node]:
            key, coercion = self._key(predicate, value)
            if coercion == LANGUAGE_COERCION and isinstance(value, Literal) and value.language:
                texts[key][value.language].append(value.value)
            else:
                values[key].append(self._value(value, coercion))
        tables = {
            key: {tag: _one_or_array(found) for tag, found in sorted(by_tag.items())} for key, by_tag in texts.items()
        }
        lists = {key: _one_or_array(found) for key, found in values.items()}
        return written | dict(sorted((lists | tables).items(), key=lambda item: (item[0] != "type", item[0])))

    def _key(self, predicate: NamedNode, value: Term) -> tuple[str, str | None]:
        """The key for a value of a predicate, and how the key is read."""
        if predicate == RDF_TYPE and isinstance(value, Resource):
            return "type", "@vocab"
        for term, name in self._context.terms_by_iri.get(predicate.value, ()):
            if _accepts_value(name, value):
                return term, name.coercion
        return self._context.compact_iri(predicate.value), None

    def _value(self, value: Term, coercion: str | None) -> object:
        match value:
            case Literal():
                return value.value if coercion else self._literal(value)
            case NamedNode() if coercion == "@vocab":
                return self._context.compact_type(value.value)
            case BlankNode() if self._is_nestable(value) and value in self._statements and value not in self._written:
                return self._node(value, nested=True)
        return _node_id(value) if coercion else {"id": _node_id(value)}

    def _literal(self, literal: Literal) -> object:
        datatype = literal.datatype.value
        if literal.language:
            return {"@value": literal.value, "@language": literal.language}
        if datatype == XSD_STRING:
            return literal.value
        native = _native_value(literal.value, datatype)
        return {"@value": literal.value, "@type": self._context.compact_type(datatype)} if native is None else native


def _accepts_value(name: TermDefinition, value: Term) -> bool:
    if name.coercion is None:
        return True
    if isinstance(value, Literal):
        return name.coercion == (LANGUAGE_COERCION if value.language else value.datatype.value)
    return name.coercion == REFERENCE_COERCION


def _node_id(node: Resource) -> str:
    return node.value if isinstance(node, NamedNode) else str(node)


def _native_value(text: str, datatype: str) -> int | bool | None:
    """A JSON number or boolean that reads back as the very same literal."""
    if datatype == XSD + "boolean":
        return {"true": True, "false": False}.get(text)
    digits = text.removeprefix("-")
    whole = datatype == XSD + "integer" and digits.isascii() and digits.isdigit() and len(digits) <= _MAX_NATIVE_DIGITS
    return int(text) if whole and str(int(text)) == text else None


def _one_or_array(values: list[object]) -> object:
    """One value as it is, several as an array in an order of their own."""
    return values[0] if len(values) == 1 else sorted(values, key=lambda value: json.dumps(value, ensure_ascii=False))


def inline_context(data: bytes, context: Context, urls: Collection[str]) -> bytes:
    """Put a context into JSON-LD wherever the document names it by one of its URLs; the rest stays byte for byte.

    So nothing is fetched. Raises RdfSyntaxError for a context of any other URL, and for too many references. What is
    not JSON is left to the parser.
    """
    written = json.dumps(context.to_json()["@context"], separators=(",", ":")).encode()
    pieces, end = list[bytes](), 0
    for number, match in enumerate(_context_references(data)):
        refused = _rejection_reason(_decode_string(match[1]), number, urls)
        if refused is not None:
            raise RdfSyntaxError(refused, _line_number(data, match))
        pieces += [data[end : match.start()], written]
        end = match.end()
    return b"".join((*pieces, data[end:]))


def _rejection_reason(url: str, number: int, urls: Collection[str]) -> str | None:
    """Why a reference to a context, the first one being number 0, is not taken; None if it is."""
    if url not in urls:
        return (
            f"The JSON-LD names a remote context, {shorten(url, 200)}, and nothing is fetched. Write the context into "
            f"the document, or name {' or '.join(urls)}."
        )
    return (
        f"The JSON-LD names its context more than {MAX_CONTEXT_REFERENCES} times."
        if number >= MAX_CONTEXT_REFERENCES
        else None
    )


def _context_references(data: bytes) -> Iterator[re.Match[bytes]]:
    """The strings that name a context: values of `@context`, alone or in an array (JSON-LD 1.1, section 9.15).

    Raises RdfSyntaxError for a string without end, over which the parser's own checks would take very long.
    """
    keys = [""]  # of all that is open, the innermost last; an array stands under the key of its object
    for match in _JSON_TOKEN.finditer(data):
        if match[0] in b"{[":
            keys.append(keys[-1] if match[0] == b"[" else "")
        elif match[0] in b"}]":
            if len(keys) > 1:
                keys.pop()
        elif match[2] != b'"':
            raise RdfSyntaxError("The JSON-LD does not parse: a string has no end.", _line_number(data, match))
        elif match[3]:
            keys[-1] = _decode_string(match[1])
        elif keys[-1] == "@context" and "@value" not in keys:
            yield match


def _line_number(data: bytes, match: re.Match[bytes]) -> int:
    return data.count(b"\n", 0, match.start()) + 1


def _decode_string(text: bytes) -> str:
    """The text of a JSON string, with replacement characters for what is no text."""
    try:
        return str(json.loads(text, strict=False)).encode("utf-8", "replace").decode()
    except ValueError:
        return text.decode("utf-8", "replace")

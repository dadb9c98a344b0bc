"""Write compact JSON-LD 1.1, and inline the project's context into documents that refer to it.

The serialisers of the libraries are not suitable: pyoxigraph writes only expanded JSON-LD; rdflib changes numbers
("007" becomes 7), never nests blank nodes, and its output differs each time, which strong ETags do not allow.
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
"""Maximum digits of an integer that is written as a JSON number: readers that use doubles keep so many."""
_KEYWORD_ALIASES: Final = {"id": "@id", "type": "@type"}
_JSON_TOKEN: Final = re.compile(
    rb'(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+(?P<end>"|\\?\Z))(?P<colon>\s*+:)?|[\[\]{}]', re.DOTALL
)
"""A JSON string, with its quotes, or a bracket.

The end of an unclosed string is empty or a backslash; a colon after a string makes it a key. The quantifiers are
possessive, so that matching takes linear time.
"""
MAX_CONTEXT_REFERENCES: Final = 1000
"""Maximum references to the project's context in a document, because each is replaced by the whole context."""


@dataclass(frozen=True)
class TermDefinition:
    """The definition of a term in a context.

    `coercion` restricts the values of the term: REFERENCE_COERCION to IRIs and blank nodes, LANGUAGE_COERCION to
    language-tagged strings (written as a language map), the IRI of a datatype to literals of that type. None allows
    any value.
    """

    iri: str
    coercion: str | None = None


@dataclass(frozen=True)
class Context:
    """A JSON-LD context: prefixes and terms by name. `id` and `type` are always aliases of @id and @type."""

    prefixes: Mapping[str, str]
    terms: Mapping[str, TermDefinition]

    @cached_property
    def terms_by_iri(self) -> Mapping[str, tuple[tuple[str, TermDefinition], ...]]:
        """The terms for each IRI, those with a coercion first."""
        by_iri = defaultdict[str, list[tuple[str, TermDefinition]]](list)
        for term, definition in sorted(self.terms.items(), key=lambda item: (item[1].coercion is None, item[0])):
            by_iri[definition.iri].append((term, definition))
        return {iri: tuple(terms) for iri, terms in by_iri.items()}

    def compact_iri(self, iri: str) -> str:
        """Return an IRI in compact form with the longest matching namespace, or unchanged.

        Readers do not expand `prefix://…` (JSON-LD 1.1 API, section 5.2), so it is not written.
        """
        matching = [
            (len(namespace), prefix) for prefix, namespace in self.prefixes.items() if iri.startswith(namespace)
        ]
        if not matching:
            return iri
        length, prefix = max(matching)
        return iri if iri[length:].startswith("//") else f"{prefix}:{iri[length:]}"

    def compact_type(self, iri: str) -> str:
        """Return the term for a class or a datatype, or its compact IRI."""
        terms = (term for term, definition in self.terms_by_iri.get(iri, ()) if definition.coercion is None)
        return next(terms, self.compact_iri(iri))

    def to_json(self) -> NodeObject:
        """Return the context document to which other documents refer."""
        terms = {term: self._definition_to_json(definition) for term, definition in sorted(self.terms.items())}
        return {"@context": {**_KEYWORD_ALIASES, **dict(sorted(self.prefixes.items())), **terms}}

    def _definition_to_json(self, definition: TermDefinition) -> str | NodeObject:
        iri = self.compact_iri(definition.iri)
        match definition.coercion:
            case None:
                return iri
            case "@language":
                return {"@id": iri, "@container": "@language"}
            case coercion:
                return {"@id": iri, "@type": self.compact_iri(coercion)}

    def without_prefixes(self, prefixes: Iterable[str]) -> "Context":
        """Return this context without some prefixes."""
        kept = {prefix: iri for prefix, iri in self.prefixes.items() if prefix not in prefixes}
        return replace(self, prefixes=kept)


def write_document(triples: Iterable[Triple], context: Context, url: str, first: NamedNode | None = None) -> str:
    """Write triples as a document that refers to the context by URL, with the node `first` before all others.

    Equal triples give equal bytes, except for the labels of blank nodes with several references.
    """
    all_triples = list(triples)
    ambiguous = _prefixes_used_as_schemes(all_triples, context)
    nodes = _Compactor(all_triples, context.without_prefixes(ambiguous)).nodes(first)
    reference: str | list[object] = [url, dict.fromkeys(ambiguous)] if ambiguous else url
    return json.dumps({"@context": reference, "@graph": nodes}, ensure_ascii=False, indent=2) + "\n"


def _prefixes_used_as_schemes(triples: Iterable[Triple], context: Context) -> list[str]:
    """Return the prefixes that are also IRI schemes in the triples, such as `geo:20.8,106.7`.

    A reader would expand such an IRI with the prefix.
    """
    terms = (term for triple in triples for term in (triple.subject, triple.predicate, triple.object))
    schemes = {term.value.partition(":")[0] for term in terms if isinstance(term, NamedNode)}
    return sorted(schemes & context.prefixes.keys())


class _Compactor:
    """Turns triples into compact node objects.

    A blank node with a single reference is nested in the node that refers to it. A blank node that is a class counts as
    referenced twice, because a value of `type` is an id and cannot nest a node.
    """

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
        """Return all node objects: `first`, then named nodes by IRI, then blank nodes that are not nested."""
        order = sorted(self._statements, key=lambda node: (node != first, isinstance(node, BlankNode), node.value))
        roots = [node for node in order if not self._is_nestable(node)]
        objects = [self._node(node) for node in roots]
        in_cycles = [self._node(node) for node in order if node not in self._written]
        return objects + in_cycles

    def _is_nestable(self, term: Term) -> bool:
        return isinstance(term, BlankNode) and self._references[term] == 1

    def _node(self, node: Resource, *, nested: bool = False) -> NodeObject:
        self._written.add(node)
        anonymous = isinstance(node, BlankNode) and (nested or not self._references[node])
        node_object: NodeObject = {} if anonymous else {"id": _node_id(node)}
        values = defaultdict[str, list[object]](list)
        tagged_texts = defaultdict[str, dict[str, list[object]]](lambda: defaultdict(list))
        for predicate, value in self._statements[node]:
            key, coercion = self._key(predicate, value)
            if coercion == LANGUAGE_COERCION and isinstance(value, Literal) and value.language:
                tagged_texts[key][value.language].append(value.value)
            else:
                values[key].append(self._value(value, coercion))
        language_maps = {
            key: {tag: _one_or_array(texts) for tag, texts in sorted(by_tag.items())}
            for key, by_tag in tagged_texts.items()
        }
        members = {key: _one_or_array(items) for key, items in values.items()} | language_maps
        return node_object | dict(sorted(members.items(), key=lambda item: (item[0] != "type", item[0])))

    def _key(self, predicate: NamedNode, value: Term) -> tuple[str, str | None]:
        """Return the key for a value of a predicate, and the key's coercion."""
        if predicate == RDF_TYPE and isinstance(value, Resource):
            return "type", "@vocab"
        for term, definition in self._context.terms_by_iri.get(predicate.value, ()):
            if _accepts_value(definition, value):
                return term, definition.coercion
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


def _accepts_value(definition: TermDefinition, value: Term) -> bool:
    if definition.coercion is None:
        return True
    if isinstance(value, Literal):
        return definition.coercion == (LANGUAGE_COERCION if value.language else value.datatype.value)
    return definition.coercion == REFERENCE_COERCION


def _node_id(node: Resource) -> str:
    return node.value if isinstance(node, NamedNode) else str(node)


def _native_value(text: str, datatype: str) -> int | bool | None:
    """Return the JSON number or boolean that reads back as the same literal, or None."""
    if datatype == XSD + "boolean":
        return {"true": True, "false": False}.get(text)
    digits = text.removeprefix("-")
    is_digits = digits.isascii() and digits.isdigit() and len(digits) <= _MAX_NATIVE_DIGITS
    return int(text) if datatype == XSD + "integer" and is_digits and str(int(text)) == text else None


def _one_or_array(values: list[object]) -> object:
    """Return a single value, or an array of several values sorted by their JSON."""
    return values[0] if len(values) == 1 else sorted(values, key=lambda value: json.dumps(value, ensure_ascii=False))


def inline_context(data: bytes, context: Context, urls: Collection[str]) -> bytes:
    """Replace each reference to a context by the context itself, so that the parser fetches nothing.

    All other bytes stay unchanged. `urls` are the URLs of the context. Raises RdfSyntaxError for the URL of any other
    context and for too many references. The parser reports input that is not JSON.
    """
    inlined = json.dumps(context.to_json()["@context"], separators=(",", ":")).encode()
    pieces, end = list[bytes](), 0
    for number, match in enumerate(_context_references(data)):
        reason = _rejection_reason(_decode_string(match["string"]), number, urls)
        if reason is not None:
            raise RdfSyntaxError(reason, _line_number(data, match))
        pieces += [data[end : match.start()], inlined]
        end = match.end()
    return b"".join((*pieces, data[end:]))


def _rejection_reason(url: str, number: int, urls: Collection[str]) -> str | None:
    """Return why a reference to a context is refused, None if it is accepted; `number` counts references from 0."""
    if url not in urls:
        return (
            f"The JSON-LD names a remote context, {shorten(url, 200)}, and nothing is fetched. Write the context into "
            f"the document, or name {' or '.join(urls)}."
        )
    if number >= MAX_CONTEXT_REFERENCES:
        return f"The JSON-LD names its context more than {MAX_CONTEXT_REFERENCES} times."
    return None


def _context_references(data: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the strings that refer to a context: values of @context, alone or in an array (JSON-LD 1.1, section 9.15).

    Strings anywhere inside a @value are skipped: there they are data (JSON literals). Raises RdfSyntaxError for an
    unclosed string, on which the parser's own checks would take very long.
    """
    keys = [""]  # the current key of each open object or array, innermost last; an array has its object's key
    for match in _JSON_TOKEN.finditer(data):
        if match[0] in b"{[":
            keys.append(keys[-1] if match[0] == b"[" else "")
        elif match[0] in b"}]":
            if len(keys) > 1:
                keys.pop()
        elif match["end"] != b'"':
            raise RdfSyntaxError("The JSON-LD does not parse: a string has no end.", _line_number(data, match))
        elif match["colon"]:
            keys[-1] = _decode_string(match["string"])
        elif keys[-1] == "@context" and "@value" not in keys:
            yield match


def _line_number(data: bytes, match: re.Match[bytes]) -> int:
    return data.count(b"\n", 0, match.start()) + 1


def _decode_string(text: bytes) -> str:
    """Return the text of a quoted JSON string, with invalid code points replaced."""
    try:
        return str(json.loads(text, strict=False)).encode("utf-8", "replace").decode()
    except ValueError:
        return text.decode("utf-8", "replace")

"""Validation reports: findings and suggested fixes (SHACL, section 3.6; DASH suggestions)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from kg.errors import EngineError
from kg.rdf.namespaces import RDF, SH, compact
from kg.rdf.rdflib_terms import term_from_rdflib, term_to_rdflib
from kg.rdf.terms import BlankNode, Literal, NamedNode, Resource, Term, Triple, term_text
from kg.rdf.texts_by_language import TextsByLanguage

VIOLATION: Final = NamedNode(SH + "Violation")
WARNING: Final = NamedNode(SH + "Warning")
INFO: Final = NamedNode(SH + "Info")

_PATH_OPERATORS: Final = {
    "inversePath": ("^", ""),
    "zeroOrMorePath": ("", "*"),
    "oneOrMorePath": ("", "+"),
    "zeroOrOnePath": ("", "?"),
}
"""The text before and after the operand, by the local name of the path property."""


@dataclass(frozen=True)
class Suggestion:
    """A fix that was tried: with these triples removed and added, the finding disappears and no other appears.

    In RDF it is a dash:GraphUpdate (DASH, suggestions vocabulary).
    """

    messages: tuple[Literal, ...]
    removed: tuple[Triple, ...]
    added: tuple[Triple, ...]

    def message(self, language: str) -> str:
        """Return the instruction in a language, or in any other language."""
        return _message_in_language(self.messages, language)


@dataclass(frozen=True)
class Finding:
    """One validation result (SHACL, section 3.6.2)."""

    focus: Term
    shape: Resource
    component: NamedNode
    severity: NamedNode
    path: Term | None = None
    value: Term | None = None
    constraint: Resource | None = None
    messages: tuple[Literal, ...] = ()
    path_triples: tuple[Triple, ...] = ()
    suggestions: tuple["Suggestion", ...] = ()

    def message(self, language: str) -> str:
        """Return the message in a language, or in any other language."""
        return _message_in_language(self.messages, language)

    @property
    def path_text(self) -> str:
        """The path in SPARQL syntax with prefixed names; empty without a path."""
        return "" if self.path is None else _path_text(self.path, self.path_triples)

    @property
    def place(self) -> str:
        """The focus node and the path, for people."""
        return f"{term_text(self.focus)} {self.path_text}".rstrip()

    def summary(self, language: str) -> str:
        """Return its place, message and shape as one line."""
        return f"{self.place}: {self.message(language)} ({term_text(self.shape)})"


@dataclass(frozen=True)
class ValidationReport:
    """A validation report; the findings are sorted, violations first."""

    findings: tuple[Finding, ...]

    @property
    def conforms(self) -> bool:
        """Whether there is no finding of any severity: the value of sh:conforms."""
        return not self.findings

    @property
    def admissible(self) -> bool:
        """Whether there is no violation; warnings and infos admit the data."""
        return not self.with_severity(VIOLATION)

    def with_severity(self, severity: NamedNode) -> tuple[Finding, ...]:
        """Return the findings of one severity."""
        return tuple(item for item in self.findings if item.severity == severity)

    def without(self, earlier: "ValidationReport") -> "ValidationReport":
        """Return a report of the findings that an earlier report does not contain."""
        known = {finding_key(item) for item in earlier.findings}
        return ValidationReport(tuple(item for item in self.findings if finding_key(item) not in known))


def _message_in_language(messages: Iterable[Literal], language: str) -> str:
    return TextsByLanguage({item.language or "": item.value for item in messages}).best(language) or ""


def _path_text(path: object, triples: tuple[Triple, ...]) -> str:
    """Return a property path in SPARQL syntax (SHACL, section 2.3.1)."""
    if isinstance(path, NamedNode):
        return compact(path.value)
    parts = {item.predicate.value: item.object for item in triples if item.subject == path}
    for name, (before, after) in _PATH_OPERATORS.items():
        if SH + name in parts:
            return f"{before}{_parenthesized_path(parts[SH + name], triples)}{after}"
    if SH + "alternativePath" in parts:
        return f"({'|'.join(_path_elements(parts[SH + 'alternativePath'], triples))})"
    return "/".join(_path_elements(path, triples))


def _parenthesized_path(path: object, triples: tuple[Triple, ...]) -> str:
    """Return the operand of a path operator; a sequence needs parentheses."""
    text = _path_text(path, triples)
    is_list = any(item.subject == path and item.predicate.value == RDF + "first" for item in triples)
    return f"({text})" if is_list else text


def _path_elements(head: object, triples: tuple[Triple, ...]) -> Iterator[str]:
    for item in triples:
        if item.subject == head and item.predicate.value == RDF + "first":
            yield _path_text(item.object, triples)
    for item in triples:
        if item.subject == head and item.predicate.value == RDF + "rest":
            yield from _path_elements(item.object, triples)


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order of a report: violations first."""
    return tuple(sorted(findings, key=_sort_key))


def finding_key(item: Finding) -> tuple[object, ...]:
    """Return a key that is equal for the same finding of two runs; labels of blank nodes do not count."""
    terms = (item.focus, item.path, item.value, item.shape, item.component, item.constraint)
    return (*("_" if isinstance(term, BlankNode) else str(term) for term in terms), str(item.severity))


def _sort_key(item: Finding) -> tuple[object, ...]:
    severities = (VIOLATION, WARNING, INFO)
    rank = severities.index(item.severity) if item.severity in severities else len(severities)
    return (rank, finding_key(item))


def triple_terms(triple: Triple) -> tuple[Term, Term, Term]:
    """Return subject, predicate and object. Raise EngineError for a term of RDF 1.2."""
    return (
        term_from_rdflib(term_to_rdflib(triple.subject)),
        triple.predicate,
        term_from_rdflib(term_to_rdflib(triple.object)),
    )


def require_resource(term: Term | None) -> Resource:
    """Return a term if it is an IRI or a blank node, else raise EngineError, so that nothing is admitted."""
    if not isinstance(term, NamedNode | BlankNode):
        raise EngineError("The validator gave a result without its shape, so nothing is admitted.")
    return term


def require_iri(term: Term | None) -> NamedNode:
    """Return a term if it is an IRI, else raise EngineError, so that nothing is admitted."""
    if not isinstance(term, NamedNode):
        raise EngineError("The validator gave an incomplete result, so nothing is admitted.")
    return term

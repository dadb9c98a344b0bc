"""Arrange a description as a table of all statements, in one language. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from kg.rdf.namespaces import compact
from kg.rdf.terms import RDF_TYPE, XSD_STRING, BlankNode, Literal, NamedNode, Term, Triple
from kg.rdf.texts_by_language import TextsByLanguage
from kg.sources.anchors import Anchor
from kg.views.description import Description
from service.presentation.display_values import MAX_TEXT_LENGTH, DisplayValue, shorten
from service.presentation.names import fallback_name

_MAX_DEPTH: Final = 3
"""Maximum depth of nested blank nodes in a table."""


@dataclass(frozen=True)
class TableValue(DisplayValue):
    """A value of a statement: a literal may have a `datatype`, a blank node has the `rows` of its own statements."""

    datatype: str | None = None
    rows: tuple["PropertyRow", ...] = ()


@dataclass(frozen=True)
class PropertyRow:
    """The values of one predicate; `total` counts all values where `values` has only some."""

    predicate: DisplayValue
    values: tuple[TableValue, ...]
    total: int | None = None


@dataclass(frozen=True)
class AnchorRow:
    """A place in a source, with the source's name."""

    anchor: Anchor
    source: DisplayValue


@dataclass(frozen=True)
class ClaimRow:
    """A claim with the places in sources that state it."""

    claim: DisplayValue
    anchors: tuple[AnchorRow, ...]


@dataclass(frozen=True)
class StatementTable:
    """All statements about one IRI; `other_title` is its name in the other language, if it has one."""

    iri: str
    title: str
    title_language: str | None
    other_title: str | None
    kinds: tuple[TableValue, ...]
    rows: tuple[PropertyRow, ...]
    inverse: tuple[PropertyRow, ...]
    claims: tuple[ClaimRow, ...]


def build_statement_table(description: Description, language: str, other: str) -> StatementTable:
    """Arrange a description in a language; `other` is the language of the second title."""
    return _TableBuilder(description, language).build(other)


class _TableBuilder:
    def __init__(self, description: Description, language: str) -> None:
        self._description = description
        self._language = language
        self._statements = _by_subject(description.statements)

    def build(self, other: str) -> StatementTable:
        description, iri = self._description, self._description.iri.value
        names = description.labels.get(iri, TextsByLanguage())
        title = self._named(description.iri).text
        rows = self._rows(description.iri, _MAX_DEPTH)
        return StatementTable(
            iri=iri,
            title=title,
            title_language=next((tag for tag, name in names.items() if tag and name == title), None),
            other_title=names.get(other) if names.get(other) != title else None,
            kinds=next((row.values for row in rows if row.predicate.iri == RDF_TYPE.value), ()),
            rows=tuple(row for row in rows if row.predicate.iri != RDF_TYPE.value),
            inverse=self._inverse(),
            claims=tuple(self._claim(claim) for claim in description.claims),
        )

    def _inverse(self) -> tuple[PropertyRow, ...]:
        subjects = dict[NamedNode, list[Term]]()
        for triple in self._description.inverse:
            if isinstance(triple.subject, NamedNode):
                subjects.setdefault(triple.predicate, []).append(triple.subject)
        return tuple(self._with_total(row) for row in self._group(subjects, 0))

    def _with_total(self, row: PropertyRow) -> PropertyRow:
        size = self._description.inverse_counts.get(row.predicate.iri or "", 0)
        return replace(row, total=size) if size > len(row.values) else row

    def _claim(self, claim: NamedNode) -> ClaimRow:
        anchors = self._description.anchors.get(claim, ())
        return ClaimRow(self._named(claim), tuple(AnchorRow(anchor, self._named(anchor.source)) for anchor in anchors))

    def _rows(self, subject: Term, depth: int) -> tuple[PropertyRow, ...]:
        return self._group(self._statements.get(subject, {}), depth)

    def _group(self, objects: Mapping[NamedNode, Iterable[Term]], depth: int) -> tuple[PropertyRow, ...]:
        rows = (
            PropertyRow(
                self._named(predicate), tuple(sorted((self._value(term, depth) for term in terms), key=_sort_key))
            )
            for predicate, terms in objects.items()
        )
        return tuple(sorted(rows, key=lambda row: row.predicate.text.casefold()))

    def _value(self, term: Term, depth: int) -> TableValue:
        match term:
            case NamedNode():
                return self._named(term)
            case BlankNode():
                return TableValue("", rows=self._rows(term, depth - 1) if depth > 0 else ())
            case Literal():
                datatype = term.datatype.value
                plain = term.language or datatype == XSD_STRING
                return TableValue(
                    shorten(term.value, MAX_TEXT_LENGTH),
                    language=term.language,
                    datatype=None if plain else compact(datatype),
                )

    def _named(self, node: NamedNode) -> TableValue:
        iri = node.value
        return TableValue(shorten(self._description.label(iri, self._language) or "") or fallback_name(iri), iri)


def _by_subject(statements: Iterable[Triple]) -> dict[Term, dict[NamedNode, list[Term]]]:
    subjects = dict[Term, dict[NamedNode, list[Term]]]()
    for triple in statements:
        if isinstance(triple.subject, NamedNode | BlankNode) and isinstance(triple.object, Term):
            subjects.setdefault(triple.subject, {}).setdefault(triple.predicate, []).append(triple.object)
    return subjects


def _sort_key(value: TableValue) -> tuple[str, str]:
    return value.text.casefold(), value.language or ""

"""A commit in words: removed and added statements, grouped by subject. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Final

from kg.rdf.delta import Delta
from kg.rdf.namespaces import PREFIXES, RDFS, SCHEMA
from kg.rdf.terms import Literal, NamedNode, Quad, Term, Triple
from service.presentation import number_format
from service.presentation.display_values import DisplayValue
from service.presentation.names import DisplayNames

MAX_STATEMENTS: Final = 200
"""Maximum number of statements on the page of a commit."""
_LABEL_PROPERTY: Final = RDFS + "label"
_UNIT_PROPERTY: Final = PREFIXES["qudt"] + "hasUnit"
_AMOUNT_PROPERTIES: Final = frozenset(SCHEMA + name for name in ("value", "minValue", "maxValue"))


@dataclass(frozen=True)
class DiffLine:
    """One added or removed statement: the name of its property, and its value (without text for a blank node)."""

    added: bool
    property: str
    value: DisplayValue


@dataclass(frozen=True)
class SubjectDiff:
    """The shown statements of one subject; `iri` is None for a blank node."""

    iri: str | None
    lines: tuple[DiffLine, ...]


def select_statements(delta: Delta, most: int = MAX_STATEMENTS) -> list[tuple[bool, Quad]]:
    """Return the first statements of a change, each with whether it was added.

    They are sorted by subject and predicate, named subjects first and removed statements before added ones.
    """
    signed = [(str(quad.subject), added, quad) for added, quad in _signed_quads(delta)]
    signed.sort(key=lambda item: (item[0].startswith("_:"), item[0], item[2].predicate.value, item[1]))
    return [(added, quad) for _, added, quad in islice(signed, most)]


def mentioned_iris(statements: Iterable[tuple[bool, Quad]]) -> set[str]:
    """Return every IRI that occurs in some statements."""
    terms = (term for _, quad in statements for term in (quad.subject, quad.predicate, quad.object))
    return {term.value for term in terms if isinstance(term, NamedNode)}


def labels_in_delta(delta: Delta) -> dict[str, dict[str, str]]:
    """Return the labels that a change adds or removes, by IRI and language, to name what the graph no longer has."""
    labels = dict[str, dict[str, str]]()
    for _, quad in _signed_quads(delta):
        if quad.predicate.value == _LABEL_PROPERTY and isinstance(quad.object, Literal):
            labels.setdefault(str(quad.subject).strip("<>"), {})[quad.object.language or ""] = quad.object.value
    return labels


def subject_diffs(
    statements: Sequence[tuple[bool, Quad]], delta: Delta, names: DisplayNames, language: str
) -> list[SubjectDiff]:
    """Group statements by their subject and put them into words."""
    units = {quad.subject: quad.object for _, quad in _signed_quads(delta) if quad.predicate.value == _UNIT_PROPERTY}
    grouped = dict[object, list[DiffLine]]()
    for added, quad in statements:
        line = _diff_line(added, quad, units.get(quad.subject), names, language)
        grouped.setdefault(quad.subject, []).append(line)
    return [
        SubjectDiff(subject.value if isinstance(subject, NamedNode) else None, tuple(dict.fromkeys(lines)))
        for subject, lines in grouped.items()
    ]


def _signed_quads(delta: Delta) -> Iterator[tuple[bool, Quad]]:
    """Yield the removed statements, then the added ones, each with whether it was added."""
    for quad in delta.removed:
        yield False, quad
    for quad in delta.added:
        yield True, quad


def _diff_line(added: bool, quad: Quad, unit: Term | Triple | None, names: DisplayNames, language: str) -> DiffLine:
    value, amount = names.term_value(quad.object), _amount(quad, unit, language)
    return DiffLine(added, names.property_name(quad.predicate.value), replace(value, text=amount) if amount else value)


def _amount(quad: Quad, unit: Term | Triple | None, language: str) -> str | None:
    """Return the number with its unit if the statement gives the amount of a figure, else None."""
    if quad.predicate.value not in _AMOUNT_PROPERTIES or not isinstance(unit, NamedNode):
        return None
    if not isinstance(quad.object, Literal):
        return None
    try:
        return number_format.format_number(Decimal(quad.object.value), unit.value, language)
    except InvalidOperation:
        return None

"""A commit in words: what was said and is no longer, and what is said since, by what it is said of; pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Final

from kg.rdf.delta import Delta
from kg.rdf.namespaces import PREFIXES, RDFS, SCHEMA
from kg.rdf.terms import BlankNode, Literal, NamedNode, Quad, Term, Triple
from service.presentation import number_format
from service.presentation.names import DisplayNames, literal_text, shorten

MAX_STATEMENTS: Final = 200
"""Statements of a commit that its page shows."""
_LABEL_PROPERTY: Final = RDFS + "label"
_UNIT_PROPERTY: Final = PREFIXES["qudt"] + "hasUnit"
_AMOUNT_PROPERTIES: Final = frozenset(SCHEMA + name for name in ("value", "minValue", "maxValue"))


@dataclass(frozen=True)
class DiffLine:
    """One statement that came or went: its property in words, and its value."""

    added: bool
    property: str
    text: str
    iri: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class SubjectDiff:
    """All shown statements of one subject; without `iri` it has no name of its own."""

    iri: str | None
    lines: tuple[DiffLine, ...]


def select_statements(delta: Delta, most: int = MAX_STATEMENTS) -> list[tuple[bool, Quad]]:
    """The first statements of a change, those of one subject together, what went before what came."""
    signed = [(str(quad.subject), added, quad) for added, quads in _removed_and_added(delta) for quad in quads]
    signed.sort(key=lambda item: (item[0].startswith("_:"), item[0], item[2].predicate.value, item[1]))
    return [(added, quad) for _, added, quad in islice(signed, most)]


def mentioned_iris(lines: Iterable[tuple[bool, Quad]]) -> set[str]:
    """Every IRI that some statements name."""
    terms = (term for _, quad in lines for term in (quad.subject, quad.predicate, quad.object))
    return {term.value for term in terms if isinstance(term, NamedNode)}


def labels_in_delta(delta: Delta) -> dict[str, dict[str, str]]:
    """The names that a change itself tells, by IRI and language, for what the graph has no name of any more."""
    found = dict[str, dict[str, str]]()
    for _, quads in _removed_and_added(delta):
        for quad in quads:
            if quad.predicate.value == _LABEL_PROPERTY and isinstance(quad.object, Literal):
                found.setdefault(str(quad.subject).strip("<>"), {})[quad.object.language or ""] = quad.object.value
    return found


def subject_diffs(
    lines: Sequence[tuple[bool, Quad]], delta: Delta, names: DisplayNames, language: str
) -> list[SubjectDiff]:
    """Statements grouped by their subject, in words."""
    units = {
        quad.subject: quad.object
        for _, quads in _removed_and_added(delta)
        for quad in quads
        if _has_predicate(quad, _UNIT_PROPERTY)
    }
    grouped = dict[object, list[DiffLine]]()
    for added, quad in lines:
        unit = units.get(quad.subject)
        grouped.setdefault(quad.subject, []).append(_diff_line(added, quad, unit, names, language))
    return [
        SubjectDiff(subject.value if isinstance(subject, NamedNode) else None, tuple(dict.fromkeys(said)))
        for subject, said in grouped.items()
    ]


def _removed_and_added(delta: Delta) -> Iterator[tuple[bool, frozenset[Quad]]]:
    yield False, delta.removed
    yield True, delta.added


def _has_predicate(quad: Quad, predicate: str) -> bool:
    return quad.predicate.value == predicate


def _diff_line(added: bool, quad: Quad, unit: Term | Triple | None, names: DisplayNames, language: str) -> DiffLine:
    name, value = names.property_name(quad.predicate.value), quad.object
    if isinstance(value, NamedNode):
        return DiffLine(added, name, names(value.value), value.value, names.language(value.value))
    if isinstance(value, Literal):
        said = _amount(quad, value, unit, language) or literal_text(value, language)
        return DiffLine(added, name, said, None, value.language if value.language != language else None)
    return DiffLine(added, name, "" if isinstance(value, BlankNode) else shorten(str(value)))


def _amount(quad: Quad, value: Literal, unit: Term | Triple | None, language: str) -> str | None:
    if quad.predicate.value not in _AMOUNT_PROPERTIES or not isinstance(unit, NamedNode):
        return None
    try:
        return number_format.format_number(Decimal(value.value), unit.value, language)
    except InvalidOperation:
        return None

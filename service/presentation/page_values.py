"""The parts that the pages of all kinds of resources share: heading, description and property values."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from kg.rdf.namespaces import DCTERMS, HPEZ, ID, OA, PREFIXES, PROV, RDFS, SCHEMA, SKOS
from kg.rdf.terms import RDF_TYPE, Literal, NamedNode, Term
from kg.views.summary import PropertyDirection, PropertySummary, ResourceSummary
from service.http.i18n import other_language
from service.presentation.display_values import DisplayValue, literal_value
from service.presentation.names import DisplayNames, alphabetical_key, fallback_name

PAGE_SIZE: Final = 50
"""Links on one page of a list of links, and targets on the page of an issue."""
TYPE_PROPERTIES: Final = (DCTERMS + "type", RDF_TYPE.value)
"""The properties that give the kind of a resource, the preferred one first."""
MENTION_PROPERTIES: Final = frozenset(
    {
        *(PROV + name for name in ("wasAttributedTo", "wasDerivedFrom", "wasGeneratedBy")),
        *(HPEZ + name for name in ("status", "valueQualifier", "ratioOf", "ratioTo", "evidence", "conflictsWith")),
        *(DCTERMS + name for name in ("temporal", "subject", "creator", "type")),
        *(SKOS + name for name in ("inScheme", "topConceptOf")),
        SCHEMA + "variableMeasured", PREFIXES["qudt"] + "hasUnit", PREFIXES["qudt"] + "hasQuantityKind",
        OA + "hasSource", RDF_TYPE.value,
    }
)  # fmt: skip
"""Properties of claims and terms, as opposed to relations between the entities that sources describe."""

_LABEL_PROPERTIES: Final = frozenset({RDFS + "label", SKOS + "prefLabel"})
_DESCRIPTION_PROPERTIES: Final = (SKOS + "definition", DCTERMS + "description", RDFS + "comment")


@dataclass(frozen=True)
class PropertyValues:
    """Some values of a property; `total` counts all values."""

    predicate: str
    label: str
    direction: PropertyDirection
    values: tuple[DisplayValue, ...]
    total: int


def page_header(summary: ResourceSummary, names: DisplayNames) -> dict[str, Any]:
    """Return the template variables of `resource/subject.html`: names, kinds, description and further facts."""
    iri, language = summary.iri.value, names.page_language
    kinds = next((summary.values_of(key) for key in TYPE_PROPERTIES if summary.values_of(key)), ())
    return {
        "title": names(iri),
        "title_language": names.language(iri),
        "other_title": names.other_name(iri, other_language(language)),
        "kinds": [_display_value(kind, names) for kind in kinds],
        "description": _description(summary, language),
        "facts": [property_values(item, names) for item in summary.outgoing if _is_fact(item)],
    }


def property_values(item: PropertySummary, names: DisplayNames) -> PropertyValues:
    """Return the values of a property in alphabetical order, without blank nodes."""
    values = [_display_value(value, names) for value in item.values if isinstance(value, Literal | NamedNode)]
    ordered = tuple(sorted(values, key=lambda value: alphabetical_key(value.text)))
    label = names.property_name(item.predicate, item.direction)
    return PropertyValues(item.predicate, label, item.direction, ordered, item.total)


def mentioned_iris(summary: ResourceSummary) -> Iterator[str]:
    """Yield every IRI that a page about the resource may name."""
    yield summary.iri.value
    for item in summary.properties:
        yield item.predicate
        yield from (node.value for node in item.named_nodes)


def links_to_entity(item: PropertySummary) -> bool:
    """Return whether a property has the project's own entities among its values."""
    return any(node.value.startswith(ID) for node in item.named_nodes)


def _description(summary: ResourceSummary, language: str) -> DisplayValue | None:
    """Return the description in the page's language, else in another one."""
    texts = [term for key in _DESCRIPTION_PROPERTIES for term in summary.values_of(key) if isinstance(term, Literal)]
    chosen = next((text for text in texts if text.language == language), next(iter(texts), None))
    return None if chosen is None else literal_value(chosen, language)


def _is_fact(item: PropertySummary) -> bool:
    """Return whether "Further facts" lists a property: not in the heading, and not a relation between entities."""
    if item.predicate in {*_LABEL_PROPERTIES, *_DESCRIPTION_PROPERTIES, *TYPE_PROPERTIES}:
        return False
    if item.predicate in MENTION_PROPERTIES or any(isinstance(value, Literal) for value in item.values):
        return True
    return bool(item.named_nodes) and not links_to_entity(item)


def _display_value(term: Term, names: DisplayNames) -> DisplayValue:
    """Return a value of a property; a web address without a name is shown in full."""
    value, iri = names.term_value(term), str(term.value)
    if isinstance(term, NamedNode) and iri.startswith(("http://", "https://")) and not iri.startswith(ID):
        return replace(value, text=iri) if value.text == fallback_name(iri) else value
    return value

"""The page about an entity or a term: its figures, its relations with their evidence, and where it is mentioned."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, Final

from flask import render_template

from kg.rdf.namespaces import DCTERMS, HPEZ, ID, SCHEMA
from kg.rdf.terms import NamedNode
from kg.views.claims import Claim, RelationTriple, find_claims_of_relations, find_claims_without_figure
from kg.views.issues import find_issues_about
from kg.views.observations import FILTER_NAMES, Observation, find_observations
from kg.views.summary import PropertyDirection, PropertySummary, ResourceSummary
from service.graph_state import current_graph_state
from service.http.exchange import measure_engine_time
from service.presentation.claim_context import ClaimContext, load_claim_context
from service.presentation.figure_charts import FigureChart, build_charts
from service.presentation.graph_picture import Neighbour, layout_pictures
from service.presentation.names import DisplayNames, alphabetical_key
from service.presentation.page_values import (
    MENTION_PROPERTIES,
    TYPE_PROPERTIES,
    links_to_entity,
    mentioned_iris,
    page_header,
    property_values,
)

MAX_FIGURES: Final = 24
"""Maximum number of figures on the page."""

_FIGURE_PROPERTIES: Final = {
    "about": SCHEMA + "observationAbout", "indicator": SCHEMA + "variableMeasured",
    "period": DCTERMS + "temporal", "status": HPEZ + "status",
}  # fmt: skip
"""The property that links figures to the resource, by the name of the filter that selects them."""


@dataclass(frozen=True)
class RelatedEntity:
    """The other end of a relation, with the claims that state the relation."""

    iri: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class RelationGroup:
    """The relations of one property and direction; `total` also counts those that are not in `entities`."""

    predicate: str
    label: str
    direction: PropertyDirection
    entities: tuple[RelatedEntity, ...]
    total: int


@dataclass(frozen=True)
class _Figures:
    """The figures of a page, and the claims that state something about the entity without a number."""

    filter_name: str
    total: int
    observations: Sequence[Observation]
    without_number: Sequence[NamedNode]

    @property
    def predicate(self) -> str:
        return _FIGURE_PROPERTIES[self.filter_name]


def render_entity_page(summary: ResourceSummary, shared: dict[str, Any]) -> str:
    """Render the page of any resource that is not a claim, evidence, a source or an issue."""
    groups = _relation_properties(summary)
    with measure_engine_time():
        figures = _load_figures(summary)
        claim_context = _load_context(summary, groups, figures)
    names = claim_context.names
    relations = [_relation_group(item, summary, claim_context) for item in groups]
    return render_template(
        "resource/entity.html",
        claim_context=claim_context,
        figures=[claim_context.claims[item.claim] for item in figures.observations],
        figures_key=figures.filter_name,
        figures_size=figures.total,
        figures_property=figures.predicate,
        words=[claim_context.claims[node.value] for node in figures.without_number],
        charts=_charts(figures.observations, names),
        relations=relations,
        mentions=[
            property_values(item, names)
            for item in summary.incoming
            if item.predicate in MENTION_PROPERTIES and item.predicate != figures.predicate
        ],
        pictures=layout_pictures(names(summary.iri.value), _neighbours(relations, names)),
        **page_header(summary, names),
        **shared,
    )


def _load_figures(summary: ResourceSummary) -> _Figures:
    """Load the figures about an entity, or the figures of an indicator, a period or a status."""
    engine, kind = current_graph_state().engine, summary.iri.value.removeprefix(ID).partition("/")[0]
    name = kind if kind in FILTER_NAMES else "about"
    total = summary.inverse_count(_FIGURE_PROPERTIES[name])
    observations = find_observations(engine, {name: summary.iri}, 0, MAX_FIGURES) if total else []
    has_others = total > len(observations)
    without_number = find_claims_without_figure(engine, summary.iri, MAX_FIGURES) if has_others else []
    return _Figures(name, total, observations, without_number)


def _load_context(summary: ResourceSummary, groups: Iterable[PropertySummary], figures: _Figures) -> ClaimContext:
    engine = current_graph_state().engine
    stating = find_claims_of_relations(engine, _relation_triples(summary, groups))
    claims = [*stating, *figures.without_number, *(NamedNode(item.claim) for item in figures.observations)]
    issues = find_issues_about(engine, [summary.iri, *claims])
    return load_claim_context(claims, issues, mentioned_iris(summary), figures.observations)


def _charts(figures: Sequence[Observation], names: DisplayNames) -> list[FigureChart]:
    """Return at most one chart."""
    by_iri = {iri: names(iri) for item in figures for iri in item.mentioned_iris}
    return build_charts(figures, by_iri, names.page_language)[:1]


def _relation_properties(summary: ResourceSummary) -> list[PropertySummary]:
    """Return the relations outward, then those inward; a relation stated in both directions is listed once."""
    outward = [
        item
        for item in summary.outgoing
        if item.predicate not in {*TYPE_PROPERTIES, *MENTION_PROPERTIES} and links_to_entity(item)
    ]
    known = {(item.predicate, node) for item in outward for node in item.named_nodes}
    inward = list[PropertySummary]()
    for item in summary.incoming:
        if item.predicate not in MENTION_PROPERTIES:
            new = tuple(node for node in item.named_nodes if (item.predicate, node) not in known)
            total = item.total - len(item.named_nodes) + len(new)
            inward += [PropertySummary("in", item.predicate, total, new)] if new else []
    return [*outward, *inward]


def _relation_triples(summary: ResourceSummary, groups: Iterable[PropertySummary]) -> Iterator[RelationTriple]:
    """Yield the triples of some groups in both directions, since a claim may state a symmetric relation either way."""
    for item in groups:
        for node in item.named_nodes:
            yield summary.iri.value, item.predicate, node.value
            yield node.value, item.predicate, summary.iri.value


def _relation_group(item: PropertySummary, summary: ResourceSummary, claim_context: ClaimContext) -> RelationGroup:
    names, stating = claim_context.names, dict[frozenset[str], list[Claim]]()
    for claim in claim_context.claims.values():
        if claim.relation and claim.relation[1] == item.predicate:
            stating.setdefault(frozenset({claim.relation[0], claim.relation[2]}), []).append(claim)
    entities = [
        RelatedEntity(node.value, tuple(stating.get(frozenset({summary.iri.value, node.value}), ())))
        for node in item.named_nodes
    ]
    ordered = tuple(sorted(entities, key=lambda entity: alphabetical_key(names(entity.iri))))
    label = names.property_name(item.predicate, item.direction)
    return RelationGroup(item.predicate, label, item.direction, ordered, item.total)


def _neighbours(groups: Iterable[RelationGroup], names: DisplayNames) -> list[Neighbour]:
    """Return the related entities, taken in turn from each group, so that a large group does not hide the others."""
    columns = ([(group, entity) for entity in group.entities] for group in groups)
    relations = dict[tuple[str, PropertyDirection], list[str]]()
    for group, entity in filter(None, chain.from_iterable(zip_longest(*columns))):
        relations.setdefault((entity.iri, group.direction), []).append(names.property_name(group.predicate))
    return [
        Neighbour(iri, names(iri), ", ".join(labels), direction == "in")
        for (iri, direction), labels in relations.items()
    ]

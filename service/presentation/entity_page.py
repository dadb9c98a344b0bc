"""The pages about things, claims, evidence, sources and issues, for readers who never heard of RDF."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Any, Final

from flask import render_template, request
from werkzeug.exceptions import BadRequest

from kg.rdf.io import RDF_TYPE, Literal, NamedNode, Term
from kg.rdf.namespaces import DCTERMS, HPEZ, ID, OA, PREFIXES, PROV, RDFS, SCHEMA, SKOS
from kg.views.claims import Claim, Relation, find_claims_of_relations, find_claims_without_figure
from kg.views.description import Anchor
from kg.views.issues import find_issues_about, load_issues
from kg.views.observations import FILTER_NAMES, Observation, find_observations
from kg.views.summary import (
    PropertyDirection,
    PropertySummary,
    ResourceSummary,
    claims_in_text_order,
    load_evidence_anchor,
    load_values_page,
)
from service.graph_state import current_graph_state
from service.http.exchange import measure_engine_time
from service.http.i18n import other_language, page_language
from service.http.parameters import adjacent_pages, page_number
from service.presentation.claim_context import ClaimContext, load_claim_context
from service.presentation.figure_charts import FigureChart, build_charts
from service.presentation.graph_picture import Neighbour, layout_narrow, layout_wide
from service.presentation.names import DisplayNames, alphabetical_key, fallback_name, literal_text

MAX_FIGURES: Final = 24
"""How many figures the page of a thing shows."""
PAGE_SIZE: Final = 50
"""How many claims or links one page of many shows."""
CLAIMS_PER_PAGE: Final = 40
"""How many claims one page of a source shows."""
MAX_SORTED: Final = 1000
"""So many links are sorted by name over all of their pages, more on each page only."""

_LABEL_PROPERTIES: Final = frozenset({RDFS + "label", SKOS + "prefLabel"})
_DESCRIPTION_PROPERTIES: Final = (SKOS + "definition", DCTERMS + "description", RDFS + "comment")
_TYPE_PROPERTIES: Final = (DCTERMS + "type", RDF_TYPE.value)
_CLAIM_CLASSES: Final = frozenset({HPEZ + "Observation", HPEZ + "RelationClaim", HPEZ + "Claim"})
_MENTION_PROPERTIES: Final = frozenset(
    {
        *(PROV + name for name in ("wasAttributedTo", "wasDerivedFrom", "wasGeneratedBy")),
        *(HPEZ + name for name in ("status", "valueQualifier", "ratioOf", "ratioTo", "evidence", "conflictsWith")),
        *(DCTERMS + name for name in ("temporal", "subject", "creator", "type")),
        *(SKOS + name for name in ("inScheme", "topConceptOf")),
        SCHEMA + "variableMeasured", PREFIXES["qudt"] + "hasUnit", PREFIXES["qudt"] + "hasQuantityKind",
        OA + "hasSource", RDF_TYPE.value,
    }
)  # fmt: skip
"""Properties that are about claims and terms rather than between the things that sources speak of."""


@dataclass(frozen=True)
class DisplayValue:
    """A value on a page: a name or words, with a link and a language where there is one."""

    text: str
    iri: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class PropertyValues:
    """A property in words, its values, and how many there are of them all."""

    predicate: str
    label: str
    direction: PropertyDirection
    values: tuple[DisplayValue, ...]
    total: int


@dataclass(frozen=True)
class RelatedEntity:
    """The other end of a relation, with the claims that state it."""

    iri: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class RelationGroup:
    """All relations of one kind and direction that are shown; `size` is of all that there are."""

    predicate: str
    label: str
    direction: PropertyDirection
    entities: tuple[RelatedEntity, ...]
    total: int


def render_page(found: ResourceSummary, path: str, formats: Sequence[Any]) -> str:
    """The page about a node, text/html: by what it is, or one of its lists with `?view=links`."""
    shared = {"formats": formats, "path": path, "iri": found.iri.value}
    if request.args.get("view") == "links":
        return _links_page(found, shared)
    types = frozenset(found.types)
    if types & _CLAIM_CLASSES:
        return _claim_page(found, shared)
    if OA + "SpecificResource" in types:
        return _evidence_page(found, shared)
    if SCHEMA + "NewsArticle" in types:
        return _source_page(found, shared)
    if HPEZ + "Issue" in types:
        return _issue_page(found, shared)
    return _entity_page(found, shared)


def _charts(figures: list[Observation], names: DisplayNames) -> list[FigureChart]:
    """One chart of the figures, if they are worth one."""
    plain = {iri: names(iri) for item in figures for iri in item.mentioned_iris}
    return build_charts(figures, plain, page_language())[:1]


def _entity_page(found: ResourceSummary, shared: dict[str, Any]) -> str:
    with measure_engine_time():
        outward, inward = _relation_groups(found)
        stated = find_claims_of_relations(
            current_graph_state().engine, chain(_relation_triples(found, outward), _relation_triples(found, inward))
        )
        key, figures = _figures(found)
        size = found.value_count(_FIGURE_PROPERTIES[key])
        words = (
            find_claims_without_figure(current_graph_state().engine, found.iri, MAX_FIGURES)
            if size > len(figures)
            else []
        )
        claims = [*stated, *words, *(NamedNode(item.claim) for item in figures)]
        issues = find_issues_about(current_graph_state().engine, [found.iri, *claims])
        claim_context = load_claim_context(claims, issues, _mentioned_iris(found), figures)
    ties = [_relation_group(item, found, claim_context) for item in (*outward, *inward)]
    mentions = [_property_values(item, claim_context.names) for item in found.incoming if _is_mention(item, key)]
    title, neighbours = claim_context.names(found.iri.value), _neighbours(ties, claim_context.names)
    return render_template(
        "resource/entity.html",
        claim_context=claim_context,
        figures=[claim_context.claims[item.claim] for item in figures],
        figures_key=key,
        figures_size=size,
        words=[claim_context.claims[node.value] for node in words],
        figures_property=_FIGURE_PROPERTIES[key],
        charts=_charts(figures, claim_context.names),
        ties=ties,
        mentions=mentions,
        picture=layout_wide(title, neighbours),
        narrow_picture=layout_narrow(title, neighbours),
        **_page_header(found, claim_context.names),
        **shared,
    )


_FIGURE_PROPERTIES: Final = {
    "about": SCHEMA + "observationAbout", "indicator": SCHEMA + "variableMeasured",
    "period": DCTERMS + "temporal", "status": HPEZ + "status",
}  # fmt: skip


def _figures(found: ResourceSummary) -> tuple[str, list[Observation]]:
    """Which figures the page shows: those about the thing, or of an indicator, a period or a status."""
    kind = found.iri.value.removeprefix(ID).partition("/")[0]
    key = kind if kind in FILTER_NAMES else "about"
    if found.value_count(_FIGURE_PROPERTIES[key]) == 0:
        return key, []
    return key, find_observations(current_graph_state().engine, {key: found.iri}, 0, MAX_FIGURES)


def _relation_groups(found: ResourceSummary) -> tuple[list[PropertySummary], list[PropertySummary]]:
    """The groups of relations outward and inward; one that holds both ways is told once."""
    outward = [
        item
        for item in found.outgoing
        if item.predicate not in {*_TYPE_PROPERTIES, *_MENTION_PROPERTIES} and _links_to_entity(item)
    ]
    known = {(item.predicate, node) for item in outward for node in item.named_nodes}
    inward = list[PropertySummary]()
    for item in found.incoming:
        if item.predicate not in _MENTION_PROPERTIES:
            left = tuple(node for node in item.named_nodes if (item.predicate, node) not in known)
            size = item.total - len(item.named_nodes) + len(left)
            inward += [PropertySummary("in", item.predicate, size, left)] if left else []
    return outward, inward


def _links_to_entity(item: PropertySummary) -> bool:
    return any(node.value.startswith(ID) for node in item.named_nodes)


def _relation_triples(found: ResourceSummary, groups: Iterable[PropertySummary]) -> Iterator[Relation]:
    """The statements of some groups, both ways where it may be that the claim states it the other way round."""
    for item in groups:
        for node in item.named_nodes:
            yield found.iri.value, item.predicate, node.value
            yield node.value, item.predicate, found.iri.value


def _relation_group(item: PropertySummary, found: ResourceSummary, claim_context: ClaimContext) -> RelationGroup:
    ends = {found.iri.value}
    ties = []
    for node in item.named_nodes:
        pair = {*ends, node.value}
        claims = (
            claim for claim in claim_context.claims.values() if claim.relation and claim.relation[1] == item.predicate
        )
        stating = tuple(claim for claim in claims if claim.relation and {claim.relation[0], claim.relation[2]} == pair)
        ties.append(RelatedEntity(node.value, stating))
    ordered = tuple(sorted(ties, key=lambda tie: alphabetical_key(claim_context.names(tie.iri))))
    return RelationGroup(
        item.predicate,
        claim_context.names.property_name(item.predicate, item.direction),
        item.direction,
        ordered,
        item.total,
    )


def _neighbours(ties: Iterable[RelationGroup], names: DisplayNames) -> list[Neighbour]:
    """The other ends, in turn from each kind of relation, so that many of one do not hide the others."""
    columns = ([(item, tie) for tie in item.entities] for item in ties)
    found = dict[tuple[str, PropertyDirection], list[str]]()
    for item, tie in filter(None, chain.from_iterable(zip_longest(*columns))):
        found.setdefault((tie.iri, item.direction), []).append(names.property_name(item.predicate))
    return [Neighbour(iri, names(iri), ", ".join(relations), way == "in") for (iri, way), relations in found.items()]


def _is_mention(item: PropertySummary, key: str) -> bool:
    return item.predicate in _MENTION_PROPERTIES and item.predicate != _FIGURE_PROPERTIES[key]


def _mentioned_iris(found: ResourceSummary) -> Iterator[str]:
    """Every IRI that a page about the node may name."""
    yield found.iri.value
    for item in found.properties:
        yield item.predicate
        yield from (node.value for node in item.named_nodes)


def _page_header(found: ResourceSummary, names: DisplayNames) -> dict[str, Any]:
    """What every page begins with: names, kinds, description and further facts."""
    iri, language = found.iri.value, page_language()
    kinds = next((found.values_of(key) for key in _TYPE_PROPERTIES if found.values_of(key)), ())
    return {
        "title": names(iri),
        "title_language": names.language(iri),
        "other_title": names.other_name(iri, other_language(language)),
        "kinds": [_display_value(kind, names) for kind in kinds],
        "description": _description(found, language),
        "facts": [_property_values(item, names) for item in found.outgoing if _is_fact(item)],
    }


def _description(found: ResourceSummary, language: str) -> DisplayValue | None:
    """The description in the reader's language, else in another one."""
    texts = [term for key in _DESCRIPTION_PROPERTIES for term in found.values_of(key) if isinstance(term, Literal)]
    chosen = next((text for text in texts if text.language == language), next(iter(texts), None))
    if chosen is None:
        return None
    return DisplayValue(literal_text(chosen, language), None, chosen.language if chosen.language != language else None)


def _is_fact(item: PropertySummary) -> bool:
    described = item.predicate in {*_LABEL_PROPERTIES, *_DESCRIPTION_PROPERTIES, *_TYPE_PROPERTIES}
    listed = item.predicate in _MENTION_PROPERTIES or any(isinstance(value, Literal) for value in item.values)
    return not described and (listed or (bool(item.named_nodes) and not _links_to_entity(item)))


def _property_values(item: PropertySummary, names: DisplayNames) -> PropertyValues:
    values = tuple(_display_value(value, names) for value in item.values if isinstance(value, Literal | NamedNode))
    ordered = tuple(sorted(values, key=lambda value: alphabetical_key(value.text)))
    return PropertyValues(
        item.predicate, names.property_name(item.predicate, item.direction), item.direction, ordered, item.total
    )


def _display_value(term: Term, names: DisplayNames) -> DisplayValue:
    if isinstance(term, Literal):
        language = page_language()
        return DisplayValue(literal_text(term, language), None, term.language if term.language != language else None)
    iri = str(term.value)
    name = names(iri)
    is_address = iri.startswith(("http://", "https://")) and name == fallback_name(iri)
    return DisplayValue(iri if is_address and not iri.startswith(ID) else name, iri, names.language(iri))


def _claim_page(found: ResourceSummary, shared: dict[str, Any]) -> str:
    engine = current_graph_state().engine
    with measure_engine_time():
        beside = [
            node
            for key in (HPEZ + "conflictsWith", PROV + "wasDerivedFrom", HPEZ + "ratioOf", HPEZ + "ratioTo")
            for node in found.values_of(key)
            if isinstance(node, NamedNode)
        ]
        computed = next((item.named_nodes for item in found.incoming if item.predicate == PROV + "wasDerivedFrom"), ())
        issues = find_issues_about(engine, [found.iri])
        claim_context = load_claim_context([found.iri, *beside, *computed], issues, _mentioned_iris(found))
    own = claim_context.claims[found.iri.value]
    head = _page_header(found, claim_context.names)
    head["facts"] = [fact for fact in head["facts"] if fact.predicate not in _CLAIM_PROPERTIES]
    computed_claims = [claim_context.claims[node.value] for node in computed]
    return render_template(
        "resource/claim.html",
        claim_context=claim_context,
        claim=own,
        computed=computed_claims,
        mentions=[],
        **head,
        **shared,
    )


_CLAIM_PROPERTIES: Final = frozenset(
    {
        *(HPEZ + name for name in ("evidence", "conflictsWith", "status", "valueQualifier", "emended")),
        *(SCHEMA + name for name in ("value", "minValue", "maxValue", "observationAbout", "variableMeasured")),
        *(PROV + name for name in ("wasAttributedTo", "wasDerivedFrom")),
        *(HPEZ + name for name in ("ratioOf", "ratioTo")),
        DCTERMS + "temporal", PREFIXES["qudt"] + "hasUnit",
        *(PREFIXES["rdf"] + name for name in ("subject", "predicate", "object")),
    }
)  # fmt: skip
"""What the page of a claim says in its own words."""


def _evidence_page(found: ResourceSummary, shared: dict[str, Any]) -> str:
    engine = current_graph_state().engine
    with measure_engine_time():
        where = load_evidence_anchor(engine, found.iri)
        citing = next((item for item in found.incoming if item.predicate == HPEZ + "evidence"), None)
        claim_context = load_claim_context(citing.named_nodes if citing else (), (), _mentioned_iris(found))
        anchor = None
        if where is not None:
            anchor = Anchor(found.iri, found.iri, where.source, where.start, where.end, where.exact)
            claim_context = _with_source(claim_context, where.source)
    return render_template(
        "resource/evidence.html", claim_context=claim_context, anchor=anchor, citing=citing, **shared
    )


def _with_source(claim_context: ClaimContext, source: NamedNode) -> ClaimContext:
    kg = current_graph_state()
    sources = kg.source_texts.load_cited_sources(kg.engine, [source])
    return ClaimContext(
        claim_context.language, claim_context.names, claim_context.claims, claim_context.issues, sources
    )


def _source_page(found: ResourceSummary, shared: dict[str, Any]) -> str:
    engine, number = current_graph_state().engine, page_number()
    with measure_engine_time():
        claims, size = claims_in_text_order(engine, found.iri, (number - 1) * CLAIMS_PER_PAGE, CLAIMS_PER_PAGE)
        issues = find_issues_about(engine, [found.iri, *claims])
        claim_context = load_claim_context(claims, issues, _mentioned_iris(found))
    head = _page_header(found, claim_context.names)
    return render_template(
        "resource/source.html",
        claim_context=claim_context,
        claims=list(claim_context.claims.values()),
        size=size,
        first=(number - 1) * CLAIMS_PER_PAGE + 1,
        mentions=[],
        **adjacent_pages(number, size, CLAIMS_PER_PAGE),
        **{**head, "facts": (), "about": head["facts"]},
        **shared,
    )


def _issue_page(found: ResourceSummary, shared: dict[str, Any]) -> str:
    with measure_engine_time():
        issues = load_issues(current_graph_state().engine, [found.iri])
        claim_context = load_claim_context(
            [node for issue in issues for node in issue.targets[:PAGE_SIZE]], issues, _mentioned_iris(found)
        )
    head = _page_header(found, claim_context.names)
    head["facts"] = [fact for fact in head["facts"] if fact.predicate not in {OA + "hasTarget", OA + "motivatedBy"}]
    return render_template(
        "resource/issue.html", claim_context=claim_context, issue=issues[0], mentions=[], **head, **shared
    )


def _links_page(found: ResourceSummary, shared: dict[str, Any]) -> str:
    """One of the lists of a node in full, page by page: `?of=` names the property, `?way=` the direction."""
    way: PropertyDirection = "in" if request.args.get("way") == "in" else "out"
    predicate, number = request.args.get("of", ""), page_number()
    whole = next((item for item in found.properties if (item.direction, item.predicate) == (way, predicate)), None)
    if whole is None:
        raise BadRequest("`of` must be a property that the thing has, and `way` in or out.")
    first, sorts = (number - 1) * PAGE_SIZE, whole.total <= MAX_SORTED
    with measure_engine_time():
        listed = load_values_page(
            current_graph_state().engine, found.iri, whole, *((0, MAX_SORTED) if sorts else (first, PAGE_SIZE))
        )
        claim_context = load_claim_context(
            (), (), [found.iri.value, predicate, *(node.value for node in listed.named_nodes)]
        )
    fact = _property_values(listed, claim_context.names)
    return render_template(
        "resource/links.html",
        fact=replace(fact, values=fact.values[first : first + PAGE_SIZE]) if sorts else fact,
        sorted=sorts,
        title=claim_context.names(found.iri.value),
        title_language=claim_context.names.language(found.iri.value),
        first=first + 1,
        **adjacent_pages(number, listed.total, PAGE_SIZE),
        **shared,
    )

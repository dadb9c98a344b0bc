"""The pages about things, claims, evidence, sources and issues, for readers who never heard of RDF."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Any, Final

from flask import render_template, request
from werkzeug.exceptions import BadRequest

from kg.rdf.io import RDF_TYPE, Literal, NamedNode, Term
from kg.rdf.namespaces import DCTERMS, HPEZ, ID, OA, PREFIXES, PROV, RDFS, SCHEMA, SKOS
from kg.views.claims import Claim, Relation, of_relations, without_figure
from kg.views.description import Anchor
from kg.views.issues import concerning, details
from kg.views.observations import FILTERS, Observation, observations
from kg.views.summary import Group, Portrait, Way, in_text_order, place, slice_of
from service.graph_state import knowledge_graph
from service.http.observability import engine_time
from service.http.responses import other_language, page_language, page_number, pager
from service.presentation.claim_context import Telling, telling
from service.presentation.figure_charts import Chart, charts
from service.presentation.graph_picture import Neighbour, picture, stacked
from service.presentation.names import Names, alphabetical, literal_text, plain_name

FIGURES: Final = 24
"""How many figures the page of a thing shows."""
PAGE: Final = 50
"""How many claims or links one page of many shows."""
CLAIMS: Final = 40
"""How many claims one page of a source shows."""
MOST_SORTED: Final = 1000
"""So many links are sorted by name over all of their pages, more on each page only."""

_NAMES: Final = frozenset({RDFS + "label", SKOS + "prefLabel"})
_DESCRIPTIONS: Final = (SKOS + "definition", DCTERMS + "description", RDFS + "comment")
_KINDS: Final = (DCTERMS + "type", RDF_TYPE.value)
_CLAIM_CLASSES: Final = frozenset({HPEZ + "Observation", HPEZ + "RelationClaim", HPEZ + "Claim"})
_MENTIONS: Final = frozenset(
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
class Shown:
    """A value on a page: a name or words, with a link and a language where there is one."""

    text: str
    iri: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class Fact:
    """A property in words, its values, and how many there are of them all."""

    predicate: str
    label: str
    way: Way
    values: tuple[Shown, ...]
    size: int


@dataclass(frozen=True)
class Tie:
    """The other end of a relation, with the claims that state it."""

    iri: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Ties:
    """All relations of one kind and direction that are shown; `size` is of all that there are."""

    predicate: str
    label: str
    way: Way
    ties: tuple[Tie, ...]
    size: int


def page_of(found: Portrait, path: str, formats: Sequence[Any]) -> str:
    """The page about a node, text/html: by what it is, or one of its lists with `?view=links`."""
    shared = {"formats": formats, "path": path, "iri": found.iri.value}
    if request.args.get("view") == "links":
        return _links(found, shared)
    types = frozenset(found.types)
    if types & _CLAIM_CLASSES:
        return _claim(found, shared)
    if OA + "SpecificResource" in types:
        return _evidence(found, shared)
    if SCHEMA + "NewsArticle" in types:
        return _source(found, shared)
    if HPEZ + "Issue" in types:
        return _issue(found, shared)
    return _entity(found, shared)


def _charts(figures: list[Observation], names: Names) -> list[Chart]:
    """One chart of the figures, if they are worth one."""
    plain = {iri: names(iri) for item in figures for iri in item.iris}
    return charts(figures, plain, page_language())[:1]


def _entity(found: Portrait, shared: dict[str, Any]) -> str:
    with engine_time():
        outward, inward = _related(found)
        stated = of_relations(knowledge_graph().engine, chain(_relations(found, outward), _relations(found, inward)))
        key, figures = _figures(found)
        size = found.size(_FIGURE_PROPERTIES[key])
        words = without_figure(knowledge_graph().engine, found.iri, FIGURES) if size > len(figures) else []
        claims = [*stated, *words, *(NamedNode(item.claim) for item in figures)]
        issues = concerning(knowledge_graph().engine, [found.iri, *claims])
        told = telling(claims, issues, _mentioned(found), figures)
    ties = [_ties(item, found, told) for item in (*outward, *inward)]
    mentions = [_fact(item, told.names) for item in found.inverse if _is_mention(item, key)]
    title, neighbours = told.names(found.iri.value), _neighbours(ties, told.names)
    return render_template(
        "resource/entity.html",
        told=told,
        figures=[told.claims[item.claim] for item in figures],
        figures_key=key,
        figures_size=size,
        words=[told.claims[node.value] for node in words],
        figures_property=_FIGURE_PROPERTIES[key],
        charts=_charts(figures, told.names),
        ties=ties,
        mentions=mentions,
        picture=picture(title, neighbours),
        narrow_picture=stacked(title, neighbours),
        **_head(found, told.names),
        **shared,
    )


_FIGURE_PROPERTIES: Final = {
    "about": SCHEMA + "observationAbout", "indicator": SCHEMA + "variableMeasured",
    "period": DCTERMS + "temporal", "status": HPEZ + "status",
}  # fmt: skip


def _figures(found: Portrait) -> tuple[str, list[Observation]]:
    """Which figures the page shows: those about the thing, or of an indicator, a period or a status."""
    kind = found.iri.value.removeprefix(ID).partition("/")[0]
    key = kind if kind in FILTERS else "about"
    if found.size(_FIGURE_PROPERTIES[key]) == 0:
        return key, []
    return key, observations(knowledge_graph().engine, {key: found.iri}, 0, FIGURES)


def _related(found: Portrait) -> tuple[list[Group], list[Group]]:
    """The groups of relations outward and inward; one that holds both ways is told once."""
    outward = [item for item in found.own if item.predicate not in {*_KINDS, *_MENTIONS} and _things(item)]
    known = {(item.predicate, node) for item in outward for node in item.nodes}
    inward = list[Group]()
    for item in found.inverse:
        if item.predicate not in _MENTIONS:
            left = tuple(node for node in item.nodes if (item.predicate, node) not in known)
            size = item.size - len(item.nodes) + len(left)
            inward += [Group("in", item.predicate, size, left)] if left else []
    return outward, inward


def _things(item: Group) -> bool:
    return any(node.value.startswith(ID) for node in item.nodes)


def _relations(found: Portrait, groups: Iterable[Group]) -> Iterator[Relation]:
    """The statements of some groups, both ways where it may be that the claim states it the other way round."""
    for item in groups:
        for node in item.nodes:
            yield found.iri.value, item.predicate, node.value
            yield node.value, item.predicate, found.iri.value


def _ties(item: Group, found: Portrait, told: Telling) -> Ties:
    ends = {found.iri.value}
    ties = []
    for node in item.nodes:
        pair = {*ends, node.value}
        claims = (claim for claim in told.claims.values() if claim.relation and claim.relation[1] == item.predicate)
        stating = tuple(claim for claim in claims if claim.relation and {claim.relation[0], claim.relation[2]} == pair)
        ties.append(Tie(node.value, stating))
    ordered = tuple(sorted(ties, key=lambda tie: alphabetical(told.names(tie.iri))))
    return Ties(item.predicate, told.names.property(item.predicate, item.way), item.way, ordered, item.size)


def _neighbours(ties: Iterable[Ties], names: Names) -> list[Neighbour]:
    """The other ends, in turn from each kind of relation, so that many of one do not hide the others."""
    columns = ([(item, tie) for tie in item.ties] for item in ties)
    found = dict[tuple[str, Way], list[str]]()
    for item, tie in filter(None, chain.from_iterable(zip_longest(*columns))):
        found.setdefault((tie.iri, item.way), []).append(names.property(item.predicate))
    return [Neighbour(iri, names(iri), ", ".join(relations), way == "in") for (iri, way), relations in found.items()]


def _is_mention(item: Group, key: str) -> bool:
    return item.predicate in _MENTIONS and item.predicate != _FIGURE_PROPERTIES[key]


def _mentioned(found: Portrait) -> Iterator[str]:
    """Every IRI that a page about the node may name."""
    yield found.iri.value
    for item in found.groups:
        yield item.predicate
        yield from (node.value for node in item.nodes)


def _head(found: Portrait, names: Names) -> dict[str, Any]:
    """What every page begins with: names, kinds, description and further facts."""
    iri, language = found.iri.value, page_language()
    kinds = next((found.values(key) for key in _KINDS if found.values(key)), ())
    return {
        "title": names(iri),
        "title_language": names.language(iri),
        "other_title": names.other(iri, other_language(language)),
        "kinds": [_shown(kind, names) for kind in kinds],
        "description": _in_language(found, language),
        "facts": [_fact(item, names) for item in found.own if _is_fact(item)],
    }


def _in_language(found: Portrait, language: str) -> Shown | None:
    """The description in the reader's language, else in another one."""
    texts = [term for key in _DESCRIPTIONS for term in found.values(key) if isinstance(term, Literal)]
    chosen = next((text for text in texts if text.language == language), next(iter(texts), None))
    if chosen is None:
        return None
    return Shown(literal_text(chosen, language), None, chosen.language if chosen.language != language else None)


def _is_fact(item: Group) -> bool:
    told = item.predicate in {*_NAMES, *_DESCRIPTIONS, *_KINDS}
    listed = item.predicate in _MENTIONS or any(isinstance(value, Literal) for value in item.values)
    return not told and (listed or (bool(item.nodes) and not _things(item)))


def _fact(item: Group, names: Names) -> Fact:
    values = tuple(_shown(value, names) for value in item.values if isinstance(value, Literal | NamedNode))
    ordered = tuple(sorted(values, key=lambda value: alphabetical(value.text)))
    return Fact(item.predicate, names.property(item.predicate, item.way), item.way, ordered, item.size)


def _shown(term: Term, names: Names) -> Shown:
    if isinstance(term, Literal):
        language = page_language()
        return Shown(literal_text(term, language), None, term.language if term.language != language else None)
    iri = str(term.value)
    name = names(iri)
    is_address = iri.startswith(("http://", "https://")) and name == plain_name(iri)
    return Shown(iri if is_address and not iri.startswith(ID) else name, iri, names.language(iri))


def _claim(found: Portrait, shared: dict[str, Any]) -> str:
    engine = knowledge_graph().engine
    with engine_time():
        beside = [
            node
            for key in (HPEZ + "conflictsWith", PROV + "wasDerivedFrom", HPEZ + "ratioOf", HPEZ + "ratioTo")
            for node in found.values(key)
            if isinstance(node, NamedNode)
        ]
        computed = next((item.nodes for item in found.inverse if item.predicate == PROV + "wasDerivedFrom"), ())
        issues = concerning(engine, [found.iri])
        told = telling([found.iri, *beside, *computed], issues, _mentioned(found))
    own = told.claims[found.iri.value]
    head = _head(found, told.names)
    head["facts"] = [fact for fact in head["facts"] if fact.predicate not in _CLAIM_FACTS]
    computed_claims = [told.claims[node.value] for node in computed]
    return render_template(
        "resource/claim.html", told=told, claim=own, computed=computed_claims, mentions=[], **head, **shared
    )


_CLAIM_FACTS: Final = frozenset(
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


def _evidence(found: Portrait, shared: dict[str, Any]) -> str:
    engine = knowledge_graph().engine
    with engine_time():
        where = place(engine, found.iri)
        citing = next((item for item in found.inverse if item.predicate == HPEZ + "evidence"), None)
        told = telling(citing.nodes if citing else (), (), _mentioned(found))
        anchor = None
        if where is not None:
            anchor = Anchor(found.iri, found.iri, where.source, where.start, where.end, where.exact)
            told = _with_source(told, where.source)
    return render_template("resource/evidence.html", told=told, anchor=anchor, citing=citing, **shared)


def _with_source(told: Telling, source: NamedNode) -> Telling:
    kg = knowledge_graph()
    sources = kg.texts.sources(kg.engine, [source])
    return Telling(told.language, told.names, told.claims, told.issues, sources)


def _source(found: Portrait, shared: dict[str, Any]) -> str:
    engine, number = knowledge_graph().engine, page_number()
    with engine_time():
        claims, size = in_text_order(engine, found.iri, (number - 1) * CLAIMS, CLAIMS)
        issues = concerning(engine, [found.iri, *claims])
        told = telling(claims, issues, _mentioned(found))
    head = _head(found, told.names)
    return render_template(
        "resource/source.html",
        told=told,
        claims=list(told.claims.values()),
        size=size,
        first=(number - 1) * CLAIMS + 1,
        mentions=[],
        **pager(number, size, CLAIMS),
        **{**head, "facts": (), "about": head["facts"]},
        **shared,
    )


def _issue(found: Portrait, shared: dict[str, Any]) -> str:
    with engine_time():
        issues = details(knowledge_graph().engine, [found.iri])
        told = telling([node for issue in issues for node in issue.targets[:PAGE]], issues, _mentioned(found))
    head = _head(found, told.names)
    head["facts"] = [fact for fact in head["facts"] if fact.predicate not in {OA + "hasTarget", OA + "motivatedBy"}]
    return render_template("resource/issue.html", told=told, issue=issues[0], mentions=[], **head, **shared)


def _links(found: Portrait, shared: dict[str, Any]) -> str:
    """One of the lists of a node in full, page by page: `?of=` names the property, `?way=` the direction."""
    way: Way = "in" if request.args.get("way") == "in" else "out"
    predicate, number = request.args.get("of", ""), page_number()
    whole = next((item for item in found.groups if (item.way, item.predicate) == (way, predicate)), None)
    if whole is None:
        raise BadRequest("`of` must be a property that the thing has, and `way` in or out.")
    first, sorts = (number - 1) * PAGE, whole.size <= MOST_SORTED
    with engine_time():
        listed = slice_of(knowledge_graph().engine, found.iri, whole, *((0, MOST_SORTED) if sorts else (first, PAGE)))
        told = telling((), (), [found.iri.value, predicate, *(node.value for node in listed.nodes)])
    fact = _fact(listed, told.names)
    return render_template(
        "resource/links.html",
        fact=replace(fact, values=fact.values[first : first + PAGE]) if sorts else fact,
        sorted=sorts,
        title=told.names(found.iri.value),
        title_language=told.names.language(found.iri.value),
        first=first + 1,
        **pager(number, listed.size, PAGE),
        **shared,
    )

"""Claims: the figure or relation that each states, with its speakers, evidence and conflicting claims."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.rdf.namespaces import HPEZ, PROV, RDF
from kg.rdf.terms import NamedNode
from kg.sources.anchors import Anchor, load_anchors_of_claims
from kg.sparql.templates import prefixed_template
from kg.views.observations import Observation, observations_of_claims
from kg.views.query_results import select_iris

_CLAIM_VALUES_QUERY: Final = prefixed_template(
    """
SELECT DISTINCT ?claim ?key ?value {
  VALUES ?claim { $claims }
  ?claim ?key ?value
  FILTER (?key IN (rdf:type, prov:wasAttributedTo, rdf:subject, rdf:predicate, rdf:object, hpez:emended,
    hpez:conflictsWith, prov:wasDerivedFrom))
} ORDER BY ?claim ?key ?value LIMIT 20000"""
)
_CLAIMS_OF_RELATIONS_QUERY: Final = prefixed_template(
    """
SELECT DISTINCT ?claim { VALUES (?s ?p ?o) { $relations }
  ?claim rdf:subject ?s ; rdf:predicate ?p ; rdf:object ?o
} ORDER BY ?claim LIMIT 1000"""
)
_CLAIMS_WITHOUT_FIGURE_QUERY: Final = prefixed_template(
    """
SELECT DISTINCT ?claim { ?claim schema:observationAbout $about FILTER NOT EXISTS { ?claim a hpez:Observation } }
LIMIT $limit"""
)

RelationTriple = tuple[str, str, str]
"""The IRIs of a statement's subject, predicate and object."""
ClaimValues = Mapping[str, list[str]]
"""The values of a claim, by property."""


@dataclass(frozen=True)
class Claim:
    """A claim: a `figure`, a `relation`, or neither for a claim in words only.

    `emended` is true if the claim corrects the wording of its source. `conflicts` are the IRIs of contradicting
    claims, `derived_from` those from which it was computed, `speakers` the agents to whom it is attributed.
    """

    iri: str
    figure: Observation | None
    relation: RelationTriple | None
    speakers: tuple[str, ...]
    anchors: tuple[Anchor, ...]
    emended: bool
    conflicts: tuple[str, ...]
    derived_from: tuple[str, ...]

    @property
    def mentioned_iris(self) -> Iterator[str]:
        """All IRIs for which a page needs a label."""
        yield self.iri
        yield from self.figure.mentioned_iris if self.figure else ()
        yield from self.relation or ()
        yield from (*self.speakers, *self.conflicts, *self.derived_from)
        yield from (anchor.source.value for anchor in self.anchors)

    @property
    def start(self) -> int:
        """The position of its first anchor in the source, 0 without an anchor."""
        return min((anchor.start for anchor in self.anchors), default=0)


def load_claims(
    engine: Engine, nodes: Iterable[NamedNode], known: Iterable[Observation] | None = None
) -> dict[str, Claim]:
    """Return claims by IRI, in the order given; non-claims are returned as empty `Claim`s.

    `known` are the observations among them, if the caller has loaded them already.
    """
    claims = tuple(dict.fromkeys(nodes))
    if not claims:
        return {}
    figures = {item.claim: item for item in (observations_of_claims(engine, claims) if known is None else known)}
    anchors = load_anchors_of_claims(engine, claims)
    values = _load_claim_values(engine, claims)
    return {
        claim.value: _build_claim(
            claim.value, figures.get(claim.value), anchors.get(claim, ()), values.get(claim.value, {})
        )
        for claim in claims
    }


def find_claims_of_relations(engine: Engine, relations: Iterable[RelationTriple]) -> list[NamedNode]:
    """Return the claims that state any of the relations."""
    rows = {(NamedNode(subject), NamedNode(predicate), NamedNode(value)) for subject, predicate, value in relations}
    return select_iris(engine, _CLAIMS_OF_RELATIONS_QUERY.fill(relations=rows), "claim") if rows else []


def find_claims_without_figure(engine: Engine, about: NamedNode, limit: int) -> list[NamedNode]:
    """Return claims about a node that state no figure, for example that something grew."""
    return select_iris(engine, _CLAIMS_WITHOUT_FIGURE_QUERY.fill(about=about, limit=limit), "claim")


def _load_claim_values(engine: Engine, claims: Iterable[NamedNode]) -> Mapping[str, ClaimValues]:
    values = defaultdict[str, dict[str, list[str]]](dict)
    for row in engine.select(_CLAIM_VALUES_QUERY.fill(claims=claims)):
        values[row["claim"].value].setdefault(row["key"].value, []).append(row["value"].value)
    return values


def _build_claim(iri: str, figure: Observation | None, anchors: tuple[Anchor, ...], values: ClaimValues) -> Claim:
    parts = tuple(values[RDF + name][0] for name in ("subject", "predicate", "object") if RDF + name in values)
    return Claim(
        iri=iri,
        figure=figure if HPEZ + "Observation" in values.get(f"{RDF}type", ()) else None,
        relation=(parts[0], parts[1], parts[2]) if len(parts) == 3 else None,  # noqa: PLR2004 - a triple
        speakers=tuple(values.get(f"{PROV}wasAttributedTo", ())),
        anchors=anchors,
        emended="true" in values.get(f"{HPEZ}emended", ()),
        conflicts=tuple(values.get(f"{HPEZ}conflictsWith", ())),
        derived_from=tuple(values.get(f"{PROV}wasDerivedFrom", ())),
    )

"""What claims claim: figures and relations, each with who says so, where, and what stands against it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.rdf.namespaces import HPEZ, PROV, RDF, SPARQL_PREFIXES
from kg.rdf.terms import NamedNode
from kg.views.description import Anchor, load_anchors
from kg.views.observations import Observation, observations_of_claims

_CLAIM_VALUES_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?claim ?key ?value {
  VALUES ?claim { CLAIMS }
  ?claim ?key ?value
  FILTER (?key IN (rdf:type, prov:wasAttributedTo, rdf:subject, rdf:predicate, rdf:object, hpez:emended,
    hpez:conflictsWith, prov:wasDerivedFrom))
} ORDER BY ?claim ?key ?value LIMIT 20000"""
)
_CLAIMS_OF_RELATIONS_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?claim { VALUES (?s ?p ?o) { RELATIONS }
  ?claim rdf:subject ?s ; rdf:predicate ?p ; rdf:object ?o
} ORDER BY ?claim LIMIT 1000"""
)
_CLAIMS_WITHOUT_FIGURE_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?claim { ?claim schema:observationAbout <IRI> FILTER NOT EXISTS { ?claim a hpez:Observation } }
LIMIT MOST"""
)

Relation = tuple[str, str, str]
"""Subject, predicate and object of a plain statement, by their IRIs."""


@dataclass(frozen=True)
class Claim:
    """A claim: a `figure`, or a `relation`, or words only; by whom, and with which places of a source.

    `emended` says that it differs from the letter of its source; `conflicts` are the claims that it cannot go
    together with, `basis` those that it was computed from.
    """

    iri: str
    figure: Observation | None
    relation: Relation | None
    speakers: tuple[str, ...]
    anchors: tuple[Anchor, ...]
    emended: bool
    conflicts: tuple[str, ...]
    derived_from: tuple[str, ...]

    @property
    def mentioned_iris(self) -> Iterator[str]:
        """All that it names, to be labelled."""
        yield self.iri
        yield from self.figure.mentioned_iris if self.figure else ()
        yield from self.relation or ()
        yield from (*self.speakers, *self.conflicts, *self.derived_from)
        yield from (anchor.source.value for anchor in self.anchors)

    @property
    def start(self) -> int:
        """Where its first words are in their source; 0 for what has none."""
        return min((anchor.start for anchor in self.anchors), default=0)


def load_claims(
    engine: Engine, nodes: Iterable[NamedNode], known: Iterable[Observation] | None = None
) -> dict[str, Claim]:
    """What some claims say, by IRI and in their order; whatever is no claim comes as one without content.

    `known` are the figures among them, where the caller has them already.
    """
    wanted = tuple(dict.fromkeys(nodes))
    if not wanted:
        return {}
    figures = {item.claim: item for item in (observations_of_claims(engine, wanted) if known is None else known)}
    places = defaultdict[str, list[Anchor]](list)
    for anchor in load_anchors(engine, wanted):
        places[anchor.claim.value].append(anchor)
    said = _load_claim_values(engine, wanted)
    return {node.value: _build_claim(node.value, figures, places[node.value], said[node.value]) for node in wanted}


def find_claims_of_relations(engine: Engine, relations: Iterable[Relation]) -> list[NamedNode]:
    """The claims that state some relations."""
    rows = " ".join(f"({' '.join(f'<{iri}>' for iri in relation)})" for relation in sorted(set(relations)))
    if not rows:
        return []
    found = engine.select(_CLAIMS_OF_RELATIONS_QUERY.replace("RELATIONS", rows))
    return [row["claim"] for row in found if isinstance(row["claim"], NamedNode)]


def find_claims_without_figure(engine: Engine, about: NamedNode, limit: int) -> list[NamedNode]:
    """Claims about a thing that are words only, such as that something grew."""
    rows = engine.select(_CLAIMS_WITHOUT_FIGURE_QUERY.replace("<IRI>", str(about)).replace("MOST", str(limit)))
    return [row["claim"] for row in rows if isinstance(row["claim"], NamedNode)]


def _load_claim_values(engine: Engine, claims: Iterable[NamedNode]) -> defaultdict[str, dict[str, list[str]]]:
    found = defaultdict[str, dict[str, list[str]]](dict)
    for row in engine.select(_CLAIM_VALUES_QUERY.replace("CLAIMS", " ".join(map(str, claims)))):
        found[row["claim"].value].setdefault(row["key"].value, []).append(row["value"].value)
    return found


def _build_claim(iri: str, figures: dict[str, Observation], places: list[Anchor], said: dict[str, list[str]]) -> Claim:
    parts = tuple(said[RDF + name][0] for name in ("subject", "predicate", "object") if RDF + name in said)
    return Claim(
        iri=iri,
        figure=figures.get(iri) if HPEZ + "Observation" in said.get(f"{RDF}type", ()) else None,
        relation=(parts[0], parts[1], parts[2]) if len(parts) == 3 else None,  # noqa: PLR2004 - a triple
        speakers=tuple(said.get(f"{PROV}wasAttributedTo", ())),
        anchors=tuple(sorted(places, key=lambda anchor: (anchor.source.value, anchor.start))),
        emended="true" in said.get(f"{HPEZ}emended", ()),
        conflicts=tuple(said.get(f"{HPEZ}conflictsWith", ())),
        derived_from=tuple(said.get(f"{PROV}wasDerivedFrom", ())),
    )

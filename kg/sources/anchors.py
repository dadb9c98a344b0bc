"""Anchors: which characters of a source are cited as evidence, and the words there (Web Annotation, section 4.2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from kg.engine.protocol import Engine
from kg.rdf.namespaces import OA
from kg.rdf.terms import RDF_TYPE, BlankNode, Literal, NamedNode, Triple
from kg.sparql.templates import Fragment, Template, prefixed_template

_ANCHORS_QUERY: Final = prefixed_template(
    """
SELECT DISTINCT ?claim ?evidence ?source ?start ?end ?exact {
  $selection
  ?evidence oa:hasSource ?source ; oa:hasSelector ?position , ?quote .
  ?position oa:start ?start ; oa:end ?end . ?quote oa:exact ?exact
} ORDER BY ?claim ?source ?start ?end"""
)
_OF_CLAIMS: Final = Template("VALUES ?claim { $nodes } ?claim hpez:evidence ?evidence .")
_OF_EVIDENCE: Final = Template("VALUES ?evidence { $nodes }")
_OF_SOURCE: Final = Template("VALUES ?source { $nodes }")


@dataclass(frozen=True)
class Anchor:
    """A quotation: the code points `start` to `end` of a source's text, and the words `exact` there."""

    evidence: NamedNode
    source: NamedNode
    start: int
    end: int
    exact: str

    def triples(self) -> Iterator[Triple]:
        """Yield the anchor as an oa:SpecificResource with an oa:TextPositionSelector and an oa:TextQuoteSelector."""
        position, quote = (BlankNode(f"{kind}-{self.start}-{self.end}") for kind in ("position", "quote"))
        yield Triple(self.evidence, RDF_TYPE, NamedNode(OA + "SpecificResource"))
        yield Triple(self.evidence, NamedNode(OA + "hasSource"), self.source)
        yield Triple(self.evidence, NamedNode(OA + "hasSelector"), position)
        yield Triple(position, RDF_TYPE, NamedNode(OA + "TextPositionSelector"))
        yield Triple(position, NamedNode(OA + "start"), Literal(self.start))
        yield Triple(position, NamedNode(OA + "end"), Literal(self.end))
        yield Triple(self.evidence, NamedNode(OA + "hasSelector"), quote)
        yield Triple(quote, RDF_TYPE, NamedNode(OA + "TextQuoteSelector"))
        yield Triple(quote, NamedNode(OA + "exact"), Literal(self.exact))


def load_anchors_of_claims(engine: Engine, claims: Iterable[NamedNode]) -> dict[NamedNode, tuple[Anchor, ...]]:
    """Return the anchors of each claim that has some, by source and position."""
    anchors = dict[NamedNode, tuple[Anchor, ...]]()
    for claim, anchor in _load(engine, _OF_CLAIMS.fill(nodes=claims)):
        if isinstance(claim, NamedNode):
            anchors[claim] = (*anchors.get(claim, ()), anchor)
    return anchors


def load_anchors_of_source(engine: Engine, source: NamedNode) -> list[Anchor]:
    """Return all anchors in a source, by position."""
    return [anchor for _, anchor in _load(engine, _OF_SOURCE.fill(nodes=source))]


def load_anchor(engine: Engine, evidence: NamedNode) -> Anchor | None:
    """Return the anchor of an evidence node, None if it has none."""
    return next((anchor for _, anchor in _load(engine, _OF_EVIDENCE.fill(nodes=evidence))), None)


def _load(engine: Engine, selection: str) -> Iterator[tuple[object, Anchor]]:
    """Yield anchors with their claims, None where the selection names no claims."""
    for row in engine.select(_ANCHORS_QUERY.fill(selection=Fragment(selection))):
        evidence, source = row["evidence"], row["source"]
        if isinstance(evidence, NamedNode) and isinstance(source, NamedNode):
            start, end = int(row["start"].value), int(row["end"].value)
            yield row.get("claim"), Anchor(evidence, source, start, end, row["exact"].value)

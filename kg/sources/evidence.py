"""Verify evidence: compare anchors and figures with the text of a source (Web Annotation, sections 4.2.4, 4.2.5)."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Final

from kg.engine.protocol import Engine, Row
from kg.errors import EvidenceTextError
from kg.rdf.namespaces import ID
from kg.rdf.terms import NamedNode
from kg.sources.anchors import Anchor, load_anchors_of_source
from kg.sources.figures import read_figures
from kg.sources.source_texts import decode_text, read_source_digests
from kg.sparql.templates import prefixed_template

_FIGURES_QUERY: Final = prefixed_template(
    """
SELECT ?claim ?exact ?unit ?value ?min ?max {
  ?claim a hpez:Observation ; hpez:evidence ?evidence ; qudt:hasUnit ?unit .
  ?evidence oa:hasSource $source ; oa:hasSelector/oa:exact ?exact .
  OPTIONAL { ?claim schema:value ?value }
  OPTIONAL { ?claim schema:minValue ?min }
  OPTIONAL { ?claim schema:maxValue ?max }
  FILTER (BOUND(?value) || BOUND(?min) || BOUND(?max))
  FILTER NOT EXISTS { ?claim hpez:emended true }
} ORDER BY ?claim"""
)


@dataclass(frozen=True)
class VerificationFailure:
    """An anchor, figure or digest that does not match the text: the IRI of the node, and the reason."""

    iri: str
    reason: str


@dataclass(frozen=True)
class Verification:
    """The result for one source: how many anchors and figures were compared, and which failed."""

    source: str
    anchor_count: int
    figure_count: int
    failures: tuple[VerificationFailure, ...]


def verify(engine: Engine, text: bytes, source: str | None = None) -> Verification:
    """Check the digest of a source's text, every anchor in it, and the value of every figure against its anchor.

    `source` is the slug of the source. Without it, the source with the digest of the text is used, or the only source.
    Positions count Unicode code points of the whole text. Raises EvidenceTextError for an unknown source and for a
    text that is not UTF-8.
    """
    digest = hashlib.sha256(text).hexdigest()
    iri, expected = _resolve_source(engine, digest, source)
    content = decode_text(text)
    anchors = load_anchors_of_source(engine, NamedNode(iri))
    figures = engine.select(_FIGURES_QUERY.fill(source=NamedNode(iri)))
    failures = list[VerificationFailure]()
    if digest != expected:
        failures.append(VerificationFailure(iri, f"the text has SHA-256 {digest}, the source states {expected}"))
    failures += [failure for anchor in anchors if (failure := _anchor_failure(anchor, content)) is not None]
    by_claim = [(claim, list(rows)) for claim, rows in groupby(figures, key=lambda row: row["claim"].value)]
    failures += [failure for claim, rows in by_claim if (failure := _figure_failure(claim, rows)) is not None]
    return Verification(iri, len(anchors), len(by_claim), tuple(failures))


def _resolve_source(engine: Engine, digest: str, slug: str | None) -> tuple[str, str]:
    """Return the IRI of a source and the digest that the graph states for its text."""
    digests = read_source_digests(engine)
    if slug is not None:
        iri = f"{ID}source/{slug}"
        if iri not in digests:
            known = ", ".join(name.removeprefix(f"{ID}source/") for name in digests)
            raise EvidenceTextError(f"There is no source {slug!r}; known are: {known}.")
        return iri, digests[iri]
    matching = [iri for iri, known in digests.items() if known == digest] or list(digests)
    if len(matching) != 1:
        raise EvidenceTextError("The text is none of the sources; name the one that it should be.")
    return matching[0], digests[matching[0]]


def _anchor_failure(anchor: Anchor, text: str) -> VerificationFailure | None:
    if anchor.end > len(text):
        return VerificationFailure(anchor.evidence.value, f"ends at {anchor.end}, the text at {len(text)}")
    actual = text[anchor.start : anchor.end]
    if actual == anchor.exact:
        return None
    return VerificationFailure(anchor.evidence.value, f"cites {anchor.exact!r}, the text has {actual!r}")


def _figure_failure(claim: str, rows: list[Row]) -> VerificationFailure | None:
    """Return a failure unless some figure in the quotations of a claim has its unit and its stated bounds."""
    stated = _stated_bounds(rows[0])
    unit = rows[0]["unit"].value
    for figure in (figure for row in rows for figure in read_figures(row["exact"].value)):
        pairs = zip(stated, (figure.low, figure.high), strict=True)
        if figure.unit == unit and all(bound is None or bound == actual for bound, actual in pairs):
            return None
    cited = ", ".join(repr(row["exact"].value) for row in rows)
    return VerificationFailure(claim, f"states {_format_bounds(stated)}, which its evidence {cited} does not say")


def _stated_bounds(row: Row) -> tuple[Decimal | None, Decimal | None]:
    """Return the lower and the upper bound that a claim states; both are its value if it states one."""

    def number(name: str) -> Decimal | None:
        return Decimal(row[name].value) if name in row else None

    exact = number("value")
    return (number("min"), number("max")) if exact is None else (exact, exact)


def _format_bounds(bounds: tuple[Decimal | None, Decimal | None]) -> str:
    return " to ".join("?" if bound is None else f"{bound:f}" for bound in dict.fromkeys(bounds))

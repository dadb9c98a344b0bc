"""Compare the anchors that claims cite with the text that they cite (Web Annotation, sections 4.2.4 and 4.2.5)."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Final

from kg.engine.protocol import Engine, Row
from kg.errors import EvidenceTextError
from kg.numbers import read_figures
from kg.terms import ID, SPARQL_PREFIXES

_SOURCES: Final = SPARQL_PREFIXES + (
    "SELECT ?source ?sha256 { ?source a schema:NewsArticle ; schema:sha256 ?sha256 } ORDER BY ?source"
)
_ANCHORS: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?evidence ?start ?end ?exact {
  ?evidence a oa:SpecificResource ; oa:hasSource ?source ; oa:hasSelector ?position , ?quote .
  ?position a oa:TextPositionSelector ; oa:start ?start ; oa:end ?end .
  ?quote a oa:TextQuoteSelector ; oa:exact ?exact .
} ORDER BY ?start ?end"""
)
_FIGURES: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?claim ?exact ?unit ?value ?min ?max {
  ?claim a hpez:Observation ; hpez:evidence ?evidence ; qudt:hasUnit ?unit .
  ?evidence oa:hasSource ?source ; oa:hasSelector/oa:exact ?exact .
  OPTIONAL { ?claim schema:value ?value }
  OPTIONAL { ?claim schema:minValue ?min }
  OPTIONAL { ?claim schema:maxValue ?max }
  FILTER (BOUND(?value) || BOUND(?min) || BOUND(?max))
  FILTER NOT EXISTS { ?claim hpez:emended true }
} ORDER BY ?claim"""
)


@dataclass(frozen=True)
class Failure:
    """Something cited that the text does not bear out: the IRI of the node, and why."""

    iri: str
    reason: str


@dataclass(frozen=True)
class Verification:
    """The outcome for one source: how many anchors and figures were compared, and what failed."""

    source: str
    anchors: int
    figures: int
    failures: tuple[Failure, ...]


def verify(engine: Engine, text: bytes, source: str | None = None) -> Verification:
    """Check the digest of a text, every anchor in it, and that each figure's value is what its anchor says.

    `source` is the slug of the source; without it, the one whose digest the text has is meant, or the only one.
    Positions count Unicode code points of the whole text. Raises EvidenceTextError for an unknown source
    and for a text that is not UTF-8.
    """
    digest = hashlib.sha256(text).hexdigest()
    iri, wanted = _source(engine, digest, source)
    content = _decoded(text)
    anchors = engine.select(_about(_ANCHORS, iri))
    figures = engine.select(_about(_FIGURES, iri))
    failures = [] if digest == wanted else [Failure(iri, f"the text has SHA-256 {digest}, the source states {wanted}")]
    failures += [failure for row in anchors if (failure := _anchor_failure(row, content)) is not None]
    by_claim = [(claim, list(rows)) for claim, rows in groupby(figures, key=lambda row: row["claim"].value)]
    failures += [failure for claim, rows in by_claim if (failure := _figure_failure(claim, rows)) is not None]
    return Verification(iri, len(anchors), len(by_claim), tuple(failures))


def _about(query: str, source: str) -> str:
    return query.replace("?source", f"<{source}>")


def _source(engine: Engine, digest: str, slug: str | None) -> tuple[str, str]:
    digests = {row["source"].value: row["sha256"].value for row in engine.select(_SOURCES)}
    if slug is not None:
        iri = f"{ID}source/{slug}"
        if iri not in digests:
            known = ", ".join(name.removeprefix(f"{ID}source/") for name in digests)
            raise EvidenceTextError(f"There is no source {slug!r}; known are: {known}.")
        return iri, digests[iri]
    fitting = [iri for iri, known in digests.items() if known == digest] or list(digests)
    if len(fitting) != 1:
        raise EvidenceTextError("The text is none of the sources; name the one that it should be.")
    return fitting[0], digests[fitting[0]]


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EvidenceTextError(f"The text is not UTF-8: byte {error.start} cannot be read.") from None


def _anchor_failure(row: Row, text: str) -> Failure | None:
    start, end, exact = int(row["start"].value), int(row["end"].value), row["exact"].value
    if end > len(text):
        return Failure(row["evidence"].value, f"ends at {end}, the text at {len(text)}")
    found = text[start:end]
    return None if found == exact else Failure(row["evidence"].value, f"cites {exact!r}, the text has {found!r}")


def _figure_failure(claim: str, rows: list[Row]) -> Failure | None:
    stated = _bounds(rows[0])
    read = [figure for row in rows for figure in read_figures(row["exact"].value)]
    unit = rows[0]["unit"].value
    for figure in read:
        fits = figure.unit == unit and all(
            bound is None or bound == said for bound, said in zip(stated, (figure.low, figure.high), strict=True)
        )
        if fits:
            return None
    cited = ", ".join(repr(row["exact"].value) for row in rows)
    return Failure(claim, f"states {_spoken(stated)}, which its evidence {cited} does not say")


def _bounds(row: Row) -> tuple[Decimal | None, Decimal | None]:
    def number(name: str) -> Decimal | None:
        return Decimal(row[name].value) if name in row else None

    exact = number("value")
    return (number("min"), number("max")) if exact is None else (exact, exact)


def _spoken(bounds: tuple[Decimal | None, Decimal | None]) -> str:
    return " to ".join("?" if bound is None else f"{bound:f}" for bound in dict.fromkeys(bounds))

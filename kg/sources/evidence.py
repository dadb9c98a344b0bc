"""Compare the anchors that claims cite with the text that they cite (Web Annotation, sections 4.2.4 and 4.2.5)."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Final

from kg.engine.protocol import Engine, Row
from kg.errors import EvidenceTextError
from kg.rdf.io import NamedNode
from kg.rdf.namespaces import ID, SPARQL_PREFIXES
from kg.sources.anchors import Anchor, load_anchors_of_source
from kg.sources.figures import read_figures
from kg.sparql.templates import Template

_SOURCES_QUERY: Final = SPARQL_PREFIXES + (
    "SELECT ?source ?sha256 { ?source a schema:NewsArticle ; schema:sha256 ?sha256 } ORDER BY ?source"
)
_FIGURES_QUERY: Final = Template(
    SPARQL_PREFIXES
    + """
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

_CITED_SOURCES_QUERY: Final = Template(
    SPARQL_PREFIXES
    + """
SELECT ?source ?sha256 ?language { VALUES ?source { $sources }
  OPTIONAL { ?source schema:sha256 ?sha256 } OPTIONAL { ?source schema:inLanguage ?language } }"""
)
MAX_PASSAGE_LENGTH: Final = 300
"""The number of characters of a passage."""
_MAX_SENTENCE_SCAN: Final = 1000
"""The number of characters on each side of an anchor in which the ends of its sentence are searched."""
_SENTENCE_END: Final = re.compile(r"[.!?…]+[”\"’)\]]*\s+|\s*\n\s*")
"""The end of a sentence with the white space after it, which a full stop within 2.608,66 does not have."""
_ENDS_WITH_ABBREVIATION: Final = re.compile(
    r"(?:^|[\s(])(?:TP|Tp|TX|TT|Q|P|GS|PGS|TS|ThS|BS|KS|CN|Mr|Mrs|Dr|St|[A-ZĐ])\.\s+$"
)
"""Abbreviations, whose full stop does not end a sentence, such as TP. Hải Phòng."""
_MAX_ABBREVIATION_LENGTH: Final = 8


@dataclass(frozen=True)
class VerificationFailure:
    """A node, by IRI, that the text does not support, and the reason."""

    iri: str
    reason: str


@dataclass(frozen=True)
class Verification:
    """The result for one source: the numbers of compared anchors and figures, and the failures."""

    source: str
    anchor_count: int
    figure_count: int
    failures: tuple[VerificationFailure, ...]


def verify(engine: Engine, text: bytes, source: str | None = None) -> Verification:
    """Compare a text with the digest, the anchors and the figures that the graph states for its source.

    `source` is the slug of the source; without it, the source is the one with the digest of the text, or the only
    one. Positions count Unicode code points of the whole text. Raises EvidenceTextError for an unknown source
    and for a text that is not UTF-8.
    """
    digest = hashlib.sha256(text).hexdigest()
    iri, stated_digest = _resolve_source(engine, digest, source)
    content = _decode_utf8(text)
    anchors = load_anchors_of_source(engine, NamedNode(iri))
    figures = engine.select(_FIGURES_QUERY.fill(source=NamedNode(iri)))
    failures = (
        []
        if digest == stated_digest
        else [VerificationFailure(iri, f"the text has SHA-256 {digest}, the source states {stated_digest}")]
    )
    failures += [failure for anchor in anchors if (failure := _anchor_failure(anchor, content)) is not None]
    by_claim = [(claim, list(rows)) for claim, rows in groupby(figures, key=lambda row: row["claim"].value)]
    failures += [failure for claim, rows in by_claim if (failure := _figure_failure(claim, rows)) is not None]
    return Verification(iri, len(anchors), len(by_claim), tuple(failures))


def _resolve_source(engine: Engine, digest: str, slug: str | None) -> tuple[str, str]:
    digests = {row["source"].value: row["sha256"].value for row in engine.select(_SOURCES_QUERY)}
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


def _decode_utf8(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EvidenceTextError(f"The text is not UTF-8: byte {error.start} cannot be read.") from None


def _anchor_failure(anchor: Anchor, text: str) -> VerificationFailure | None:
    if anchor.end > len(text):
        return VerificationFailure(anchor.evidence.value, f"ends at {anchor.end}, the text at {len(text)}")
    found = text[anchor.start : anchor.end]
    if found == anchor.exact:
        return None
    return VerificationFailure(anchor.evidence.value, f"cites {anchor.exact!r}, the text has {found!r}")


def _figure_failure(claim: str, rows: list[Row]) -> VerificationFailure | None:
    stated = _stated_bounds(rows[0])
    figures = [figure for row in rows for figure in read_figures(row["exact"].value)]
    unit = rows[0]["unit"].value
    for figure in figures:
        matches = figure.unit == unit and all(
            bound is None or bound == number for bound, number in zip(stated, (figure.low, figure.high), strict=True)
        )
        if matches:
            return None
    cited = ", ".join(repr(row["exact"].value) for row in rows)
    return VerificationFailure(claim, f"states {_format_bounds(stated)}, which its evidence {cited} does not say")


def _stated_bounds(row: Row) -> tuple[Decimal | None, Decimal | None]:
    def number(name: str) -> Decimal | None:
        return Decimal(row[name].value) if name in row else None

    exact = number("value")
    return (number("min"), number("max")) if exact is None else (exact, exact)


def _format_bounds(bounds: tuple[Decimal | None, Decimal | None]) -> str:
    return " to ".join("?" if bound is None else f"{bound:f}" for bound in dict.fromkeys(bounds))


@dataclass(frozen=True)
class Passage:
    """A quotation with the rest of its sentence before and after it."""

    before: str
    exact: str
    after: str


def extract_passage(text: str, start: int, end: int, max_length: int = MAX_PASSAGE_LENGTH) -> Passage:
    """Return the sentence around the code points `start` to `end`, truncated with … to about `max_length`."""
    start, end = max(0, min(start, len(text))), max(0, min(end, len(text)))
    first, last = _sentence_start(text, start), _sentence_end(text, end)
    room = max(0, max_length - (end - start))
    before, after = text[first:start], text[end:last]
    before_length = max(room // 2, room - len(after))
    after_length = max(room // 2, room - len(before))
    return Passage(
        _truncate_left(before.lstrip(), before_length), text[start:end], _truncate_right(after.rstrip(), after_length)
    )


def _sentence_start(text: str, start: int) -> int:
    begin = max(0, start - _MAX_SENTENCE_SCAN)
    return max((end for end in _sentence_boundaries(text, begin, start + 1) if end <= start), default=begin)


def _sentence_end(text: str, end: int) -> int:
    last = min(len(text), end + _MAX_SENTENCE_SCAN)
    return next((stop for stop in _sentence_boundaries(text, max(0, end - 1), last) if stop >= end), last)


def _sentence_boundaries(text: str, start: int, end: int) -> Iterator[int]:
    """Yield the starts of sentences; a stop before a lower-case letter or of an abbreviation starts none."""
    for match in _SENTENCE_END.finditer(text, start, end):
        following = text[match.end() : match.end() + 1]
        before = text[max(0, match.start() - _MAX_ABBREVIATION_LENGTH) : match.end()]
        if "\n" in match[0] or not (following.islower() or _ENDS_WITH_ABBREVIATION.search(before)):
            yield match.end()


def _truncate_left(text: str, max_length: int) -> str:
    text = " ".join(text.split()) + (" " if text[-1:].isspace() else "")
    return text if len(text) <= max_length else "… " + text[len(text) - max_length :].partition(" ")[2]


def _truncate_right(text: str, max_length: int) -> str:
    text = (" " if text[:1].isspace() else "") + " ".join(text.split())
    return text if len(text) <= max_length else text[:max_length].rpartition(" ")[0] + " …"


@dataclass(frozen=True)
class CitedSource:
    """The language of a source that is quoted, and its text if the operator has provided it."""

    language: str | None
    text: str | None

    def matches_quote(self, start: int, end: int, exact: str) -> bool | None:
        """Return whether the text has exactly these words at this position; None without a text."""
        return None if self.text is None else self.text[start:end] == exact


class SourceTexts:
    """The texts of sources that the operator provides, by SHA-256."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        """Read the files; raises EvidenceTextError for a file that cannot be read or is not UTF-8."""
        self._names = dict[str, Path]()
        self._texts = dict[str, str]()
        for file in files:
            content = _read_file(file)
            digest = hashlib.sha256(content).hexdigest()
            self._names[digest], self._texts[digest] = file, _decode_utf8(content)

    @property
    def digests(self) -> tuple[str, ...]:
        """The SHA-256 of each text, sorted."""
        return tuple(sorted(self._texts))

    def require_known_sources(self, engine: Engine) -> None:
        """Raise EvidenceTextError if a text belongs to no source in the graph."""
        known = {row["sha256"].value for row in engine.select(_SOURCES_QUERY)}
        for digest in self._texts.keys() - known:
            raise EvidenceTextError(f"{self._names[digest]} is the text of no source: its SHA-256 is {digest}.")

    def load_cited_sources(self, engine: Engine, iris: Iterable[NamedNode]) -> dict[str, CitedSource]:
        """Return the sources with their languages and texts, by IRI."""
        nodes = set(iris)
        rows = engine.select(_CITED_SOURCES_QUERY.fill(sources=nodes)) if nodes else []
        return {row["source"].value: self._cited(row) for row in rows}

    def _cited(self, row: Row) -> CitedSource:
        digest, language = row.get("sha256"), row.get("language")
        text = self._texts.get(digest.value) if digest is not None else None
        return CitedSource(language.value if language is not None else None, text)


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise EvidenceTextError(f"{file} cannot be read: {error.strerror}.") from None

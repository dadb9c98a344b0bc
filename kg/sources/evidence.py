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
from kg.rdf.namespaces import ID, SPARQL_PREFIXES
from kg.rdf.terms import NamedNode
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
"""Characters of a text that are shown around an anchor."""
_MAX_SENTENCE_SCAN: Final = 1000
"""Characters on either side within which the ends of a sentence are sought."""
_SENTENCE_END: Final = re.compile(r"[.!?…]+[”\"’)\]]*\s+|\s*\n\s*")
"""What may end a sentence, with the white space after it; a stop within 2.608,66 has none."""
_ENDS_WITH_ABBREVIATION: Final = re.compile(
    r"(?:^|[\s(])(?:TP|Tp|TX|TT|Q|P|GS|PGS|TS|ThS|BS|KS|CN|Mr|Mrs|Dr|St|[A-ZĐ])\.\s+$"
)
"""Words that end with a stop which ends no sentence, such as TP. Hải Phòng."""
_MAX_ABBREVIATION_LENGTH: Final = 8


@dataclass(frozen=True)
class VerificationFailure:
    """Something cited that the text does not bear out: the IRI of the node, and why."""

    iri: str
    reason: str


@dataclass(frozen=True)
class Verification:
    """The outcome for one source: how many anchors and figures were compared, and what failed."""

    source: str
    anchor_count: int
    figure_count: int
    failures: tuple[VerificationFailure, ...]


def verify(engine: Engine, text: bytes, source: str | None = None) -> Verification:
    """Check the digest of a text, every anchor in it, and that each figure's value is what its anchor says.

    `source` is the slug of the source; without it, the one whose digest the text has is meant, or the only one.
    Positions count Unicode code points of the whole text. Raises EvidenceTextError for an unknown source
    and for a text that is not UTF-8.
    """
    digest = hashlib.sha256(text).hexdigest()
    iri, wanted = _resolve_source(engine, digest, source)
    content = _decode_utf8(text)
    anchors = load_anchors_of_source(engine, NamedNode(iri))
    figures = engine.select(_FIGURES_QUERY.fill(source=NamedNode(iri)))
    failures = (
        []
        if digest == wanted
        else [VerificationFailure(iri, f"the text has SHA-256 {digest}, the source states {wanted}")]
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
    fitting = [iri for iri, known in digests.items() if known == digest] or list(digests)
    if len(fitting) != 1:
        raise EvidenceTextError("The text is none of the sources; name the one that it should be.")
    return fitting[0], digests[fitting[0]]


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
    read = [figure for row in rows for figure in read_figures(row["exact"].value)]
    unit = rows[0]["unit"].value
    for figure in read:
        fits = figure.unit == unit and all(
            bound is None or bound == said for bound, said in zip(stated, (figure.low, figure.high), strict=True)
        )
        if fits:
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
    """Words of a text, with what stands before and after them in their sentence."""

    before: str
    exact: str
    after: str


def extract_passage(text: str, start: int, end: int, most: int = MAX_PASSAGE_LENGTH) -> Passage:
    """The sentence around code points `start` to `end`, cut with … to about `most` characters."""
    start, end = max(0, min(start, len(text))), max(0, min(end, len(text)))
    first, last = _sentence_start(text, start), _sentence_end(text, end)
    room = max(0, most - (end - start))
    before, after = text[first:start], text[end:last]
    kept = max(room // 2, room - len(after))
    follow = max(room // 2, room - len(before))
    return Passage(_truncate_left(before.lstrip(), kept), text[start:end], _truncate_right(after.rstrip(), follow))


def _sentence_start(text: str, start: int) -> int:
    begin = max(0, start - _MAX_SENTENCE_SCAN)
    return max((end for end in _sentence_boundaries(text, begin, start + 1) if end <= start), default=begin)


def _sentence_end(text: str, end: int) -> int:
    last = min(len(text), end + _MAX_SENTENCE_SCAN)
    return next((stop for stop in _sentence_boundaries(text, max(0, end - 1), last) if stop >= end), last)


def _sentence_boundaries(text: str, start: int, end: int) -> Iterator[int]:
    """Where sentences begin after a stop; after one before a small letter, or of an abbreviation, none does."""
    for match in _SENTENCE_END.finditer(text, start, end):
        following = text[match.end() : match.end() + 1]
        before = text[max(0, match.start() - _MAX_ABBREVIATION_LENGTH) : match.end()]
        if "\n" in match[0] or not (following.islower() or _ENDS_WITH_ABBREVIATION.search(before)):
            yield match.end()


def _truncate_left(text: str, most: int) -> str:
    text = " ".join(text.split()) + (" " if text[-1:].isspace() else "")
    return text if len(text) <= most else "… " + text[len(text) - most :].partition(" ")[2]


def _truncate_right(text: str, most: int) -> str:
    text = (" " if text[:1].isspace() else "") + " ".join(text.split())
    return text if len(text) <= most else text[:most].rpartition(" ")[0] + " …"


@dataclass(frozen=True)
class CitedSource:
    """What is known of a source whose words are shown: its language, and its text where that is at hand."""

    language: str | None
    text: str | None

    def matches_quote(self, start: int, end: int, exact: str) -> bool | None:
        """Whether the text says just this there; None where there is no text."""
        return None if self.text is None else self.text[start:end] == exact


class SourceTexts:
    """Texts of sources that the operator has, by their SHA-256."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        """Read files; raises EvidenceTextError for one that cannot be read or is not UTF-8."""
        self._names = dict[str, Path]()
        self._texts = dict[str, str]()
        for file in files:
            content = _read_file(file)
            digest = hashlib.sha256(content).hexdigest()
            self._names[digest], self._texts[digest] = file, _decode_utf8(content)

    @property
    def digests(self) -> tuple[str, ...]:
        """The SHA-256 of each text, in order."""
        return tuple(sorted(self._texts))

    def require_known_sources(self, engine: Engine) -> None:
        """Raise EvidenceTextError for a text that is none of the sources of a graph."""
        known = {row["sha256"].value for row in engine.select(_SOURCES_QUERY)}
        for digest in self._texts.keys() - known:
            raise EvidenceTextError(f"{self._names[digest]} is the text of no source: its SHA-256 is {digest}.")

    def load_cited_sources(self, engine: Engine, iris: Iterable[NamedNode]) -> dict[str, CitedSource]:
        """What is known of some sources, by IRI."""
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

"""The texts of sources that an operator provides, and the metadata of cited sources."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kg.engine.protocol import Engine, Row
from kg.errors import EvidenceTextError
from kg.rdf.namespaces import SPARQL_PREFIXES
from kg.rdf.terms import NamedNode
from kg.sparql.templates import prefixed_template

_SOURCES_QUERY: Final = SPARQL_PREFIXES + (
    "SELECT ?source ?sha256 { ?source a schema:NewsArticle ; schema:sha256 ?sha256 } ORDER BY ?source"
)
_CITED_SOURCES_QUERY: Final = prefixed_template(
    """
SELECT ?source ?sha256 ?language { VALUES ?source { $sources }
  OPTIONAL { ?source schema:sha256 ?sha256 } OPTIONAL { ?source schema:inLanguage ?language } }"""
)


@dataclass(frozen=True)
class CitedSource:
    """The language of a cited source, and its text if the operator provides it."""

    language: str | None
    text: str | None

    def matches_quote(self, start: int, end: int, exact: str) -> bool | None:
        """Whether the text has a quotation between two code points; None without a text."""
        return None if self.text is None else self.text[start:end] == exact


class SourceTexts:
    """Texts of sources, by their SHA-256."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        """Read the texts. Raises EvidenceTextError for a file that cannot be read or is not UTF-8."""
        self._paths = dict[str, Path]()
        self._texts = dict[str, str]()
        for file in files:
            content = _read_file(file)
            digest = hashlib.sha256(content).hexdigest()
            self._paths[digest], self._texts[digest] = file, decode_text(content)

    @property
    def digests(self) -> tuple[str, ...]:
        """The SHA-256 of each text, sorted."""
        return tuple(sorted(self._texts))

    def require_known_sources(self, engine: Engine) -> None:
        """Raise EvidenceTextError if a text does not belong to a source of the graph."""
        known = set(read_source_digests(engine).values())
        for digest in self._texts.keys() - known:
            raise EvidenceTextError(f"{self._paths[digest]} is not the text of any source: its SHA-256 is {digest}.")

    def load_cited_sources(self, engine: Engine, iris: Iterable[NamedNode]) -> dict[str, CitedSource]:
        """Return the language and the text of sources, by IRI."""
        nodes = set(iris)
        rows = engine.select(_CITED_SOURCES_QUERY.fill(sources=nodes)) if nodes else []
        return {row["source"].value: self._cited_source(row) for row in rows}

    def _cited_source(self, row: Row) -> CitedSource:
        digest, language = row.get("sha256"), row.get("language")
        text = self._texts.get(digest.value) if digest is not None else None
        return CitedSource(language.value if language is not None else None, text)


def read_source_digests(engine: Engine) -> dict[str, str]:
    """Return the SHA-256 of the text of every source, by the IRI of the source."""
    return {row["source"].value: row["sha256"].value for row in engine.select(_SOURCES_QUERY)}


def decode_text(text: bytes) -> str:
    """Decode UTF-8. Raises EvidenceTextError with the offset of the first invalid byte."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EvidenceTextError(f"The text is not UTF-8: byte {error.start} cannot be read.") from None


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise EvidenceTextError(f"{file} cannot be read: {error.strerror}.") from None

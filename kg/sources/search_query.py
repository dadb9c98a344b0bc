"""A search for names and its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from kg.rdf.texts_by_language import TextsByLanguage
from kg.sources import name_index
from kg.sources.folding import folded_words

MAX_SEARCH_LENGTH: Final = 200
"""The maximum number of code points of a query that are used."""
MAX_QUERY_WORDS: Final = 8
"""The maximum number of words of a query that are used."""


@dataclass(frozen=True)
class SearchQuery:
    """Words to find in names, optionally of one kind, and the slice of matches to return."""

    text: str
    kind: str | None = None
    offset: int = 0
    limit: int = 20

    @cached_property
    def truncated_text(self) -> str:
        """The part of the text that is used, without unpaired surrogates."""
        return replace_surrogates(self.text[:MAX_SEARCH_LENGTH])

    @cached_property
    def comparable_text(self) -> str:
        """The text in the form in which names are compared."""
        return name_index.comparable_text(self.truncated_text)

    @cached_property
    def folded_words(self) -> tuple[str, ...]:
        """The distinct folded words that a name must have."""
        return tuple(dict.fromkeys(folded_words(self.truncated_text)))[:MAX_QUERY_WORDS]


@dataclass(frozen=True)
class SearchMatch:
    """A resource that was found: `text` is its best matching name, `names` are its preferred names."""

    iri: str
    kind: str
    text: str
    language: str
    names: TextsByLanguage = field(default_factory=TextsByLanguage)

    def name(self, language: str) -> str:
        """Return its preferred name in a language, else in another language, else the matching name."""
        return self.names.best(language) or self.text


@dataclass(frozen=True)
class SearchResult:
    """A slice of the matches, their total number, and their number by kind.

    `total` and `kind_counts` are lower bounds where the flags say so.
    """

    matches: tuple[SearchMatch, ...] = ()
    kind_counts: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    total_is_lower_bound: bool = False
    kinds_are_lower_bounds: bool = False


def replace_surrogates(text: str) -> str:
    """Replace unpaired surrogates, which SQLite cannot encode and no name contains, by question marks."""
    return text.encode("utf-8", "replace").decode()

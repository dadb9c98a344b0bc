"""Rank the names that a search has found; pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kg.sources.folding import AccentedWord, accented_words
from kg.sources.kinds import kind_rank
from kg.sources.name_index import is_preferred
from kg.sources.search_query import MAX_QUERY_WORDS, SearchQuery


@dataclass(frozen=True)
class NameCandidate:
    """A name that may match; `predicate` is the number of its property."""

    iri: str
    kind: str
    text: str
    language: str
    predicate: int
    comparable_text: str

    def has_all_words(self, words: Iterable[str]) -> bool:
        """Return whether each word is the beginning of a word of the name."""
        name_words = self.comparable_text.split(" ")
        return all(any(name_word.startswith(word) for name_word in name_words) for word in words)


def rank_candidates(candidates: Iterable[NameCandidate], query: SearchQuery) -> list[NameCandidate]:
    """Return the best name of each resource, best first."""
    query_words = accented_words(query.truncated_text)[:MAX_QUERY_WORDS]
    best = dict[str, tuple[tuple[object, ...], NameCandidate]]()
    for candidate in candidates:
        key = _sort_key(candidate, query_words, query)
        if candidate.iri not in best or key < best[candidate.iri][0]:
            best[candidate.iri] = key, candidate
    return [candidate for _, candidate in sorted(best.values(), key=lambda item: item[0])]


def count_by_kind(kinds: Iterable[str]) -> dict[str, int]:
    """Count resources by kind: the kinds of lowest rank first, among them the most frequent first."""
    counts = Counter(kinds)
    return dict(sorted(counts.items(), key=lambda item: (kind_rank(item[0]), -item[1], item[0])))


def _sort_key(name: NameCandidate, query_words: Sequence[AccentedWord], query: SearchQuery) -> tuple[object, ...]:
    """Sort by how well the name matches, then by how relevant it is, then by length."""
    name_words = set(name.comparable_text.split(" "))
    return (
        name.comparable_text != query.comparable_text,
        not _accents_agree(name.text, query_words),
        not name.comparable_text.startswith(query.comparable_text),
        sum(word not in name_words for word in query.folded_words),
        not is_preferred(name.predicate),
        kind_rank(name.kind),
        len(name.comparable_text),
        name.text,
        name.iri,
        name.predicate,
    )


def _accents_agree(text: str, query_words: Sequence[AccentedWord]) -> bool:
    """Return whether a name also has the diacritics of all query words."""
    name_words = accented_words(text)
    return all(any(word.is_prefix_of(other) for other in name_words) for word in query_words)

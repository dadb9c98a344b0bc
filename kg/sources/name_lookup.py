"""Look names up in the index within a bounded time, with or without Vietnamese diacritics.

Each query word may be the beginning of a word of the name, in any order. Names that begin with the whole query are
read in alphabetical order, other names through the full-text table `found` (SQLite FTS5), most relevant first. At most
some hundreds of these candidates are read and ranked, so that a query that matches a million names is as fast as any
other; its counts are then lower bounds.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from kg.rdf.texts_by_language import TextsByLanguage
from kg.sources.name_index import KIND_MARK, is_preferred, kind_word
from kg.sources.name_ranking import NameCandidate, count_by_kind, rank_candidates
from kg.sources.search_query import SearchMatch, SearchQuery, SearchResult, replace_surrogates

MAX_PREFIX_CANDIDATES: Final = 200
"""The maximum number of names that are read because they begin with the query."""
MAX_WORD_CANDIDATES: Final = 400
"""The maximum number of names that are read because they contain the query's words."""
MAX_PROBED_KINDS: Final = 40
"""The maximum number of kinds that are probed for a match, if not all candidates were read."""

_LAST_CODE_POINT: Final = "\U0010ffff"
_COLUMNS: Final = "names.id, iri, kind, text, language, predicate, words"
_PREFIX_QUERY: Final = f"""
SELECT * FROM (SELECT {_COLUMNS} FROM names WHERE words >= ?1 AND words < ?1 || '{_LAST_CODE_POINT}' ORDER BY words
LIMIT ?2)
WHERE ?3 IS NULL OR kind = ?3"""  # noqa: S608 - the names are constants
_WORDS_QUERY: Final = f"""
SELECT {_COLUMNS} FROM names JOIN (SELECT rowid AS number FROM found WHERE found MATCH ? ORDER BY rowid LIMIT ?)
ON names.id = number"""  # noqa: S608 - the names are constants
_EXISTS_QUERY: Final = "SELECT rowid FROM found WHERE found MATCH ? LIMIT 1"
_NAMES_QUERY: Final = "SELECT iri, language, text, predicate FROM names WHERE iri IN ({}) ORDER BY predicate, text"

CandidateRow = tuple[int, str, str, str, str, int, str]
"""A row of the table `names`: the values of _COLUMNS."""


def find_names(connection: sqlite3.Connection, query: SearchQuery) -> SearchResult:
    """Return the resources that have a matching name; a query of a kind without text matches all resources of the kind.

    Raises sqlite3.Error if the index is damaged.
    """
    kind = None if query.kind is None else replace_surrogates(query.kind)
    if not query.comparable_text:
        return SearchResult() if kind is None else _find_kind(connection, kind, query)
    candidates, has_more = _find_candidates(connection, query, kind)
    all_kinds, all_have_more = (candidates, has_more) if kind is None else _find_candidates(connection, query, None)
    ranked = rank_candidates(candidates, query)
    counts = count_by_kind({name.iri: name.kind for name in all_kinds}.values())
    if all_have_more:
        counts |= {other: 1 for other in _matching_kinds(connection, query) if other not in counts}
    if kind is not None and ranked:
        counts[kind] = len(ranked)
    matches = _load_matches(connection, ranked[query.offset : query.offset + query.limit])
    return SearchResult(matches, counts, len(ranked), has_more, all_have_more)


def _find_kind(connection: sqlite3.Connection, kind: str, query: SearchQuery) -> SearchResult:
    """Return all resources of a kind."""
    candidates = dict[int, NameCandidate]()
    has_more = _read_matching(connection, candidates, _match_expression((), kind, as_prefixes=False))
    ranked = rank_candidates(candidates.values(), query)
    matches = _load_matches(connection, ranked[query.offset : query.offset + query.limit])
    return SearchResult(matches, {kind: len(ranked)}, len(ranked), has_more, has_more)


def _find_candidates(
    connection: sqlite3.Connection, query: SearchQuery, kind: str | None
) -> tuple[list[NameCandidate], bool]:
    """Return matching names, and whether the index may hold more of them.

    Names that equal the query, which are followed by the word of their kind in the index, are read before names that
    only begin with it. Names with the whole words of the query are read before names with words that begin with them.
    """
    candidates = dict[int, NameCandidate]()
    _read_prefixed(connection, candidates, f"{query.comparable_text} {KIND_MARK}", kind)
    has_more = _read_prefixed(connection, candidates, query.comparable_text, kind)
    if not query.folded_words:
        return list(candidates.values()), has_more
    has_more = _read_matching(
        connection, candidates, _match_expression(query.folded_words, kind, as_prefixes=False)
    ) or _read_matching(connection, candidates, _match_expression(query.folded_words, kind, as_prefixes=True))
    return [candidate for candidate in candidates.values() if candidate.has_all_words(query.folded_words)], has_more


def _read_prefixed(
    connection: sqlite3.Connection, candidates: dict[int, NameCandidate], prefix: str, kind: str | None
) -> bool:
    """Add the names that begin with a prefix; returns whether there may be more than were read."""
    found = connection.execute(_PREFIX_QUERY, (prefix, MAX_PREFIX_CANDIDATES, kind))
    return _add_candidates(candidates, found) >= MAX_PREFIX_CANDIDATES


def _read_matching(connection: sqlite3.Connection, candidates: dict[int, NameCandidate], expression: str) -> bool:
    """Add the names that match an FTS5 expression; returns whether there may be more than were read."""
    count = _add_candidates(candidates, connection.execute(_WORDS_QUERY, (expression, MAX_WORD_CANDIDATES)))
    return count == MAX_WORD_CANDIDATES


def _add_candidates(candidates: dict[int, NameCandidate], rows: Iterable[CandidateRow]) -> int:
    """Add rows of the index by their ids; returns how many rows there were."""
    count = 0
    for row_id, iri, kind, text, language, predicate, words in rows:
        count += 1
        if row_id not in candidates:
            comparable_text = words.partition(f" {KIND_MARK}")[0]
            candidates[row_id] = NameCandidate(iri, kind, text, language, predicate, comparable_text)
    return count


def _match_expression(words: Sequence[str], kind: str | None, *, as_prefixes: bool) -> str:
    """Return an FTS5 expression for names with all words, or words with these prefixes, and of a kind if given."""
    terms = [f'"{word}"*' if as_prefixes else f'"{word}"' for word in words]
    return " AND ".join([*terms, f'"{kind_word(kind)}"'] if kind is not None else terms)


def _matching_kinds(connection: sqlite3.Connection, query: SearchQuery) -> Iterator[str]:
    """Yield the kinds that have a matching name, whether or not it was read as a candidate."""
    if not query.folded_words:
        return
    for (kind,) in connection.execute("SELECT kind FROM kinds LIMIT ?", (MAX_PROBED_KINDS,)).fetchall():
        expression = _match_expression(query.folded_words, kind, as_prefixes=True)
        if connection.execute(_EXISTS_QUERY, (expression,)).fetchone() is not None:
            yield kind


def _load_matches(connection: sqlite3.Connection, candidates: Sequence[NameCandidate]) -> tuple[SearchMatch, ...]:
    """Turn candidates into matches with their preferred names."""
    names = dict[str, TextsByLanguage]()
    query = _NAMES_QUERY.format(", ".join("?" for _ in candidates))
    for iri, language, text, predicate in connection.execute(query, [item.iri for item in candidates]):
        if is_preferred(predicate):
            names.setdefault(iri, TextsByLanguage()).setdefault(language, text)
    return tuple(
        SearchMatch(item.iri, item.kind, item.text, item.language, names.get(item.iri, TextsByLanguage()))
        for item in candidates
    )

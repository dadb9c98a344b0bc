"""Look names up in the index, however Vietnamese is written, within a bounded time.

Each query word may be the beginning of a word of the name, in any order. Names that begin with the whole query are
read in alphabetical order, other names by their words, most relevant first. Only some hundreds of these candidates are
read and then ranked, so that a query that matches a million names is as fast as any other; its counts are then lower
bounds.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from kg.rdf.texts_by_language import TextsByLanguage
from kg.sources.name_index import KIND_MARK, is_preferred, kind_word
from kg.sources.name_ranking import NameCandidate, count_by_kind, rank_candidates
from kg.sources.search_query import SearchMatch, SearchQuery, SearchResult, replace_surrogates

MAX_PREFIX_CANDIDATES: Final = 200
"""The number of names that are read because they begin with the query."""
MAX_WORD_CANDIDATES: Final = 400
"""The number of names that are read because they contain the query's words."""
MAX_PROBED_KINDS: Final = 40
"""The number of kinds that are probed for a match where not all candidates were read."""

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
"""The values of _COLUMNS."""


def find_names(connection: sqlite3.Connection, query: SearchQuery) -> SearchResult:
    """Return the things that have a matching name; a query of a kind without text matches all things of the kind.

    Raises sqlite3.Error if the index is damaged.
    """
    kind = None if query.kind is None else replace_surrogates(query.kind)
    if not query.comparable_text:
        return SearchResult() if kind is None else _find_kind(connection, kind, query)
    candidates, has_more = _find_candidates(connection, query, kind)
    of_any_kind, any_has_more = (candidates, has_more) if kind is None else _find_candidates(connection, query, None)
    ranked = rank_candidates(candidates, query)
    counts = count_by_kind({name.iri: name.kind for name in of_any_kind}.values())
    if any_has_more:
        counts |= {kind: 1 for kind in _matching_kinds(connection, query) if kind not in counts}
    if kind is not None and ranked:
        counts[kind] = len(ranked)
    matches = _load_matches(connection, ranked[query.offset : query.offset + query.limit])
    return SearchResult(matches, counts, len(ranked), has_more, any_has_more)


def _find_kind(connection: sqlite3.Connection, kind: str, query: SearchQuery) -> SearchResult:
    rows = dict[int, NameCandidate]()
    has_more = _read_words(connection, rows, _match_expression((), kind, as_prefixes=False))
    ranked = rank_candidates(rows.values(), query)
    matches = _load_matches(connection, ranked[query.offset : query.offset + query.limit])
    return SearchResult(matches, {kind: len(ranked)}, len(ranked), has_more, has_more)


def _find_candidates(
    connection: sqlite3.Connection, query: SearchQuery, kind: str | None
) -> tuple[list[NameCandidate], bool]:
    """Return matching names, and whether the index may hold more of them."""
    rows = dict[int, NameCandidate]()
    for prefix in (f"{query.comparable_text} {KIND_MARK}", query.comparable_text):
        count = _add_candidates(rows, connection.execute(_PREFIX_QUERY, (prefix, MAX_PREFIX_CANDIDATES, kind)))
    if not query.folded_words:
        return list(rows.values()), count >= MAX_PREFIX_CANDIDATES
    has_more = False
    for as_prefixes in (False, True):
        if not has_more:
            expression = _match_expression(query.folded_words, kind, as_prefixes=as_prefixes)
            has_more = _read_words(connection, rows, expression)
    return [candidate for candidate in rows.values() if candidate.has_all_words(query.folded_words)], has_more


def _read_words(connection: sqlite3.Connection, rows: dict[int, NameCandidate], expression: str) -> bool:
    """Add the names that match an FTS5 expression; returns whether there are more than were read."""
    count = _add_candidates(rows, connection.execute(_WORDS_QUERY, (expression, MAX_WORD_CANDIDATES)))
    return count == MAX_WORD_CANDIDATES


def _add_candidates(rows: dict[int, NameCandidate], found: Iterable[CandidateRow]) -> int:
    """Add rows of the index by their ids; returns how many were read."""
    count = 0
    for number, iri, kind, text, language, predicate, words in found:
        count += 1
        if number not in rows:
            comparable_text = words.partition(f" {KIND_MARK}")[0]
            rows[number] = NameCandidate(iri, kind, text, language, predicate, comparable_text)
    return count


def _match_expression(words: Sequence[str], kind: str | None, *, as_prefixes: bool) -> str:
    """Return an FTS5 expression for names with all words, or words with these prefixes, and of a kind if given."""
    terms = [f'"{word}"*' if as_prefixes else f'"{word}"' for word in words]
    return " AND ".join([*terms, f'"{kind_word(kind)}"'] if kind is not None else terms)


def _matching_kinds(connection: sqlite3.Connection, query: SearchQuery) -> Iterator[str]:
    """Yield the kinds that have a matching name, whether or not it was read as a candidate."""
    for (kind,) in connection.execute("SELECT kind FROM kinds LIMIT ?", (MAX_PROBED_KINDS,)).fetchall():
        expression = _match_expression(query.folded_words, kind, as_prefixes=True)
        if query.folded_words and connection.execute(_EXISTS_QUERY, (expression,)).fetchone() is not None:
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

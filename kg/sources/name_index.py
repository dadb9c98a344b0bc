"""The index of names: an SQLite file in the data folder, with one row for each statement that names something.

A name that occurs in two graphs has two rows, so it stays in the index until neither graph holds it. A file belongs to
one dataset, whose digest is part of its name; its table `state` records the generation that it contains.

Row ids start with the weight of a name. Since SQLite returns rows in the order of their ids, a look-up reads the most
relevant names first and can stop after some hundreds, even for a word that occurs in a million names.

This module reads the index; kg.views.name_index_builder writes it and keeps it up to date.
"""

import hashlib
import sqlite3
from pathlib import Path
from typing import Final

from kg.rdf.namespaces import DCTERMS, FOAF, RDFS, SCHEMA, SH, SKOS
from kg.sources.folding import fold_symbols, folded_words

PREFERRED_NAME_PROPERTIES: Final = (
    RDFS + "label", SKOS + "prefLabel", SH + "name", SCHEMA + "name", DCTERMS + "title", FOAF + "name",
)  # fmt: skip
"""The properties whose values are shown as names."""
ALTERNATIVE_NAME_PROPERTIES: Final = (
    SKOS + "altLabel", SKOS + "hiddenLabel", SKOS + "notation", SCHEMA + "alternateName", SCHEMA + "identifier",
)  # fmt: skip
"""The properties of other spellings, abbreviations and codes."""
KIND_MARK: Final = "\ue000"
"""The first character of the word that encodes a kind; a private-use character, which no folded word contains."""
FORMAT_VERSION: Final = 1
"""The application_id of the SQLite file."""

_BUSY_TIMEOUT: Final = 10.0
"""Seconds to wait for another writer."""


def kind_word(kind: str) -> str:
    """Return the word that encodes a kind in the indexed words of a name."""
    return KIND_MARK + hashlib.blake2b(kind.encode(), digest_size=8).hexdigest()


def is_preferred(predicate: int) -> bool:
    """Return whether the property with this number is one of PREFERRED_NAME_PROPERTIES."""
    return predicate < len(PREFERRED_NAME_PROPERTIES)


def comparable_text(text: str) -> str:
    """Return the folded words of a text, or its folded symbols if it has no words."""
    return " ".join(folded_words(text)) or fold_symbols(text)


def find_index(folder: Path, digest: str) -> Path | None:
    """Return the newest index of a dataset in a data folder, None if there is none."""
    return max(folder.glob(f"search-{digest}-*.db"), default=None)


def open_index(path: Path) -> sqlite3.Connection:
    """Open an index; raises sqlite3.Error if the file is no index of this format."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", _BUSY_TIMEOUT, isolation_level=None, uri=True)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -16000")
        if connection.execute("PRAGMA application_id").fetchone() != (FORMAT_VERSION,):
            raise sqlite3.DatabaseError("not an index of this format")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def read_state(connection: sqlite3.Connection) -> tuple[int, str]:
    """Return the generation that an index contains and the hash of that commit, "" before the first commit."""
    row = connection.execute("SELECT generation, hash FROM state").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("the index has no state")
    return int(row[0]), str(row[1])


def delete_index(path: Path) -> None:
    """Delete a damaged index with its WAL files, so that it is built again."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)

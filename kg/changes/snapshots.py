"""Snapshots: copies of the dataset after a commit, so that a start need not replay the whole journal.

`snapshot-N.nq` holds the quads after commit N, `snapshot-N.json` its manifest with the commit's hash. A snapshot is an
optimisation only: one that is damaged or does not match the journal is ignored.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kg.changes.atomic_files import replace_atomically
from kg.changes.dataset_files import Manifest, load_dataset, read_manifest, translate_write_errors, write_json
from kg.changes.journal import Journal
from kg.changes.locks import try_lock
from kg.engine.embedded import EmbeddedEngine
from kg.engine.statistics import statistics_to_json
from kg.errors import RdfSyntaxError
from kg.rdf.delta import Delta
from kg.rdf.formats import NQUADS
from kg.rdf.io import serialize_into
from kg.rdf.terms import NamedNode

SNAPSHOTS_KEPT: Final = 2
"""How many snapshots are kept."""
SNAPSHOT_INTERVAL: Final = 500
"""After how many commits another snapshot is due."""

_MANIFEST_NAME: Final = re.compile(r"snapshot-(\d+)\.json")
_LOCK_FILE: Final = ".snapshot.lock"


def is_snapshot_due(engine: EmbeddedEngine, folder: Path) -> bool:
    """Whether an engine is SNAPSHOT_INTERVAL commits ahead of the newest snapshot."""
    return engine.generation - max(_snapshot_numbers(folder), default=0) >= SNAPSHOT_INTERVAL


def write_snapshot(engine: EmbeddedEngine, journal: Journal, folder: Path) -> bool:
    """Write a snapshot of an engine, remove all but the newest snapshots, and return true.

    Returns false without writing before the first commit and while another process writes a snapshot. Raises
    ConfigurationError if the folder cannot be written.
    """
    number = engine.generation
    if number == 0:
        return False
    commit_hash = journal.commit_hash(number)
    with translate_write_errors(folder), try_lock(folder / _LOCK_FILE) as acquired:
        if acquired:
            _remove_files(folder.glob(".snapshot-*"))  # temporary files of processes that were killed
            _write_files(engine, commit_hash, folder, number)
            _remove_old_snapshots(folder)
    return acquired


def _write_files(engine: EmbeddedEngine, commit_hash: str, folder: Path, number: int) -> None:
    dataset, manifest = _snapshot_files(folder, number)
    statistics = engine.statistics()
    empty = engine.named_graphs() - {NamedNode(iri) for iri in engine.graph_sizes()}
    with replace_atomically(dataset) as temporary:
        with temporary.open("w+b") as file:
            serialize_into(engine.quads(), file, NQUADS)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        manifest.unlink(missing_ok=True)  # an old manifest never stands beside the new dataset
    content = {
        "sha256": digest,
        "generation": number,
        "hash": commit_hash,
        "empty": sorted(graph.value for graph in empty),
        "counts": None if statistics is None else statistics_to_json(statistics),
    }
    write_json(manifest, content)


def _remove_old_snapshots(folder: Path) -> None:
    newest = sorted(_snapshot_numbers(folder))[-SNAPSHOTS_KEPT:]
    kept = {path for number in newest for path in _snapshot_files(folder, number)}
    _remove_files(path for path in sorted(folder.glob("snapshot-*")) if path not in kept)


def _snapshot_files(folder: Path, number: int) -> tuple[Path, Path]:
    """Return the paths of a snapshot's dataset and manifest."""
    return folder / f"snapshot-{number}.nq", folder / f"snapshot-{number}.json"


def _snapshot_numbers(folder: Path) -> list[int]:
    return [int(match[1]) for path in folder.glob("snapshot-*.json") if (match := _MANIFEST_NAME.fullmatch(path.name))]


def _remove_files(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def load_newest_snapshot(folder: Path, journal: Journal, base_digest: str) -> EmbeddedEngine | None:
    """Load the newest snapshot that is intact and matches the journal; None if there is none."""
    for number in sorted(_snapshot_numbers(folder), reverse=True):
        dataset, path = _snapshot_files(folder, number)
        manifest = read_manifest(path)
        if manifest is not None and _matches_journal(manifest, journal, number):
            with contextlib.suppress(RdfSyntaxError, TypeError):
                engine = load_dataset(dataset, manifest, base_digest)
                if engine is not None:
                    engine.apply_commit(Delta(created=frozenset(map(NamedNode, manifest["empty"]))), number)
                    return engine
    return None


def _matches_journal(manifest: Manifest, journal: Journal, number: int) -> bool:
    """Whether a manifest belongs to commit `number` of this journal."""
    commit_hash = journal.commit_hash(number)
    is_same_commit = (manifest.get("generation"), manifest.get("hash")) == (number, commit_hash)
    return bool(commit_hash) and is_same_commit and "empty" in manifest

"""Assemble the graph from the packaged files, judge it, and keep it in a data folder.

A data folder holds `dataset.nq`, the canonical N-Quads of everything, `report.json`, the verdict on it, and
`build.json`, which says from which files it was made and how much it holds: both count only if `build.json` names
the dataset's digest. `journal.db` has what was changed since, commit by commit, and `snapshot.nq`, with
`snapshot.json`, what the graph held after one of the commits, so that a start need not replay them all.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kg import gate, resources
from kg.counts import count, counts_from_json, counts_to_json
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import Counts, Delta
from kg.errors import ConfigurationError
from kg.formats import NQUADS
from kg.gate import SHAPES_GRAPH, Report, Shapes
from kg.journal import BASE_HASH, Journal
from kg.journal import FILE as JOURNAL
from kg.materialise import expanded
from kg.rdf import NamedNode, canonical_nquads, read, write

DATASET: Final = "dataset.nq"
MANIFEST: Final = "build.json"
VERDICT: Final = "report.json"
SNAPSHOT: Final = "snapshot.nq"
SNAPSHOT_MANIFEST: Final = "snapshot.json"


@dataclass(frozen=True)
class Build:
    """An assembled graph with the verdict on it and what it holds."""

    engine: EmbeddedEngine
    report: Report
    counts: Counts

    @property
    def sizes(self) -> dict[str, int]:
        """The number of triples in each graph, by IRI."""
        return dict(self.counts.graphs)


def own_shapes() -> Shapes:
    """The project's shapes, read and analysed."""
    return gate.read_shapes(quad for quad in resources.curated_quads() if quad.graph_name == SHAPES_GRAPH)


def assemble() -> EmbeddedEngine:
    """Load the packaged files and materialise the rules, without judging the result."""
    return expanded(resources.curated_quads())


def build() -> Build:
    """Assemble the graph and judge all of it."""
    engine = assemble()
    report = gate.validate(engine.quads(), own_shapes())
    return Build(engine, report, count(engine))


def save(result: Build, folder: Path) -> Path:
    """Write a built graph into a data folder, atomically; returns the file of the dataset.

    Raises ConfigurationError when the folder cannot be written.
    """
    dataset = canonical_nquads(result.engine.quads())
    manifest = {
        "fingerprint": resources.fingerprint(),
        "sha256": hashlib.sha256(dataset).hexdigest(),
        "counts": counts_to_json(result.counts),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / DATASET, dataset)
        _replace(folder / VERDICT, json.dumps(gate.report_to_json(result.report), ensure_ascii=False).encode())
        _replace(folder / MANIFEST, (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ConfigurationError(f"The data folder {folder} cannot be written: {error.strerror}") from error
    return folder / DATASET


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(folder: Path) -> EmbeddedEngine | None:
    """Read the graph of a data folder back as the journal leaves it; None if there is none, or a file is damaged.

    While there is no commit, a graph that other packaged files made is none either: it is to be built anew.
    """
    base = _manifest(folder, MANIFEST)
    if base is None:
        return None
    journal = Journal(folder) if (folder / JOURNAL).exists() else None
    last = 0 if journal is None else journal.last
    if last == 0 and base.get("fingerprint") != resources.fingerprint():
        return None
    snapshot = _manifest(folder, SNAPSHOT_MANIFEST)
    engine = None
    if journal is not None and snapshot is not None and _fits(snapshot, journal, last):
        engine = _held(folder / SNAPSHOT, snapshot, str(base["sha256"]))
    engine = engine or _held(folder / DATASET, base, str(base["sha256"]))
    if engine is not None and journal is not None:
        replay(engine, journal)
    return engine


def replay(engine: EmbeddedEngine, journal: Journal) -> None:
    """Let an engine follow all commits that it has not seen."""
    for commit in journal.since(engine.generation):
        engine.follow(commit.delta, commit.number)


def snapshot(engine: EmbeddedEngine, journal: Journal, folder: Path) -> None:
    """Write what an engine holds, so that the next start need not replay what led to it.

    A snapshot is a shortcut: it is passed over if anything about it does not fit the journal.
    """
    number = engine.generation
    known = engine.counts
    temporary = folder / f".{SNAPSHOT}.{os.getpid()}"
    with temporary.open("w+b") as file:
        write(engine.quads(), file, NQUADS)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256")
    empty = engine.graphs() - {NamedNode(iri) for iri in engine.graph_sizes()}
    manifest = {
        "sha256": digest.hexdigest(),
        "generation": number,
        "hash": journal.commit(number).summary.hash if number else BASE_HASH,
        "empty": sorted(graph.value for graph in empty),
        "counts": None if known is None else counts_to_json(known),
    }
    (folder / SNAPSHOT_MANIFEST).unlink(missing_ok=True)
    temporary.replace(folder / SNAPSHOT)
    _replace(folder / SNAPSHOT_MANIFEST, (json.dumps(manifest, ensure_ascii=False) + "\n").encode())


def _manifest(folder: Path, name: str) -> dict[str, Any] | None:
    try:
        manifest = json.loads((folder / name).read_bytes())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def _fits(manifest: dict[str, Any], journal: Journal, last: int) -> bool:
    """Whether a snapshot is of a commit of this journal."""
    number = manifest.get("generation")
    if not isinstance(number, int) or not 0 < number <= last:
        return False
    return journal.commit(number).summary.hash == manifest.get("hash")


def _held(path: Path, manifest: dict[str, Any], base: str) -> EmbeddedEngine | None:
    """What a file holds, if it is the one that its manifest describes; `base` names the dataset over all commits."""
    try:
        with path.open("rb") as dataset:
            if manifest.get("sha256") != hashlib.file_digest(dataset, "sha256").hexdigest():
                return None
            dataset.seek(0)
            engine = EmbeddedEngine(read(dataset, NQUADS), base[:16], _counts_of(manifest))
    except (OSError, ValueError):
        return None
    if "generation" in manifest:
        engine.follow(Delta(created=frozenset(map(NamedNode, manifest["empty"]))), manifest["generation"])
    return engine


def _counts_of(manifest: dict[str, Any]) -> Counts | None:
    """What a manifest says that the dataset holds; None if it says nothing that can be read."""
    try:
        return counts_from_json(manifest["counts"])
    except (KeyError, TypeError, AttributeError):
        return None


def load_report(folder: Path) -> Report | None:
    """Read the verdict on the graph of a data folder back; None if there is none."""
    try:
        return gate.report_from_json(json.loads((folder / VERDICT).read_bytes()))
    except (OSError, ValueError, KeyError):
        return None


def open_or_build(folder: Path) -> EmbeddedEngine:
    """Open the graph of a data folder, building and judging it first where that is needed.

    Raises ConfigurationError if the packaged graph has violations: such a graph is not served.
    """
    engine = load(folder)
    if engine is not None:
        return engine
    result = build()
    if not result.report.admissible:
        raise ConfigurationError("The packaged graph violates its shapes; `hpkg build` lists the findings.")
    save(result, folder)
    return load(folder) or result.engine

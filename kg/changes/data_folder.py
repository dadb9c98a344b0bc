"""Build the graph from the packaged files, validate it, and store it in a data folder.

A data folder holds the base dataset: `dataset.nq`, the canonical N-Quads of all graphs, `report.json`, its validation
report, and `build.json`, its manifest with the fingerprint of the packaged files and the statistics. The dataset and
the report count only if the manifest names the dataset's digest. `journal.db` holds the changes since, commit by
commit; from the first commit on, the base stays as it is. Snapshots (see `snapshots`) shorten a start.

In a folder without commits a new release replaces the base; in one with commits it is a commit of its own, validated
like every other. If that commit is refused because the release contradicts local changes, the graph is served as it
was, the log says why, and each start tries again, so that the local facts can be corrected with the usual commands.
`hpkg build` does the same and shows the findings.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kg import resources
from kg.changes.atomic_files import write_atomically
from kg.changes.dataset_files import (
    DATASET_FILE,
    MANIFEST_FILE,
    load_dataset,
    read_manifest,
    translate_write_errors,
    write_json,
)
from kg.changes.journal import BASE_HASH, JOURNAL_FILE, Journal, replay
from kg.changes.rules import materialised_engine
from kg.changes.snapshots import load_newest_snapshot
from kg.changes.upgrade import ReleaseValidator, commit_release, is_release_current
from kg.engine.embedded import EmbeddedEngine
from kg.engine.statistics import DatasetStatistics, statistics_to_json
from kg.engine.statistics_queries import compute_statistics
from kg.errors import ConfigurationError, KgError
from kg.rdf.delta import Delta
from kg.rdf.io import canonical_nquads
from kg.validation import shacl
from kg.validation.incremental import IncrementalValidator
from kg.validation.report import ValidationReport
from kg.validation.report_json import report_to_json
from kg.validation.shapes import SHAPES_GRAPH, Shapes, read_shapes

REPORT_FILE: Final = "report.json"

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuiltGraph:
    """An assembled graph with its validation report and its statistics."""

    engine: EmbeddedEngine
    report: ValidationReport
    counts: DatasetStatistics

    @property
    def sizes(self) -> dict[str, int]:
        """The number of triples in each graph, by IRI."""
        return dict(self.counts.graphs)


def read_project_shapes() -> Shapes:
    """Parse and analyse the project's shapes."""
    return read_shapes(quad for quad in resources.curated_quads() if quad.graph_name == SHAPES_GRAPH)


def assemble_graph() -> EmbeddedEngine:
    """Load the packaged files and run the rules, without validation."""
    return materialised_engine(resources.curated_quads())


def build_graph() -> BuiltGraph:
    """Assemble the graph and validate all of it."""
    engine = assemble_graph()
    report = shacl.validate(engine.quads(), read_project_shapes())
    return BuiltGraph(engine, report, compute_statistics(engine))


def save(result: BuiltGraph, folder: Path) -> Path:
    """Write a built graph into a data folder, atomically; return the path of the dataset file.

    If the folder has commits, the graph is added as a commit. Raises ConfigurationError if the folder cannot be
    written, if validation refuses the release, or if the base dataset of the commits is lost.
    """
    dataset = canonical_nquads(result.engine.quads())
    digest = hashlib.sha256(dataset).hexdigest()
    journal = _open_journal(folder)
    base_digest = None if journal is None else journal.base_digest
    if base_digest in {None, digest}:
        _save_base(result, folder, dataset, digest)
    if journal is not None and base_digest is not None:
        _upgrade_folder(folder, journal, result.engine)
    return folder / DATASET_FILE


def _save_base(result: BuiltGraph, folder: Path, dataset: bytes, digest: str) -> None:
    manifest = {
        "fingerprint": resources.fingerprint(),
        "sha256": digest,
        "counts": statistics_to_json(result.counts),
    }
    with translate_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / DATASET_FILE, dataset)
        write_json(folder / REPORT_FILE, report_to_json(result.report))
        write_json(folder / MANIFEST_FILE, manifest, indent=1)


def _open_journal(folder: Path) -> Journal | None:
    return Journal(folder) if (folder / JOURNAL_FILE).exists() else None


def load(folder: Path) -> EmbeddedEngine | None:
    """Load the graph of a data folder with all commits; None if there is none, or its files are damaged.

    Without commits, a graph that was built from other packaged files also gives None, so that it is rebuilt. Raises
    JournalError if the journal cannot be read, IntegrityError if it was altered.
    """
    journal = _open_journal(folder)
    manifest = read_manifest(folder / MANIFEST_FILE)
    base_digest = None if journal is None else journal.base_digest
    if journal is None or base_digest is None:
        if manifest is None or manifest.get("fingerprint") != resources.fingerprint():
            return None
        return load_dataset(folder / DATASET_FILE, manifest, str(manifest["sha256"]))
    if base_digest == BASE_HASH and manifest is not None:
        base_digest = str(manifest["sha256"])
    engine = load_newest_snapshot(folder, journal, base_digest)
    if engine is None and manifest is not None and manifest["sha256"] == base_digest:
        engine = load_dataset(folder / DATASET_FILE, manifest, base_digest)
    if engine is not None:
        replay(engine, journal)
    return engine


def open_or_build(folder: Path, validate: ReleaseValidator | None = None) -> EmbeddedEngine:
    """Open the graph of a data folder; build and validate it first if necessary.

    If there are commits, a new release becomes a commit, validated by the project's shapes unless `validate` is given.
    If that fails, the log says why, and the graph is opened as it was. Raises ConfigurationError if the packaged graph
    has violations or the base dataset of the commits is lost.
    """
    engine = load(folder)
    if engine is None:
        return _build_into(folder)
    journal = _open_journal(folder)
    if journal is not None and journal.last_number and not is_release_current(folder, journal):
        try:
            commit_release(engine, folder, journal, assemble_graph(), validate or _validate_release)
        except KgError as error:
            _log.error("%s The graph is served as it was before the release.", error)
    return engine


def _build_into(folder: Path) -> EmbeddedEngine:
    result = build_graph()
    if not result.report.admissible:
        raise ConfigurationError("The packaged graph violates its shapes; `hpkg build` lists the findings.")
    save(result, folder)
    return load(folder) or result.engine


def _upgrade_folder(folder: Path, journal: Journal, packaged: EmbeddedEngine) -> None:
    engine = load(folder)
    if engine is None:
        raise ConfigurationError(
            f"The dataset that the commits in {folder / JOURNAL_FILE} begin with is lost, damaged or another dataset: "
            f"restore {DATASET_FILE} and {MANIFEST_FILE}, or a snapshot, from a backup. "
            "The journal is whole; nothing was changed."
        )
    if not is_release_current(folder, journal):
        commit_release(engine, folder, journal, packaged, _validate_release)


def _validate_release(engine: EmbeddedEngine, delta: Delta) -> ValidationReport:
    return IncrementalValidator(read_project_shapes()).validate_change(engine, delta)

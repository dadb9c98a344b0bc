"""Assemble the graph from the packaged files, judge it, and keep it in a data folder.

A data folder holds its base: `dataset.nq`, the canonical N-Quads of everything, `report.json`, the verdict on it, and
`build.json`, which says from which files it was made and how much it holds: both count only if `build.json` names
the dataset's digest. `journal.db` has what was changed since, commit by commit; from the first commit on, the base
stays as it is. `snapshot-N.nq` with `snapshot-N.json` is what the graph held after commit N, so that a start need not
replay all commits: a shortcut, passed over if anything about it does not fit the journal.

A new release comes into a folder without commits as a new base, and else as a commit of its own, through the gate. If
the gate refuses it, because it does not go together with what was changed locally, the graph is served as it was, the
log says why, and each start tries again: so the local facts can be corrected with the same commands as ever.
`hpkg build` does the same and shows what the gate found.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kg import resources
from kg.changes.journal import BASE_HASH, BASE_MANIFEST, CommitDraft, Journal, Release
from kg.changes.journal import JOURNAL_FILE as JOURNAL
from kg.changes.locks import try_lock
from kg.changes.rules import materialised_engine
from kg.changes.upgrade import align_release_blank_nodes, upgrade_delta
from kg.engine.embedded import EmbeddedEngine
from kg.engine.optimizer import default_optimizer
from kg.engine.protocol import Delta
from kg.engine.statistics import DatasetStatistics, statistics_from_json, statistics_to_json
from kg.engine.statistics_queries import compute_statistics
from kg.errors import ConfigurationError, ConflictError, KgError, RdfSyntaxError
from kg.rdf.formats import NQUADS
from kg.rdf.io import NamedNode, Quad, canonical_nquads, parse_stream, serialize_into, term_text
from kg.validation import report as findings
from kg.validation import shacl
from kg.validation.incremental import IncrementalValidator
from kg.validation.report import Finding, ValidationReport
from kg.validation.shacl import SHAPES_GRAPH, Shapes

DATASET_FILE: Final = "dataset.nq"
MANIFEST_FILE: Final = BASE_MANIFEST
REPORT_FILE: Final = "report.json"
SNAPSHOTS_KEPT: Final = 2
"""How many snapshots are kept."""
SNAPSHOT_INTERVAL: Final = 500
"""After how many commits another snapshot is due."""
RELEASE_AGENT: Final = "haiphong-kg"
"""Who signs the commit of a release."""

ReleaseValidator = Callable[[EmbeddedEngine, Delta], ValidationReport]
"""Says what a release would add to the findings; the engine is as before it, and is so again afterwards."""

_SNAPSHOT_MANIFEST_NAME: Final = re.compile(r"snapshot-(\d+)\.json")
_SNAPSHOT_LOCK_FILE: Final = ".snapshot.lock"
_MAX_ATTEMPTS: Final = 8
_MAX_LISTED_FINDINGS: Final = 20
"""Findings that a refusal lists."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuiltGraph:
    """An assembled graph with the verdict on it and what it holds."""

    engine: EmbeddedEngine
    report: ValidationReport
    counts: DatasetStatistics

    @property
    def sizes(self) -> dict[str, int]:
        """The number of triples in each graph, by IRI."""
        return dict(self.counts.graphs)


def read_project_shapes() -> Shapes:
    """The project's shapes, read and analysed."""
    return shacl.read_shapes(quad for quad in resources.curated_quads() if quad.graph_name == SHAPES_GRAPH)


def assemble_graph() -> EmbeddedEngine:
    """Load the packaged files and materialise the rules, without judging the result."""
    return materialised_engine(resources.curated_quads())


def build_graph() -> BuiltGraph:
    """Assemble the graph and judge all of it."""
    engine = assemble_graph()
    report = shacl.validate(engine.quads(), read_project_shapes())
    return BuiltGraph(engine, report, compute_statistics(engine))


def save(result: BuiltGraph, folder: Path) -> Path:
    """Write a built graph into a data folder, atomically; returns the file of the dataset.

    Where there are commits, it comes as one more of them. Raises ConfigurationError when the folder cannot be
    written, when the gate refuses the release, or when the base that the commits change is lost.
    """
    dataset = canonical_nquads(result.engine.quads())
    digest = hashlib.sha256(dataset).hexdigest()
    journal = _open_journal(folder)
    root = None if journal is None else journal.base_digest
    if root in {None, digest}:
        _save_base(result, folder, dataset, digest)
    if journal is not None and root is not None:
        _upgrade_folder(folder, journal, result.engine)
    return folder / DATASET_FILE


def _save_base(result: BuiltGraph, folder: Path, dataset: bytes, digest: str) -> None:
    manifest = {
        "fingerprint": resources.fingerprint(),
        "sha256": digest,
        "counts": statistics_to_json(result.counts),
    }
    with _translate_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _write_atomically(folder / DATASET_FILE, dataset)
        _write_atomically(
            folder / REPORT_FILE, json.dumps(findings.report_to_json(result.report), ensure_ascii=False).encode()
        )
        _write_atomically(folder / MANIFEST_FILE, (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode())


@contextlib.contextmanager
def _translate_write_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"The data folder {folder} cannot be written: {error.strerror}") from error


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _rename_durably(temporary, path)


def _rename_durably(temporary: Path, path: Path) -> None:
    """Let a file take the place of another one, durably."""
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open_journal(folder: Path) -> Journal | None:
    return Journal(folder) if (folder / JOURNAL).exists() else None


def load(folder: Path) -> EmbeddedEngine | None:
    """Read the graph of a data folder back as the journal leaves it; None if there is none, or its files are damaged.

    While there is no commit, a graph that other packaged files made is none either: it is to be built anew. Raises
    JournalError if the journal cannot be read, IntegrityError if it is not what was once written.
    """
    journal = _open_journal(folder)
    base, root = _read_manifest(folder / MANIFEST_FILE), None if journal is None else journal.base_digest
    if journal is None or root is None:
        fresh = base is not None and base.get("fingerprint") == resources.fingerprint()
        return _load_dataset(folder / DATASET_FILE, base, str(base["sha256"])) if base is not None and fresh else None
    root = str((base or {}).get("sha256", root)) if root == BASE_HASH else root
    engine = _load_newest_snapshot(folder, journal, root)
    if engine is None and base is not None and base.get("sha256") == root:
        engine = _load_dataset(folder / DATASET_FILE, base, root)
    if engine is not None:
        replay(engine, journal)
    return engine


def replay(engine: EmbeddedEngine, journal: Journal) -> None:
    """Let an engine follow all commits that it has not seen."""
    for commit in journal.commits_since(engine.generation):
        engine.apply_commit(commit.delta, commit.number)


def is_snapshot_due(engine: EmbeddedEngine, folder: Path) -> bool:
    """Whether an engine is so far ahead of the newest snapshot that another one saves time at the next start."""
    return engine.generation - max(_snapshot_numbers(folder), default=0) >= SNAPSHOT_INTERVAL


def write_snapshot(engine: EmbeddedEngine, journal: Journal, folder: Path) -> bool:
    """Write what an engine holds, so that the next start need not replay what led to it; older snapshots are removed.

    Nothing is done, and false returned, before the first commit and while another process writes a snapshot. Raises
    ConfigurationError when the folder cannot be written.
    """
    number = engine.generation
    if number == 0:
        return False
    digest = journal.list_summaries(number + 1, 1)[0].hash
    with _translate_write_errors(folder), _snapshot_lock(folder) as alone:
        if alone:
            _write_snapshot_files(engine, digest, folder, number)
    return alone


@contextlib.contextmanager
def _snapshot_lock(folder: Path) -> Iterator[bool]:
    """Yields whether nobody else writes a snapshot; what those left that were killed at it is removed."""
    with try_lock(folder / _SNAPSHOT_LOCK_FILE) as free:
        if free:
            _remove_files(folder.glob(".snapshot-*"))
        try:
            yield free
        except OSError:
            _remove_files(folder.glob(".snapshot-*"))
            raise


def _write_snapshot_files(engine: EmbeddedEngine, commit: str, folder: Path, number: int) -> None:
    dataset, manifest = _snapshot_files(folder, number)
    known = engine.statistics()
    empty = engine.named_graphs() - {NamedNode(iri) for iri in engine.graph_sizes()}
    temporary = dataset.with_name(f".{dataset.name}.{os.getpid()}")
    with temporary.open("w+b") as file:
        serialize_into(engine.quads(), file, NQUADS)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256")
    content = {
        "sha256": digest.hexdigest(),
        "generation": number,
        "hash": commit,
        "empty": sorted(graph.value for graph in empty),
        "counts": None if known is None else statistics_to_json(known),
    }
    manifest.unlink(missing_ok=True)
    _rename_durably(temporary, dataset)
    _write_atomically(manifest, (json.dumps(content, ensure_ascii=False) + "\n").encode())
    kept = {
        path for other in sorted(_snapshot_numbers(folder))[-SNAPSHOTS_KEPT:] for path in _snapshot_files(folder, other)
    }
    _remove_files(path for path in sorted(folder.glob("snapshot-*")) if path not in kept)


def _snapshot_files(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"snapshot-{number}.nq", folder / f"snapshot-{number}.json"


def _snapshot_numbers(folder: Path) -> list[int]:
    return [
        int(match[1])
        for path in folder.glob("snapshot-*.json")
        if (match := _SNAPSHOT_MANIFEST_NAME.fullmatch(path.name))
    ]


def _remove_files(paths: Iterator[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _read_manifest(path: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and isinstance(manifest.get("sha256"), str) else None


def _load_newest_snapshot(folder: Path, journal: Journal, root: str) -> EmbeddedEngine | None:
    """What the newest snapshot holds that is whole and fits the journal."""
    for number in sorted(_snapshot_numbers(folder), reverse=True):
        dataset, path = _snapshot_files(folder, number)
        manifest = _read_manifest(path)
        if manifest is not None and _matches_journal(manifest, journal, number):
            with contextlib.suppress(RdfSyntaxError, TypeError):
                engine = _load_dataset(dataset, manifest, root)
                if engine is not None:
                    engine.apply_commit(Delta(created=frozenset(map(NamedNode, manifest["empty"]))), number)
                    return engine
    return None


def _matches_journal(manifest: dict[str, Any], journal: Journal, number: int) -> bool:
    """Whether a snapshot is of a commit of this journal."""
    found = journal.list_summaries(number + 1, 1)
    given = manifest.get("generation"), manifest.get("hash")
    return bool(found) and given == (number, found[0].hash) and found[0].number == number and "empty" in manifest


def _load_dataset(path: Path, manifest: dict[str, Any], root: str) -> EmbeddedEngine | None:
    """What a file holds, if it is the one that its manifest describes; `root` names the dataset over all commits."""
    try:
        with path.open("rb") as dataset:
            if manifest["sha256"] != hashlib.file_digest(dataset, "sha256").hexdigest():
                return None
            dataset.seek(0)
            return EmbeddedEngine(
                parse_stream(dataset, NQUADS),
                root[:16],
                _counts_from_manifest(manifest),
                optimizer=default_optimizer(),
            )
    except (OSError, ValueError):
        return None


def _counts_from_manifest(manifest: dict[str, Any]) -> DatasetStatistics | None:
    """What a manifest says that the dataset holds; None if it says nothing that can be read."""
    try:
        return statistics_from_json(manifest["counts"])
    except (KeyError, TypeError, AttributeError):
        return None


def open_or_build(folder: Path, judge: ReleaseValidator | None = None) -> EmbeddedEngine:
    """Open the graph of a data folder, building and judging it first where that is needed.

    A new release comes as a commit if there are commits, judged by the gate unless another judge is given; if it
    cannot come, the log says why, and the graph is opened as it was. Raises ConfigurationError if the packaged graph
    has violations, which is not served, or if the base is lost that the commits change.
    """
    engine = load(folder)
    if engine is None:
        return _build_into(folder)
    journal = _open_journal(folder)
    if journal is not None and journal.last_number and _release_fingerprint(folder, journal) != resources.fingerprint():
        try:
            _commit_release(engine, folder, journal, assemble_graph(), judge)
        except KgError as error:
            _log.error("%s The graph is served as it was before the release.", error)
    return engine


def _build_into(folder: Path) -> EmbeddedEngine:
    result = build_graph()
    if not result.report.admissible:
        raise ConfigurationError("The packaged graph violates its shapes; `hpkg build` lists the findings.")
    save(result, folder)
    return load(folder) or result.engine


def _release_fingerprint(folder: Path, journal: Journal) -> str | None:
    """Of which release the packaged part of a graph is."""
    return journal.release_fingerprint or (_read_manifest(folder / MANIFEST_FILE) or {}).get("fingerprint")


def _upgrade_folder(folder: Path, journal: Journal, packaged: EmbeddedEngine) -> None:
    engine = load(folder)
    if engine is None:
        raise ConfigurationError(
            f"What the commits in {folder / JOURNAL} begin with is lost, damaged or another dataset: restore "
            f"{DATASET_FILE} and {MANIFEST_FILE}, or a snapshot, from a backup. "
            "The journal is whole; nothing was changed."
        )
    if _release_fingerprint(folder, journal) != resources.fingerprint():
        _commit_release(engine, folder, journal, packaged, None)


def _commit_release(
    engine: EmbeddedEngine, folder: Path, journal: Journal, packaged: EmbeddedEngine, judge: ReleaseValidator | None
) -> None:
    """Change what an engine holds from the release that it has to the packaged one, by a commit."""
    for _ in range(_MAX_ATTEMPTS):
        old = _read_release_quads(folder, journal)
        release = Release(resources.fingerprint(), align_release_blank_nodes(packaged.quads(), old))
        delta = upgrade_delta(engine, old, release.quads)
        if not delta:
            journal.adopt_release(release)
            return
        report = (judge or IncrementalValidator(read_project_shapes()).validate_change)(engine, delta)
        if not report.admissible:
            raise ConfigurationError(_refusal_message(report))
        try:
            commit = journal.append(_release_draft(delta, report, release), engine.generation)
        except ConflictError:
            replay(engine, journal)
            if journal.release_fingerprint == release.fingerprint:
                return
            continue
        engine.apply_commit(delta, commit.number)
        return
    raise ConflictError("The new release could not come: other changes came first again and again.")


def _release_draft(delta: Delta, report: ValidationReport, release: Release) -> CommitDraft:
    message = f"Release {resources.project_version()}"
    return CommitDraft(RELEASE_AGENT, message, "", delta, report, release=release)


def _read_release_quads(folder: Path, journal: Journal) -> frozenset[Quad]:
    """The release that a graph has: the last one that came as a commit, else the base."""
    kept = journal.read_release()
    if kept is not None:
        return kept.quads
    manifest = _read_manifest(folder / MANIFEST_FILE)
    base = None if manifest is None else _load_dataset(folder / DATASET_FILE, manifest, "")
    if base is None:
        raise ConfigurationError(
            f"A new release cannot come: {folder / DATASET_FILE}, which it is compared with, is lost."
        )
    return frozenset(base.quads())


def _refusal_message(report: ValidationReport) -> str:
    violations = report.with_severity(findings.VIOLATION)
    listed = "".join(f"\n  {_finding_line(item)}" for item in violations[:_MAX_LISTED_FINDINGS])
    more = f"\n  and {len(violations) - _MAX_LISTED_FINDINGS} more" if len(violations) > _MAX_LISTED_FINDINGS else ""
    return f"The new release does not go together with what was changed locally:{listed}{more}\nNothing was changed."


def _finding_line(item: Finding) -> str:
    where = " ".join(filter(None, (term_text(item.focus), item.path_text)))
    return f"{where}: {item.message('en')} ({term_text(item.shape)})"

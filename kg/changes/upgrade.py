"""Upgrade a data folder with local changes to a new release of the packaged dataset.

An upgrade applies only the difference between the two releases, so that local additions and removals persist. Blank
nodes have no labels that two releases share, so they are matched by the statements that contain them.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from kg import resources
from kg.changes.changeset import DeltaPatch, compute_delta
from kg.changes.commit_rows import CommitDraft, Release
from kg.changes.dataset_files import DATASET_FILE, MANIFEST_FILE, load_dataset, read_manifest
from kg.changes.journal import Journal, replay
from kg.changes.rules import RULE_GRAPHS, derive_graph
from kg.engine.embedded import EmbeddedEngine
from kg.errors import ConfigurationError, ConflictError
from kg.rdf.blank_nodes import blank_node_components, canonical_form
from kg.rdf.delta import Delta
from kg.rdf.io import label_blank_nodes_by_content
from kg.rdf.namespaces import graph_iri
from kg.rdf.terms import NamedNode, Quad
from kg.validation.report import VIOLATION, ValidationReport

RELEASE_AGENT: Final = "haiphong-kg"
"""The agent of a release's commit."""

ReleaseValidator = Callable[[EmbeddedEngine, Delta], ValidationReport]
"""Returns the findings that a delta would add to a dataset; the engine is unchanged afterwards."""

_PARTLY_CURATED_GRAPH: Final = "issues"
"""The graph that holds curated quads beside those of the rules."""
_MAX_ATTEMPTS: Final = 8
_MAX_LISTED_FINDINGS: Final = 20
"""Findings that the message of a refusal lists."""


def is_release_current(folder: Path, journal: Journal) -> bool:
    """Whether the curated part of a data folder's graph is the packaged release."""
    fingerprint = journal.release_fingerprint or (read_manifest(folder / MANIFEST_FILE) or {}).get("fingerprint")
    return fingerprint == resources.fingerprint()


def commit_release(
    engine: EmbeddedEngine, folder: Path, journal: Journal, packaged: EmbeddedEngine, validate: ReleaseValidator
) -> None:
    """Upgrade an engine from its release to the packaged one by a commit.

    A release that changes nothing is recorded without a commit. Raises ConfigurationError if validation refuses the
    release or the old release is lost, ConflictError if other changes always come first.
    """
    for _ in range(_MAX_ATTEMPTS):
        old = _read_current_release(folder, journal)
        release = Release(resources.fingerprint(), align_release_blank_nodes(packaged.quads(), old))
        delta = upgrade_delta(engine, old, release.quads)
        if not delta:
            journal.adopt_release(release)
            return
        report = validate(engine, delta)
        if not report.admissible:
            raise ConfigurationError(_refusal_message(report))
        message = f"Release {resources.project_version()}"
        draft = CommitDraft(RELEASE_AGENT, message, "", delta, report, release=release)
        try:
            commit = journal.append(draft, engine.generation)
        except ConflictError:
            replay(engine, journal)
            if journal.release_fingerprint == release.fingerprint:
                return
            continue
        engine.apply_commit(delta, commit.number)
        return
    raise ConflictError("The new release could not be committed: other changes came first again and again.")


def _read_current_release(folder: Path, journal: Journal) -> frozenset[Quad]:
    """Return the quads of the last committed release, or of the base dataset."""
    release = journal.read_release()
    if release is not None:
        return release.quads
    manifest = read_manifest(folder / MANIFEST_FILE)
    base = None if manifest is None else load_dataset(folder / DATASET_FILE, manifest, "")
    if base is None:
        raise ConfigurationError(
            f"The new release cannot be committed: {folder / DATASET_FILE}, which it is compared with, is lost."
        )
    return frozenset(base.quads())


def _refusal_message(report: ValidationReport) -> str:
    violations = report.with_severity(VIOLATION)
    lines = [f"  {finding.summary('en')}" for finding in violations[:_MAX_LISTED_FINDINGS]]
    if len(violations) > _MAX_LISTED_FINDINGS:
        lines.append(f"  and {len(violations) - _MAX_LISTED_FINDINGS} more")
    return "\n".join(("The new release contradicts local changes:", *lines, "Nothing was changed."))


def align_release_blank_nodes(quads: Iterable[Quad], known: Iterable[Quad]) -> frozenset[Quad]:
    """Label blank nodes as in `known` where their component has the same content, else by that content.

    Components with the same content become one.
    """
    known_components = {canonical_form(component): component for component in blank_node_components(known)[1]}
    ground, components = blank_node_components(quads)
    aligned = (
        known_components.get(canonical_form(component)) or label_blank_nodes_by_content(component)
        for component in components
    )
    return ground.union(*aligned)


def upgrade_delta(engine: EmbeddedEngine, old: frozenset[Quad], new: frozenset[Quad]) -> Delta:
    """Return the delta from one release to the next on an engine with local changes; leave the engine unchanged.

    `old` and `new` are all quads of the releases, with aligned blank nodes. What the rules derive is derived again by
    today's rules from the upgraded state. An issue that a rule of the old release derived from local facts and that no
    rule derives any more stays: the graph of issues also holds curated issues, which cannot be told from derived ones.
    """
    before = {name: derive_graph(engine, name) for name in RULE_GRAPHS}
    dropped = _named_graphs(old) - _named_graphs(new)
    done = Delta()
    try:
        patch = DeltaPatch(Delta(new - old, old - new, dropped=dropped))
        done = _apply_step(engine, done, compute_delta(engine, patch))
        for name in RULE_GRAPHS:
            done = _apply_step(engine, done, _rule_graph_delta(engine, name, before[name] - new))
    finally:
        engine.apply(done.inverse())
    return done


def _apply_step(engine: EmbeddedEngine, before: Delta, step: Delta) -> Delta:
    engine.apply(step)
    return before.followed_by(step)


def _rule_graph_delta(engine: EmbeddedEngine, name: str, stale: frozenset[Quad]) -> Delta:
    """Return the delta that makes a graph hold what its rules derive now; `stale` is what they derived before."""
    graph, derived = NamedNode(graph_iri(name)), derive_graph(engine, name)
    former = stale if name == _PARTLY_CURATED_GRAPH else frozenset(engine.quads(graph))
    return compute_delta(engine, DeltaPatch(Delta(derived, former - derived)))


def _named_graphs(quads: Iterable[Quad]) -> frozenset[NamedNode]:
    return frozenset(graph for quad in quads if isinstance(graph := quad.graph_name, NamedNode))

"""The write path: compute a change's delta, expand it by the rules, validate it, and append it to the journal.

A proposal is computed apart from the dataset that answers reads: in a worker, on its own copy. Nothing changes before
the journal holds the commit; every process that serves the dataset follows the journal.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from kg.changes.changeset import (
    ChangeSet,
    DeltaPatch,
    GraphReplacement,
    QuadAddition,
    SparqlUpdate,
    compute_delta,
    require_iri_graph,
)
from kg.changes.commit_rows import Commit, CommitDraft, IdempotencyKey
from kg.changes.journal import Journal, replay
from kg.changes.quad_changes import move_from_default_graph
from kg.changes.rules import expand_delta
from kg.engine.embedded import EmbeddedEngine
from kg.engine.query import check_nesting
from kg.errors import ConflictError, InsufficientScopeError, PreconditionError
from kg.rdf.delta import Delta
from kg.rdf.io import label_blank_nodes_by_content
from kg.rdf.namespaces import graph_iri
from kg.rdf.terms import DefaultGraph, NamedNode, Quad
from kg.validation.incremental import IncrementalValidator
from kg.validation.report import INFO, VIOLATION, WARNING, ValidationReport
from kg.validation.suggestions import add_suggestions

SUBMISSION_GRAPH: Final = NamedNode(graph_iri("submission"))
"""The graph for new facts that name no graph."""
DEFAULT_GRAPH_LABEL: Final = ""
"""The name of the default graph where graphs are given by name."""
PROTECTED_GRAPHS: Final = frozenset(graph_iri(name) for name in ("asserted", "derived", "shapes"))
"""The graphs that changes may not write: the rules fill the first two, and the shapes come with a release."""
Strictness = Literal["violation", "warning", "info"]
"""The lowest severity of a finding that refuses a change."""

_MAX_ATTEMPTS: Final = 8
"""How often a change is proposed again after another commit came first."""
_REFUSED_SEVERITIES: Final = {
    "violation": (VIOLATION,),
    "warning": (VIOLATION, WARNING),
    "info": (VIOLATION, WARNING, INFO),
}


@dataclass(frozen=True)
class Proposal:
    """The delta of a change at a generation, with everything that follows by the rules, and its validation report.

    `graphs` are the names of the graphs that the change itself affects, DEFAULT_GRAPH_NAME among them.
    """

    delta: Delta
    report: ValidationReport
    generation: int
    graphs: frozenset[str]


@dataclass(frozen=True)
class Signature:
    """The author of a change, the reason for it, and the author's permissions.

    `graphs` are the graphs that the author may write, None for all; with `own_only` the author may not revert commits
    of others.
    """

    agent: str
    message: str = ""
    reason: str = ""
    graphs: frozenset[str] | None = None
    own_only: bool = False


@dataclass(frozen=True)
class WriteOptions:
    """Conditions of a change.

    `expected_generation` is the generation that the caller has seen, None for any; `idempotency_key` makes it safe to
    send the request again; `reverts` is the number of the commit that the change reverts.
    """

    expected_generation: int | None = None
    strictness: Strictness = "violation"
    idempotency_key: IdempotencyKey | None = None
    reverts: int | None = None


@dataclass(frozen=True)
class WriteOutcome:
    """The result of a change: refused with a report, or admitted with a commit.

    `commit` is None if an admitted change has no effect; `repeated` is set if an earlier request with the same
    idempotency key made the commit.
    """

    admitted: bool
    report: ValidationReport
    commit: Commit | None = None
    repeated: bool = False


Proposer = Callable[[ChangeSet], Proposal]
"""Returns what a change to the current generation would do, without doing it; raises what `compute_delta` raises."""


def propose(engine: EmbeddedEngine, gate: IncrementalValidator, change: ChangeSet) -> Proposal:
    """Return the proposal for a change to an engine that only this caller uses; the engine is unchanged afterwards.

    Raises ConflictError for a patch that does not have its full effect, InsufficientScopeError for a change to a
    protected graph, and what `compute_delta` raises.
    """
    if isinstance(change, SparqlUpdate):
        check_nesting(change.text)
    requested = compute_delta(engine, _with_fresh_blank_nodes(change))
    if isinstance(change, DeltaPatch) and requested != change.delta:
        raise ConflictError("This cannot be undone by itself: later changes built upon what it did.")
    graphs = _affected_graphs(requested)
    protected = sorted(graphs & PROTECTED_GRAPHS)
    if protected:
        raise InsufficientScopeError(
            f"The graph <{protected[0]}> is not written by hand: rules make it, or it comes with a release."
        )
    delta = expand_delta(engine, requested)
    report = gate.validate_change(engine, delta)
    if report.findings:
        report = add_suggestions(
            report,
            engine,
            gate.shapes,
            requested,
            lambda other: gate.validate_change(engine, expand_delta(engine, other)),
        )
    return Proposal(delta, report, engine.generation, graphs)


def _with_fresh_blank_nodes(change: ChangeSet) -> ChangeSet:
    """Relabel the blank nodes of a payload, so that they cannot be confused with stored ones."""
    match change:
        case QuadAddition(quads):
            return QuadAddition(tuple(label_blank_nodes_by_content(quads)))
        case GraphReplacement(graphs, quads):
            return GraphReplacement(graphs, tuple(label_blank_nodes_by_content(quads)))
    return change


def _affected_graphs(delta: Delta) -> frozenset[str]:
    names = map(_graph_name, delta.added | delta.removed)
    return frozenset((*names, *(graph.value for graph in delta.created | delta.dropped)))


class ReplicaProposer:
    """Proposes in this process while others read the engine: on a copy of the dataset that follows the journal."""

    def __init__(self, engine: EmbeddedEngine, gate: IncrementalValidator, journal: Journal) -> None:
        self._engine = engine
        self._gate = gate
        self._journal = journal
        self._copy: EmbeddedEngine | None = None
        self._lock = threading.Lock()

    def __call__(self, change: ChangeSet) -> Proposal:
        """Return the proposal for a change."""
        with self._lock:
            if self._copy is None:
                self._copy = EmbeddedEngine(self._engine.quads(), self._engine.digest)
                self._copy.apply_commit(Delta(created=self._engine.named_graphs()), self._engine.generation)
            replay(self._copy, self._journal)
            return propose(self._copy, self._gate, change)


class CommitPipeline:
    """Writes changes to a data folder; safe for many threads and processes."""

    def __init__(self, proposer: Proposer, journal: Journal, follow: Callable[[], None]) -> None:
        """Write to a journal; `follow` returns once reads see its newest commit."""
        self._propose = proposer
        self._follow = follow
        self.journal = journal

    def commit(self, change: ChangeSet, signature: Signature, terms: WriteOptions = WriteOptions()) -> WriteOutcome:
        """Make a change durably, or refuse it; it takes effect completely or not at all.

        Raises PreconditionError if the generation is not the expected one, ConflictError if other changes always come
        first, InsufficientScopeError for a graph that the signature may not write, JournalError if the journal cannot
        be written, and what `propose` raises.
        """
        with self.journal.write_lock():
            if (
                terms.idempotency_key is not None
                and (earlier := self.journal.find_by_key(terms.idempotency_key)) is not None
            ):
                return WriteOutcome(admitted=True, report=earlier.report, commit=earlier, repeated=True)
            for _ in range(_MAX_ATTEMPTS):
                outcome = self._attempt(change, signature, terms)
                if outcome is not None:
                    return outcome
        raise ConflictError("Other changes came first again and again; nothing was changed. Send it once more.")

    def _attempt(self, change: ChangeSet, signature: Signature, terms: WriteOptions) -> WriteOutcome | None:
        """Try once; return None if another commit came first."""
        proposal = self._propose(change)
        _require_generation(proposal, terms)
        _require_scope(proposal, signature)
        if any(proposal.report.with_severity(severity) for severity in _REFUSED_SEVERITIES[terms.strictness]):
            return WriteOutcome(admitted=False, report=proposal.report)
        if not proposal.delta:
            return WriteOutcome(admitted=True, report=proposal.report)
        try:
            commit = self.journal.append(_commit_draft(proposal, signature, terms), proposal.generation)
        except ConflictError:
            self._follow()
            return None
        self._follow()
        return WriteOutcome(admitted=True, report=proposal.report, commit=commit)

    def revert(self, number: int, signature: Signature, terms: WriteOptions = WriteOptions()) -> WriteOutcome:
        """Revert a commit by a new one.

        Raises InsufficientScopeError if the signature may not revert it, ConflictError if it was reverted already or
        later commits depend on it, and what `commit` raises.
        """
        commit = self.journal.read_commit(number)
        if signature.own_only and commit.summary.agent != signature.agent:
            raise InsufficientScopeError(
                f"Commit {number} is not by {signature.agent!r}; a token with the scope admin may undo what others did."
            )
        reverting = self.journal.reverted_by(number)
        if reverting is not None:
            raise ConflictError(f"Commit {number} was undone already, by commit {reverting}.")
        inverse = _without_protected_graphs(commit.delta).inverse()
        return self.commit(DeltaPatch(inverse), signature, replace(terms, reverts=number))


def _without_protected_graphs(delta: Delta) -> Delta:
    """Return the part of a delta outside the protected graphs; the rules derive the rest of its inverse."""
    return replace(
        delta,
        added=frozenset(quad for quad in delta.added if _graph_name(quad) not in PROTECTED_GRAPHS),
        removed=frozenset(quad for quad in delta.removed if _graph_name(quad) not in PROTECTED_GRAPHS),
    )


def _graph_name(quad: Quad) -> str:
    return DEFAULT_GRAPH_LABEL if isinstance(quad.graph_name, DefaultGraph) else quad.graph_name.value


def _require_generation(proposal: Proposal, terms: WriteOptions) -> None:
    if terms.expected_generation is not None and proposal.generation != terms.expected_generation:
        raise PreconditionError(
            f"The dataset is of generation {proposal.generation}, not {terms.expected_generation}; nothing was changed."
        )


def _require_scope(proposal: Proposal, signature: Signature) -> None:
    if signature.graphs is None:
        return
    beyond = sorted(proposal.graphs - signature.graphs)
    if beyond:
        name = f"the graph <{beyond[0]}>" if beyond[0] else "the unnamed graph"
        raise InsufficientScopeError(f"The token may not write {name}; nothing was changed.")


def _commit_draft(proposal: Proposal, signature: Signature, terms: WriteOptions) -> CommitDraft:
    return CommitDraft(
        agent=signature.agent,
        message=signature.message,
        reason=signature.reason,
        delta=proposal.delta,
        report=proposal.report,
        reverts=terms.reverts,
        key=terms.idempotency_key,
    )


def replacement_of_graphs(quads: Iterable[Quad]) -> GraphReplacement:
    """Return the change that loads quads: it replaces the content of every graph that they name.

    Quads in protected graphs are left out, since the rules derive them again. Raises InputError for a graph whose name
    is a blank node.
    """
    loaded = tuple(quad for quad in quads if _graph_name(quad) not in PROTECTED_GRAPHS)
    return GraphReplacement(tuple(dict.fromkeys(map(require_iri_graph, loaded))), loaded)


def protected_graphs_in(quads: Iterable[Quad]) -> list[str]:
    """Return the IRIs of the protected graphs that quads name, sorted."""
    return sorted(PROTECTED_GRAPHS & {_graph_name(quad) for quad in quads})


def in_submission_graph(quad: Quad, graph: NamedNode = SUBMISSION_GRAPH) -> Quad:
    """Return a quad of the default graph moved to `graph`; other quads unchanged."""
    return move_from_default_graph(quad, graph)

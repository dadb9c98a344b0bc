"""The write path: a change becomes a delta, is expanded by the rules, judged by the gate, and enters the journal.

What a change would do is found out apart from the dataset: in a cell, on its own copy. Nothing is changed before the
journal has the commit; whoever serves the dataset follows the journal.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

from kg.changes.changeset import (
    ChangeSet,
    DeltaPatch,
    GraphReplacement,
    MultiGraphReplacement,
    QuadAddition,
    SparqlUpdate,
    compute_delta,
)
from kg.changes.journal import Commit, CommitDraft, IdempotencyKey, Journal
from kg.changes.rules import expand_delta, materialised_engine
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import Delta, Engine
from kg.engine.query import check_nesting
from kg.errors import ConflictError, EngineError, InputError, InsufficientScopeError, PreconditionError, ShapesError
from kg.rdf.io import BlankNode, DefaultGraph, NamedNode, Quad, label_blank_nodes_by_content
from kg.rdf.namespaces import graph_iri
from kg.validation.incremental import IncrementalValidator
from kg.validation.report import INFO, VIOLATION, WARNING, ValidationReport
from kg.validation.shacl import validate
from kg.validation.shapes import Shapes, read_shapes
from kg.validation.suggestions import add_suggestions

SUBMISSION_GRAPH: Final = NamedNode(graph_iri("submission"))
"""Where new facts that name no graph are placed."""
DEFAULT_GRAPH_NAME: Final = ""
"""What stands for the unnamed graph among the names of graphs."""
PROTECTED_GRAPHS: Final = frozenset(graph_iri(name) for name in ("asserted", "derived", "shapes"))
"""The graphs that nobody writes: the rules make the first two, and the shapes come with a release."""
Strictness = Literal["violation", "warning", "info"]
"""The least severity that refuses a change."""

_MAX_ATTEMPTS: Final = 8
"""How often a change is judged anew because another one came first."""
_TERM_GRAPHS: Final = (NamedNode(graph_iri("ontology")), NamedNode(graph_iri("vocabulary")))
_REFUSED_SEVERITIES: Final = {
    "violation": (VIOLATION,),
    "warning": (VIOLATION, WARNING),
    "info": (VIOLATION, WARNING, INFO),
}


@dataclass(frozen=True)
class Proposal:
    """What a change would do to the dataset of a generation, with all that follows, and what the gate finds in it.

    `graphs` are the names of those that the change itself touches, UNNAMED among them.
    """

    delta: Delta
    report: ValidationReport
    generation: int
    graphs: frozenset[str]


@dataclass(frozen=True)
class Signature:
    """Who changes something, why, and what they may.

    `graphs` are those that they may write, None for all; `own_only` keeps them from undoing what others did.
    """

    agent: str
    message: str = ""
    reason: str = ""
    graphs: frozenset[str] | None = None
    own_only: bool = False


@dataclass(frozen=True)
class WriteOptions:
    """On what terms a change is made.

    `expected` is the generation that the caller has seen, None for any; `key` lets the same request be sent twice;
    `reverts` is the commit that the change undoes.
    """

    expected_generation: int | None = None
    strictness: Strictness = "violation"
    idempotency_key: IdempotencyKey | None = None
    reverts: int | None = None


@dataclass(frozen=True)
class WriteOutcome:
    """What became of a change: refused with a report, or admitted with a commit, which is None if nothing changed."""

    admitted: bool
    report: ValidationReport
    commit: Commit | None = None
    repeated: bool = False


class Proposer(Protocol):
    """Finds out what a change would do, without doing it."""

    def propose(self, change: ChangeSet) -> Proposal:
        """Judge a change as against the current generation; raises what its parts raise."""


def propose(engine: EmbeddedEngine, gate: IncrementalValidator, change: ChangeSet) -> Proposal:
    """Judge a change to an engine of which nobody else sees the copy; it is as it was afterwards."""
    if isinstance(change, SparqlUpdate):
        check_nesting(change.text)
    asked = compute_delta(engine, _with_fresh_blank_nodes(change))
    if isinstance(change, DeltaPatch) and asked != change.delta:
        raise ConflictError("This cannot be undone by itself: later changes built upon what it did.")
    graphs = _affected_graphs(asked)
    made = sorted(graphs & PROTECTED_GRAPHS)
    if made:
        raise InsufficientScopeError(
            f"The graph <{made[0]}> is not written by hand: rules make it, or it comes with a release."
        )
    delta = expand_delta(engine, asked)
    report = gate.validate_change(engine, delta)
    if report.findings:
        report = add_suggestions(
            report, engine, gate.shapes, asked, lambda other: gate.validate_change(engine, expand_delta(engine, other))
        )
    return Proposal(delta, report, engine.generation, graphs)


def _with_fresh_blank_nodes(change: ChangeSet) -> ChangeSet:
    """Keep the blank nodes of a payload from being taken for those that are held."""
    match change:
        case QuadAddition(quads):
            return QuadAddition(tuple(label_blank_nodes_by_content(quads)))
        case GraphReplacement(graph, triples):
            apart = label_blank_nodes_by_content(Quad(item.subject, item.predicate, item.object) for item in triples)
            return GraphReplacement(graph, tuple(quad.triple for quad in apart))
        case MultiGraphReplacement(graphs, quads):
            return MultiGraphReplacement(graphs, tuple(label_blank_nodes_by_content(quads)))
    return change


def _affected_graphs(delta: Delta) -> frozenset[str]:
    names = {
        DEFAULT_GRAPH_NAME if isinstance(quad.graph_name, DefaultGraph) else quad.graph_name.value
        for quad in delta.added | delta.removed
    }
    return frozenset(names | {graph.value for graph in delta.created | delta.dropped})


class LocalProposer:
    """Proposes in this process, on an engine that nobody else reads meanwhile."""

    def __init__(self, engine: EmbeddedEngine, gate: IncrementalValidator) -> None:
        self._engine = engine
        self._gate = gate

    def propose(self, change: ChangeSet) -> Proposal:
        return propose(self._engine, self._gate, change)


class ReplicaProposer:
    """Proposes in this process beside readers, on a second copy of the dataset that follows the journal."""

    def __init__(self, engine: EmbeddedEngine, gate: IncrementalValidator, journal: Journal) -> None:
        self._engine = engine
        self._gate = gate
        self._journal = journal
        self._copy: EmbeddedEngine | None = None
        self._lock = threading.Lock()

    def propose(self, change: ChangeSet) -> Proposal:
        with self._lock:
            if self._copy is None:
                self._copy = EmbeddedEngine(self._engine.quads(), self._engine.digest)
                self._copy.apply_commit(Delta(created=self._engine.named_graphs()), self._engine.generation)
            for commit in self._journal.commits_since(self._copy.generation):
                self._copy.apply_commit(commit.delta, commit.number)
            return propose(self._copy, self._gate, change)


class CommitPipeline:
    """The facts of a data folder, as they may be changed; safe for many threads and processes."""

    def __init__(self, proposer: Proposer, journal: Journal, follow: Callable[[], None]) -> None:
        """Write into a journal; `follow` returns when whoever answers reads has caught up with it."""
        self._proposer = proposer
        self._follow = follow
        self.journal = journal

    def commit(self, change: ChangeSet, signature: Signature, terms: WriteOptions = WriteOptions()) -> WriteOutcome:
        """Make a change, durably, or refuse it; either all of it or nothing.

        Raises PreconditionError if the generation is not the expected one, ConflictError if others were always
        faster, ScopeError for a graph that the signature may not write, JournalError if the journal cannot be
        written, and whatever is wrong with the change itself.
        """
        with self.journal.write_lock():
            if (
                terms.idempotency_key is not None
                and (kept := self.journal.find_by_key(terms.idempotency_key)) is not None
            ):
                return WriteOutcome(admitted=True, report=kept.report, commit=kept, repeated=True)
            for _ in range(_MAX_ATTEMPTS):
                outcome = self._attempt(change, signature, terms)
                if outcome is not None:
                    return outcome
        raise ConflictError("Other changes came first again and again; nothing was changed. Send it once more.")

    def _attempt(self, change: ChangeSet, signature: Signature, terms: WriteOptions) -> WriteOutcome | None:
        """Try once; None if another change came first."""
        proposal = self._proposer.propose(change)
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
        """Undo a commit by a new one.

        Raises ScopeError if the signature may not undo it, ConflictError if it was undone already or is built upon.
        """
        commit = self.journal.read_commit(number)
        if signature.own_only and commit.summary.agent != signature.agent:
            raise InsufficientScopeError(
                f"Commit {number} is not by {signature.agent!r}; a token with the scope admin may undo what others did."
            )
        undone = self.journal.reverted_by(number)
        if undone is not None:
            raise ConflictError(f"Commit {number} was undone already, by commit {undone}.")
        return self.commit(
            DeltaPatch(_without_rule_graphs(commit.delta).inverse()), signature, replace(terms, reverts=number)
        )


def _without_rule_graphs(delta: Delta) -> Delta:
    """The part of a commit that the rules did not make; they will make what follows from undoing it."""

    def apart(quads: Iterable[Quad]) -> frozenset[Quad]:
        return frozenset(quad for quad in quads if _graph_name(quad) not in PROTECTED_GRAPHS)

    return replace(delta, added=apart(delta.added), removed=apart(delta.removed))


def _graph_name(quad: Quad) -> str:
    return DEFAULT_GRAPH_NAME if isinstance(quad.graph_name, DefaultGraph) else quad.graph_name.value


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


class FactValidator(Protocol):
    """Says what new facts would bring about, without keeping them."""

    def validate_in_context(self, payload: Iterable[Quad]) -> ValidationReport:
        """Judge new facts together with all that is known; report only what they bring about."""

    def validate_alone(self, payload: Iterable[Quad]) -> ValidationReport:
        """Judge new facts with nothing but the ontology and the vocabularies."""

    def validate_with_shapes(self, payload: Iterable[Quad], shapes: Iterable[Quad]) -> ValidationReport:
        """Judge data by other shapes, without context; raises ShapesError for shapes that may not be used."""


class EngineFactValidator:
    """Judges new facts by the gate, and other data by the same or other shapes."""

    def __init__(self, engine: Engine, shapes: Shapes, proposer: Proposer) -> None:
        self._engine = engine
        self._shapes = shapes
        self._proposer = proposer
        self._terms: tuple[int, ValidationReport] | None = None

    def validate_in_context(self, payload: Iterable[Quad]) -> ValidationReport:
        """Judge new facts together with all that is known; report only what they bring about."""
        return self._proposer.propose(QuadAddition(tuple(map(in_submission_graph, payload)))).report

    def validate_alone(self, payload: Iterable[Quad]) -> ValidationReport:
        """Judge new facts by themselves; of what is known they see only the ontology and the vocabularies."""
        known = [quad for graph in _TERM_GRAPHS for quad in self._engine.quads(graph)]
        if self._terms is None or self._terms[0] != self._engine.generation:
            self._terms = self._engine.generation, validate(known, self._shapes)
        facts = materialised_engine((*known, *map(in_submission_graph, payload)))
        return validate(facts.quads(), self._shapes).without(self._terms[1])

    @staticmethod
    def validate_with_shapes(payload: Iterable[Quad], shapes: Iterable[Quad]) -> ValidationReport:
        """Judge data by other shapes, without context."""
        analysed = read_shapes(shapes)
        try:
            return validate(payload, analysed)
        except EngineError as error:  # the shapes are the caller's, and so is what the validator makes of them
            raise ShapesError(error.message) from error


def replacement_of_graphs(quads: Iterable[Quad]) -> MultiGraphReplacement:
    """What is asked for by loading RDF: each graph that it names is to hold what it says, and nothing else.

    The graphs that rules make are left out, since they will be made again. Raises InputError for a graph whose name
    is a blank node.
    """
    own = tuple(quad for quad in quads if _graph_name(quad) not in PROTECTED_GRAPHS)
    graphs = dict.fromkeys(map(_require_iri_graph, own))
    return MultiGraphReplacement(tuple(graphs), own)


def _require_iri_graph(quad: Quad) -> NamedNode | DefaultGraph:
    if isinstance(quad.graph_name, BlankNode):
        raise InputError("A graph is named by an IRI here, not by a blank node.")
    return quad.graph_name


def protected_graphs_in(quads: Iterable[Quad]) -> list[str]:
    """The graphs that rules make among those that RDF names, in order."""
    return sorted(PROTECTED_GRAPHS & {_graph_name(quad) for quad in quads})


def in_submission_graph(quad: Quad, graph: NamedNode = SUBMISSION_GRAPH) -> Quad:
    """A statement in the graph that it names, else in the one for new facts."""
    if isinstance(quad.graph_name, DefaultGraph):
        return Quad(quad.subject, quad.predicate, quad.object, graph)
    return quad

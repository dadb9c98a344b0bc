"""The write path: a change becomes a delta, is expanded by the rules, judged by the gate, and enters the journal.

What a change would do is found out apart from the dataset: in a cell, on its own copy. Nothing is changed before the
journal has the commit; whoever serves the dataset follows the journal.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

from kg.changes.changeset import Addition, Change, Patch, Replacement, Replacements, Update, delta_of
from kg.changes.journal import Commit, Entry, IdempotencyKey, Journal
from kg.changes.rules import expanded, expansion
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import Delta, Engine
from kg.engine.query import check_nesting
from kg.errors import ConflictError, EngineError, InputError, PreconditionError, ScopeError, ShapesError
from kg.rdf.io import BlankNode, DefaultGraph, NamedNode, Quad, named_apart
from kg.rdf.namespaces import graph_iri
from kg.validation.incremental import Gate
from kg.validation.report import INFO, VIOLATION, WARNING, Report
from kg.validation.shacl import Shapes, read_shapes, validate
from kg.validation.suggestions import suggested

SUBMISSION: Final = NamedNode(graph_iri("submission"))
"""Where new facts that name no graph are placed."""
UNNAMED: Final = ""
"""What stands for the unnamed graph among the names of graphs."""
MADE: Final = frozenset(graph_iri(name) for name in ("asserted", "derived", "shapes"))
"""The graphs that nobody writes: the rules make the first two, and the shapes come with a release."""
Strictness = Literal["violation", "warning", "info"]
"""The least severity that refuses a change."""

_ATTEMPTS: Final = 8
"""How often a change is judged anew because another one came first."""
_TERMS: Final = (NamedNode(graph_iri("ontology")), NamedNode(graph_iri("vocabulary")))
_REFUSING: Final = {
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
    report: Report
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
class Terms:
    """On what terms a change is made.

    `expected` is the generation that the caller has seen, None for any; `key` lets the same request be sent twice;
    `reverts` is the commit that the change undoes.
    """

    expected: int | None = None
    strictness: Strictness = "violation"
    key: IdempotencyKey | None = None
    reverts: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a change: refused with a report, or admitted with a commit, which is None if nothing changed."""

    admitted: bool
    report: Report
    commit: Commit | None = None
    repeated: bool = False


class Proposer(Protocol):
    """Finds out what a change would do, without doing it."""

    def propose(self, change: Change) -> Proposal:
        """Judge a change as against the current generation; raises what its parts raise."""


def propose(engine: EmbeddedEngine, gate: Gate, change: Change) -> Proposal:
    """Judge a change to an engine of which nobody else sees the copy; it is as it was afterwards."""
    if isinstance(change, Update):
        check_nesting(change.text)
    asked = delta_of(engine, _own(change))
    if isinstance(change, Patch) and asked != change.delta:
        raise ConflictError("This cannot be undone by itself: later changes built upon what it did.")
    graphs = _touched(asked)
    made = sorted(graphs & MADE)
    if made:
        raise ScopeError(f"The graph <{made[0]}> is not written by hand: rules make it, or it comes with a release.")
    delta = expansion(engine, asked)
    report = gate.judge(engine, delta)
    if report.findings:
        report = suggested(
            report, engine, gate.shapes, asked, lambda other: gate.judge(engine, expansion(engine, other))
        )
    return Proposal(delta, report, engine.generation, graphs)


def _own(change: Change) -> Change:
    """Keep the blank nodes of a payload from being taken for those that are held."""
    match change:
        case Addition(quads):
            return Addition(tuple(named_apart(quads)))
        case Replacement(graph, triples):
            apart = named_apart(Quad(item.subject, item.predicate, item.object) for item in triples)
            return Replacement(graph, tuple(quad.triple for quad in apart))
        case Replacements(graphs, quads):
            return Replacements(graphs, tuple(named_apart(quads)))
    return change


def _touched(delta: Delta) -> frozenset[str]:
    names = {
        UNNAMED if isinstance(quad.graph_name, DefaultGraph) else quad.graph_name.value
        for quad in delta.added | delta.removed
    }
    return frozenset(names | {graph.value for graph in delta.created | delta.dropped})


class LocalProposer:
    """Proposes in this process, on an engine that nobody else reads meanwhile."""

    def __init__(self, engine: EmbeddedEngine, gate: Gate) -> None:
        self._engine = engine
        self._gate = gate

    def propose(self, change: Change) -> Proposal:
        return propose(self._engine, self._gate, change)


class ApartProposer:
    """Proposes in this process beside readers, on a second copy of the dataset that follows the journal."""

    def __init__(self, engine: EmbeddedEngine, gate: Gate, journal: Journal) -> None:
        self._engine = engine
        self._gate = gate
        self._journal = journal
        self._copy: EmbeddedEngine | None = None
        self._lock = threading.Lock()

    def propose(self, change: Change) -> Proposal:
        with self._lock:
            if self._copy is None:
                self._copy = EmbeddedEngine(self._engine.quads(), self._engine.digest)
                self._copy.follow(Delta(created=self._engine.graphs()), self._engine.generation)
            for commit in self._journal.since(self._copy.generation):
                self._copy.follow(commit.delta, commit.number)
            return propose(self._copy, self._gate, change)


class Facts:
    """The facts of a data folder, as they may be changed; safe for many threads and processes."""

    def __init__(self, proposer: Proposer, journal: Journal, follow: Callable[[], None]) -> None:
        """Write into a journal; `follow` returns when whoever answers reads has caught up with it."""
        self._proposer = proposer
        self._follow = follow
        self.journal = journal

    def write(self, change: Change, signature: Signature, terms: Terms = Terms()) -> Outcome:
        """Make a change, durably, or refuse it; either all of it or nothing.

        Raises PreconditionError if the generation is not the expected one, ConflictError if others were always
        faster, ScopeError for a graph that the signature may not write, JournalError if the journal cannot be
        written, and whatever is wrong with the change itself.
        """
        with self.journal.turn():
            if terms.key is not None and (kept := self.journal.recall(terms.key)) is not None:
                return Outcome(admitted=True, report=kept.report, commit=kept, repeated=True)
            for _ in range(_ATTEMPTS):
                outcome = self._tried(change, signature, terms)
                if outcome is not None:
                    return outcome
        raise ConflictError("Other changes came first again and again; nothing was changed. Send it once more.")

    def _tried(self, change: Change, signature: Signature, terms: Terms) -> Outcome | None:
        """Try once; None if another change came first."""
        proposal = self._proposer.propose(change)
        _require_expected(proposal, terms)
        _require_scope(proposal, signature)
        if any(proposal.report.of(severity) for severity in _REFUSING[terms.strictness]):
            return Outcome(admitted=False, report=proposal.report)
        if not proposal.delta:
            return Outcome(admitted=True, report=proposal.report)
        try:
            commit = self.journal.append(_entry(proposal, signature, terms), proposal.generation)
        except ConflictError:
            self._follow()
            return None
        self._follow()
        return Outcome(admitted=True, report=proposal.report, commit=commit)

    def revert(self, number: int, signature: Signature, terms: Terms = Terms()) -> Outcome:
        """Undo a commit by a new one.

        Raises ScopeError if the signature may not undo it, ConflictError if it was undone already or is built upon.
        """
        commit = self.journal.commit(number)
        if signature.own_only and commit.summary.agent != signature.agent:
            raise ScopeError(
                f"Commit {number} is not by {signature.agent!r}; a token with the scope admin may undo what others did."
            )
        undone = self.journal.reverted_by(number)
        if undone is not None:
            raise ConflictError(f"Commit {number} was undone already, by commit {undone}.")
        return self.write(Patch(_by_hand(commit.delta).inverse()), signature, replace(terms, reverts=number))


def _by_hand(delta: Delta) -> Delta:
    """The part of a commit that the rules did not make; they will make what follows from undoing it."""

    def apart(quads: Iterable[Quad]) -> frozenset[Quad]:
        return frozenset(quad for quad in quads if _graph_of(quad) not in MADE)

    return replace(delta, added=apart(delta.added), removed=apart(delta.removed))


def _graph_of(quad: Quad) -> str:
    return UNNAMED if isinstance(quad.graph_name, DefaultGraph) else quad.graph_name.value


def _require_expected(proposal: Proposal, terms: Terms) -> None:
    if terms.expected is not None and proposal.generation != terms.expected:
        raise PreconditionError(
            f"The dataset is of generation {proposal.generation}, not {terms.expected}; nothing was changed."
        )


def _require_scope(proposal: Proposal, signature: Signature) -> None:
    if signature.graphs is None:
        return
    beyond = sorted(proposal.graphs - signature.graphs)
    if beyond:
        name = f"the graph <{beyond[0]}>" if beyond[0] else "the unnamed graph"
        raise ScopeError(f"The token may not write {name}; nothing was changed.")


def _entry(proposal: Proposal, signature: Signature, terms: Terms) -> Entry:
    return Entry(
        agent=signature.agent,
        message=signature.message,
        reason=signature.reason,
        delta=proposal.delta,
        report=proposal.report,
        reverts=terms.reverts,
        key=terms.key,
    )


class FactJudge(Protocol):
    """Says what new facts would bring about, without keeping them."""

    def in_context(self, payload: Iterable[Quad]) -> Report:
        """Judge new facts together with all that is known; report only what they bring about."""

    def alone(self, payload: Iterable[Quad]) -> Report:
        """Judge new facts with nothing but the ontology and the vocabularies."""

    def by_shapes(self, payload: Iterable[Quad], shapes: Iterable[Quad]) -> Report:
        """Judge data by other shapes, without context; raises ShapesError for shapes that may not be used."""


class Judge:
    """Judges new facts by the gate, and other data by the same or other shapes."""

    def __init__(self, engine: Engine, shapes: Shapes, proposer: Proposer) -> None:
        self._engine = engine
        self._shapes = shapes
        self._proposer = proposer
        self._terms: tuple[int, Report] | None = None

    def in_context(self, payload: Iterable[Quad]) -> Report:
        """Judge new facts together with all that is known; report only what they bring about."""
        return self._proposer.propose(Addition(tuple(map(placed, payload)))).report

    def alone(self, payload: Iterable[Quad]) -> Report:
        """Judge new facts by themselves; of what is known they see only the ontology and the vocabularies."""
        known = [quad for graph in _TERMS for quad in self._engine.quads(graph)]
        if self._terms is None or self._terms[0] != self._engine.generation:
            self._terms = self._engine.generation, validate(known, self._shapes)
        facts = expanded((*known, *map(placed, payload)))
        return validate(facts.quads(), self._shapes).without(self._terms[1])

    @staticmethod
    def by_shapes(payload: Iterable[Quad], shapes: Iterable[Quad]) -> Report:
        """Judge data by other shapes, without context."""
        analysed = read_shapes(shapes)
        try:
            return validate(payload, analysed)
        except EngineError as error:  # the shapes are the caller's, and so is what the validator makes of them
            raise ShapesError(error.message) from error


def replacements(quads: Iterable[Quad]) -> Replacements:
    """What is asked for by loading RDF: each graph that it names is to hold what it says, and nothing else.

    The graphs that rules make are left out, since they will be made again. Raises InputError for a graph whose name
    is a blank node.
    """
    own = tuple(quad for quad in quads if _graph_of(quad) not in MADE)
    graphs = dict.fromkeys(map(_named_by_iri, own))
    return Replacements(tuple(graphs), own)


def _named_by_iri(quad: Quad) -> NamedNode | DefaultGraph:
    if isinstance(quad.graph_name, BlankNode):
        raise InputError("A graph is named by an IRI here, not by a blank node.")
    return quad.graph_name


def made_of(quads: Iterable[Quad]) -> list[str]:
    """The graphs that rules make among those that RDF names, in order."""
    return sorted(MADE & {_graph_of(quad) for quad in quads})


def placed(quad: Quad, graph: NamedNode = SUBMISSION) -> Quad:
    """A statement in the graph that it names, else in the one for new facts."""
    if isinstance(quad.graph_name, DefaultGraph):
        return Quad(quad.subject, quad.predicate, quad.object, graph)
    return quad

"""The quads of the embedded engine in pyoxigraph's store: lookups, changes, and statistics that follow the changes."""

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain

import pyoxigraph as ox

from kg.engine.statistics import DatasetStatistics, update_statistics
from kg.errors import EngineError
from kg.rdf.delta import Delta
from kg.rdf.namespaces import BASE
from kg.rdf.terms import DefaultGraph, Literal, NamedNode, Quad, Resource, Term, Triple

ChangeObserver = Callable[[Iterable[Quad]], AbstractContextManager[None]]
"""Encloses each change; see `Optimizer.changing`."""


def ignore_change(_: Iterable[Quad]) -> AbstractContextManager[None]:
    """Observe nothing."""
    return nullcontext()


class GraphStore:
    """A mutable set of quads in memory. One thread changes it at a time; others may read meanwhile."""

    def __init__(self, quads: Iterable[Quad] = (), statistics: DatasetStatistics | None = None) -> None:
        """Add the quads one by one; `statistics` are theirs, if known.

        A bulk load would need a second copy meanwhile. Quads that are added one by one are also neighbours in memory,
        so that a forked worker, which writes to what it reads, copies few pages.
        """
        self._store = ox.Store()
        self._write_lock = threading.Lock()
        self._statistics = statistics
        self._observe_change: ChangeObserver = ignore_change
        self._trials = list[bool]()
        """For each change that is applied temporarily, whether it puts a triple into a second graph."""
        for quad in quads:
            self._store.add(quad)

    def statistics(self) -> DatasetStatistics | None:
        """Return the current statistics; None if the dataset was created without them."""
        return self._statistics

    def has_shared_triples(self) -> bool:
        """Whether some triple may be in several graphs, also by a change that is applied temporarily."""
        return self._statistics is None or self._statistics.has_shared_triples or any(self._trials)

    def extend(self, quads: Iterable[Quad]) -> None:
        """Add quads."""
        with self._write_lock:
            statistics, added = self._statistics, list(quads)
            if statistics is not None:
                added = self._missing_quads(added)
                statistics = update_statistics(statistics, added, self._has_triple, 1)
            with self._observe_change(added):
                self._store.extend(added)
                self._statistics = statistics

    def apply(self, delta: Delta) -> None:
        """Apply a change without a new generation, or nothing of it if that fails.

        pyoxigraph has no transaction over additions and removals. So additions, which are one transaction, come last,
        and a reader in another thread may for a moment miss what a change replaces.
        """
        with (
            self._write_lock,
            self._observe_change(chain(delta.added, delta.removed)),
            self._rollback_on_error(delta),
        ):
            self._remove_delta(delta)
            self._statistics = update_statistics(self._statistics, delta.removed, self._has_triple, -1)
            statistics = update_statistics(self._statistics, delta.added, self._has_triple, 1)
            self._add_delta(delta)
            self._statistics = statistics

    @contextmanager
    def temporarily_applied(self, delta: Delta) -> Iterator[None]:
        """Apply a change while the block runs, then undo it; the statistics stay those before it."""
        self._trials.append(True)
        try:
            with self._observe_change(()):
                self._trials[-1] = self._apply_uncounted(delta)
                try:
                    yield
                finally:
                    self._apply_uncounted(delta.inverse())
        finally:
            self._trials.pop()

    def _apply_uncounted(self, delta: Delta) -> bool:
        """Apply a change without its statistics; return whether it puts a triple into a second graph."""
        with self._write_lock, self._rollback_on_error(delta):
            self._remove_delta(delta)
            triples = {quad.triple for quad in delta.added}
            is_shared = len(triples) < len(delta.added) or any(
                self._has_triple(triple.subject, triple.predicate, triple.object) for triple in triples
            )
            self._add_delta(delta)
            return is_shared

    @contextmanager
    def _rollback_on_error(self, delta: Delta) -> Iterator[None]:
        """Undo what the block has applied of a change if it fails, wherever it stopped."""
        before = self._statistics
        try:
            yield
        except BaseException:
            self._remove_delta(delta.inverse())
            self._add_delta(delta.inverse())
            self._statistics = before
            raise

    def _remove_delta(self, delta: Delta) -> None:
        for quad in delta.removed:
            self._store.remove(quad)
        for graph in delta.dropped:
            self._store.remove_graph(graph)

    def _add_delta(self, delta: Delta) -> None:
        for graph in delta.created:
            self._store.add_graph(graph)
        self._store.extend(delta.added)

    def holds(self, quad: Quad) -> bool:
        """Whether the quad is in the store."""
        return quad in self._store

    def has_graph(self, graph: NamedNode) -> bool:
        """Whether the named graph exists; it may be empty."""
        return self._store.contains_named_graph(graph)

    def named_graphs(self) -> frozenset[NamedNode]:
        """Return the named graphs, including empty ones."""
        return frozenset(graph for graph in self._store.named_graphs() if isinstance(graph, NamedNode))

    def quads(self, graph: NamedNode | DefaultGraph | None = None) -> Iterator[Quad]:
        """Iterate over one graph, named or unnamed, or over all graphs."""
        return self._store.quads_for_pattern(None, None, None, graph)

    def quads_with_triple(self, triple: Triple) -> Iterator[Quad]:
        """Iterate over the quads of a triple, one for each graph that has it."""
        return self._store.quads_for_pattern(triple.subject, triple.predicate, triple.object, None)

    def quads_with_predicate(self, predicate: NamedNode) -> Iterator[Quad]:
        """Iterate over the quads of all graphs with a predicate."""
        return self._store.quads_for_pattern(None, predicate, None, None)

    def triples_outside_graph(
        self, subject: Term | None, predicate: NamedNode | None, object_: Term | None, excluded_graph: NamedNode
    ) -> Iterator[Triple]:
        """Iterate over the matching triples of all graphs but one; None matches any term."""
        if isinstance(subject, Literal):
            return
        for quad in self._store.quads_for_pattern(subject, predicate, object_, None):
            if quad.graph_name != excluded_graph:
                yield quad.triple

    def graph_has_triple(
        self, subject: Term | None, predicate: NamedNode | None, object_: Term | None, graph: NamedNode
    ) -> bool:
        """Whether a graph has a matching triple; None matches any term."""
        if isinstance(subject, Literal):
            return False
        return any(True for _ in self._store.quads_for_pattern(subject, predicate, object_, graph))

    def _has_triple(
        self, subject: Resource | Triple | None, predicate: NamedNode | None, object_: Term | Triple | None
    ) -> bool:
        return any(True for _ in self._store.quads_for_pattern(subject, predicate, object_))

    def _missing_quads(self, quads: Iterable[Quad]) -> list[Quad]:
        """Return the quads that are not in the store, without duplicates and with literals as the store writes them."""
        return [quad for quad in _store_of(quads) if quad not in self._store]

    def select_as_tsv(self, text: str) -> bytes:
        """Evaluate a SELECT query over the union of all graphs, as it is; raises EngineError where it fails."""
        try:
            result = self._store.query(text, base_iri=BASE, use_default_graph_as_union=True)
            if not isinstance(result, ox.QuerySolutions):
                raise EngineError("A SELECT query was expected.")
            body = io.BytesIO()
            result.serialize(body, ox.QueryResultsFormat.TSV)
            return body.getvalue()
        except (SyntaxError, ValueError, OSError, RuntimeError) as error:
            raise EngineError(f"The query could not be evaluated: {error}") from error

    @staticmethod
    def normalize_quads(quads: Iterable[Quad]) -> frozenset[Quad]:
        """Return quads as a store writes them: some literals get another lexical form."""
        return frozenset(_store_of(quads))

    @staticmethod
    def evaluate_ground_update(text: str) -> frozenset[Quad]:
        """Return the quads that an update of ground data adds to an empty store."""
        store = ox.Store()
        try:
            store.update(text, base_iri=BASE)
        except (SyntaxError, ValueError, OSError, RuntimeError) as error:
            raise EngineError(f"The update could not be read: {error}") from error
        return frozenset(store)


def _store_of(quads: Iterable[Quad]) -> ox.Store:
    store = ox.Store()
    store.extend(quads)
    return store

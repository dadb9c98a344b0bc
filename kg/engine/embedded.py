"""The engine in this process, on pyoxigraph's store in memory."""

import uuid
from collections.abc import Iterable, Mapping, Sequence

import pyoxigraph as ox

from kg.engine import syntax_check
from kg.engine.graph_store import GraphStore, ignore_change
from kg.engine.protocol import UNION_DATASET, Optimizer, QueryDataset, QueryPlan, QueryRequest, QueryResult, Row
from kg.engine.query import explain_query
from kg.engine.query_evaluator import QueryEvaluator
from kg.engine.result_writer import rows_of_solutions, rows_with_triple_terms, spool_quads, spool_result
from kg.engine.statistics import DatasetStatistics
from kg.errors import EngineError, NotFoundError
from kg.rdf.delta import Delta
from kg.rdf.formats import RdfFormat
from kg.rdf.terms import DefaultGraph, NamedNode, Quad, Term, Triple


class EmbeddedEngine(GraphStore):
    """An engine that holds its dataset in memory and evaluates in the calling thread."""

    def __init__(
        self,
        quads: Iterable[Quad] = (),
        digest: str = "",
        statistics: DatasetStatistics | None = None,
        *,
        optimizer: Optimizer | None = None,
    ) -> None:
        """Hold quads, with their `statistics` if known; `digest` names this dataset in `version`.

        Without an `optimizer`, queries are evaluated as they are.
        """
        super().__init__(quads, statistics)
        self.digest = digest or uuid.uuid4().hex[:16]
        self._generation = 0
        self._evaluator = QueryEvaluator(self._store, self)
        self.configure(optimizer=optimizer)

    def configure(self, *, services: Iterable[str] = (), optimizer: Optimizer | None = None) -> None:
        """Set the servers that queries may call with SERVICE, as `host` or `host:port`, and the optimizer."""
        self._evaluator.services = frozenset(services)
        self._evaluator.optimizer = optimizer
        self._observe_change = ignore_change if optimizer is None else optimizer.changing

    def prepare(self, memory: int) -> None:
        """Load what workers will need before they are forked; each may use `memory` bytes more than this process."""
        if self._evaluator.optimizer is not None:
            self._evaluator.optimizer.prepare(memory, self.statistics())

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def version(self) -> str:
        return f"{self.digest}-{self._generation}"

    def extend(self, quads: Iterable[Quad]) -> None:
        """Add quads; the generation grows."""
        super().extend(quads)
        self._generation += 1

    def apply_commit(self, delta: Delta, generation: int) -> None:
        """Apply a change that leads to a generation."""
        self.apply(delta)
        self._generation = generation

    def check_update(self, text: str) -> None:
        """Raise QuerySyntaxError for a text that is not an update, ServiceDeniedError for a SERVICE not allowed."""
        syntax_check.check_update(text, self._evaluator.services)

    def graph_sizes(self) -> dict[str, int]:
        statistics = self.statistics()
        if statistics is not None:
            return dict(statistics.graphs)
        rows = self.select("SELECT ?g (COUNT(*) AS ?n) WHERE { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g ORDER BY ?g")
        return {row["g"].value: int(row["n"].value) for row in rows}

    def status(self) -> Mapping[str, object]:
        statistics = self.statistics()
        triples = len(self._store) if statistics is None else statistics.quads
        return {"generation": self._generation, "triples": triples}

    def dump(self, graph: NamedNode | DefaultGraph | None, fmt: RdfFormat) -> QueryResult:
        if isinstance(graph, NamedNode) and not self.has_graph(graph):
            raise NotFoundError(f"There is no graph {graph} here.")
        return spool_quads(self.quads(graph), fmt, with_graphs=graph is None)

    def evaluate(self, request: QueryRequest) -> QueryResult:
        return spool_result(self._evaluator.evaluate_request(request), request)

    def explain(self, text: str) -> QueryPlan:
        """Plan a query without evaluating it; raises QuerySyntaxError for a text that is not a query."""
        return explain_query(text, self.statistics(), self._evaluator.optimizer)

    def select(
        self, text: str, bindings: Mapping[str, Term] | None = None, dataset: QueryDataset = UNION_DATASET
    ) -> list[Row]:
        """Evaluate a SELECT query over a dataset; `bindings` are values of variables that it projects."""
        return rows_of_solutions(self._evaluator.evaluate(text, dataset, bindings))

    def construct(self, text: str) -> list[Triple]:
        result = self._evaluator.evaluate(text, UNION_DATASET)
        if not isinstance(result, ox.QueryTriples):
            raise EngineError("A CONSTRUCT query was expected.")
        return list(result)

    def select_in_graphs(
        self,
        text: str,
        default: Sequence[NamedNode | DefaultGraph] | None,
        named: Sequence[NamedNode] | None,
        bindings: Mapping[str, Term] | None = None,
    ) -> list[Row]:
        """Evaluate a SELECT query; None is the unnamed graph as `default`, all named graphs as `named`."""
        return rows_of_solutions(self._evaluator.evaluate_over(text, default, named, bindings))

    def select_with_triple_terms(
        self,
        text: str,
        default: Sequence[NamedNode | DefaultGraph] | None,
        named: Sequence[NamedNode] | None,
    ) -> list[Mapping[str, Term | Triple]]:
        """As `select_in_graphs`, with triple terms among the values."""
        return rows_with_triple_terms(self._evaluator.evaluate_over(text, default, named))

"""Evaluate SPARQL queries on pyoxigraph's store, as an optimizer rewrites them."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Final

import pyoxigraph as ox

from kg.engine.protocol import OptimizableDataset, Optimizer, QueryDataset, QueryRequest
from kg.engine.result_writer import OxResult, evaluation_error
from kg.engine.syntax_check import check_query_syntax, check_service_calls, query_parser_error
from kg.errors import UnknownGraphError
from kg.rdf.namespaces import BASE
from kg.rdf.terms import DefaultGraph, NamedNode, Resource, Term, Triple
from kg.sparql.prologue import dataset_clauses
from kg.sparql.syntax_errors import diagnose

_GRAPH_VARIABLE: Final = re.compile(r"\bGRAPH\s*[?$]", re.IGNORECASE)


class QueryEvaluator:
    """Evaluates queries over the graphs of a store."""

    def __init__(self, store: ox.Store, dataset: OptimizableDataset) -> None:
        """Evaluate over `store`, of which `dataset` is the view for the optimizer."""
        self._store = store
        self._dataset = dataset
        self.optimizer: Optimizer | None = None
        self.services: frozenset[str] = frozenset()
        """The servers that queries may call with SERVICE, as `host` or `host:port`."""

    def evaluate_request(self, request: QueryRequest) -> OxResult:
        """Start to evaluate a client's query. Raises UnknownGraphError if its dataset has a graph that does not exist.

        The named graphs come in the order of their IRIs: the store's own order differs from start to start.
        """
        text, dataset = request.text, self._resolve_dataset(request)
        if dataset.is_explicit or _GRAPH_VARIABLE.search(text) is None:
            return self.evaluate(text, dataset)
        named = sorted(self._store.named_graphs(), key=attrgetter("value"))
        return self.evaluate_over(text, None, named, is_union=dataset.union)

    def evaluate(self, text: str, dataset: QueryDataset, bindings: Mapping[str, Term] | None = None) -> OxResult:
        """Start to evaluate a query over a dataset; `bindings` are values of its variables."""
        if not dataset.is_explicit:
            return self.evaluate_over(text, None, None, bindings, is_union=dataset.union)
        default, named = ([NamedNode(iri) for iri in iris] for iris in (dataset.default, dataset.named))
        return self.evaluate_over(text, default, named, bindings)

    def evaluate_over(
        self,
        text: str,
        default: Sequence[NamedNode | DefaultGraph] | None,
        named: Sequence[Resource] | None,
        bindings: Mapping[str, Term] | None = None,
        *,
        is_union: bool = False,
    ) -> OxResult:
        """Start to evaluate a query over some graphs. None stands for all named graphs.

        As `default`, None stands for the union of all graphs with `is_union`, else for the unnamed graph. A query with
        `bindings` is not rewritten, since the optimizer does not know of them.
        """
        check_service_calls(text, self.services)
        optimizer = None if bindings else self.optimizer
        rewritten = text if optimizer is None else optimizer.rewrite(text, self._dataset, is_union=is_union)
        default_graph: list[Resource | DefaultGraph] | None = None if default is None else list(default)
        named_graphs = None if named is None else list(named)
        substitutions: dict[ox.Variable, Term | Triple] | None = (
            {ox.Variable(name): term for name, term in bindings.items()} if bindings else None
        )

        def query(query_text: str) -> OxResult:
            return self._store.query(
                query_text,
                base_iri=BASE,
                use_default_graph_as_union=is_union,
                default_graph=default_graph,
                named_graphs=named_graphs,
                substitutions=substitutions,
            )

        try:
            if rewritten != text:
                with suppress(SyntaxError):
                    return query(rewritten)
            return query(text)
        except SyntaxError as error:
            raise diagnose(text, error.msg, query_parser_error) from None
        except (ValueError, OSError, RuntimeError) as error:
            raise evaluation_error(error) from error

    def _resolve_dataset(self, request: QueryRequest) -> QueryDataset:
        """Return the caller's dataset, else that of the FROM clauses, else the default."""
        dataset = request.dataset
        if not dataset.is_explicit:
            clauses = dataset_clauses(request.text, BASE)
            dataset = QueryDataset(clauses.default, clauses.named, dataset.union)
        for iri in (*dataset.default, *dataset.named):
            if not self._has_graph(iri):
                check_query_syntax(request.text)
                raise UnknownGraphError(f"There is no graph <{iri}> here.")
        return dataset

    def _has_graph(self, iri: str) -> bool:
        try:
            return self._store.contains_named_graph(NamedNode(iri))
        except ValueError:  # not an absolute IRI
            return False

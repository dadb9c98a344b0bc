"""The optimizer of the embedded engine: rewritten queries, and groups that are computed ahead."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from kg.engine.planner.plan_cache import PlanCache
from kg.engine.planner.rewrite import AggregationPlanner, plan_query
from kg.engine.protocol import OptimizableDataset, PlanNote, QueryPlan
from kg.engine.statistics import DatasetStatistics
from kg.engine.syntax_check import query_parser_error
from kg.rdf.terms import Quad


class GroupSource(AggregationPlanner, Protocol):
    """Computes the groups of aggregations from data of its own, which follow the changes of the dataset."""

    def changing(self, quads: Iterable[Quad]) -> AbstractContextManager[None]:
        """Enclose a change, as `Optimizer.changing`."""

    def prepare(self, memory: int, statistics: DatasetStatistics | None) -> None:
        """Get ready for a fork, as `Optimizer.prepare`."""


class PlanningOptimizer:
    """Rewrites queries by the planner, and looks up their groups in a source, if there is one."""

    def __init__(self, groups: GroupSource | None = None) -> None:
        self._plans = PlanCache(groups)
        self._groups = groups

    def rewrite(self, text: str, dataset: OptimizableDataset, *, is_union: bool) -> str:
        statistics = dataset.statistics()
        if statistics is None or dataset.has_shared_triples():
            return text
        plan = self._plans.plan_for(text, statistics)
        if plan.lookup_groups is None or not is_union:
            return plan.text
        text_with_groups = plan.lookup_groups(dataset)
        # The text with groups lacks the client's patterns, so that syntax errors in them would go unnoticed.
        if text_with_groups is None or query_parser_error(text) is not None:
            return plan.text
        return text_with_groups

    def explain(self, text: str, statistics: DatasetStatistics | None) -> QueryPlan:
        if statistics is None:
            return _left_alone(text, "the dataset has no statistics")
        if statistics.has_shared_triples:
            return _left_alone(text, "some triples are in several graphs")
        return plan_query(text, statistics, self._groups)

    def changing(self, quads: Iterable[Quad]) -> AbstractContextManager[None]:
        return nullcontext() if self._groups is None else self._groups.changing(quads)

    def prepare(self, memory: int, statistics: DatasetStatistics | None) -> None:
        if self._groups is not None:
            self._groups.prepare(memory, statistics)


def _left_alone(text: str, reason: str) -> QueryPlan:
    return QueryPlan(text, (PlanNote(1, f"left alone: {reason}"),))

"""The optimizer that engines of the service and of the commands use: the planner, with columns."""

from kg.engine.columns.cache import ColumnCache
from kg.engine.planner.optimizer import PlanningOptimizer
from kg.engine.protocol import Optimizer


def default_optimizer(*, planning: bool = True, columns: bool = True) -> Optimizer | None:
    """Return a new optimizer for one engine; None without `planning`, on which `columns` build."""
    return PlanningOptimizer(ColumnCache() if columns else None) if planning else None

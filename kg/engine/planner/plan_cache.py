"""Cache query plans; queries that differ only in the entities that they name share a plan; pure."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from kg.engine.planner.rewrite import AggregationPlanner, has_plannable_keyword, plan_query
from kg.engine.protocol import QueryPlan
from kg.engine.statistics import DatasetStatistics
from kg.rdf.namespaces import ID
from kg.sparql.query_parser import MAX_PARSED_LENGTH

MAX_CACHED_PLANS: Final = 256
"""Plans of short queries that are cached."""
MAX_CACHED_LONG_PLANS: Final = 16
"""Plans of long queries that are cached."""

_LONG_QUERY_LENGTH: Final = 8 * 1024
"""Code points from which on a query is long."""
_ENTITY_IRI: Final = re.compile(rf"<{re.escape(ID)}[^<>'\"{{}}|^`\\\x00-\x20]*>")
_DECLARED_NAMESPACE: Final = re.compile(rf":(?:\s|#[^\n\r]*)*({_ENTITY_IRI.pattern})")
"""The IRI of a prefix declaration; a placeholder for it would change all names with the prefix."""
_IN_LIST_OF_ENTITIES: Final = re.compile(rf"IN\s*\([^)]*<{re.escape(ID.upper())}")
_PLACEHOLDER_PREFIX: Final = f"{ID}?"
"""How placeholders begin; the project names no entity like this."""
_MAX_PLACEHOLDERS: Final = 32
"""Entities that a query may name to share a plan."""


class PlanCache:
    """Plans by query text and order of magnitude of the dataset.

    Queries that differ only in the project's entities that they name share a plan, since planning does not look at
    which entity an IRI names. In the cached text, placeholders stand for the IRIs.
    """

    def __init__(self, aggregations: AggregationPlanner | None = None) -> None:
        self._aggregations = aggregations
        self._short_plans, self._long_plans = dict[tuple[str, int], QueryPlan](), dict[tuple[str, int], QueryPlan]()

    def plan_for(self, text: str, statistics: DatasetStatistics | None) -> QueryPlan:
        """Return the plan of a query, without notes."""
        if len(text) > MAX_PARSED_LENGTH or not has_plannable_keyword(text):
            return QueryPlan(text)
        entities = _interchangeable_entities(text)
        if not entities:
            return self._cached_plan(text, statistics)
        placeholders = {iri: f"<{_PLACEHOLDER_PREFIX}{number}>" for number, iri in enumerate(entities)}
        plan = self._cached_plan(_replace_iris(text, placeholders), statistics)
        if plan.lookup_groups is not None:
            return self._cached_plan(text, statistics)
        planned_text = _replace_iris(plan.text, {placeholder: iri for iri, placeholder in placeholders.items()})
        return (
            QueryPlan(planned_text) if _PLACEHOLDER_PREFIX not in planned_text else self._cached_plan(text, statistics)
        )

    def _cached_plan(self, text: str, statistics: DatasetStatistics | None) -> QueryPlan:
        key = text, -1 if statistics is None else (statistics.triples or 0).bit_length()
        plans, limit = (
            (self._short_plans, MAX_CACHED_PLANS)
            if len(text) < _LONG_QUERY_LENGTH
            else (self._long_plans, MAX_CACHED_LONG_PLANS)
        )
        plan = plans.get(key)
        if plan is None:
            plan = replace(plan_query(text, statistics, self._aggregations), notes=())
            while len(plans) >= limit:
                plans.pop(next(iter(plans)), None)
            plans[key] = plan
        return plan


def _interchangeable_entities(text: str) -> list[str]:
    """Return the IRIs of the project's entities in a query that placeholders can replace without changing its plan.

    Equal IRIs must stay equal, and different ones different; planning compares IRIs in lists of IN only. So a query
    with BASE, with `/.` in an IRI, or with an entity in a list of IN has none.
    """
    declared, upper = set(_DECLARED_NAMESPACE.findall(text)), text.upper()
    iris = [iri for iri in dict.fromkeys(_ENTITY_IRI.findall(text)) if iri not in declared]
    if len(iris) > _MAX_PLACEHOLDERS or _PLACEHOLDER_PREFIX in text or any("/." in iri for iri in iris):
        return []
    return [] if "BASE" in upper or _IN_LIST_OF_ENTITIES.search(upper) is not None else iris


def _replace_iris(text: str, replacements: Mapping[str, str]) -> str:
    for iri, other in replacements.items():
        text = text.replace(iri, other)
    return text

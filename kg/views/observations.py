"""Observations: the figures that the graph holds, with what pages and charts show of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from kg.engine.protocol import Engine, Row
from kg.rdf.namespaces import ID
from kg.rdf.terms import Literal, NamedNode, Term
from kg.sparql.templates import Fragment, Template, prefixed_template
from kg.views.query_results import select_iris

MAX_SORTED_OBSERVATIONS: Final = 2000
"""The size up to which a selection is loaded whole and sorted; a larger one comes in the engine's order."""
MAX_SORTED_FOR_PAGES: Final = 300
"""The size up to which a selection is sorted before it is divided into pages."""
MAX_OFFSET: Final = 30_000
"""The largest offset of a page; observations behind it are reached by filters only."""

_CLAIMS_QUERY: Final = prefixed_template(
    """
SELECT DISTINCT ?claim {
  $restrictions
  ?claim a hpez:Observation .
  $patterns
} OFFSET $offset LIMIT $limit"""
)
_DETAILS_QUERY: Final = prefixed_template(
    """
SELECT ?claim ?about ?indicator ?unit ?period ?starts ?status ?qualifier ?value ?min ?max ?emended ?rule ?of ?to {
  VALUES ?claim { $claims }
  ?claim schema:observationAbout ?about ; schema:variableMeasured ?indicator .
  OPTIONAL { ?claim qudt:hasUnit ?unit }
  OPTIONAL { ?claim dcterms:temporal ?period OPTIONAL { ?period schema:startDate ?starts } }
  OPTIONAL { ?claim hpez:status ?status }
  OPTIONAL { ?claim hpez:valueQualifier ?qualifier }
  OPTIONAL { ?claim schema:value ?value }
  OPTIONAL { ?claim schema:minValue ?min }
  OPTIONAL { ?claim schema:maxValue ?max }
  OPTIONAL { ?claim hpez:emended ?emended }
  OPTIONAL { ?claim prov:wasGeneratedBy ?rule }
  OPTIONAL { ?claim hpez:ratioOf ?of }
  OPTIONAL { ?claim hpez:ratioTo ?to }
}"""
)
_SPEAKERS_QUERY: Final = prefixed_template(
    "SELECT DISTINCT ?claim ?agent { VALUES ?claim { $claims } ?claim prov:wasAttributedTo ?agent }"
)
_FILTER_PATTERNS: Final[Mapping[str, tuple[Template, str]]] = {
    "about": (Template("VALUES ?about { $node }"), "?claim schema:observationAbout ?about ."),
    "indicator": (Template("VALUES ?indicator { $node }"), "?claim schema:variableMeasured ?indicator ."),
    "period": (Template("VALUES ?period { $node }"), "?claim dcterms:temporal ?period ."),
    "status": (Template("VALUES ?status { $node }"), "?claim hpez:status ?status ."),
}
"""For each filter, the pattern that binds its value and the pattern that selects claims by it."""
# The type is tested by FILTER EXISTS for one candidate after another: as a plain pattern, it would be joined over all
# observations first.
_CHOICE_PATTERNS: Final[Mapping[str, Fragment]] = {
    "about": Fragment("?any schema:observationAbout ?choice ."),
    "indicator": Fragment(
        "?choice a hpez:Indicator "
        "FILTER EXISTS { ?any schema:variableMeasured ?choice FILTER EXISTS { ?any a hpez:Observation } }"
    ),
    "period": Fragment(
        "?choice a dcterms:PeriodOfTime "
        "FILTER EXISTS { ?any dcterms:temporal ?choice FILTER EXISTS { ?any a hpez:Observation } }"
    ),
    "status": Fragment(
        f"?choice skos:inScheme <{ID}scheme/status> "
        "FILTER EXISTS { ?any hpez:status ?choice FILTER EXISTS { ?any a hpez:Observation } }"
    ),
}
_CHOICES_QUERY: Final = prefixed_template("SELECT DISTINCT ?choice { $pattern } LIMIT $limit")
FILTER_NAMES: Final = tuple(_FILTER_PATTERNS)
"""The names of the filters; the value of each is the IRI of an entity, indicator, period or status."""


@dataclass(frozen=True)
class Observation:
    """A figure with its dimensions, all by IRI; amounts are in the base unit of `unit`.

    `low` and `high` are equal for a single number. They differ for a range or a trend, and are None for an open bound.
    `emended` is true if the figure corrects the wording of its source; `rule` is the activity that computed it, if
    any did. `ratio_of` and `ratio_to` are the figures that a computed ratio relates.
    """

    claim: str
    about: str
    indicator: str
    unit: str | None
    period: str | None
    period_start: str | None
    status: str | None
    qualifier: str | None
    low: Decimal | None
    high: Decimal | None
    emended: bool = False
    rule: str | None = None
    ratio_of: str | None = None
    ratio_to: str | None = None
    speakers: tuple[str, ...] = field(default=())

    @property
    def mentioned_iris(self) -> tuple[str, ...]:
        """All IRIs for which a page needs a label."""
        iris = (self.claim, self.about, self.indicator, self.unit, self.period, self.status, self.qualifier, self.rule)
        return tuple(iri for iri in (*iris, *self.speakers) if iri is not None)


@dataclass(frozen=True)
class ObservationPage:
    """A page of a selection; `total` is its size if it is small, else None."""

    items: tuple[Observation, ...]
    total: int | None
    has_more: bool


def load_page(engine: Engine, filters: Mapping[str, NamedNode], number: int, size: int) -> ObservationPage:
    """Return a page, counted from 1, of the observations that match all filters.

    A selection of up to MAX_SORTED_FOR_PAGES is sorted first; a larger one comes in the engine's order, and only
    up to MAX_OFFSET, so that each page costs little however much the graph holds.
    """
    first = (number - 1) * size
    sortable = max(MAX_SORTED_FOR_PAGES, size)
    claims = _find_claims(engine, filters, 0, sortable + 1)
    if len(claims) <= sortable:
        items = observations_of_claims(engine, claims)
        return ObservationPage(tuple(items[first : first + size]), len(items), first + size < len(items))
    if first > MAX_OFFSET:
        return ObservationPage((), None, has_more=False)
    claims = _find_claims(engine, filters, first, size + 1)
    has_more = len(claims) > size and first + size <= MAX_OFFSET
    return ObservationPage(tuple(observations_of_claims(engine, claims[:size])), None, has_more)


def filter_choices(engine: Engine, name: str, limit: int) -> list[NamedNode]:
    """Return at most `limit` values of a filter that select something, without reading every observation."""
    query = _CHOICES_QUERY.fill(pattern=_CHOICE_PATTERNS[name], limit=limit)
    return sorted(select_iris(engine, query, "choice"), key=str)


def find_observations(
    engine: Engine, filters: Mapping[str, NamedNode], offset: int = 0, limit: int = MAX_SORTED_OBSERVATIONS
) -> list[Observation]:
    """Return the observations that match all filters, by filter name; the slice is taken before it is sorted."""
    return observations_of_claims(engine, _find_claims(engine, filters, offset, limit))


def observations_of_claims(engine: Engine, claims: Iterable[NamedNode]) -> list[Observation]:
    """Return the observations among some claims: the newest period first, those without one last, then by indicator."""
    nodes = set(claims)
    if not nodes:
        return []
    speakers = dict[str, list[str]]()
    for row in engine.select(_SPEAKERS_QUERY.fill(claims=nodes)):
        speakers.setdefault(row["claim"].value, []).append(row["agent"].value)
    observations = dict[str, Observation]()
    for row in engine.select(_DETAILS_QUERY.fill(claims=nodes)):
        claim = row["claim"].value
        observations.setdefault(claim, _observation(row, tuple(sorted(speakers.get(claim, ())))))
    return sorted(observations.values(), key=_sort_key)


def _find_claims(engine: Engine, filters: Mapping[str, NamedNode], offset: int, limit: int) -> list[NamedNode]:
    restrictions = " ".join(_FILTER_PATTERNS[name][0].fill(node=node) for name, node in filters.items())
    patterns = " ".join(_FILTER_PATTERNS[name][1] for name in filters)
    query = _CLAIMS_QUERY.fill(
        restrictions=Fragment(restrictions), patterns=Fragment(patterns), offset=offset, limit=limit
    )
    return select_iris(engine, query, "claim")


def _observation(row: Row, speakers: tuple[str, ...]) -> Observation:
    value = _optional_decimal(row.get("value"))
    return Observation(
        claim=row["claim"].value,
        about=row["about"].value,
        indicator=row["indicator"].value,
        unit=_optional_value(row, "unit"),
        period=_optional_value(row, "period"),
        period_start=_optional_value(row, "starts"),
        status=_optional_value(row, "status"),
        qualifier=_optional_value(row, "qualifier"),
        low=_optional_decimal(row.get("min")) if value is None else value,
        high=_optional_decimal(row.get("max")) if value is None else value,
        emended=_optional_value(row, "emended") == "true",
        rule=_optional_value(row, "rule"),
        ratio_of=_optional_value(row, "of"),
        ratio_to=_optional_value(row, "to"),
        speakers=speakers,
    )


def _optional_value(row: Row, name: str) -> str | None:
    return row[name].value if name in row else None


def _optional_decimal(term: Term | None) -> Decimal | None:
    return Decimal(term.value) if isinstance(term, Literal) else None


def _sort_key(item: Observation) -> tuple[object, ...]:
    newest = -int(item.period_start[:4]) if item.period_start and item.period_start[:4].isdigit() else 1
    return (newest, item.indicator, item.about, item.status or "", item.claim)

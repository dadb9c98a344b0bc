"""The figures that the graph holds, each with what pages and charts tell of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from kg.engine.protocol import Engine, Row
from kg.rdf.namespaces import ID, SPARQL_PREFIXES
from kg.rdf.terms import Literal, NamedNode, Term

MAX_SORTED_OBSERVATIONS: Final = 2000
"""Figures up to which a selection is sorted; more come in the order in which the engine has them."""
MAX_SORTED_FOR_PAGES: Final = 300
"""Figures up to which a selection is sorted before it is cut into pages."""
MAX_OFFSET: Final = 30_000
"""Figures that are passed over at most to come to a page; further ones are found by filters."""

_CLAIMS_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT DISTINCT ?claim {
  RESTRICTIONS
  ?claim a hpez:Observation .
  PATTERNS
} OFFSET FIRST LIMIT MOST"""
)
_DETAILS_QUERY: Final = (
    SPARQL_PREFIXES
    + """
SELECT ?claim ?about ?indicator ?unit ?period ?starts ?status ?qualifier ?value ?min ?max ?emended ?rule ?of ?to {
  VALUES ?claim { CLAIMS }
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
_SPEAKERS_QUERY: Final = (
    SPARQL_PREFIXES + "SELECT DISTINCT ?claim ?agent { VALUES ?claim { CLAIMS } ?claim prov:wasAttributedTo ?agent }"
)
_FILTER_PATTERNS: Final[Mapping[str, str]] = {
    "about": "?claim schema:observationAbout ?about .",
    "indicator": "?claim schema:variableMeasured ?indicator .",
    "period": "?claim dcterms:temporal ?period .",
    "status": "?claim hpez:status ?status .",
}
_CHOICE_PATTERNS: Final[Mapping[str, str]] = {
    "about": "?any schema:observationAbout ?choice .",
    "indicator": "?choice a hpez:Indicator FILTER EXISTS { ?any schema:variableMeasured ?choice IS_FIGURE }",
    "period": "?choice a dcterms:PeriodOfTime FILTER EXISTS { ?any dcterms:temporal ?choice IS_FIGURE }",
    "status": "?choice skos:inScheme <SCHEME> FILTER EXISTS { ?any hpez:status ?choice IS_FIGURE }",
}
_IS_OBSERVATION_FILTER: Final = "FILTER EXISTS { ?any a hpez:Observation }"
"""Asked of one thing after another: as a plain pattern it would be joined over all figures first."""
_CHOICES_QUERY: Final = SPARQL_PREFIXES + "SELECT DISTINCT ?choice { PATTERN } LIMIT MOST"
FILTER_NAMES: Final = tuple(_FILTER_PATTERNS)
"""By what figures may be selected; each by the IRI of what it is."""


@dataclass(frozen=True)
class Observation:
    """A figure: IRIs of what it is about and in which terms, and an amount in the base unit of `unit`.

    `low` and `high` are the same for one number, apart for a range or a trend, and None for a bound that is open.
    `emended` says that it differs from the letter of its source, `rule` by which activity it was computed, if it was.
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
        """All that it names, to be labelled."""
        found = (self.claim, self.about, self.indicator, self.unit, self.period, self.status, self.qualifier, self.rule)
        return tuple(iri for iri in (*found, *self.speakers) if iri is not None)


@dataclass(frozen=True)
class ObservationPage:
    """Some figures of a selection; `total` counts them all where they are few, `more` says whether others follow."""

    items: tuple[Observation, ...]
    total: int | None
    has_more: bool


def load_page(engine: Engine, filters: Mapping[str, NamedNode], number: int, size: int) -> ObservationPage:
    """A page of the figures that fit all filters, counted from 1: a small selection is sorted first, a large one not.

    No page lies deeper than DEEPEST figures, so that each costs little whatever the graph holds.
    """
    first = (number - 1) * size
    few = max(MAX_SORTED_FOR_PAGES, size)
    claims = _find_claims(engine, filters, 0, few + 1)
    if len(claims) <= few:
        items = observations_of_claims(engine, claims)
        return ObservationPage(tuple(items[first : first + size]), len(items), first + size < len(items))
    if first > MAX_OFFSET:
        return ObservationPage((), None, has_more=False)
    claims = _find_claims(engine, filters, first, size + 1)
    more = len(claims) > size and first + size <= MAX_OFFSET
    return ObservationPage(tuple(observations_of_claims(engine, claims[:size])), None, more)


def filter_choices(engine: Engine, name: str, limit: int) -> list[NamedNode]:
    """Some of what a filter may select, at most so many; found without going through the figures one by one."""
    pattern = (
        _CHOICE_PATTERNS[name].replace("IS_FIGURE", _IS_OBSERVATION_FILTER).replace("<SCHEME>", f"<{ID}scheme/status>")
    )
    rows = engine.select(_CHOICES_QUERY.replace("PATTERN", pattern).replace("MOST", str(limit)))
    return sorted((row["choice"] for row in rows if isinstance(row["choice"], NamedNode)), key=str)


def find_observations(
    engine: Engine, filters: Mapping[str, NamedNode], offset: int = 0, limit: int = MAX_SORTED_OBSERVATIONS
) -> list[Observation]:
    """Some of the figures that fit all filters, which are named as FILTERS are; sorted if they are all of them."""
    claims = _find_claims(engine, filters, offset, limit)
    return observations_of_claims(engine, claims)


def observations_of_claims(engine: Engine, claims: Iterable[NamedNode]) -> list[Observation]:
    """The figures that some claims are: the newest period first, what has none last, then by what they measure."""
    listed = " ".join(sorted(map(str, claims)))
    if not listed:
        return []
    speakers = dict[str, list[str]]()
    for row in engine.select(_SPEAKERS_QUERY.replace("CLAIMS", listed)):
        speakers.setdefault(row["claim"].value, []).append(row["agent"].value)
    found = dict[str, Observation]()
    for row in engine.select(_DETAILS_QUERY.replace("CLAIMS", listed)):
        claim = row["claim"].value
        found.setdefault(claim, _observation(row, tuple(sorted(speakers.get(claim, ())))))
    return sorted(found.values(), key=_sort_key)


def _find_claims(engine: Engine, filters: Mapping[str, NamedNode], offset: int, limit: int) -> list[NamedNode]:
    restrictions = " ".join(f"VALUES ?{name} {{ {node} }}" for name, node in filters.items())
    patterns = " ".join(_FILTER_PATTERNS[name] for name in filters)
    text = _CLAIMS_QUERY.replace("RESTRICTIONS", restrictions).replace("PATTERNS", patterns)
    rows = engine.select(text.replace("FIRST", str(offset)).replace("MOST", str(limit)))
    return [row["claim"] for row in rows if isinstance(row["claim"], NamedNode)]


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

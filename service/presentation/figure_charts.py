"""Choose bar charts for a set of observations, and write their labels, notes and descriptions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from flask_babel import gettext

from kg.rdf.namespaces import ID, PREFIXES
from kg.views.observations import Observation
from service.presentation.bar_chart import COLOURED_STATUSES, Bar, BarChart, layout_bar_chart
from service.presentation.number_format import format_number, short_amount

MAX_BARS: Final = 12
"""Maximum number of bars in a chart of amounts."""
MAX_PAIRS: Final = 6
"""Maximum number of bars in a chart of plans and their outcomes."""

_MIN_BARS: Final = 2
_UNIT: Final = PREFIXES["unit"]
_STATUS: Final = ID + "status/"
_CHARTED_UNITS: Final = (_UNIT + "CCY_USD", _UNIT + "CCY_VND", _UNIT + "HA")
"""Units whose amounts are comparable across indicators, in order of preference."""
_OUTCOME_STATUSES: Final = ("actual", "estimate", "forecast")
"""Statuses of the observation that is shown beside a plan, in order of preference."""
_PERCENT: Final = _UNIT + "PERCENT"

NamesByIri = Mapping[str, str]
"""Names by IRI in the reader's language."""


@dataclass(frozen=True)
class FigureChart:
    """A chart with its heading, a note, and its legend: pairs of a status's CSS class and its name."""

    title: str
    chart: BarChart
    note: str
    statuses: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _PlanOutcome:
    """A planned amount, and the actual, estimated or forecast one."""

    outcome: Observation
    plan: Observation


def build_charts(items: Sequence[Observation], names: NamesByIri, language: str) -> list[FigureChart]:
    """Return charts of the largest amounts of the most recent year, and of plans beside their outcomes."""
    pairs = _plan_outcomes(items)
    return [*_amount_charts(items, pairs, names, language), *_plan_charts(pairs, names, language)]


def status_name(iri: str | None) -> str | None:
    """Return the last segment of a status's IRI, the CSS class of its colour; None for a status without a colour."""
    name = (iri or "").removeprefix(_STATUS)
    return name if name in COLOURED_STATUSES else None


def _amount_charts(
    items: Iterable[Observation], pairs: Iterable[_PlanOutcome], names: NamesByIri, language: str
) -> list[FigureChart]:
    """Return at most one chart: amounts of one unit and period, without the plans that the chart of plans shows."""
    planned = {pair.plan.claim for pair in pairs}
    groups = defaultdict[tuple[str, str | None], list[Observation]](list)
    for item in items:
        if item.unit in _CHARTED_UNITS and _upper_value(item) is not None and item.claim not in planned:
            groups[item.unit or "", item.period].append(item)
    chartable = [group for group in groups.values() if len(group) >= _MIN_BARS]
    return [_amounts_chart(min(chartable, key=_group_priority), names, language)] if chartable else []


def _group_priority(group: Sequence[Observation]) -> tuple[int, int]:
    """Sort by preference of the unit, then by year, the latest first and groups without a year last."""
    year = (group[0].period_start or "")[:4]
    return _CHARTED_UNITS.index(group[0].unit or ""), -int(year) if year.isdigit() else 1


def _amounts_chart(group: Sequence[Observation], names: NamesByIri, language: str) -> FigureChart:
    chosen = sorted(group, key=lambda item: (-(_upper_value(item) or 0), item.claim))[:MAX_BARS]
    subjects = {item.about for item in chosen}
    bars = [_bar(item, _label(item, names, about=len(subjects) > 1), names, language) for item in chosen]
    note = names.get(chosen[0].about, "") if len(subjects) == 1 else ""
    if len(group) > len(chosen):
        note = gettext("The %(count)s largest of the figures listed here.", count=len(chosen))
    return _chart(_amounts_title(chosen[0], names), note, bars, chosen, names)


def _amounts_title(item: Observation, names: NamesByIri) -> str:
    words = {"unit": _unit_name(item.unit), "period": names.get(item.period or "", "")}
    if item.period:
        title: str = gettext("%(period)s in figures, %(unit)s", **words)
    else:
        title = gettext("Figures without a stated period, %(unit)s", **words)
    return title


def _unit_name(unit: str | None) -> str:
    words = {"CCY_USD": gettext("US dollars"), "CCY_VND": gettext("dong"), "HA": gettext("hectares")}
    return str(words[(unit or "").removeprefix(_UNIT)])


def _plan_charts(pairs: Iterable[_PlanOutcome], names: NamesByIri, language: str) -> list[FigureChart]:
    """Return one chart for each unit that has plans with outcomes."""
    groups = defaultdict[str, list[_PlanOutcome]](list)
    for pair in pairs:
        groups[pair.outcome.unit or ""].append(pair)
    units = [unit for unit in _CHARTED_UNITS if unit in groups]
    return [_plan_chart(unit, groups[unit][:MAX_PAIRS], names, language) for unit in units]


def _plan_chart(unit: str, pairs: Sequence[_PlanOutcome], names: NamesByIri, language: str) -> FigureChart:
    bars = [_plan_bar(pair, names, language) for pair in pairs]
    if any(pair.plan.rule for pair in pairs):
        note = gettext(
            "In brackets: per cent of the plan. Where no source states the plan, it is worked out from that."
        )
    else:
        note = gettext("In brackets: per cent of the plan.")
    title = gettext("Against the plan, in %(unit)s", unit=_unit_name(unit))
    return _chart(title, note, bars, [item for pair in pairs for item in (pair.outcome, pair.plan)], names)


def _plan_bar(pair: _PlanOutcome, names: NamesByIri, language: str) -> Bar:
    plan = pair.plan.low or Decimal(1)  # `_plan_outcomes` returns only plans above zero
    percent = format_number(round(100 * (pair.outcome.low or 0) / plan, 1), _PERCENT, language)
    text = gettext("Plan: %(amount)s", amount=short_amount(pair.plan, language))
    bar = _bar(pair.outcome, _label(pair.outcome, names, about=True, period=True), names, language)
    return replace(
        bar,
        text=f"{bar.text} ({percent})",
        plan=plan,
        plan_text=text,
        description=f"{bar.description}; {text}; {percent}",
    )


def _plan_outcomes(items: Iterable[Observation]) -> list[_PlanOutcome]:
    """Pair plans with outcomes of the same subject, indicator, unit and period; both must be single numbers."""
    amounts = defaultdict[tuple[object, ...], dict[str, Observation]](dict)
    for item in items:
        if item.unit in _CHARTED_UNITS and item.low is not None and item.low == item.high:
            key = (item.about, item.indicator, item.unit, item.period)
            amounts[key].setdefault(status_name(item.status) or "", item)
    pairs = list[_PlanOutcome]()
    for by_status in amounts.values():
        plan = by_status.get("plan")
        outcome = next((by_status[status] for status in _OUTCOME_STATUSES if status in by_status), None)
        if plan is not None and outcome is not None and (plan.low or 0) > 0:
            pairs.append(_PlanOutcome(outcome, plan))
    return pairs


def _bar(item: Observation, label: str, names: NamesByIri, language: str) -> Bar:
    text = short_amount(item, language)
    status = names.get(item.status or "", "")
    description = f"{label}: {text} ({status})" if status else f"{label}: {text}"
    return Bar(label, item.low, item.high, text, status_name(item.status), description=description)


def _label(item: Observation, names: NamesByIri, *, about: bool, period: bool = False) -> str:
    parts = [item.indicator, item.about if about else None, item.period if period else None]
    label = ", ".join(names.get(part, part) for part in parts if part)
    return label[:1].upper() + label[1:]


def _chart(title: str, note: str, bars: Sequence[Bar], items: Iterable[Observation], names: NamesByIri) -> FigureChart:
    description = "; ".join(bar.description for bar in bars) + "."
    shown = {item.status: status_name(item.status) for item in items if item.status}
    statuses = tuple(sorted((status, names.get(iri, status)) for iri, status in shown.items() if status))
    return FigureChart(title, layout_bar_chart(title, description, bars), note, statuses)


def _upper_value(item: Observation) -> Decimal | None:
    return item.high if item.high is not None else item.low

"""Which charts tell of some figures, and the words that they need."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Final

from flask_babel import gettext
from markupsafe import Markup

from kg.rdf.namespaces import ID, PREFIXES
from kg.views.observations import Observation
from service.presentation.number_format import format_number, short_amount
from service.presentation.svg_charts import COLOURED_STATUSES, Bar, render_bar_chart

MAX_BARS: Final = 12
"""Bars of a chart."""
MAX_PAIRS: Final = 6
"""Bars of a chart of plans and what became of them."""

_MIN_BARS: Final = 2
_UNIT: Final = PREFIXES["unit"]
_STATUS: Final = ID + "status/"
_CHARTED_UNITS: Final = (_UNIT + "CCY_USD", _UNIT + "CCY_VND", _UNIT + "HA")
"""Units whose amounts can be held against each other, whatever they measure; the first one is preferred."""
_PERCENT: Final = _UNIT + "PERCENT"

NamesByIri = Mapping[str, str]
"""What each IRI is called in the reader's language."""


@dataclass(frozen=True)
class FigureChart:
    """A chart with its heading, a note on it, and the statuses whose colours it uses: the short name and the word."""

    title: str
    svg: Markup
    note: str
    statuses: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _PlanOutcome:
    outcome: Observation
    plan: Observation


def build_charts(items: Sequence[Observation], names: NamesByIri, language: str) -> list[FigureChart]:
    """The charts for some figures: the largest amounts of the newest period, and plans with what became of them."""
    pairs = _plan_outcomes(items)
    return [*_amount_charts(items, pairs, names, language), *_plan_charts(pairs, names, language)]


def status_name(iri: str | None) -> str | None:
    """The part of a status's IRI by which pages colour it, None for a status that has no colour."""
    name = (iri or "").removeprefix(_STATUS)
    return name if name in COLOURED_STATUSES else None


def _amount_charts(
    items: Iterable[Observation], pairs: Iterable[_PlanOutcome], names: NamesByIri, language: str
) -> list[FigureChart]:
    """One chart of the amounts in one unit and period, if there are some; plans are left to the other chart."""
    planned = {pair.plan.claim for pair in pairs}
    groups = defaultdict[tuple[str, str | None], list[Observation]](list)
    for item in items:
        if item.unit in _CHARTED_UNITS and _upper_value(item) is not None and item.claim not in planned:
            groups[item.unit or "", item.period].append(item)
    several = [group for group in groups.values() if len(group) >= _MIN_BARS]
    return [_amounts_chart(group, names, language) for group in islice(sorted(several, key=_group_priority), 1)]


def _group_priority(group: Sequence[Observation]) -> tuple[int, int]:
    starts = group[0].period_start
    return _CHARTED_UNITS.index(group[0].unit or ""), -int(starts[:4]) if starts and starts[:4].isdigit() else 1


def _amounts_chart(group: Sequence[Observation], names: NamesByIri, language: str) -> FigureChart:
    chosen = sorted(group, key=lambda item: (-(_upper_value(item) or 0), item.claim))[:MAX_BARS]
    subjects = {item.about for item in chosen}
    drawn = [_bar(item, _label(item, names, about=len(subjects) > 1), names, language) for item in chosen]
    note = names.get(chosen[0].about, "") if len(subjects) == 1 else ""
    if len(group) > len(chosen):
        note = gettext("The %(count)s largest of the figures listed here.", count=len(chosen))
    return _chart(_amounts_title(chosen[0], names), note, drawn, chosen, names)


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
    """A chart for each unit in which there are plans and what became of them."""
    groups = defaultdict[str, list[_PlanOutcome]](list)
    for pair in pairs:
        groups[pair.outcome.unit or ""].append(pair)
    units = [unit for unit in _CHARTED_UNITS if unit in groups]
    return [_plan_chart(unit, groups[unit][:MAX_PAIRS], names, language) for unit in units]


def _plan_chart(unit: str, pairs: Sequence[_PlanOutcome], names: NamesByIri, language: str) -> FigureChart:
    drawn = [_plan_bar(pair, names, language) for pair in pairs]
    if any(pair.plan.rule for pair in pairs):
        note = gettext(
            "In brackets: per cent of the plan. Where no source states the plan, it is worked out from that."
        )
    else:
        note = gettext("In brackets: per cent of the plan.")
    title = gettext("Against the plan, in %(unit)s", unit=_unit_name(unit))
    return _chart(title, note, drawn, [item for pair in pairs for item in (pair.outcome, pair.plan)], names)


def _plan_bar(pair: _PlanOutcome, names: NamesByIri, language: str) -> Bar:
    plan = pair.plan.low or Decimal(1)
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
    """Each single plan of an amount, with a result, estimate or forecast of the same."""
    known = defaultdict[tuple[object, ...], dict[str, Observation]](dict)
    for item in items:
        if item.unit in _CHARTED_UNITS and item.low is not None and item.low == item.high:
            key = (item.about, item.indicator, item.unit, item.period)
            known[key].setdefault(status_name(item.status) or "", item)
    return [
        _PlanOutcome(found[status], found["plan"])
        for found in known.values()
        for status in islice((name for name in ("actual", "estimate", "forecast") if name in found), 1)
        if "plan" in found and (found["plan"].low or 0) > 0
    ]


def _bar(item: Observation, label: str, names: NamesByIri, language: str) -> Bar:
    text = short_amount(item, language)
    status = names.get(item.status or "", "")
    said = f"{label}: {text} ({status})" if status else f"{label}: {text}"
    return Bar(label, item.low, item.high, text, status_name(item.status), description=said)


def _label(item: Observation, names: NamesByIri, *, about: bool, period: bool = False) -> str:
    parts = [item.indicator, item.about if about else None, item.period if period else None]
    label = ", ".join(names.get(part, part) for part in parts if part)
    return label[:1].upper() + label[1:]


def _chart(title: str, note: str, drawn: Sequence[Bar], items: Iterable[Observation], names: NamesByIri) -> FigureChart:
    said = "; ".join(bar.description for bar in drawn) + "."
    shown = {item.status: status_name(item.status) for item in items if item.status}
    statuses = tuple(sorted((status, names.get(iri, status)) for iri, status in shown.items() if status))
    return FigureChart(title, Markup(render_bar_chart(title, said, drawn)), note, statuses)  # noqa: S704 - charts escape what they say


def _upper_value(item: Observation) -> Decimal | None:
    return item.high if item.high is not None else item.low

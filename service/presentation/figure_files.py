"""Figures as files: JSON and CSV."""

import csv
import io
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from kg.views.observations import Observation, ObservationPage
from service.http.negotiation import LANGUAGES

_ENTITY_FIELDS: Final = ("claim", "about", "indicator", "period", "status")
_CSV_COLUMNS: Final = (
    *(column for name in _ENTITY_FIELDS for column in (name, *(f"{name}_{language}" for language in LANGUAGES))),
    *("starts", "low", "high", "unit", "qualifier", "said_by", "said_by_en", "said_by_vi", "emended", "computed_by"),
)
_FORMULA_PREFIXES: Final = ("=", "+", "-", "@", "\t", "\r")
"""The prefixes of texts that spreadsheets evaluate as formulas."""

Labels = Mapping[str, Mapping[str, str]]
"""The labels of each IRI by language."""


def figures_json(page: ObservationPage, labels: Labels) -> dict[str, object]:
    """Return a page of figures as JSON, with the number of all figures."""
    return {"figures": [_figure_json(item, labels) for item in page.items], "total": page.total}


def _figure_json(item: Observation, labels: Labels) -> dict[str, object]:
    entities = {name: _entity_json(getattr(item, name), labels) for name in (*_ENTITY_FIELDS, "unit", "qualifier")}
    return {
        **entities, "starts": item.period_start, "low": _decimal_text(item.low), "high": _decimal_text(item.high),
        "saidBy": [_entity_json(iri, labels) for iri in item.speakers], "emended": item.emended,
        "computedBy": _entity_json(item.rule, labels),
    }  # fmt: skip


def _entity_json(iri: str | None, labels: Labels) -> dict[str, object] | None:
    return None if iri is None else {"iri": iri, "label": dict(labels.get(iri, {}))}


def figures_csv(items: Iterable[Observation], labels: Labels) -> str:
    """Return figures as CSV (RFC 4180) with a header row; numbers are plain decimals."""
    output = io.StringIO()
    rows = csv.writer(output)
    rows.writerow(_CSV_COLUMNS)
    rows.writerows(_csv_row(item, labels) for item in items)
    return output.getvalue()


def _csv_row(item: Observation, labels: Labels) -> list[str]:
    entities = [cell for name in _ENTITY_FIELDS for cell in _label_cells(getattr(item, name), labels)]
    speakers = [_label_cells(iri, labels) for iri in item.speakers]
    said_by = [" ".join(cells[0] for cells in speakers), *("; ".join(c[i] for c in speakers) for i in (1, 2))]
    numbers = [item.period_start or "", _decimal_text(item.low) or "", _decimal_text(item.high) or ""]
    rest = [item.unit or "", item.qualifier or "", *said_by, "true" if item.emended else "false", item.rule or ""]
    return [*entities, *numbers, *rest]


def _label_cells(iri: str | None, labels: Labels) -> list[str]:
    """Return the cells of an entity: its IRI, and its label in each language."""
    texts = labels.get(iri or "", {})
    return [iri or "", *(escape_formula(texts.get(language, texts.get("", ""))) for language in LANGUAGES)]


def escape_formula(text: str) -> str:
    """Prefix a text with an apostrophe if a spreadsheet would evaluate it as a formula."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA_PREFIXES) or text.startswith(_FORMULA_PREFIXES) else text


def _decimal_text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"

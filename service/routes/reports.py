"""Validation reports in responses."""

from typing import Any

from flask import request

from kg.errors import UnsupportedFormatError
from kg.rdf.formats import rdf_format
from kg.validation.report import ValidationReport
from kg.validation.source_lines import SourceLines, read_source_lines
from service.http.i18n import page_language
from service.presentation.report_json import report_as_json


def request_report_json(report: ValidationReport) -> dict[str, Any]:
    """Return the report on the request's body as JSON, in the reader's language, with the lines of the body."""
    return report_as_json(report, page_language(), _source_lines())


def _source_lines() -> SourceLines | None:
    """Return the lines of the statements in the body, or None if it is not RDF."""
    try:
        return read_source_lines(request.get_data(), rdf_format(request.mimetype))
    except UnsupportedFormatError:
        return None

"""The form at `/validate` where people validate facts and, with a token, add them."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import HTTPException

from kg.changes.changeset import QuadAddition
from kg.changes.commit import in_submission_graph
from kg.changes.commit_rows import Commit
from kg.errors import KgError, PositionedError
from kg.rdf.formats import RDF_FORMATS, TURTLE, RdfFormat, format_by_name, rdf_format_of_file
from kg.rdf.terms import Quad
from kg.validation.report import Finding, ValidationReport
from kg.validation.source_lines import SourceLines, read_source_lines
from service.graph_state import current_graph_state
from service.http import body
from service.http.i18n import page_language
from service.http.negotiation import HTML, require_offer
from service.http.responses import page_response
from service.routes.authentication import authenticate_token, credential_signature

blueprint: Final = Blueprint("submission", __name__)

MAX_LISTED_LINES: Final = 2000
"""The longest document in lines that is shown beside its findings."""


@dataclass
class _FormResult:
    """The result of a submitted document: its text, with a report, an error, or the commit that added it."""

    text: str = ""
    rdf_format: RdfFormat = TURTLE
    report: ValidationReport | None = None
    source_lines: SourceLines = field(default_factory=SourceLines)
    commit: Commit | None = None
    unchanged: bool = False
    error: str | None = None
    error_line: int | None = None
    status: HTTPStatus = HTTPStatus.OK

    @property
    def findings(self) -> list[tuple[int | None, Finding]]:
        """Each finding with its line."""
        return [] if self.report is None else [(self.source_lines.line_of(item), item) for item in self.report.findings]

    @property
    def listing(self) -> list[str]:
        """The document's lines, if it has findings or an error and is short enough."""
        shown = self.text.splitlines() if self.findings or self.error_line else []
        return shown if len(shown) <= MAX_LISTED_LINES else []

    @property
    def marked_lines(self) -> set[int]:
        """The numbers of the lines with findings or the error."""
        return {line for line, _ in self.findings if line} | ({self.error_line} if self.error_line else set())


@blueprint.get("/validate")
def form() -> Response:
    """The form to paste or upload RDF, text/html; programs use POST."""
    require_offer(request.accept_mimetypes, (HTML,))
    return _form_page(_FormResult())


@blueprint.post("/validate/form")
def check() -> Response:
    """Process the form, multipart/form-data: `text` or `file`, `format`, `alone`; with `add`, also a `token`.

    The response is a page: 200 with the findings, 201 if the facts were added, 422 if validation refused them, else
    the status of the error on it.
    """
    outcome = _FormResult()
    try:
        _process_form(outcome)
    except KgError as error:
        outcome.error, outcome.status = error.message, HTTPStatus.BAD_REQUEST
        outcome.error_line = error.line if isinstance(error, PositionedError) else None
    except HTTPException as error:
        outcome.error, outcome.status = error.description or error.name, HTTPStatus(error.code or 400)
    return _form_page(outcome)


def _form_page(outcome: _FormResult) -> Response:
    page = render_template(
        "validate/form.html", outcome=outcome, formats_taken=RDF_FORMATS, sent=request.form, lang=page_language()
    )
    response = page_response(page)
    response.status_code = outcome.status
    return response


def _process_form(outcome: _FormResult) -> None:
    data, outcome.rdf_format = _submitted_document()
    outcome.text = data.decode("utf-8", "replace")
    facts = body.parse_rdf(data, outcome.rdf_format)
    outcome.source_lines = read_source_lines(data, outcome.rdf_format)
    if "add" in request.form:
        _add_facts(outcome, facts)
    elif "alone" in request.form:
        outcome.report = current_graph_state().fact_validator.validate_alone(facts)
    else:
        outcome.report = current_graph_state().fact_validator.validate_in_context(facts)


def _add_facts(outcome: _FormResult, facts: list[Quad]) -> None:
    credential = authenticate_token(request.form.get("token", "").strip())
    addition = QuadAddition(tuple(map(in_submission_graph, facts)))
    committed = current_graph_state().commit_pipeline.commit(
        addition, credential_signature(credential, request.form.get("message", "").strip())
    )
    outcome.report, outcome.commit = committed.report, committed.commit
    outcome.unchanged = committed.admitted and committed.commit is None
    if not committed.admitted:
        outcome.status = HTTPStatus.UNPROCESSABLE_ENTITY
    elif committed.commit is not None:
        outcome.status = HTTPStatus.CREATED


def _submitted_document() -> tuple[bytes, RdfFormat]:
    """Return the submitted document and its format: the chosen one, else a file's by its name, else Turtle."""
    file = request.files.get("file")
    chosen = request.form.get("format", "")
    if file is not None and file.filename:
        fmt = format_by_name(RDF_FORMATS, chosen) if chosen else rdf_format_of_file(file.filename)
        return file.read(), fmt
    text = request.form.get("text", "").replace("\r\n", "\n")  # HTML forms send CRLF
    return text.encode(), format_by_name(RDF_FORMATS, chosen) if chosen else TURTLE

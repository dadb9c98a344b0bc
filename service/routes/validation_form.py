"""The page on which people check facts and, with a token, add them: `/validate` in a browser."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import HTTPException

from kg.changes.changeset import QuadAddition
from kg.changes.commit import in_submission_graph
from kg.changes.journal import Commit
from kg.errors import KgError, PositionedError
from kg.rdf.formats import RDF_FORMATS, TURTLE, RdfFormat, format_by_name, rdf_format_of_file
from kg.rdf.terms import Quad
from kg.validation.report import Finding, ValidationReport
from kg.validation.source_lines import SourceLines, read_source_lines
from service.graph_state import current_graph_state
from service.http import body
from service.http.negotiation import HTML, require_offer
from service.http.responses import page_language, page_response
from service.routes.write_requests import authenticate_token, credential_signature

blueprint: Final = Blueprint("submission", __name__)

MAX_LISTED_LINES: Final = 2000
"""Lines of a document that are shown beside its findings."""


@dataclass
class _FormResult:
    """What came of a document: its lines, what was found in it, an error, or the commit that it became."""

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
        """The document's lines, if they are worth showing."""
        shown = self.text.splitlines() if self.findings or self.error_line else []
        return shown if len(shown) <= MAX_LISTED_LINES else []

    @property
    def marked_lines(self) -> set[int]:
        """The lines that something was found in."""
        return {line for line, _ in self.findings if line} | ({self.error_line} if self.error_line else set())


@blueprint.get("/validate")
def form() -> Response:
    """A form to paste or upload RDF, text/html; for programs it is POST."""
    require_offer(request.accept_mimetypes, (HTML,))
    return _form_page(_FormResult())


@blueprint.post("/validate/form")
def check() -> Response:
    """What the form sends, multipart/form-data: `text` or `file`, `format`, `alone`; with `add`, a `token` too.

    The answer is a page: 200 with what was found, 201 if it was added, 422 if the gate refused it; otherwise with the
    status of the error that it tells.
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
    change = QuadAddition(tuple(map(in_submission_graph, facts)))
    made = current_graph_state().commit_pipeline.commit(
        change, credential_signature(credential, request.form.get("message", "").strip())
    )
    outcome.report, outcome.commit = made.report, made.commit
    outcome.unchanged = made.admitted and made.commit is None
    if not made.admitted:
        outcome.status = HTTPStatus.UNPROCESSABLE_ENTITY
    elif made.commit is not None:
        outcome.status = HTTPStatus.CREATED


def _submitted_document() -> tuple[bytes, RdfFormat]:
    """The document of the form and its format: a file's is told by its name, unless one is chosen."""
    file = request.files.get("file")
    chosen = request.form.get("format", "")
    if file is not None and file.filename:
        fmt = format_by_name(RDF_FORMATS, chosen) if chosen else rdf_format_of_file(file.filename)
        return file.read(), fmt
    text = request.form.get("text", "").replace("\r\n", "\n")  # browsers send line ends so (HTML, form submission)
    return text.encode(), format_by_name(RDF_FORMATS, chosen) if chosen else TURTLE

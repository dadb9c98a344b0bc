"""Judge facts without keeping them: `/validate`, the gate's dry run."""

from typing import Any, Final

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest

from kg.formats import RDF_FORMATS
from kg.gate import INFO, VIOLATION, WARNING, Finding, Report
from kg.rdf import BlankNode, Literal, NamedNode, Term
from kg.terms import SH
from service import body
from service.negotiation import MediaType, Representation, required
from service.pages import page_language, rdf_response
from service.state import knowledge_graph

blueprint: Final = Blueprint("validate", __name__)

_OFFERS: Final[tuple[Representation, ...]] = (MediaType("application/json"), *RDF_FORMATS)
_COUNTED: Final = {"violation": VIOLATION, "warning": WARNING, "info": INFO}
_UNDETERMINED: Final = "und"
"""The tag of a message that names no language (BCP 47, section 4.1)."""


@blueprint.post("/validate")
def judge() -> Response:
    """Report on RDF of any format, or on the part `data` of a form against its part `shapes`.

    The answer is 200 with the report, conforming or not. Errors: 400 for what does not parse, 415 for
    other content types, 422 for shapes that may not be used.
    """
    offer = required(request.accept_mimetypes, _OFFERS)
    report = _of_form() if request.mimetype == "multipart/form-data" else _of_facts()
    if isinstance(offer, MediaType):
        return jsonify(_as_json(report, page_language()))
    return rdf_response(report.triples(), offer)


def _of_facts() -> Report:
    contexts = request.args.getlist("context")
    if contexts not in ([], ["none"]):
        raise BadRequest("`context` can only be `none`; without it, facts are judged together with what is known.")
    served, facts = knowledge_graph(), body.rdf(request)
    return served.judge.alone(facts) if contexts else served.judge.in_context(facts)


def _of_form() -> Report:
    parts = body.parts(request)
    if sorted(part.name for part in parts) != ["data", "shapes"]:
        raise BadRequest("The form must have exactly one part `data` and one part `shapes`.")
    data, shapes = sorted(parts, key=lambda part: part.name)
    return knowledge_graph().judge.by_shapes(body.rdf_of_part(data), body.rdf_of_part(shapes))


def _as_json(report: Report, language: str) -> dict[str, Any]:
    return {
        "conforms": report.conforms,
        "admissible": report.admissible,
        "counts": {name: len(report.of(severity)) for name, severity in _COUNTED.items()},
        "findings": [_finding(item, language) for item in report.findings],
    }


def _finding(item: Finding, language: str) -> dict[str, Any]:
    return {
        "severity": item.severity.value.removeprefix(SH).lower(),
        "focusNode": _text(item.focus),
        "path": _text(item.path) if isinstance(item.path, NamedNode) else item.path_text or None,
        "value": _text(item.value),
        "shape": _text(item.shape),
        "component": item.component.value,
        "message": item.message(language),
        "messages": {message.language or _UNDETERMINED: message.value for message in item.messages},
    }


def _text(term: Term | None) -> str | None:
    match term:
        case NamedNode() | Literal():
            return term.value
        case BlankNode():
            return str(term)
    return None

"""Read request bodies: their media type, their character set, and the parts of a form."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from flask import Request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from kg.errors import UnsupportedFormatError
from kg.rdf.formats import JSONLD, TURTLE, RdfFormat, rdf_format, rdf_format_of_file
from kg.rdf.io import parse
from kg.rdf.jsonld import inline_context
from kg.rdf.namespaces import BASE
from kg.rdf.terms import Quad
from kg.validation.source_lines import SourceLines
from kg.validation.source_lines import read_source_lines as read_lines
from kg.views.jsonld_context import project_context
from service.graph_state import current_graph_state
from service.http.responses import context_url

_GENERIC_MEDIA_TYPES: Final = {"", "application/octet-stream", "text/plain"}
"""Media types that form encoders write for lack of a better one."""


CONTEXT_IRI: Final = BASE + "context.jsonld"
"""The IRI of the project's JSON-LD context."""


@dataclass(frozen=True)
class FormPart:
    """A part of multipart/form-data (RFC 7578, section 4)."""

    name: str
    content_type: str
    file_name: str
    data: bytes = b""


def read_body(request: Request) -> bytes:
    """Read a body to its end; raises a 413 if it is longer than the settings allow and a 400 if it stops early.

    Werkzeug's stream ends at the limit without a word when no length was announced (chunked transfer),
    so the app lets it read one byte more than is taken. A compressed body is a 415 (RFC 9110, section 15.5.16).
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("A body with a content coding is not read here; send it as it is.")
    data = request.get_data()
    if len(data) > current_graph_state().settings.max_body:
        raise RequestEntityTooLarge
    if request.content_length is not None and len(data) < request.content_length:
        raise ClientDisconnected
    return data


def require_utf8(media_type_parameters: Mapping[str, str]) -> None:
    """Refuse a content type that names a character set other than UTF-8, with 415."""
    charset = media_type_parameters.get("charset", "utf-8")
    if charset.lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType(f"The character set {charset} is not read here; send UTF-8.")


def decode_utf8(data: bytes) -> str:
    """Decode UTF-8; raises BadRequest (400) that says which byte is none."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The text is not UTF-8: byte {error.start} cannot be read.") from None


def decode_urlencoded(encoded: bytes) -> MultiDict[str, str]:
    """Decode application/x-www-form-urlencoded.

    Flask's own parser keeps percent-encoded bytes that are not UTF-8 as they are; here they are a 400.
    """
    try:
        return MultiDict(parse_qsl(decode_utf8(encoded), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise BadRequest("A parameter is not UTF-8.") from None


def read_rdf(request: Request) -> list[Quad]:
    """Parse the RDF of a body by its Content-Type.

    Raises UnsupportedFormatError for a missing or unknown type and RdfSyntaxError for what does not parse.
    """
    fmt = rdf_format(request.mimetype)
    require_utf8(request.mimetype_params)
    return parse_rdf(read_body(request), fmt)


def source_lines(request: Request) -> SourceLines | None:
    """Where the body says what, for findings about it; None if it is no RDF."""
    try:
        return read_lines(request.get_data(), rdf_format(request.mimetype))
    except UnsupportedFormatError:
        return None


def read_part_rdf(part: FormPart) -> list[Quad]:
    """Parse the RDF of a form's part by its content type, else by its file name, else as Turtle."""
    media_type, options = parse_options_header(part.content_type)
    require_utf8(options)
    return parse_rdf(part.data, _format_of_part(media_type, part.file_name))


def parse_rdf(data: bytes, fmt: RdfFormat) -> list[Quad]:
    """Parse RDF; JSON-LD may name the project's own context, by its IRI or by the URL that documents here name."""
    if fmt is JSONLD:
        data = inline_context(data, project_context(), (context_url(), CONTEXT_IRI))
    return parse(data, fmt)


def _format_of_part(media_type: str, file_name: str) -> RdfFormat:
    if media_type not in _GENERIC_MEDIA_TYPES:
        return rdf_format(media_type)
    return rdf_format_of_file(file_name) if "." in file_name else TURTLE


def read_form_parts(request: Request) -> list[FormPart]:
    """Cut a multipart/form-data body into its parts.

    Flask's form drops the content type of a part without a file name and replaces bytes that are not
    UTF-8, so Werkzeug's decoder beneath it is used.
    """
    boundary = request.mimetype_params.get("boundary", "")
    decoder = MultipartDecoder(boundary.encode(), max_parts=request.max_form_parts)
    decoder.receive_data(read_body(request))
    decoder.receive_data(None)
    try:
        return _collect_parts(decoder)
    except ValueError:
        raise BadRequest("The multipart/form-data body is incomplete or has another boundary.") from None


def _collect_parts(decoder: MultipartDecoder) -> list[FormPart]:
    found = list[FormPart]()
    while not isinstance(event := decoder.next_event(), Epilogue):
        match event:
            case Field() | File():
                found.append(_start_part(event))
            case Data():
                found[-1] = replace(found[-1], data=found[-1].data + event.data)
            case _:
                continue
    return found


def _start_part(event: Field | File) -> FormPart:
    file_name = event.filename if isinstance(event, File) else ""
    return FormPart(event.name or "", event.headers.get("Content-Type", ""), file_name)

"""Request bodies: their size, character set and media type, RDF, and the parts of a form."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from flask import Flask, Request, current_app
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from kg.rdf.formats import JSONLD, TURTLE, RdfFormat, rdf_format, rdf_format_of_file
from kg.rdf.io import parse
from kg.rdf.terms import Quad
from service.http.jsonld import inline_app_context

_MAX_BODY_KEY: Final = "HPKG_MAX_BODY"
"""The key of `app.config` of the longest accepted body in bytes."""
_GENERIC_MEDIA_TYPES: Final = {"", "application/octet-stream", "text/plain"}
"""Media types that form encoders write when they know no better one."""


@dataclass(frozen=True)
class FormPart:
    """A part of multipart/form-data (RFC 7578, section 4)."""

    name: str
    content_type: str
    file_name: str
    data: bytes = b""


def limit_body(app: Flask, limit: int) -> None:
    """Limit the request bodies of an app.

    Werkzeug's stream silently ends at MAX_CONTENT_LENGTH if no length was announced (chunked transfer). So Werkzeug
    may read one byte more than is accepted, and `read_body` refuses the longer body.
    """
    app.config[_MAX_BODY_KEY] = limit
    app.config["MAX_CONTENT_LENGTH"] = limit + 1


def max_body() -> int:
    """Return the longest accepted body in bytes."""
    limit: int = current_app.config[_MAX_BODY_KEY]
    return limit


def read_body(request: Request) -> bytes:
    """Read a whole body.

    Errors: 413 if it is longer than `max_body`, 400 if it is shorter than its Content-Length, and 415 if it has a
    content coding (RFC 9110, section 15.5.16).
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("A body with a content coding is not supported; send it unencoded.")
    data = request.get_data()
    if len(data) > max_body():
        raise RequestEntityTooLarge
    if request.content_length is not None and len(data) < request.content_length:
        raise ClientDisconnected
    return data


def require_utf8(media_type_parameters: Mapping[str, str]) -> None:
    """Refuse a content type that names a character set other than UTF-8, with 415."""
    charset = media_type_parameters.get("charset", "utf-8")
    if charset.lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType(f"The character set {charset} is not supported; send UTF-8.")


def decode_utf8(data: bytes) -> str:
    """Decode UTF-8; raises BadRequest (400) with the position of the first invalid byte."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The text is not valid UTF-8: byte {error.start} cannot be decoded.") from None


def decode_urlencoded(encoded: bytes) -> MultiDict[str, str]:
    """Decode application/x-www-form-urlencoded; bytes that are not UTF-8 are a 400.

    Flask's own parser passes such percent-encoded bytes on undecoded.
    """
    try:
        return MultiDict(parse_qsl(decode_utf8(encoded), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise BadRequest("A parameter is not UTF-8.") from None


def read_rdf(request: Request) -> list[Quad]:
    """Parse the RDF of a body by its Content-Type.

    Raises UnsupportedFormatError for a missing or unknown type, and RdfSyntaxError if the body does not parse.
    """
    fmt = rdf_format(request.mimetype)
    require_utf8(request.mimetype_params)
    return parse_rdf(read_body(request), fmt)


def read_part_rdf(part: FormPart) -> list[Quad]:
    """Parse the RDF of a form part by its content type, else by its file name's suffix, else as Turtle."""
    media_type, options = parse_options_header(part.content_type)
    require_utf8(options)
    return parse_rdf(part.data, _format_of_part(media_type, part.file_name))


def parse_rdf(data: bytes, fmt: RdfFormat) -> list[Quad]:
    """Parse RDF; the only remote context that JSON-LD may name is the project's own."""
    return parse(inline_app_context(data) if fmt is JSONLD else data, fmt)


def _format_of_part(media_type: str, file_name: str) -> RdfFormat:
    if media_type not in _GENERIC_MEDIA_TYPES:
        return rdf_format(media_type)
    return rdf_format_of_file(file_name) if "." in file_name else TURTLE


def read_form_parts(request: Request) -> list[FormPart]:
    """Parse a multipart/form-data body into its parts.

    This uses Werkzeug's decoder, because Flask's form drops the content type of a part without a file name and
    replaces bytes that are not UTF-8.
    """
    boundary = request.mimetype_params.get("boundary", "")
    decoder = MultipartDecoder(boundary.encode(), max_parts=request.max_form_parts)
    decoder.receive_data(read_body(request))
    decoder.receive_data(None)
    try:
        return _collect_parts(decoder)
    except ValueError:
        raise BadRequest(
            "The multipart/form-data body is incomplete, or its boundary differs from the announced one."
        ) from None


def _collect_parts(decoder: MultipartDecoder) -> list[FormPart]:
    parts = list[FormPart]()
    while not isinstance(event := decoder.next_event(), Epilogue):
        match event:
            case Field() | File():
                parts.append(_start_part(event))
            case Data():
                parts[-1] = replace(parts[-1], data=parts[-1].data + event.data)
            case _:
                continue
    return parts


def _start_part(event: Field | File) -> FormPart:
    file_name = event.filename if isinstance(event, File) else ""
    return FormPart(event.name or "", event.headers.get("Content-Type", ""), file_name)

"""Responses: pages, RDF, files, and the headers Link and Content-Location."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Final

from flask import Response, after_this_request, request, url_for
from werkzeug.http import dump_options_header
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response as WerkzeugResponse
from werkzeug.wsgi import wrap_file

from kg.rdf.formats import RdfFormat
from kg.rdf.io import serialize
from kg.rdf.namespaces import VOID
from kg.rdf.terms import Triple
from service.http.cache import MAX_ENTRY_BYTES
from service.http.i18n import page_language
from service.http.negotiation import Offer

_CHUNK: Final = 64 * 1024


@dataclass(frozen=True)
class Link:
    """A link from a response to a target (RFC 8288); `media_type` is a hint about the target's representation."""

    target: str
    relation: str
    media_type: str | None = None

    def __str__(self) -> str:
        parameters = {"rel": self.relation, "type": self.media_type}
        return dump_options_header(f"<{iri_to_uri(self.target)}>", parameters)


def add_links(response: WerkzeugResponse, *links: Link) -> None:
    """Add links to a response's header `Link`."""
    if links:
        response.headers["Link"] = ", ".join((*response.headers.get_all("Link"), *map(str, links)))


def alternate_links(representations: Mapping[str, Offer], current: Offer, url: Callable[[str], str]) -> Iterator[Link]:
    """Yield links to the representations other than the current one; `url` returns the URL of a suffix."""
    others = ((suffix, other) for suffix, other in representations.items() if other is not current)
    return (Link(url(suffix), "alternate", other.media_type) for suffix, other in others)


def dataset_link() -> Link:
    """Return the link from a document to the dataset that it is part of (VoID, section 7.1)."""
    return Link(url_for("catalog.void", lang=None) + "#dataset", VOID + "inDataset")


def page_response(html: str) -> Response:
    """Send a page, text/html, with its Content-Language and a link to the dataset."""
    response = Response(html, mimetype="text/html")
    response.content_language.add(page_language())
    add_links(response, dataset_link())
    return response


def rdf_response(triples: Iterable[Triple], fmt: RdfFormat) -> Response:
    """Send triples in a format, under its media type."""
    return Response(serialize(triples, fmt), mimetype=fmt.media_type)


def file_response(file: IO[bytes], length: int, media_type: str) -> Response:
    """Send a file of known length: from memory up to MAX_ENTRY_BYTES, else in chunks with a Content-Length."""
    if length <= MAX_ENTRY_BYTES:
        with file:
            return Response(file.read(), mimetype=media_type)
    response = Response(wrap_file(request.environ, file, _CHUNK), mimetype=media_type, direct_passthrough=True)
    response.content_length = length
    return response


def set_content_location(url: str) -> None:
    """Give the current response, also a 304, the URL of the negotiated representation (RFC 9110, section 8.7)."""

    def add_header(response: Response) -> Response:
        if response.status_code in {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}:
            response.headers["Content-Location"] = url
        return response

    after_this_request(add_header)

"""The JSON-LD context of an app: inlined into request bodies that name it, and referred to by compact documents."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from flask import Flask, Response, current_app

from kg.rdf.formats import JSONLD, RdfFormat
from kg.rdf.jsonld import Context, inline_context, write_document
from kg.rdf.namespaces import BASE
from kg.rdf.terms import NamedNode, Triple
from service.http.extensions import get_extension
from service.http.responses import rdf_response
from service.http.urls import absolute_url

CONTEXT_IRI: Final = BASE + "context.jsonld"
"""The IRI of the project's JSON-LD context."""

_EXTENSION_KEY: Final = "hpkg.jsonld"


@dataclass(frozen=True)
class _ContextSource:
    load: Callable[[], Context]
    endpoint: str


def attach(app: Flask, load: Callable[[], Context], endpoint: str) -> None:
    """Set the JSON-LD context of an app: a callable that returns it, and the endpoint that serves it."""
    app.extensions[_EXTENSION_KEY] = _ContextSource(load, endpoint)


def _context() -> tuple[Context, str]:
    """Return the context and its URL as the client reaches it."""
    source = get_extension(current_app, _EXTENSION_KEY, _ContextSource)
    return source.load(), absolute_url(source.endpoint)


def inline_app_context(data: bytes) -> bytes:
    """Insert the context into a JSON-LD document that names it by its IRI or by its URL here.

    Raises RdfSyntaxError for any other remote context, because nothing is fetched.
    """
    context, url = _context()
    return inline_context(data, context, (url, CONTEXT_IRI))


def compact_response(triples: Iterable[Triple], fmt: RdfFormat, about: NamedNode) -> Response:
    """Send a document about a node as `rdf_response` does; JSON-LD is compact and refers to the context by URL."""
    if fmt is not JSONLD:
        return rdf_response(triples, fmt)
    context, url = _context()
    return Response(write_document(triples, context, url, about), mimetype=fmt.media_type)

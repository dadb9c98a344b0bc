"""The blueprint of the linked-data routes, and negotiation of a document's representation."""

from collections.abc import Iterator
from typing import Final

from flask import Blueprint, request

from kg.rdf.formats import GRAPH_FORMATS, RdfFormat
from service.http.i18n import page_language
from service.http.negotiation import HTML, Representation, require_offer, split_suffix
from service.http.responses import Link, alternate_links

blueprint: Final = Blueprint("resource", __name__)

REPRESENTATIONS: Final[dict[str, Representation]] = {"html": HTML, **{fmt.suffixes[0]: fmt for fmt in GRAPH_FORMATS}}
"""The representations of a document by the suffix of its URL; text/html has precedence over RDF."""


def choose_representation(name: str) -> tuple[str, Representation]:
    """Split the suffix off a document's name, and return the representation by suffix or else by Accept."""
    stem, representation = split_suffix(name, REPRESENTATIONS)
    return stem, representation or require_offer(request.accept_mimetypes, tuple(REPRESENTATIONS.values()))


def variant_key(representation: Representation) -> tuple[str, ...]:
    """Return everything that was negotiated: the media type, and the language of a page."""
    media_type = representation.media_type
    return (media_type,) if isinstance(representation, RdfFormat) else (media_type, page_language())


def other_representations(path: str, representation: Representation) -> Iterator[Link]:
    """Yield links to the other representations of the document at a path."""
    return alternate_links(REPRESENTATIONS, representation, lambda suffix: f"{path}.{suffix}")


def format_urls(path: str) -> list[tuple[RdfFormat, str]]:
    """Return each RDF format of the document at a path, with its URL."""
    return [(fmt, f"{path}.{fmt.suffixes[0]}") for fmt in GRAPH_FORMATS]

"""Content codings: negotiation by Accept-Encoding, and compression of complete bodies through Flask-Compress."""

from functools import lru_cache
from typing import Final

from flask import Flask, Response
from flask_compress import Compress
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from kg.rdf.formats import RDF_FORMATS, RESULT_FORMATS

CODINGS: Final = ("zstd", "br", "gzip")
"""The supported content codings, best first (RFC 8878, 7932, 1952)."""
IDENTITY: Final = "identity"
MIN_COMPRESSED: Final = 500
"""The shortest body in bytes that is compressed; a shorter one would hardly shrink."""
_MEDIA_TYPES: Final = (
    "text/html", "text/css", "text/javascript", "image/svg+xml", "application/json",
    *(name for fmt in (*RDF_FORMATS, *RESULT_FORMATS) for name in (fmt.media_type, *fmt.aliases)),
)  # fmt: skip


def create_compress(app: Flask) -> Compress:
    """Configure Flask-Compress for an app without registering it as a hook of every response."""
    app.config.update(
        COMPRESS_REGISTER=False,  # conditional.finalize_response calls it after the entity tag is set
        COMPRESS_STREAMS=False,  # a long body keeps its Content-Length, so that clients detect a truncated one
        COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False,
        COMPRESS_ALGORITHM=list(CODINGS),
        COMPRESS_MIN_SIZE=MIN_COMPRESSED,
        COMPRESS_MIMETYPES=list(_MEDIA_TYPES),
    )
    compress = Compress()
    compress.init_app(app)
    return compress


@lru_cache(maxsize=256)
def choose_content_coding(accepted: str) -> str:
    """Choose a content coding by an Accept-Encoding header (RFC 9110, section 12.5.3): one of CODINGS, or IDENTITY.

    The highest quality value wins; of equal ones, the first in CODINGS. An empty header means IDENTITY.
    """
    ranges = parse_accept_header(accepted, Accept)
    best = max(CODINGS, key=ranges.quality)
    identity = ranges.quality(IDENTITY) if any(name.lower() == IDENTITY for name in ranges.values()) else 0.0
    return best if ranges.quality(best) > 0 and ranges.quality(best) >= identity else IDENTITY


def is_worth_compressing(response: Response) -> bool:
    """Return whether a response is complete in memory and long enough."""
    return not response.is_streamed and (response.content_length or 0) >= MIN_COMPRESSED

"""URLs of this service: absolute ones, and ones that keep the language that the reader chose."""

from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

from flask import request, url_for
from werkzeug.exceptions import BadRequest

from service.http.negotiation import LANGUAGES

_PATH_SIGNS: Final = "!$&'()*+,/:;=@"
"""The characters that need no percent-encoding in the path of a URL (RFC 3986, section 3.3)."""


def absolute_url(endpoint: str, **values: str) -> str:
    """Return the URL of an endpoint as the client reaches it, without a language.

    Raises BadRequest (400) if the request's Host cannot be part of a URL (RFC 9112, section 3.2).
    """
    if not request.host:
        raise BadRequest("The header Host must be a name of letters, digits, dots and hyphens, or an IP address.")
    return url_for(endpoint, _external=True, lang=None, **values)


def url_name(name: str) -> str:
    """Return the part of an IRI from which `url_for` builds the same spelling.

    `url_for` percent-encodes; a name that is stored percent-encoded is decoded first, so it is not encoded twice.
    """
    decoded = unquote(name)
    return decoded if quote(decoded, safe=_PATH_SIGNS) == name else name


def keep_language(endpoint: str, values: dict[str, Any]) -> None:
    """Add the request's `?lang=` to every URL that Flask builds, except to static files (`Flask.url_defaults`)."""
    if request.args.get("lang") in LANGUAGES and endpoint != "static":
        values.setdefault("lang", request.args["lang"])


def url_in_language(language: str) -> str:
    """Return the current page's URL in another language, with all other parameters kept."""
    others = [(name, value) for name, value in request.args.items(multi=True) if name != "lang"]
    return "?" + urlencode([*others, ("lang", language)])

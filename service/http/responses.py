"""What all pages share: the reader's language, its words, links to other pages, and RDF instead of a page."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

from flask import Flask, Response, after_this_request, request, url_for
from flask_babel import gettext
from werkzeug.exceptions import BadRequest
from werkzeug.http import dump_options_header
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response as WerkzeugResponse

from kg.rdf.formats import JSONLD, RdfFormat
from kg.rdf.io import serialize
from kg.rdf.jsonld import write_document
from kg.rdf.namespaces import BASE, HPEZ, HPSH, ID, SH, VOID, compact
from kg.rdf.terms import Literal, NamedNode, Term, Triple
from kg.views.jsonld_context import project_context
from service.http import i18n
from service.http.negotiation import LANGUAGES, choose_language

_PATH_SIGNS: Final = "!$&'()*+,/:;=@"
"""What stays as it is in the path of a URL (RFC 3986, section 3.3)."""
_POSITIVE: Final = re.compile(r"[1-9][0-9]{0,8}")
_LANGUAGE_NAMES: Final = {"en": "English", "vi": "Tiếng Việt"}


def register(app: Flask) -> None:
    """Give the templates of an app what they share, and keep a language that the reader chose in every link."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    i18n.register(app, page_language)
    app.context_processor(_template_context)
    app.jinja_env.tests.update(iri_term=_is_iri, literal_term=_is_literal)
    app.url_defaults(_keep_language)


def page_language() -> str:
    """The language for the current request: `?lang=` if it is one that there is, else by Accept-Language."""
    return choose_language(request.accept_languages, request.args.get("lang"))


def positive_parameter(name: str) -> int | None:
    """The number that a parameter of the URL gives, None without it; raises BadRequest (400) for what is no such."""
    text = request.args.get(name)
    if text is None:
        return None
    if not _POSITIVE.fullmatch(text):
        raise BadRequest(f"`{name}` must be a positive whole number of at most nine digits.")
    return int(text)


def page_number() -> int:
    """Which page `?page=` asks for; raises as `positive` does."""
    return positive_parameter("page") or 1


def adjacent_pages(number: int, size: int, most: int) -> dict[str, int | None]:
    """The numbers of the pages before and after one."""
    return {"earlier": number - 1 if number > 1 else None, "later": number + 1 if number * most < size else None}


def rdf_response(triples: Iterable[Triple], fmt: RdfFormat) -> Response:
    """Send triples in a format, under its media type."""
    return Response(serialize(triples, fmt), mimetype=fmt.media_type)


def compact_response(triples: Iterable[Triple], fmt: RdfFormat, about: NamedNode) -> Response:
    """Send a document about a node: as `rdf_response` does, but JSON-LD compact, by reference to the context here."""
    if fmt is not JSONLD:
        return rdf_response(triples, fmt)
    return Response(write_document(triples, project_context(), context_url(), about), mimetype=fmt.media_type)


def context_url() -> str:
    """Where the JSON-LD context of the documents is, as the client reaches it."""
    return absolute_url("catalog.context")


def absolute_url(endpoint: str, **values: str) -> str:
    """The URL of an endpoint as the client reaches it, in no chosen language.

    Raises BadRequest (400) if the request names no host that a URL can be made of (RFC 9112, section 3.2).
    """
    if not request.host:
        raise BadRequest("The header Host must be a name of letters, digits, dots and hyphens, or an IP address.")
    return url_for(endpoint, _external=True, lang=None, **values)


def set_content_location(url: str) -> None:
    """Say at which URL the representation that was negotiated is alone (RFC 9110, section 8.7), also with a 304."""

    def located(response: Response) -> Response:
        if response.status_code in {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}:
            response.headers["Content-Location"] = url
        return response

    after_this_request(located)


def page_response(html: str) -> Response:
    """Send a page, text/html, with the language that it is in and a link to the dataset that it shows."""
    response = Response(html, mimetype="text/html")
    response.content_language.add(page_language())
    add_links(response, dataset_link())
    return response


@dataclass(frozen=True)
class Link:
    """A link from a response to something (RFC 8288); `media_type` is a hint at what is there."""

    target: str
    relation: str
    media_type: str | None = None

    def __str__(self) -> str:
        parameters = {"rel": self.relation, "type": self.media_type}
        return dump_options_header(f"<{iri_to_uri(self.target)}>", parameters)


def add_links(response: WerkzeugResponse, *links: Link) -> None:
    """Add links to a response's header `Link`."""
    response.headers["Link"] = ", ".join((*response.headers.get_all("Link"), *map(str, links)))


def dataset_link() -> Link:
    """The link from what is said here to the dataset that it is part of (VoID, section 7.1)."""
    return Link(url_for("catalog.void", lang=None) + "#dataset", VOID + "inDataset")


def link_url(iri: str) -> str | None:
    """Where a page links to for an IRI: a path here for the project's own, none for what is no web address."""
    if iri.startswith(ID):
        return url_for("resource.document", name=url_name(iri.removeprefix(ID)))
    for endpoint, namespace in (("resource.ontology", HPEZ), ("resource.shapes", HPSH)):
        if iri.startswith(namespace):
            return url_for(endpoint, _anchor=iri.removeprefix(namespace))
    if iri.startswith(BASE):
        return f"{request.script_root}/{iri.removeprefix(BASE)}"
    return iri if iri.startswith(("https://", "http://")) else None


def url_name(name: str) -> str:
    """What of an IRI to build a URL of: a name that is held percent-encoded is decoded, not to be encoded twice."""
    decoded = unquote(name)
    return decoded if quote(decoded, safe=_PATH_SIGNS) == name else name


def text_in_language(texts: Mapping[str, str], wanted: str) -> str | None:
    """The text in a language, or in another one where there is none in that."""
    return texts.get(wanted) or next(iter(texts.values()), None)


def other_language(wanted: str) -> str:
    """The language that a bilingual page shows beneath its own."""
    return next(name for name in LANGUAGES if name != wanted)


def severity_name(iri: str) -> str:
    """The name of a severity of SHACL, or what its IRI ends in."""
    names: dict[str, str] = {
        "Violation": gettext("violation"),
        "Warning": gettext("warning"),
        "Info": gettext("remark"),
    }
    local = iri.removeprefix(SH)
    return names.get(local, local)


def short_term(term: Term) -> str:
    """A node as people may read it: an IRI with the project's prefixes."""
    return compact(term.value) if isinstance(term, NamedNode) else str(term)


def _is_iri(term: Term) -> bool:
    return isinstance(term, NamedNode)


def _is_literal(term: Term) -> bool:
    return isinstance(term, Literal)


def _template_context() -> dict[str, Any]:
    chosen = page_language()
    return {
        "language": chosen,
        "other": other_language(chosen),
        "language_names": _LANGUAGE_NAMES,
        "severity": severity_name,
        "short_term": short_term,
        "sections": _sections,
        "this_page": _url_in_language,
        "in_other": partial(i18n.translate, other_language(chosen)),
        "link": link_url,
        "compact": compact,
        "in_language": text_in_language,
    }


def _keep_language(endpoint: str, values: dict[str, Any]) -> None:
    if request.args.get("lang") in LANGUAGES and endpoint != "static":
        values.setdefault("lang", request.args["lang"])


def _sections() -> list[tuple[str, str]]:
    """The main parts of the site: an endpoint and its name."""
    return [
        ("resource.home", gettext("Home")),
        ("figures.index", gettext("Figures")),
        ("issues.index", gettext("Open issues")),
        ("sparql.get", gettext("Query")),
        ("submission.form", gettext("Check facts")),
        ("commits.index", gettext("History")),
    ]


def _url_in_language(wanted: str) -> str:
    """The current page in a language, with all that the URL says otherwise."""
    asked = [(name, value) for name, value in request.args.items(multi=True) if name != "lang"]
    return "?" + urlencode([*asked, ("lang", wanted)])

"""The context of all templates: languages, links, names of terms, and the sections of the site."""

from functools import partial
from typing import Any, Final

from flask import Flask, request, url_for
from flask_babel import gettext

from kg.rdf.namespaces import BASE, HPEZ, HPSH, ID, SH, compact
from kg.rdf.terms import Literal, NamedNode, term_text
from kg.rdf.texts_by_language import TextsByLanguage
from service.http import i18n
from service.http.i18n import other_language, page_language
from service.http.urls import keep_language, url_in_language, url_name

_LANGUAGE_NAMES: Final = {"en": "English", "vi": "Tiếng Việt"}


def register(app: Flask) -> None:
    """Set up an app's templates, and keep the language that the reader chose in every link."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    i18n.register(app)
    app.context_processor(_template_context)
    app.jinja_env.tests.update(
        iri_term=lambda term: isinstance(term, NamedNode), literal_term=lambda term: isinstance(term, Literal)
    )
    app.url_defaults(keep_language)


def link_url(iri: str) -> str | None:
    """Return the URL that a page links to for an IRI: a path of this app for a project's IRI, None if not HTTP(S)."""
    if iri.startswith(ID):
        return url_for("resource.document", name=url_name(iri.removeprefix(ID)))
    for endpoint, namespace in (("resource.ontology", HPEZ), ("resource.shapes", HPSH)):
        if iri.startswith(namespace):
            return url_for(endpoint, _anchor=iri.removeprefix(namespace))
    if iri.startswith(BASE):
        return f"{request.script_root}/{iri.removeprefix(BASE)}"
    return iri if iri.startswith(("https://", "http://")) else None


def severity_name(iri: str) -> str:
    """Return the name of a SHACL severity in the reader's language, and any other IRI unchanged."""
    names: dict[str, str] = {
        "Violation": gettext("violation"),
        "Warning": gettext("warning"),
        "Info": gettext("remark"),
    }
    local = iri.removeprefix(SH)
    return names.get(local, local)


def _template_context() -> dict[str, Any]:
    language = page_language()
    other = other_language(language)
    return {
        "language": language,
        "other": other,
        "language_names": _LANGUAGE_NAMES,
        "severity": severity_name,
        "term_text": term_text,
        "sections": _sections,
        "this_page": url_in_language,
        "in_other": partial(i18n.translate, other),
        "link": link_url,
        "compact": compact,
        "in_language": TextsByLanguage.best,
    }


def _sections() -> list[tuple[str, str]]:
    """Return the endpoint and the name of each section of the site."""
    return [
        ("resource.home", gettext("Home")),
        ("figures.index", gettext("Figures")),
        ("issues.index", gettext("Open issues")),
        ("sparql.get", gettext("Query")),
        ("submission.form", gettext("Check facts")),
        ("commits.index", gettext("History")),
    ]

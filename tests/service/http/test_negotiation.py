import pytest
from werkzeug.datastructures import LanguageAccept, MIMEAccept
from werkzeug.http import parse_accept_header

from kg.errors import NotAcceptableError
from kg.rdf.formats import (
    CSV,
    GRAPH_FORMATS,
    JSON,
    JSONLD,
    NTRIPLES,
    RDF_FORMATS,
    RDFXML,
    RESULT_FORMATS,
    TSV,
    TURTLE,
    XML,
)
from service.http.negotiation import (
    HTML,
    Representation,
    best_offer,
    choose_language,
    requested_media_type,
    require_offer,
)

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
RDFLIB = (
    "application/rdf+xml,text/rdf+n3;q=0.9,application/xhtml+xml;q=0.5, */*;q=0.1, "
    "application/n-triples;q=0.6,text/turtle;q=0.7"
)
DOCUMENT: tuple[Representation, ...] = (HTML, *GRAPH_FORMATS)


def accepted(header: str | None) -> MIMEAccept:
    return parse_accept_header(header, MIMEAccept)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, HTML),
        ("", HTML),
        ("*/*", HTML),
        (FIREFOX, HTML),
        (RDFLIB, RDFXML),
        ("text/turtle", TURTLE),
        ("TEXT/Turtle", TURTLE),
        ("application/x-turtle", TURTLE),
        ("text/turtle;charset=utf-8", TURTLE),
        ("text/turtle; charset=utf-8; q=0.4, application/n-triples;q=0.5", NTRIPLES),
        ('application/ld+json;profile="http://www.w3.org/ns/json-ld#compacted", text/html;q=0.5', JSONLD),
        ("application/*", NTRIPLES),
        ("text/*", HTML),
        ("text/*;q=0.5, text/turtle;q=0.8", TURTLE),
        # the most specific range decides, not the best one
        ("text/html;q=0.1, */*;q=0.5", TURTLE),
        ("text/turtle;q=0.3, */*", HTML),
        ("*/*, text/html;q=0", TURTLE),
        ("text/*;q=0, */*", NTRIPLES),
        ("text/*;q=0, text/turtle, */*;q=0.2", TURTLE),
        # an alias does not slip through a wider range that its own name is excluded from
        ("text/turtle;q=0, text/html;q=0, */*", NTRIPLES),
        # parameters that no representation has make a range match nothing
        ("text/html;level=1, text/turtle;q=0.2", TURTLE),
        # order of the header does not matter, ties go to the server's order
        ("application/rdf+xml, text/turtle", TURTLE),
        ("application/rdf+xml;q=0.5, text/turtle;q=0.50", TURTLE),
        ("text/turtle;q=0.001", TURTLE),
        # unreadable qualities are left out
        ("text/turtle;q=2, application/rdf+xml;q=0.1", RDFXML),
        ("text/turtle;q=high, application/rdf+xml;q=0.1", RDFXML),
        ("  text/turtle  ,, ", TURTLE),
        ("image/png", None),
        ("text/html;q=0", None),
        ("*/*;q=0", None),
        ("nonsense", None),
    ],
)
def test_document(header: str | None, expected: Representation | None) -> None:
    assert best_offer(accepted(header), DOCUMENT) == expected


@pytest.mark.parametrize(
    ("header", "solutions", "boolean", "graph"),
    [
        (None, JSON, JSON, TURTLE),
        ("text/csv", CSV, None, None),
        ("text/csv, application/sparql-results+xml;q=0.2", CSV, XML, None),
        ("text/tab-separated-values, */*;q=0.1", TSV, JSON, TURTLE),
        ("application/json", JSON, JSON, None),
        ("application/xml;q=0.8, text/turtle", XML, XML, TURTLE),
        ("text/turtle", None, None, TURTLE),
        ("application/trig, application/n-quads;q=0.5", None, None, RDF_FORMATS[4]),
    ],
)
def test_each_kind_of_result(header: str | None, solutions: object, boolean: object, graph: object) -> None:
    accept = accepted(header)
    kinds = (RESULT_FORMATS, tuple(fmt for fmt in RESULT_FORMATS if fmt.supports_boolean), RDF_FORMATS)
    assert [best_offer(accept, offers) for offers in kinds] == [solutions, boolean, graph]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "application/sparql-results+json"),
        ("*/*", "application/sparql-results+json"),
        ("application/json", "application/json"),
        ("application/json;q=0.5, application/sparql-results+json", "application/sparql-results+json"),
        ("application/json, application/sparql-results+json", "application/sparql-results+json"),
    ],
)
def test_the_requested_alias_is_returned(header: str | None, expected: str) -> None:
    assert requested_media_type(accepted(header), JSON) == expected


def test_not_acceptable_lists_the_offers() -> None:
    with pytest.raises(NotAcceptableError) as caught:
        require_offer(accepted("image/png"), (HTML, TURTLE))
    assert caught.value.offered == ("text/html", "text/turtle")
    assert require_offer(accepted("text/turtle"), (HTML, TURTLE)) is TURTLE


def test_no_offers_give_none() -> None:
    assert best_offer(accepted(None), ()) is None
    assert best_offer(accepted("*/*"), ()) is None


@pytest.mark.parametrize(
    ("header", "wanted", "expected"),
    [
        (None, None, "en"),
        ("vi", None, "vi"),
        ("vi-VN,vi;q=0.9,en;q=0.8", None, "vi"),
        ("en-GB, vi;q=0.9", None, "en"),
        ("fr, vi;q=0.3", None, "vi"),
        ("fr", None, "en"),
        ("*", None, "en"),
        ("en;q=0, *", None, "vi"),
        ("vi;q=0, *;q=0.1", None, "en"),
        ("vi, en", None, "en"),
        ("!!;;q=", None, "en"),
        ("en", "vi", "vi"),
        ("vi", "en", "en"),
        ("vi", "klingon", "vi"),
        ("vi", "", "vi"),
    ],
)
def test_language(header: str | None, wanted: str | None, expected: str) -> None:
    assert choose_language(parse_accept_header(header, LanguageAccept), wanted) == expected

"""Writing compact JSON-LD, and inlining the project's context."""

import json
from typing import Any

import pyoxigraph as ox
import pytest
import rdflib
from rdflib.compare import isomorphic

from kg.changes.data_folder import BuiltGraph
from kg.errors import RdfSyntaxError
from kg.rdf.formats import JSONLD, TURTLE
from kg.rdf.io import canonical_nquads, parse
from kg.rdf.jsonld import (
    LANGUAGE_COERCION,
    MAX_CONTEXT_REFERENCES,
    REFERENCE_COERCION,
    Context,
    TermDefinition,
    inline_context,
    write_document,
)
from kg.rdf.namespaces import ID, PREFIXES
from kg.rdf.rdflib_terms import rdflib_graph
from kg.rdf.terms import NamedNode, Quad, Triple
from kg.views.description import describe
from kg.views.jsonld_context import project_context

URL = "https://example.org/context.jsonld"
CONTEXT = Context(
    {"ex": "http://example.org/", "geo": "http://www.opengis.net/ont/geosparql#", "xsd": PREFIXES["xsd"]},
    {
        "label": TermDefinition("http://example.org/label", LANGUAGE_COERCION),
        "knows": TermDefinition("http://example.org/knows", REFERENCE_COERCION),
        "born": TermDefinition("http://example.org/born", PREFIXES["xsd"] + "date"),
        "age": TermDefinition("http://example.org/age"),
        "Person": TermDefinition("http://example.org/Person"),
    },
)
HARD = """
PREFIX ex: <http://example.org/> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
PREFIX geo: <http://www.opengis.net/ont/geosparql#>
ex:a ex:age 007, 7, -7, -0, 1.0, 1e0, true, "1"^^xsd:boolean, 99999999999999999999, "x", "x"@en, "x"^^ex:own, ex:b .
ex:a ex:label "no language", "one"@en, "two"@en, "một"@vi, "British"@en-GB ; ex:born "2024-01-01"^^xsd:date, "2024" .
ex:a ex:knows "nobody", ex:b, [ ex:age 1 ; ex:knows [ ex:age 2 ] ], [], _:shared . ex:b ex:knows _:shared .
_:shared ex:age 3 . _:x ex:knows _:y . _:y ex:knows _:x . _:self ex:knows _:self . [] ex:age 4 .
ex:a a ex:Person, ex:Other, [ ex:age 5 ] ; <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> "no class" .
ex:a ex:list ( 1 ( 2 ) ) ; ex:place <geo:20.8,106.7> ; geo:sfTouches ex:b . <http://example.org///c> ex:age 6 .
"""


def triples(turtle: str) -> list[Triple]:
    return [quad.triple for quad in parse(turtle.encode(), TURTLE)]


def inlined(text: str, context: Context) -> bytes:
    """Return the document with the context instead of its URL."""
    data: Any = json.loads(text)
    contexts = data["@context"] if isinstance(data["@context"], list) else [data["@context"]]
    assert contexts[0] == URL
    data["@context"] = [context.to_json()["@context"], *contexts[1:]]
    return json.dumps(data).encode()


def assert_same(statements: list[Triple], text: str, context: Context) -> None:
    quads = [Quad(item.subject, item.predicate, item.object) for item in statements]
    assert canonical_nquads(parse(inlined(text, context), JSONLD)) == canonical_nquads(quads)


def test_everything_reads_back() -> None:
    statements = triples(HARD)
    assert_same(statements, write_document(statements, CONTEXT, URL), CONTEXT)


def test_rdflib_reads_the_same() -> None:
    statements = triples(HARD.replace("007, 7, -7, -0, 1.0, 1e0, true, ", "7, true, ").replace('"1"^^xsd:boolean,', ""))
    read = rdflib.Graph().parse(data=inlined(write_document(statements, CONTEXT, URL), CONTEXT), format="json-ld")
    assert isomorphic(read, rdflib_graph(statements))


@pytest.mark.parametrize(
    ("turtle", "node"),
    [
        ('<urn:a> ex:label "one"@en, "một"@vi', {"label": {"en": "one", "vi": "một"}}),
        ('<urn:a> ex:label "one"@en, "two"@en', {"label": {"en": ["one", "two"]}}),
        ('<urn:a> ex:label "one"', {"ex:label": "one"}),
        ("<urn:a> ex:knows <urn:b>", {"knows": "urn:b"}),
        ("<urn:a> ex:knows [ ex:age 1 ]", {"knows": {"age": 1}}),
        ("<urn:a> ex:age 1, 02", {"age": [1, {"@value": "02", "@type": "xsd:integer"}]}),
        ("<urn:a> ex:age true, 1.5", {"age": [True, {"@value": "1.5", "@type": "xsd:decimal"}]}),
        ('<urn:a> ex:born "2024-01-01"^^xsd:date', {"born": "2024-01-01"}),
        ('<urn:a> ex:born "soon"', {"ex:born": "soon"}),
        ("<urn:a> a ex:Person", {"type": "Person"}),
        ("<urn:a> a ex:Person, ex:Other", {"type": ["Person", "ex:Other"]}),
        ("<urn:a> <urn:p> ex:Person", {"urn:p": {"id": "http://example.org/Person"}}),
    ],
)
def test_form_of_values(turtle: str, node: dict[str, object]) -> None:
    prefixes = f"PREFIX ex: <http://example.org/> PREFIX xsd: <{PREFIXES['xsd']}> "
    written = json.loads(write_document(triples(prefixes + turtle + " ."), CONTEXT, URL))
    assert written == {"@context": URL, "@graph": [{"id": "urn:a", **node}]}


def test_prefixes_that_are_schemes_in_the_document_are_removed_from_the_context() -> None:
    statements = triples("<urn:a> <urn:p> <geo:20.8,106.7> .")
    text = write_document(statements, CONTEXT, URL)
    assert json.loads(text)["@context"] == [URL, {"geo": None}]
    assert_same(statements, text, CONTEXT)


def test_the_first_node_precedes_all_others() -> None:
    nodes = json.loads(
        write_document(triples("<urn:a> <urn:p> 1 . <urn:b> <urn:p> 2 ."), CONTEXT, URL, NamedNode("urn:b"))
    )
    assert [node["id"] for node in nodes["@graph"]] == ["urn:b", "urn:a"]


def test_equal_triples_give_equal_bytes() -> None:
    turtle = "<urn:a> <urn:p> [ <urn:q> 2, 1 ], [ <urn:q> 3 ], 'x' ; <urn:o> <urn:c>, <urn:b> . <urn:b> <urn:p> 1 ."
    statements = triples(turtle)
    assert write_document(statements, CONTEXT, URL) == write_document(triples(turtle)[::-1], CONTEXT, URL)


def test_no_triples_give_an_empty_graph() -> None:
    assert json.loads(write_document([], CONTEXT, URL)) == {"@context": URL, "@graph": []}


# --- the project's context


def test_every_document_reads_back(built: BuiltGraph) -> None:
    context = project_context()
    entities = {quad.subject.value for quad in built.engine.quads() if isinstance(quad.subject, NamedNode)}
    entities = {iri for iri in entities if iri.startswith(ID)}
    assert len(entities) > 200
    for iri in entities:
        statements = describe(built.engine, iri).triples()
        assert_same(statements, write_document(statements, context, URL, NamedNode(iri)), context)


def test_ontology_terms_are_in_the_context() -> None:
    names = project_context().terms
    assert names["Observation"] == TermDefinition(PREFIXES["hpez"] + "Observation")
    assert names["evidence"] == TermDefinition(PREFIXES["hpez"] + "evidence", REFERENCE_COERCION)
    assert names["label"] == TermDefinition(PREFIXES["rdfs"] + "label", LANGUAGE_COERCION)


def test_terms_have_distinct_names_and_iris() -> None:
    context = project_context()
    assert not {"id", "type", *context.prefixes} & context.terms.keys()
    iris = [name.iri for name in context.terms.values()]
    assert len(iris) == len(set(iris))


def test_parsers_accept_the_context() -> None:
    text = json.dumps({**project_context().to_json(), "id": "urn:a", "label": {"vi": "khu"}, "type": "Zone"})
    assert len(list(ox.parse(text.encode(), ox.RdfFormat.JSON_LD))) == 2
    assert len(rdflib.Graph().parse(data=text, format="json-ld")) == 2


# --- reading documents that refer to the context


WRITTEN = json.dumps(CONTEXT.to_json()["@context"], separators=(",", ":"))


def inline(text: str) -> str:
    return inline_context(text.encode(), CONTEXT, (URL,)).decode()


def test_written_documents_read_back_without_fetching() -> None:
    statements = triples(HARD)
    read = parse(inline(write_document(statements, CONTEXT, URL)).encode(), JSONLD)
    quads = [Quad(item.subject, item.predicate, item.object) for item in statements]
    assert canonical_nquads(read) == canonical_nquads(quads)


@pytest.mark.parametrize(
    "text",
    [
        '{"@context": URL}',
        '{ "@context"\n:\n[ URL , {"a": null} ] , "a": 1.50 }',
        '[{"@context": URL}, {"a": {"@context": URL, "b": 1e400}}]',
        '{"@context": {"a": {"@id": "urn:a", "@context": URL}}}',
        '{"\\u0040context": URL}',
        '{"@context": "https:\\/\\/example.org\\/context.jsonld"}',
    ],
)
def test_every_reference_is_replaced_and_nothing_else(text: str) -> None:
    quoted = json.dumps(URL)
    expected = text.replace("URL", WRITTEN).replace('"https:\\/\\/example.org\\/context.jsonld"', WRITTEN)
    assert inline(text.replace("URL", quoted)) == expected


@pytest.mark.parametrize(
    "text",
    [
        '{"a": URL}', '{"@context": {"a": URL}}', '{"@context": {"@vocab": URL}}', '{"@context": null, "a": URL}',
        '{"a": {"@type": "@json", "@value": {"@context": "http://example.org/other", "b": [URL]}}}',
        '["@context", URL]', '{"a": "\\"@context\\": "}', "}]", '"@context": ', "", '{"@context" "x": 1}',
    ],
)  # fmt: skip
def test_other_strings_do_not_change(text: str) -> None:
    text = text.replace("URL", json.dumps(URL))
    assert inline(text) == text


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('{"@context":\n\n "http://example.org/other"}', 3, "http://example.org/other"),
        ('{"@context": ["https://example.org/context.jsonld", "http://example.org/other"]}', 1, "example.org/other"),
        ('{"a": {"@context": "other"}}', 1, "other"),
        ('{"@context": "\\ud800"}', 1, "?"),
        ('{"@context": "' + "a " * 5000 + '"}', 1, "[...]"),
        ('{"@context":\n"https://example.org/context.jsonld', 2, "no end"),
        ('{"a": "\\"', 1, "no end"),
    ],
)
def test_other_contexts_are_refused(text: str, line: int, words: str) -> None:
    with pytest.raises(RdfSyntaxError) as raised:
        inline(text)
    assert raised.value.line == line
    assert words in raised.value.message
    assert len(raised.value.message.encode()) < 500


def test_the_number_of_references_is_limited() -> None:
    """A short document with many references to a long context would become very long."""
    one = f'{{"@context": "{URL}"}}'
    assert inline("[" + ",".join([one] * MAX_CONTEXT_REFERENCES) + "]").count(WRITTEN) == MAX_CONTEXT_REFERENCES
    with pytest.raises(RdfSyntaxError, match="more than"):
        inline("[" + ",".join([one] * (MAX_CONTEXT_REFERENCES + 1)) + "]")

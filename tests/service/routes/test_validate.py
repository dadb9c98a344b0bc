import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import rdflib
import requests
from rdflib.namespace import RDF, SH

from tests.service.routes.rdf_formats import FORMATS

Problem = Callable[[requests.Response, int, str], dict[str, object]]
File = tuple[str | None, str | bytes] | tuple[str | None, str | bytes, str]

CASES = Path(__file__).parents[2] / "shapes"
VALID = next((CASES / "Bounds" / "valid").glob("*.ttl")).read_bytes()
INVALID = next((CASES / "Bounds" / "invalid").glob("*.ttl")).read_bytes()
BOUNDS = "https://w3id.org/hpez/shapes#Bounds"
CLAIM = "https://w3id.org/hpez/id/claim/example/example-fdi"
DATA = "<urn:ada> a <urn:Person> ; <urn:age> -3 ."
SHAPES = """
PREFIX sh: <http://www.w3.org/ns/shacl#>
<urn:PersonShape> a sh:NodeShape ; sh:targetClass <urn:Person> ; sh:property <urn:AgeShape> .
<urn:AgeShape> sh:path <urn:age> ; sh:minInclusive 0 ; sh:severity sh:Warning ;
  sh:message "An age is not negative."@en , "Tuổi không âm."@vi .
"""
INVALID_JSONLD = """{
  "@context": "CONTEXT",
  "@graph": [{"id": "https://w3id.org/hpez/id/zone/new", "type": "Zone", "label": {"vi": "khu mới"}}]
}"""

NTRIPLES = rdflib.Graph().parse(data=DATA).serialize(format="nt")
TRIG_SHAPES = SHAPES.replace("<urn:PersonShape> a", "<urn:graph> { <urn:PersonShape> a") + "}"


def validate(
    server: str, data: str | bytes, content_type: str | None = "text/turtle", query: str = "", **headers: str
) -> requests.Response:
    sent = {"Content-Type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    body = data.encode() if isinstance(data, str) else data
    return requests.post(f"{server}/validate{query}", data=body, headers=sent, timeout=60)  # type: ignore[arg-type]


def validate_form(server: str, data: File, shapes: File, **headers: str) -> requests.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(f"{server}/validate", files={"data": data, "shapes": shapes}, headers=sent, timeout=60)


def report(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


# --- facts against the project's shapes


@pytest.mark.parametrize("query", ["", "?context=none"])
def test_invalid_facts(server: str, query: str) -> None:
    found = report(validate(server, INVALID, query=query))
    assert (found["conforms"], found["admissible"]) == (False, False)
    assert found["counts"]["violation"] >= 1
    bounds = [item for item in found["findings"] if item["shape"].startswith(BOUNDS)]
    assert [item["severity"] for item in bounds] == ["violation"]
    assert bounds[0]["focusNode"] == CLAIM
    assert bounds[0]["component"].startswith(str(SH))
    assert set(bounds[0]["messages"]) == {"en", "vi"}


def test_valid_facts(server: str) -> None:
    found = report(validate(server, VALID))
    assert found["admissible"] is True
    assert found["counts"]["violation"] == 0


def test_facts_are_validated_with_the_graph(server: str) -> None:
    alone, together = (report(validate(server, VALID, query=query)) for query in ("?context=none", ""))
    assert len(alone["findings"]) >= len(together["findings"])


def state(server: str) -> dict[str, object]:
    status = requests.get(f"{server}/health", timeout=30).json()
    return {name: status[name] for name in ("generation", "triples", "version")}


def test_validating_changes_nothing(server: str) -> None:
    before = state(server)
    report(validate(server, VALID))
    assert state(server) == before


@pytest.mark.parametrize("language", ["en", "vi"])
def test_message_in_the_language_asked_for(server: str, language: str) -> None:
    found = report(validate(server, INVALID, query="?context=none", Accept_Language=f"{language};q=0.9, fr"))
    item = next(item for item in found["findings"] if item["shape"].startswith(BOUNDS))
    assert item["message"] == item["messages"][language]


@pytest.mark.parametrize(("media_type", "parser"), FORMATS)
def test_every_format_is_read(server: str, media_type: str, parser: str) -> None:
    dataset = rdflib.Dataset()
    dataset.parse(data=INVALID, format="turtle")
    graph = dataset.default_graph if parser not in {"trig", "nquads", "json-ld"} else dataset
    content_type = f"{media_type}; charset=utf-8"
    found = report(validate(server, graph.serialize(format=parser), content_type, "?context=none"))
    assert BOUNDS in {item["shape"] for item in found["findings"]}


@pytest.mark.parametrize(("media_type", "parser"), FORMATS)
def test_report_in_every_format(server: str, media_type: str, parser: str) -> None:
    answer = validate(server, INVALID, query="?context=none", Accept=media_type)
    assert answer.headers["Content-Type"].partition(";")[0] == media_type
    graph = rdflib.Dataset(default_union=True).parse(data=answer.content, format=parser)
    assert graph.value(predicate=RDF.type, object=SH.ValidationReport) is not None
    assert (None, SH.sourceShape, rdflib.URIRef(BOUNDS)) in graph


def test_report_not_acceptable(server: str, problem: Problem) -> None:
    found = problem(validate(server, VALID, Accept="text/html"), 406, "not-acceptable")
    assert "application/json" in found["offered"]  # type: ignore[operator]


def test_concurrent_validations(server: str) -> None:
    def fits(data: bytes) -> bool:
        found = report(validate(server, data, query="?context=none"))
        return not [item for item in found["findings"] if item["shape"].startswith(BOUNDS)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fits, [VALID, INVALID] * 2)) == [True, False] * 2


# --- data against shapes of the caller


@pytest.mark.parametrize(
    ("data", "shapes"),
    [
        (("data.ttl", DATA), ("shapes.ttl", SHAPES)),
        ((None, DATA), (None, SHAPES)),
        (("data", DATA, "text/turtle"), ("shapes", SHAPES, "application/octet-stream")),
        (
            (None, '{"@id":"urn:ada","@type":"urn:Person","urn:age":-3}', "application/ld+json"),
            (None, SHAPES, "text/turtle; charset=utf-8"),
        ),
        (("data.nt", NTRIPLES), ("shapes.trig", TRIG_SHAPES)),
    ],
    ids=["file names", "default Turtle", "content types", "type without a file name", "suffixes"],
)
def test_own_shapes(server: str, data: File, shapes: File) -> None:
    found = report(validate_form(server, data, shapes))
    assert (found["conforms"], found["admissible"]) == (False, True)
    assert found["counts"] == {"violation": 0, "warning": 1, "info": 0}
    assert found["findings"] == [
        {
            "severity": "warning",
            "focusNode": "urn:ada",
            "path": "urn:age",
            "value": "-3",
            "shape": "urn:AgeShape",
            "component": str(SH.MinInclusiveConstraintComponent),
            "message": "An age is not negative.",
            "messages": {"en": "An age is not negative.", "vi": "Tuổi không âm."},
            "suggestions": [],
        }
    ]


def test_conforming(server: str) -> None:
    found = report(validate_form(server, (None, DATA.replace("-3", "3")), (None, SHAPES)))
    assert found == {
        "conforms": True,
        "admissible": True,
        "counts": {"violation": 0, "warning": 0, "info": 0},
        "findings": [],
    }


def test_own_shapes_report_as_turtle(server: str) -> None:
    answer = validate_form(server, (None, DATA), (None, SHAPES), Accept="text/turtle")
    graph = rdflib.Graph().parse(data=answer.content)
    assert set(graph.objects(None, SH.resultMessage)) == {
        rdflib.Literal("An age is not negative.", lang="en"),
        rdflib.Literal("Tuổi không âm.", lang="vi"),
    }


def test_blank_nodes_and_complex_paths(server: str) -> None:
    data = "[] a <urn:Person> ; <urn:knows> [ <urn:age> -3 ] ."
    shapes = SHAPES.replace("sh:path <urn:age>", "sh:path ( <urn:knows> <urn:age> )")
    item = report(validate_form(server, (None, data), (None, shapes)))["findings"][0]
    assert item["focusNode"].startswith("_:")
    assert item["path"] == "<urn:knows>/<urn:age>"


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (
            "<urn:s> <http://www.w3.org/2002/07/owl#imports> <https://example.org/more> .",
            "https://example.org/more",
        ),
        (
            '<urn:PersonShape> sh:sparql [ sh:select "SELECT $this { SERVICE <urn:s> { $this ?p ?o } }" ] .',
            "SERVICE",
        ),
        ("<urn:AgeShape> sh:maxCuont 1 .", "sh:maxCuont"),
    ],
)
def test_shapes_that_are_refused(server: str, problem: Problem, extra: str, said: str) -> None:
    answer = validate_form(server, (None, DATA), (None, SHAPES + extra))
    assert said in str(problem(answer, 422, "shapes")["detail"])


def test_malformed_part(server: str, problem: Problem) -> None:
    found = problem(validate_form(server, (None, "<urn:a>\n  <urn:b> ."), (None, SHAPES)), 400, "rdf-syntax")
    assert found["line"] == 2
    problem(validate_form(server, (None, DATA), (None, b'<urn:a> <urn:b> "\xff" .')), 400, "rdf-syntax")


def test_types_of_parts(server: str, problem: Problem) -> None:
    problem(validate_form(server, ("data", DATA, "image/png"), (None, SHAPES)), 415, "unsupported-format")
    problem(validate_form(server, ("data.docx", DATA), (None, SHAPES)), 415, "unsupported-format")
    answer = validate_form(server, ("data", DATA, "text/turtle; charset=latin-1"), (None, SHAPES))
    problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "names", [["data"], ["shapes"], ["data", "shapes", "shapes"], ["data", "shapes", "more"], ["data", "other"]]
)
def test_parts_of_the_form(server: str, problem: Problem, names: list[str]) -> None:
    files = [(name, (None, DATA)) for name in names]
    answer = requests.post(f"{server}/validate", files=files, timeout=30)  # type: ignore[arg-type]
    assert "`shapes`" in str(problem(answer, 400, "bad-request")["detail"])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=data\r\n\r\n<urn:a>"),
        ("multipart/form-data; boundary=x", "--y\r\n\r\n--y--"),
        ("multipart/form-data; boundary=x", "--x\r\nContent-Type: text/turtle\r\n\r\n.\r\n--x--\r\n"),
        ("multipart/form-data", "--x--"),
        ("multipart/form-data; boundary=x", ""),
    ],
)
def test_broken_form(server: str, problem: Problem, content_type: str, body: str) -> None:
    problem(validate(server, body, content_type), 400, "bad-request")


# --- bad input


@pytest.mark.parametrize(
    ("media_type", "text", "line"),
    [
        ("text/turtle", "<urn:a> <urn:b> <urn:c> .\n<urn:a> <urn:b>", 2),
        ("application/n-triples", "<urn:a> <urn:b> <urn:c> .\n<urn:a> nope", 2),
        ("application/trig", "<urn:g> {\n<urn:a> <urn:b> }", 2),
        ("application/n-quads", "<urn:a> <urn:b> <urn:c> .\n<urn:a> <urn:b> ?", 2),
        ("application/ld+json", '{"@id": "urn:a",\n"urn:b": }', 2),
        ("application/rdf+xml", '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n<r:Description>', 2),
    ],
)
def test_malformed(server: str, problem: Problem, media_type: str, text: str, line: int) -> None:
    found = problem(validate(server, text, media_type), 400, "rdf-syntax")
    assert found["line"] == line
    assert isinstance(found["column"], int)


@pytest.mark.parametrize(
    ("media_type", "before", "after"),
    [
        ("text/turtle", '<urn:a> <urn:b> "', '" .'),
        ("application/n-triples", '<urn:a> <urn:b> "', '" .'),
        ("application/trig", '<urn:a> <urn:b> "', '" .'),
        ("application/n-quads", '<urn:a> <urn:b> "', '" .'),
        ("application/ld+json", '{"@id":"urn:a","urn:b":"', '"}'),
        (
            "application/rdf+xml",
            '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="urn:a"><r:value>',
            "</r:value></r:Description></r:RDF>",
        ),
    ],
)
def test_invalid_utf8(server: str, problem: Problem, media_type: str, before: str, after: str) -> None:
    found = problem(validate(server, before.encode() + b"\xff" + after.encode(), media_type), 400, "rdf-syntax")
    assert found["line"] == 1


def test_a_compressed_body_is_refused(server: str, problem: Problem) -> None:
    for coding in ("gzip", "x"):
        answer = validate(server, gzip.compress(VALID), Content_Encoding=coding)
        assert "content coding" in str(problem(answer, 415, "unsupported-media-type")["detail"])
    assert report(validate(server, VALID, Content_Encoding="Identity"))["admissible"]


def test_remote_context_is_not_fetched(server: str, problem: Problem) -> None:
    document = '{"@context": "http://127.0.0.1:1/context.jsonld", "@id": "urn:a", "name": "x"}'
    found = problem(validate(server, document, "application/ld+json"), 400, "rdf-syntax")
    assert "remote context, http://127.0.0.1:1/context.jsonld, and nothing is fetched" in str(found["detail"])
    assert f"{server}/context.jsonld" in str(found["detail"])
    assert found["line"] == 1


@pytest.mark.parametrize(
    "path",
    ["/doc/org/heza", "/doc/claim/dnhn-94474/fdi-2024", "/doc/evidence/dnhn-94474/1884-1895", "/.well-known/void"],
)
@pytest.mark.parametrize("query", ["", "?context=none"])
def test_documents_can_be_sent_back(server: str, path: str, query: str) -> None:
    """JSON-LD from the service names its own context, which is inserted without a fetch."""
    document = requests.get(server + path, headers={"Accept": "application/ld+json"}, timeout=30)
    turtle = requests.get(server + path, headers={"Accept": "text/turtle"}, timeout=30)
    assert document.json()["@context"] == f"{server}/context.jsonld"
    found, wanted = (
        report(validate(server, answer.content, answer.headers["Content-Type"], query)) for answer in (document, turtle)
    )
    assert found["counts"] == wanted["counts"]


@pytest.mark.parametrize("context", ["https://w3id.org/hpez/context.jsonld", "HERE", "HERE with slashes escaped"])
def test_the_projects_own_context_is_accepted(server: str, context: str) -> None:
    url = context.partition(" ")[0].replace("HERE", f"{server}/context.jsonld")
    document = INVALID_JSONLD.replace("CONTEXT", url.replace("/", "\\/") if "escaped" in context else url)
    found = report(validate(server, document, "application/ld+json", "?context=none"))
    assert "https://w3id.org/hpez/shapes#Label-en" in {finding["shape"] for finding in found["findings"]}
    form = validate_form(server, ("data.jsonld", document), ("shapes.ttl", SHAPES))
    assert report(form)["conforms"] is True


@pytest.mark.parametrize(
    "context",
    [
        '"SERVER/context.jsonld/"', '"SERVER/context.jsonld?x"', '"http://w3id.org/hpez/context.jsonld"', '"https://schema.org/"',
        '["SERVER/context.jsonld", "https://schema.org/"]', '"context.jsonld"', '"/context.jsonld"', '""', '"\\ud800"',
        '{"name": {"@id": "urn:n", "@context": "https://schema.org/"}}', '{"@import": "https://schema.org/"}',
        '{"@import": "SERVER/context.jsonld"}',
    ],
)  # fmt: skip
def test_other_contexts_are_refused(server: str, problem: Problem, context: str) -> None:
    document = f'{{"@context": {context.replace("SERVER", server)}, "@id": "urn:a", "name": "x"}}'
    assert problem(validate(server, document, "application/ld+json"), 400, "rdf-syntax")["detail"]


def test_the_context_of_another_host_is_refused(server: str, problem: Problem) -> None:
    document = '{"@context": "https://schema.org/context.jsonld", "@id": "urn:a"}'
    problem(validate(server, document, "application/ld+json"), 400, "rdf-syntax")


@pytest.mark.parametrize("tail", ["", "\\"])
def test_an_unterminated_string_is_refused_quickly(server: str, problem: Problem, tail: str) -> None:
    document = '{"a": "' + '\\"' * 500_000 + tail
    found = problem(validate(server, document, "application/ld+json"), 400, "rdf-syntax")
    assert "a string has no end" in str(found["detail"])


def test_external_entity_is_not_read(server: str, problem: Problem) -> None:
    document = (
        '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
        '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="urn:a">'
        "<r:value>&e;</r:value></r:Description></r:RDF>"
    )
    problem(validate(server, document, "application/rdf+xml"), 400, "rdf-syntax")


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/json", "application/sparql-query"])
def test_content_type(server: str, problem: Problem, content_type: str | None) -> None:
    detail = str(problem(validate(server, VALID, content_type), 415, "unsupported-format")["detail"])
    assert all(media_type in detail for media_type, _ in FORMATS)


def test_other_charset(server: str, problem: Problem) -> None:
    problem(validate(server, VALID, "text/turtle; charset=latin-1"), 415, "unsupported-media-type")


@pytest.mark.parametrize("query", ["?context=all", "?context=", "?context=none&context=none"])
def test_context(server: str, problem: Problem, query: str) -> None:
    assert "context" in str(problem(validate(server, VALID, query=query), 400, "bad-request")["detail"])


def test_body_over_the_default_limit(server: str, problem: Problem) -> None:
    comment = b"#" * (10 * 1024 * 1024)
    found = problem(validate(server, comment + b"\n"), 413, "request-entity-too-large")
    assert str(10 * 1024 * 1024) in str(found["detail"])


def test_form_over_the_limit(small_strict_server: str, problem: Problem) -> None:
    answer = validate_form(small_strict_server, (None, DATA + " " * 1000), (None, SHAPES))
    problem(answer, 413, "request-entity-too-large")


def test_put_is_not_allowed(server: str, problem: Problem) -> None:
    answer = requests.put(f"{server}/validate", timeout=30)
    problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"]

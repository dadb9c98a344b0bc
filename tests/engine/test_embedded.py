import json

import pytest

from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryDataset, QueryRequest
from kg.engine.query import evaluate_query
from kg.engine.result_writer import SPOOL_MEMORY
from kg.errors import InputError, NotAcceptableError, QuerySyntaxError, ServiceDeniedError, UnknownGraphError
from kg.rdf.delta import Delta
from kg.rdf.formats import CSV, JSON, TRIG, TURTLE
from kg.rdf.io import parse
from kg.rdf.terms import Literal, NamedNode, Quad

DATA = b"""PREFIX e: <http://e.org/>
e:in-default e:p 0 .
e:one { e:a e:p 1 }
e:two { e:a e:p 2 }"""


@pytest.fixture(scope="module")
def engine() -> EmbeddedEngine:
    return EmbeddedEngine(parse(DATA, TRIG))


def values(engine: EmbeddedEngine, text: str, dataset: QueryDataset) -> list[str]:
    request = QueryRequest("PREFIX e: <http://e.org/> " + text, dataset, JSON, JSON, TURTLE)
    with evaluate_query(engine, request).body as body:
        rows = json.load(body)["results"]["bindings"]
    return sorted(row["o"]["value"] for row in rows)


ALL = "SELECT ?o WHERE { ?s ?p ?o }"
NAMED = "SELECT ?o WHERE { GRAPH ?g { ?s ?p ?o } }"


@pytest.mark.parametrize(
    ("text", "dataset", "expected"),
    [
        (ALL, QueryDataset(), ["0", "1", "2"]),
        (ALL, QueryDataset(union=False), ["0"]),
        (NAMED, QueryDataset(union=False), ["1", "2"]),
        ("SELECT ?o WHERE { ?s ?p ?o GRAPH ?g {} }", QueryDataset(union=False), ["0", "0"]),
        ("SELECT ?o WHERE { ?s ?p ?o GRAPH ?g {} FILTER(?o = 2) }", QueryDataset(), ["2", "2"]),
        (ALL, QueryDataset(default=("http://e.org/one",)), ["1"]),
        (NAMED, QueryDataset(default=("http://e.org/one",)), []),
        (ALL, QueryDataset(named=("http://e.org/one",)), []),
        (NAMED, QueryDataset(named=("http://e.org/one",)), ["1"]),
        ("SELECT ?o FROM e:two WHERE { ?s ?p ?o }", QueryDataset(), ["2"]),
        ("SELECT ?o FROM NAMED e:two WHERE { GRAPH ?g { ?s ?p ?o } }", QueryDataset(), ["2"]),
        ("SELECT ?o FROM e:two WHERE { ?s ?p ?o }", QueryDataset(default=("http://e.org/one",)), ["1"]),
    ],
)
def test_dataset(engine: EmbeddedEngine, text: str, dataset: QueryDataset, expected: list[str]) -> None:
    assert values(engine, text, dataset) == expected


@pytest.mark.parametrize("text", ["SELECT ?g { GRAPH ?g {} }", "select $g { graph $g { ?x <http://e.org/q>* 1 } }"])
def test_graphs_are_tried_in_one_order(text: str) -> None:
    names = [f"http://e.org/{number:02}" for number in range(40)]
    quads = parse("".join(f"<{name}> {{ <http://e.org/a> <http://e.org/p> 1 }}" for name in names).encode(), TRIG)
    found = set[bytes]()
    for _ in range(5):
        with evaluate_query(EmbeddedEngine(quads), QueryRequest(text, QueryDataset(), CSV)).body as body:
            found.add(body.read())
    assert len(found) == 1
    assert sorted(found.pop().decode().split()[1:]) == names


def test_unknown_graph(engine: EmbeddedEngine) -> None:
    for text, dataset in [
        (ALL, QueryDataset(default=("http://e.org/no",))),
        (f"{ALL[:9]} FROM <http://e.org/no> {{}}", QueryDataset()),
    ]:
        with pytest.raises(UnknownGraphError, match=r"http://e\.org/no"):
            engine.evaluate(QueryRequest(text, dataset, JSON))


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("SELECT *\nWHERE { ?s ?p ?o } LIMI 5", 2, 20, "unexpected 'LIMI'"),
        ("SELECT * WHERE { ?s ?p ", 1, 23, "the end of the query"),
        ("SELECT ?x (COUNT(?y) AS ?n) WHERE { ?x ?p ?y }", 1, 47, "variable that is unbound"),
        ("SELCT * WHERE { ?s ?p ?o }", 1, 1, "unexpected 'SELCT'"),
        ("SELECT * WHERE {\n ?s ?p ?o .FILTRE(?x)}", 2, 12, "unexpected 'FILTRE'"),
        ("SELECT * WHERE { ?s ?p ?o } # so far\nLIMIT x", 2, 7, "unexpected 'x'"),
        ("SELECT ?s WHERE { ?s no:such ?o }", 1, 22, "Prefix not found"),
        ("ASK { ?s ?p ?o } ORDER", 1, 23, "the end of the query"),
        ("INSERT DATA { <a:a> <a:b> <a:c> }", 1, 1, "unexpected 'INSERT'"),
    ],
)
def test_syntax_error(engine: EmbeddedEngine, text: str, line: int, column: int, said: str) -> None:
    with pytest.raises(QuerySyntaxError, match=said) as caught:
        engine.evaluate(QueryRequest(text, QueryDataset(), JSON))
    assert (caught.value.line, caught.value.column) == (line, column)
    assert "\\u{" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["ASK {" + "{" * 5000 + "}" * 5001, "ASK { FILTER(" + "!" * 30000 + "true) }", "ASK { ?s ?p " + "[ ?p " * 1000],
)
def test_nesting_is_limited(engine: EmbeddedEngine, text: str) -> None:
    with pytest.raises(InputError, match="nested deeper"):
        evaluate_query(engine, QueryRequest(text, QueryDataset(), JSON, JSON))


def test_service_is_denied(engine: EmbeddedEngine) -> None:
    with pytest.raises(ServiceDeniedError, match="line 2, column 1"):
        engine.evaluate(QueryRequest("ASK {\nSERVICE <http://127.0.0.1:9/> { ?s ?p ?o } }", QueryDataset(), JSON, JSON))


@pytest.mark.parametrize("target", ["<http://other.example/>", "?anywhere", "<http://127.0.0.1/>", "e:x"])
def test_service_reaches_allowed_hosts_only(target: str) -> None:
    engine = EmbeddedEngine()
    engine.configure(services={"127.0.0.1:9"})
    text = (
        f"PREFIX e: <http://e.org/> ASK {{ SERVICE SILENT <http://127.0.0.1:9/> {{ ?s ?p ?o }} SERVICE {target} {{}} }}"
    )
    with pytest.raises(ServiceDeniedError):
        engine.evaluate(QueryRequest(text, QueryDataset(), JSON, JSON))
    allowed = text.replace(f"SERVICE {target} {{}}", "")
    engine.evaluate(QueryRequest(allowed, QueryDataset(), JSON, JSON)).body.close()


def test_format_must_fit_the_kind(engine: EmbeddedEngine) -> None:
    with pytest.raises(NotAcceptableError) as caught:
        engine.evaluate(QueryRequest("CONSTRUCT WHERE { ?s ?p ?o }", QueryDataset(), JSON, JSON, None))
    assert "text/turtle" in caught.value.offered


def test_long_results_are_spooled_to_a_file(engine: EmbeddedEngine) -> None:
    # Spooling is seen from outside: a result beyond the limit has a file behind it.
    rows = " ".join(f"{number:06}" for number in range(400))
    text = f"SELECT ?a ?b ?c {{ VALUES ?a {{ {rows} }} VALUES ?b {{ {rows} }} BIND('x' AS ?c) }}"
    result = engine.evaluate(QueryRequest(text, QueryDataset(), CSV))
    with result.body as body:
        assert result.length > SPOOL_MEMORY
        assert isinstance(body.fileno(), int)
        assert len(body.read()) == result.length


def test_select_binds_variables(engine: EmbeddedEngine) -> None:
    rows = engine.select("SELECT ?s ?o { ?s ?p ?o }", {"o": Literal(2)})
    assert [row["s"] for row in rows] == [NamedNode("http://e.org/a")]


def test_generation_grows_with_each_change() -> None:
    engine = EmbeddedEngine()
    before = engine.generation
    engine.extend(parse(DATA, TRIG))
    assert engine.generation == before + 1
    assert engine.graph_sizes() == {"http://e.org/one": 1, "http://e.org/two": 1}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { SERVICESILENT<http://127.0.0.1:9/>{ ?s ?p ?o } }",
        "ASK { OPTIONAL { ?s ?p trueSERVICE<http://127.0.0.1:9/>{ ?s ?p ?o } } }",
        r"ASK { ?s <http://e.org/\u0041#x> ?o SERVICE SILENT <http://127.0.0.1:9/> { ?s ?p ?o } }",
        "ASK { ?s ?p ?a, ?b, ?c FILTER(?a<?b&&?c!='>')SERVICE<http://127.0.0.1:9/>{ ?s ?p ?o }FILTER(?c!='') }",
        "PREFIX e: <http://127.0.0.1:9/> ASK { SERVICEe:x { ?s ?p ?o } }",
        "PREFIX : <http://127.0.0.1:9/> ASK { {} SERVICE:x { ?s ?p ?o } }",
        "PREFIX SERVICE: <http://127.0.0.1:9/> ASK { OPTIONAL { SERVICESILENTSERVICE:x { ?s ?p ?o } } }",
        "PREFIX : <http://127.0.0.1:9/> ASK { FILTER(EXISTS{} <?b)SERVICE:x#>\n{ ?s ?p ?o } }",
        "ASK { ?s ?p ?a, ?b FILTER(?a<?b&&(?a>?b))FILTER(?a<?b)SERVICE<http://127.0.0.1:9/>#>\n{ ?s ?p ?o } }",
    ],
)
def test_service_is_found_in_any_spelling(engine: EmbeddedEngine, text: str) -> None:
    with pytest.raises(ServiceDeniedError):
        engine.evaluate(QueryRequest(text, QueryDataset(), JSON, JSON))


@pytest.mark.parametrize("way", ["select", "solutions"])
def test_selects_call_no_server_either(engine: EmbeddedEngine, way: str) -> None:
    text = "PREFIX e: <http://127.0.0.1:9/> SELECT * { SERVICEe:x { ?s ?p ?o } }"
    with pytest.raises(ServiceDeniedError):
        _ = engine.select(text) if way == "select" else engine.select_in_graphs(text, None, None)


@pytest.mark.parametrize(
    "text",
    [
        r"BASE <http://allowed.example/> ASK { SERVICE SILENT <\u0068ttp://127.0.0.1:9/> { ?s ?p ?o } }",
        r"BASE <http://allowed.example/> ASK { SERVICE SILENT <\u002f/127.0.0.1:9/> { ?s ?p ?o } }",
        "BASE <http://allowed.example/> ASK { SERVICE SILENT <http:/127.0.0.1:9/> { ?s ?p ?o } }",
        "PREFIX a: <http://allowed.example/> PREFIXa: <http://127.0.0.1:9/> ASK { SERVICE SILENT a:x { ?s ?p ?o } }",
        "PREFIX c: <http://127.0.0.1:9/> ASK { c:b\u200cPREFIX c: <http://allowed.example/> . SERVICE SILENT c:x { } }",
        "BASE <http://127.0.0.1:9/> ASK { ?s ?a\u200cBASE <http://allowed.example/> . SERVICE SILENT <x> {} }",
        "PREFIX a: <http://allowed.example> ASK { SERVICE SILENT a:\u30fbx.example { ?s ?p ?o } }",
        "ASK { SERVICE SILENT <http://℀/> { ?s ?p ?o } }",
    ],
)
def test_a_disguised_host_is_not_called(text: str) -> None:
    engine = EmbeddedEngine()
    engine.configure(services={"allowed.example"})
    with pytest.raises(ServiceDeniedError):
        engine.evaluate(QueryRequest(text, QueryDataset(), JSON, JSON))


@pytest.mark.parametrize(
    "text",
    [
        "PREFIX e: <http://e.org/> ASK { FILTER(?service < 5 && e:service != <http://e.org/#x>) ?a ?b 'SERVICE' }",
        "PREFIX sd: <http://www.w3.org/ns/sparql-service-description#> ASK { ?s ?p <http://e.org/service> }",
        "PREFIX service: <http://e.org/> ASK { GRAPH service:one { ?s service:p ?o } service:a service:p service:b }",
    ],
)
def test_text_that_resembles_service_is_answered(engine: EmbeddedEngine, text: str) -> None:
    engine.evaluate(QueryRequest(text, QueryDataset(), JSON, JSON)).body.close()


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("BASE <http://b.example/> ASK FROM <http://[> {}", 35),
        ("BASE <http://[> ASK FROM <a> {}", 6),
        ("PREFIX a: <http://a]/> ASK FROM a:b {}", 11),
        ("ASK { SERVICE <http://[> { ?s ?p ?o } }", 15),
        ("ASK FROM <http://e.org/none> { ?s ?p }", 38),
    ],
)
def test_syntax_errors_come_before_unknown_graphs(engine: EmbeddedEngine, text: str, column: int) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        engine.evaluate(QueryRequest(text, QueryDataset(), JSON, JSON))
    assert (caught.value.line, caught.value.column) == (1, column)


def test_a_host_that_python_refuses_is_an_unknown_graph(engine: EmbeddedEngine) -> None:
    with pytest.raises(UnknownGraphError, match="<http://℀/>"):
        engine.evaluate(QueryRequest("BASE <http://b.example/> ASK FROM <http://℀/> {}", QueryDataset(), JSON, JSON))


def test_an_explained_query_is_not_run() -> None:
    text = "ASK { SERVICE <http://127.0.0.1:9/> { ?s ?p ?o } }"
    assert EmbeddedEngine().explain(text).text == text
    with pytest.raises(QuerySyntaxError):
        EmbeddedEngine().explain("ASK { ?s ?p }")


class FailingStore:
    """A store whose method `call` fails once."""

    def __init__(self, store: object, call: str) -> None:
        self._store, self._call, self.fails = store, call, True

    def __getattr__(self, name: str) -> object:
        if name == self._call and self.fails:
            self.fails = False
            return self._fail_once
        return getattr(self._store, name)

    def __contains__(self, quad: Quad) -> bool:
        return quad in self._store  # type: ignore[operator]

    @staticmethod
    def _fail_once(*_: object) -> None:
        raise OSError("no more room")


@pytest.mark.parametrize("call", ["remove", "remove_graph", "add_graph", "extend"])
def test_an_interrupted_change_is_undone(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = EmbeddedEngine(parse(DATA, TRIG))
    one, new = NamedNode("http://e.org/one"), NamedNode("http://e.org/new")
    (old,) = engine.quads(one)
    delta = Delta(
        added=frozenset({Quad(old.subject, old.predicate, old.object, new)}),
        removed=frozenset({old}),
        created=frozenset({new}),
        dropped=frozenset({one}),
    )
    before = set(engine.quads()), engine.named_graphs()
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_store", FailingStore(engine._store, call))
        with pytest.raises(OSError, match="no more room"):
            engine.apply(delta)
    assert (set(engine.quads()), engine.named_graphs()) == before
    engine.apply_commit(delta, 7)
    assert (engine.named_graphs() >= {new}, engine.generation) == (True, 7)
    assert one not in engine.named_graphs()

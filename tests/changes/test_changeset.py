"""The delta of a change equals the effect of the engine's own update."""

import pyoxigraph as ox
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.changes.changeset import (
    ChangeSet,
    DeltaPatch,
    GraphRemoval,
    GraphReplacement,
    QuadAddition,
    SparqlUpdate,
    compute_delta,
)
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryDataset
from kg.errors import InputError, KgError, NotFoundError, QuerySyntaxError, ServiceDeniedError
from kg.rdf.delta import Delta
from kg.rdf.formats import NTRIPLES
from kg.rdf.io import canonical_nquads, parse, place_in_graph, serialize
from kg.rdf.namespaces import BASE
from kg.rdf.terms import BlankNode, DefaultGraph, Literal, NamedNode, Quad

E = "http://e/"
PREFIX = f"PREFIX e: <{E}> "
GRAPHS = tuple(NamedNode(E + name) for name in ("g", "h", "k"))
INITIAL = (
    PREFIX + 'INSERT DATA { e:d e:p 0 . GRAPH e:g { e:a e:p 1 } GRAPH e:h { e:b e:p 2 . _:z e:q "x"@en } }; '
    f"CREATE GRAPH <{E}empty>"
)


def engine_of(text: str = INITIAL) -> EmbeddedEngine:
    engine = EmbeddedEngine()
    engine._store.update(text)
    return engine


def twin_of(engine: EmbeddedEngine) -> ox.Store:
    twin = ox.Store()
    twin.extend(engine.quads())
    for graph in engine.named_graphs():
        twin.add_graph(graph)
    return twin


def state(store: ox.Store) -> tuple[bytes, list[str]]:
    return canonical_nquads(store), sorted(map(str, store.named_graphs()))


def assert_same_effect(engine: EmbeddedEngine, text: str) -> bool:
    """Return whether both refuse an update; otherwise assert that their effects are equal and can be undone."""
    twin, before = twin_of(engine), (set(engine.quads()), engine.named_graphs())
    try:
        twin.update(text, base_iri=BASE)
    except (SyntaxError, ValueError, OSError, RuntimeError):
        with pytest.raises(KgError):
            compute_delta(engine, SparqlUpdate(text))
        assert (set(engine.quads()), engine.named_graphs()) == before
        return False
    if any(isinstance(graph, BlankNode) for graph in twin.named_graphs()):
        return False  # a graph is named by an IRI here
    delta = compute_delta(engine, SparqlUpdate(text))
    assert (set(engine.quads()), engine.named_graphs()) == before, "the engine was changed"
    assert all(engine.holds(quad) for quad in delta.removed)
    assert not any(engine.holds(quad) for quad in delta.added)
    engine.apply(delta)
    assert state(engine._store) == state(twin)
    engine.apply(delta.inverse())
    assert (set(engine.quads()), engine.named_graphs()) == before
    return True


UPDATES = (
    "DELETE DATA { GRAPH e:g { e:a e:p 1 } }",
    "DELETE DATA { e:d e:p 00 }",
    "DELETE { GRAPH e:g { ?s ?p ?o } } WHERE { GRAPH e:g { ?s ?p ?o } }",
    "DELETE { ?s ?p ?o } INSERT { ?s e:q ?o } WHERE { ?s ?p ?o }",
    "WITH e:g DELETE { ?s ?p ?o } INSERT { ?s e:q ?o } WHERE { ?s ?p ?o }",
    "WITH e:g INSERT { ?s e:q ?g } WHERE { GRAPH ?g { ?s ?p ?o } }",
    "WITH e:g INSERT { ?s e:q ?o } USING e:h WHERE { ?s ?p ?o }",
    "INSERT { ?s e:q ?g } USING NAMED e:h WHERE { GRAPH ?g { ?s ?p ?o } }",
    "INSERT { ?s e:q ?g } USING e:h WHERE { GRAPH ?g { ?s ?p ?o } }",
    "INSERT { ?s e:q ?o } USING e:h USING e:g WHERE { ?s ?p ?o }",
    *(f"{verb} {target}" for verb in ("CLEAR", "DROP") for target in ("ALL", "NAMED", "DEFAULT", "GRAPH e:g")),
    *(f"{verb} {silent}GRAPH e:no" for verb in ("CLEAR", "DROP") for silent in ("", "SILENT ")),
    *(f"CREATE {target}" for target in ("GRAPH e:g", "SILENT GRAPH e:g", "GRAPH e:new")),
    *(
        f"{verb} {silent}{source} TO {target}"
        for verb in ("ADD", "COPY", "MOVE")
        for silent in ("", "SILENT ")
        for source in ("DEFAULT", "e:g", "e:empty", "e:no")
        for target in ("DEFAULT", "GRAPH e:h", "e:new", "e:g", "e:empty")
    ),
    'INSERT DATA { e:x e:p 01, 1.0, "2020-01-01T00:00:00+00:00"^^<http://www.w3.org/2001/XMLSchema#dateTime> }',
    "INSERT DATA { _:a e:p [ e:q (1 2) ] . GRAPH e:n { _:a e:p _:b } }",
    "INSERT { ?s e:b [ e:q ?o ] } WHERE { GRAPH ?g { ?s ?p ?o } }",
    "INSERT { _:n e:b 1 } WHERE { GRAPH ?g { ?s ?p ?o } }",
    "INSERT { e:k e:b 1 } WHERE { }",
    "INSERT { ?o e:b 1 } WHERE { ?s ?p ?o }",
    "INSERT { GRAPH ?o { ?s e:b 1 } } WHERE { ?s ?p ?o }",
    "INSERT { GRAPH ?g { ?s e:b ?u } } WHERE { GRAPH ?g { ?s ?p ?o } OPTIONAL { ?s e:none ?u } }",
    "DELETE WHERE { GRAPH ?g { ?s ?p ?o } }",
    'DELETE WHERE { GRAPH e:h { ?s e:q "x"@en } }',
    "",
    "BASE <http://b/> INSERT DATA { <x> <y> <#z> }",
    'INSERT DATA { e:a e:b ";}" # ; }\n }; DROP DEFAULT',
    "INSERT DATA { _:b e:p 1 } ; INSERT DATA { _:b e:p 2 }",
    "DELETE DATA { _:b e:p 1 }",
    "INSERT DATA { ?x e:b 1 }",
    "INSERT DATA { e:a e:b",
    "INSERT { e:x e:y ?c } WHERE { { SELECT (COUNT(*) AS ?c) { GRAPH ?g { ?s ?p ?o } } } }",
    "INSERT DATA { GRAPH e:newg {} }",
    "INSERT DATA { e:a e:b <<( e:a e:b e:c )>> }",
    "INSERT { e:r e:says <<( ?s ?p ?o )>> } WHERE { ?s ?p ?o }",
    "DROP GRAPH e:g ; INSERT DATA { GRAPH e:g { e:a e:p 1 } }",
    "CREATE GRAPH e:n ; DROP GRAPH e:n",
    "INSERT DATA { GRAPH e:n { e:a e:b 1 } } ; CLEAR GRAPH e:n ;",
    "DELETE { ?s ?p ?o } INSERT { ?s ?p ?o } WHERE { ?s ?p ?o }",
)  # fmt: skip


@pytest.mark.parametrize("update", UPDATES)
def test_each_operation(update: str) -> None:
    assert_same_effect(engine_of(), PREFIX + update)


nodes = st.sampled_from(["e:a", "e:b", "e:c"])
predicates = st.sampled_from(["e:p", "e:q"])
objects = st.sampled_from(["e:a", "e:b", "1", "2.50", '"x"', '"x"@en', '"x"@EN', "true"])
blanks = st.sampled_from(["_:x", "_:y"])
graphs = st.sampled_from(["e:g", "e:h", "e:k"])
variables = st.sampled_from(["?s", "?p", "?o", "?g"])


def joined(statements: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(statements, min_size=1, max_size=most).map(" . ".join)


def triples(
    subjects: st.SearchStrategy[str], verbs: st.SearchStrategy[str], values: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    return st.builds("{} {} {}".format, subjects, verbs, values)


def quads(statements: st.SearchStrategy[str], names: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    plain, placed = joined(statements), st.builds("GRAPH {} {{ {} }}".format, names, joined(statements))
    return st.lists(plain | placed, min_size=1, max_size=2).map(
        lambda parts: " ".join(part if part.startswith("GRAPH") else part + " ." for part in parts)
    )


ground = quads(triples(nodes, predicates, objects), graphs)
with_blanks = quads(triples(nodes | blanks, predicates, objects | blanks), graphs)
template = quads(triples(nodes | variables, predicates | variables, objects | variables), graphs | st.just("?g"))
making = quads(triples(nodes | variables | blanks, predicates, objects | variables | blanks), graphs | st.just("?g"))
pattern = quads(triples(nodes | variables, predicates | variables, objects | variables), graphs | st.just("?g"))
where = st.one_of(
    pattern,
    st.builds("{} OPTIONAL {{ {} }}".format, pattern, pattern),
    st.builds("{{ {} }} UNION {{ {} }}".format, pattern, pattern),
    st.builds("{} FILTER (?o != e:a)".format, pattern),
)
ends = graphs | st.just("DEFAULT")
silent = st.sampled_from(["", "SILENT "])
operation = st.one_of(
    st.builds("INSERT DATA {{ {} }}".format, with_blanks),
    st.builds("DELETE DATA {{ {} }}".format, ground),
    st.builds("DELETE WHERE {{ {} }}".format, pattern),
    st.builds(
        "{}DELETE {{ {} }} INSERT {{ {} }} {}WHERE {{ {} }}".format,
        st.sampled_from(["", "WITH e:g ", "WITH e:k "]),
        template,
        making,
        st.sampled_from(["", "USING e:h ", "USING NAMED e:g ", "USING e:g USING NAMED e:h "]),
        where,
    ),
    st.builds("INSERT {{ {} }} WHERE {{ {} }}".format, making, where),
    st.builds("{} {}{}".format, st.sampled_from(["CLEAR", "DROP"]), silent,
              st.sampled_from(["ALL", "NAMED", "DEFAULT", "GRAPH e:g", "GRAPH e:k"])),
    st.builds("CREATE {}GRAPH {}".format, silent, graphs),
    st.builds("{} {}{} TO {}".format, st.sampled_from(["ADD", "COPY", "MOVE"]), silent, ends, ends),
)  # fmt: skip
requests = st.lists(operation, min_size=1, max_size=3).map(lambda parts: PREFIX + " ;\n".join(parts))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(with_blanks, max_size=3), st.lists(graphs, max_size=2, unique=True), requests)
def test_random_requests(data: list[str], empty: list[str], request: str) -> None:
    text = PREFIX + " ; ".join(
        [f"CREATE SILENT GRAPH {graph}" for graph in empty]
        + [f"INSERT DATA {{ {block.replace('_:', f'_:b{number}')} }}" for number, block in enumerate(data)]
    )
    assert_same_effect(engine_of(text), request)


def test_each_operation_may_have_its_own_prologue() -> None:
    text = "PREFIX e: <http://e/> INSERT DATA { e:a e:b 1 } ; PREFIX e: <http://f/> INSERT DATA { e:a e:b 2 }"
    added = compute_delta(EmbeddedEngine(), SparqlUpdate(text)).added
    assert {quad.subject.value for quad in added if isinstance(quad.subject, NamedNode)} == {"http://e/a", "http://f/a"}


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("INSERT DATA {\n <urn:a> <urn:b> }", 2, 18),
        ("CLEAR ALL ;\nPREFIX e: <urn:> DELETE WHERE { ?s }", 2, 36),
        ("SELECT * { ?s ?p ?o }", 1, 1),
    ],
)
def test_text_that_is_not_an_update_is_a_syntax_error(text: str, line: int, column: int) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        compute_delta(engine_of(), SparqlUpdate(text))
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize("silent", ["", "SILENT "])
def test_load_is_refused(silent: str) -> None:
    with pytest.raises(InputError, match=r"line 2, column 1: LOAD"):
        compute_delta(engine_of(), SparqlUpdate(f"CLEAR ALL ;\nLOAD {silent}<http://127.0.0.1:9/x>"))


@pytest.mark.parametrize(
    "text",
    [
        "INSERT { ?s ?p ?o } WHERE { SERVICE <http://127.0.0.1:9/> { ?s ?p ?o } }",
        "PREFIX e: <http://127.0.0.1:9/> INSERT { ?s ?p ?o } WHERE { SERVICEe:x { ?s ?p ?o } }",
        "CLEAR ALL ; PREFIX e: <http://127.0.0.1:9/> INSERT { ?s ?p ?o } WHERE { SERVICEe:x { ?s ?p ?o } }",
    ],
)
def test_service_in_updates_is_refused(text: str) -> None:
    with pytest.raises(ServiceDeniedError):
        compute_delta(engine_of(), SparqlUpdate(text))


def test_graphs_chosen_by_protocol_parameters() -> None:
    text = PREFIX + "INSERT { ?s e:seen ?o } WHERE { ?s ?p ?o }"
    delta = compute_delta(engine_of(), SparqlUpdate(text, QueryDataset((E + "g",), (), union=False)))
    assert [quad.subject for quad in delta.added] == [NamedNode(E + "a")]
    with pytest.raises(InputError):
        compute_delta(
            engine_of(),
            SparqlUpdate(text.replace("WHERE", "USING e:h WHERE"), QueryDataset((E + "g",), (), union=False)),
        )


def quad(value: int, graph: NamedNode | DefaultGraph) -> Quad:
    return Quad(NamedNode(E + "a"), NamedNode(E + "p"), Literal(value), graph)


@pytest.mark.parametrize(
    ("change", "added", "removed", "created", "dropped"),
    [
        (QuadAddition((quad(1, GRAPHS[0]), quad(5, GRAPHS[0]))), 1, 0, 0, 0),
        (QuadAddition((quad(5, GRAPHS[2]),)), 1, 0, 1, 0),
        (GraphReplacement((GRAPHS[0],), (quad(5, GRAPHS[0]),)), 1, 1, 0, 0),
        (GraphReplacement((GRAPHS[0],), (quad(1, GRAPHS[0]),)), 0, 0, 0, 0),
        (GraphReplacement((GRAPHS[2],), ()), 0, 0, 1, 0),
        (GraphReplacement((GRAPHS[2],), (quad(1, GRAPHS[2]),)), 1, 0, 1, 0),
        (GraphReplacement((DefaultGraph(),), ()), 0, 1, 0, 0),
        (GraphReplacement(GRAPHS[:2], (quad(1, GRAPHS[0]), quad(7, GRAPHS[1]))), 1, 2, 0, 0),
        (GraphReplacement(GRAPHS[1:], ()), 0, 2, 1, 0),
        (GraphReplacement((), ()), 0, 0, 0, 0),
        (GraphRemoval(GRAPHS[1]), 0, 2, 0, 1),
        (GraphRemoval(DefaultGraph()), 0, 1, 0, 0),
        (DeltaPatch(Delta(frozenset({quad(1, GRAPHS[0])}), frozenset({quad(9, GRAPHS[0])}))), 0, 0, 0, 0),
    ],
)
def test_deltas_of_graph_store_changes(change: ChangeSet, added: int, removed: int, created: int, dropped: int) -> None:
    delta = compute_delta(engine_of(), change)
    assert [len(part) for part in (delta.added, delta.removed, delta.created, delta.dropped)] == [
        added, removed, created, dropped,
    ]  # fmt: skip


def test_removing_a_missing_graph_is_an_error() -> None:
    with pytest.raises(NotFoundError):
        compute_delta(engine_of(), GraphRemoval(GRAPHS[2]))


def test_a_graph_must_be_named_by_an_iri() -> None:
    with pytest.raises(InputError, match="blank node"):
        compute_delta(
            engine_of(), QuadAddition((Quad(NamedNode(E + "a"), NamedNode(E + "p"), Literal(1), BlankNode("g")),))
        )
    with pytest.raises(InputError, match="blank node"):
        compute_delta(engine_of(), GraphReplacement((), (Quad(*quad(1, GRAPHS[0]).triple, BlankNode("g")),)))
    text = PREFIX + "INSERT { GRAPH ?g { e:a e:p 1 } } WHERE { GRAPH e:h { ?g e:q ?o } }"
    assert not compute_delta(engine_of(), SparqlUpdate(text))


def test_another_lexical_form_is_no_change() -> None:
    integer = NamedNode("http://www.w3.org/2001/XMLSchema#integer")
    known = Quad(NamedNode(E + "a"), NamedNode(E + "p"), Literal("01", datatype=integer), GRAPHS[0])
    assert not compute_delta(engine_of(), QuadAddition((known,)))
    assert not compute_delta(engine_of(), GraphReplacement((GRAPHS[0],), (known,)))


def test_replacing_a_graph_by_its_dump_changes_nothing() -> None:
    engine = engine_of()
    dump = serialize(engine.quads(GRAPHS[1]), NTRIPLES)
    again = tuple(place_in_graph(parse(dump, NTRIPLES), GRAPHS[1]))
    assert not compute_delta(engine, GraphReplacement((GRAPHS[1],), again))
    more = compute_delta(engine, GraphReplacement((GRAPHS[1],), (*again, quad(5, GRAPHS[1]))))
    assert (len(more.added), len(more.removed)) == (1, 0)


def test_blank_nodes_of_the_data_can_be_removed_by_a_pattern() -> None:
    delta = compute_delta(
        engine_of(),
        SparqlUpdate(PREFIX + "DELETE { GRAPH e:h { ?s ?p ?o } } WHERE { GRAPH e:h { ?s e:q ?o ; ?p ?o } }"),
    )
    assert [type(quad.subject) for quad in delta.removed] == [BlankNode]


@pytest.mark.parametrize(
    "text",
    [
        "LOADSILENT<http://127.0.0.1:9/>",
        "INSERTDATA { e:a e:b 1 }",
        "DROP SILENTALL",
        "INSERT { ?s e:b 1 } USINGNAMED e:g WHERE { ?s ?p ?o }",
        "COPY DEFAULTTO e:g",
        "CLEARALL",
    ],
)
def test_keywords_within_other_tokens_are_ignored(text: str) -> None:
    with pytest.raises(QuerySyntaxError):
        compute_delta(engine_of(), SparqlUpdate(PREFIX + text))


def test_load_is_found_in_any_spelling() -> None:
    text = r"INSERT DATA { <http://e/\u0041#x> <http://e/b> 1 };LOAD <http://127.0.0.1:9/>"
    with pytest.raises(InputError, match="line 1, column 52: LOAD"):
        compute_delta(engine_of(), SparqlUpdate(text))


@pytest.mark.parametrize("request_", ["LOAD <http://127.0.0.1:9/> INTO e:g", "INSERT { e:a ?b } WHERE { LOAD }"])
def test_syntax_is_checked_first(request_: str) -> None:
    with pytest.raises(QuerySyntaxError):
        compute_delta(engine_of(), SparqlUpdate(PREFIX + request_))


@pytest.mark.parametrize(
    "text",
    [
        r"INSERT DATA { <http://e/\u0041#x> e:b '}' }",
        "INSERT{e:r e:says<<(?s?p?o)>>}WHERE{?s?p?o}",
        "INSERT { e:x e:y ?t } WHERE { BIND(<<( e:a e:b 1 )>> AS ?t) }",
        "INSERT { 'a' e:b 1 . e:a e:b 2 } WHERE {}",
        "INSERT { ?a·b e:b 1 } WHERE { BIND(e:a AS ?a·b) }",
        "INSERT { e:x e:b ?o } WHERE { ?s ?p ?o FILTER(?o<5&&?o>=0) } ; DROP DEFAULT",
    ],
)
def test_unusual_spellings_are_split_into_operations(text: str) -> None:
    assert assert_same_effect(engine_of(), PREFIX + text)


def test_a_graph_with_other_statements_is_not_dropped() -> None:
    engine = engine_of(PREFIX + "INSERT DATA { GRAPH e:g { e:a e:p 1 , 2 } }")
    made = Delta(removed=frozenset({quad(1, GRAPHS[0])}), dropped=frozenset({GRAPHS[0]}))
    delta = compute_delta(engine, DeltaPatch(made))
    assert (delta.removed, delta.dropped) == (made.removed, frozenset())


def test_a_failing_operation_undoes_the_previous_ones() -> None:
    engine = engine_of()
    before = set(engine.quads()), engine.named_graphs()
    with pytest.raises(InputError):
        compute_delta(
            engine, SparqlUpdate(PREFIX + "DROP ALL ; INSERT DATA { GRAPH e:n { e:a e:b 1 } } ; CREATE GRAPH e:n")
        )
    assert (set(engine.quads()), engine.named_graphs()) == before

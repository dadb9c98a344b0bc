"""Rewritten queries: each rule with a case that it applies to and one that it does not, and always the same rows."""

from collections import Counter
from itertools import count as counted_from
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.changes.commit_rows import SqlRow
from kg.engine.embedded import EmbeddedEngine
from kg.engine.planner import plan_cache
from kg.engine.planner.optimizer import PlanningOptimizer
from kg.engine.planner.plan_cache import MAX_CACHED_LONG_PLANS, MAX_CACHED_PLANS, PlanCache
from kg.engine.planner.rewrite import plan_query
from kg.engine.protocol import QueryPlan
from kg.engine.statistics import DatasetStatistics, PropertyStatistics
from kg.engine.statistics_queries import compute_statistics
from kg.errors import QuerySyntaxError
from kg.rdf.formats import TRIG
from kg.rdf.io import parse
from kg.rdf.namespaces import ID
from kg.rdf.terms import NamedNode, Quad
from kg.sparql.query_parser import MAX_PARSED_LENGTH, MAX_PARSED_NESTING, MAX_PARSED_TOKENS
from kg.sparql.tokens import iter_tokens

E = "http://e.org/"
PREFIX = f"PREFIX : <{E}> "
COUNTS = DatasetStatistics(
    100_000, None, None, None,
    {
        f"{E}about": PropertyStatistics(40_000, 40_000, 4_000),
        f"{E}year": PropertyStatistics(40_000, 40_000, 8),
        f"{E}value": PropertyStatistics(40_000, 40_000, 30_000),
        f"{E}kind": PropertyStatistics(4_000, 4_000, 4),
        f"{E}member": PropertyStatistics(8_000, 400, 8_000),
        f"{E}rare": PropertyStatistics(10, 10, 10),
    },
    {}, {}, 0,
)  # fmt: skip


def planned(
    pattern: str, counts: DatasetStatistics | None = COUNTS, head: str = "SELECT *", tail: str = ""
) -> str | None:
    """Return the planned group pattern of a query; None if it does not change."""
    text = f"{PREFIX}{head} {pattern}{tail}"
    found = plan_query(text, counts).text
    return None if found == text else found.removeprefix(f"{PREFIX}{head} ").removesuffix(tail)


def reasons(pattern: str, counts: DatasetStatistics | None = COUNTS) -> str:
    return " / ".join(change.message for change in plan_query(f"{PREFIX}SELECT * {pattern}", counts).notes)


LATERAL_PART = "?f :about ?z LATERAL { ?f :year 2024 }"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (
            "{ ?z :kind :a FILTER NOT EXISTS { ?f :year 2024 ; :about ?z } }",
            "{ ?z :kind :a FILTER NOT EXISTS { ?f :about ?z LATERAL { ?f :year 2024 } } }",
        ),
        (
            "{ ?z :kind :a FILTER(?z != :b || EXISTS { ?f :year 2024 ; # { OPTIONAL\n :about ?z }) }",
            "{ ?z :kind :a FILTER(?z != :b || EXISTS { ?f :about ?z LATERAL { ?f :year 2024 } }) }",
        ),
        (
            "{ ?z :kind :a FILTER EXISTS { ?f :year 2024 ; :about ?z . ?g :rare 'x' ; :kind 1.5 } }",
            f"{{ ?z :kind :a FILTER EXISTS {{ {{ {LATERAL_PART} }} {{ ?g :rare 'x' LATERAL {{ ?g :kind 1.5 }} }} }} }}",
        ),
        (
            "{ ?z :kind :a FILTER EXISTS { ?f :about ?z GRAPH :g { ?f :year ?y } } }",
            "{ ?z :kind :a FILTER EXISTS { ?f :about ?z LATERAL { GRAPH :g { ?f :year ?y } } } }",
        ),
        ("{ ?z :kind :a FILTER EXISTS { ?f :about ?z } }", None),
        ("{ ?z :kind :a FILTER EXISTS { _:f :year 2024 . _:f :about ?z } }", None),
        ("{ ?z :kind :a FILTER EXISTS { ?f :year 2024 . ?f :about* ?z } }", None),
    ],
)
def test_exists_starts_at_bound_variables(pattern: str, expected: str | None) -> None:
    assert planned(pattern) == expected


LOOP = "LATERAL { OPTIONAL { ?f :about ?z LATERAL { ?f :value ?v } } }"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{ ?z :rare 1 OPTIONAL { ?f :value ?v ; :about ?z } }", f"{{ ?z :rare 1 {LOOP} }}"),
        (
            "{ ?z :rare 1 OPTIONAL { ?f :value ?v ; :about ?z FILTER(?v > ?z) } }",
            f"{{ ?z :rare 1 {LOOP.removesuffix('} }')}FILTER(?v > ?z) }} }} }}",
        ),
        (
            "{ ?z :rare 1 OPTIONAL { ?f :about ?z OPTIONAL { ?g :value ?v ; :about ?z } } }",
            f"{{ ?z :rare 1 LATERAL {{ OPTIONAL {{ ?f :about ?z {LOOP.replace('?f', '?g')} }} }} }}",
        ),
        (
            "{ ?z :kind ?k OPTIONAL { ?f :year 2024 ; :about ?z ; :value ?v } }",
            "{ ?z :kind ?k OPTIONAL { SELECT * { ?f :year 2024 ; :about ?z ; :value ?v } } }",
        ),
        ("{ ?z :rare 1 OPTIONAL { ?f :about ?z } }", None),
        ("{ ?z :rare 1 OPTIONAL { ?f :about ?y ; :value ?v } }", None),
        ("{ ?z :rare 1 ; :kind ?k OPTIONAL { ?f :about ?z OPTIONAL { ?k :value ?v } } }", None),
        ("{ ?z :rare 1 OPTIONAL { ?f :value ?v { ?f :about ?z FILTER(?z = 1) } UNION { FILTER(?z = 2) } } }", None),
        ("{ ?z :rare 1 OPTIONAL { ?f :value ?v ; :about ?z MINUS { ?f :rare ?r } } }", None),
        ("{ ?z :rare 1 OPTIONAL { ?f :value ?v ; :about ?z BIND(?v AS ?w) VALUES ?z { 1 } } }", None),
        ("{ ?z :rare 1 OPTIONAL { ?f :about ?z ; :value ?v } { ?v :kind ?z } }", None),
    ],
)
def test_optional_follows_its_left_side(pattern: str, expected: str | None) -> None:
    assert planned(pattern) == expected


def test_values_behind_a_query_leave_optional_alone() -> None:
    pattern = "{ ?z :rare 1 OPTIONAL { ?f :value ?v ; :about ?z } }"
    assert planned(pattern, tail=" VALUES ?z { 1 }") is None


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (
            "{ ?z :about ?y OPTIONAL { ?z :kind ?k } ?z :rare 1 }",
            "{ ?z :about ?y . ?z :rare 1 OPTIONAL { ?z :kind ?k } }",
        ),
        ("{ ?z :about ?y OPTIONAL { ?z :kind ?k } ?z :kind ?k }", None),
        ("{ ?z :about ?y OPTIONAL { ?z :kind ?k } ?z :member ?m }", None),
        ("{ ?z :about ?y OPTIONAL { ?z :kind ?k } BIND(1 AS ?n) ?z :rare 1 }", None),
        ("{ ?z :about ?y OPTIONAL { ?z :kind ?k BIND(?z AS ?n) } ?z :rare 1 }", None),
        ("{ ?z :about ?y OPTIONAL { ?z :kind ?k { BIND(?z AS ?n) } } ?z :rare 1 }", None),
        ("{ ?z :about ?y OPTIONAL { ?z :kind ?k } _:b :rare ?z }", None),
    ],
)
def test_required_patterns_go_before_optional(pattern: str, expected: str | None) -> None:
    assert planned(pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (
            f"{{ ?f :about ?z FILTER(?z IN (:a, <{E}a>, :b)) }}",
            f"{{ ?f :about ?z VALUES ?z {{ <{E}a> <{E}b> }} }}",
        ),
        ("{ ?f :about ?z FILTER(?z IN (:a, <b>)) }", None),
        ("{ ?f :about ?z FILTER(?z IN (:a, 1)) }", None),
        ("{ ?f :about ?z FILTER(?z NOT IN (:a)) }", None),
        ("{ ?f :about ?y OPTIONAL { ?y :kind ?z } FILTER(?z IN (:a)) }", None),
        ("{ ?f :rare 1 ; :about ?z FILTER(?z IN (:a)) }", None),
        ("{ ?f :about ?z ; :value* ?v FILTER(?z IN (:a)) }", None),
    ],
)
def test_values_for_a_list_of_iris(pattern: str, expected: str | None) -> None:
    assert planned(pattern) == expected


SORTED = " ORDER BY DESC(?z) LIMIT 5 OFFSET 2"


def test_sorted_before_optional() -> None:
    found = planned("{ ?z :kind 1 OPTIONAL { ?f :about ?z } }", tail=SORTED)
    assert found == "{ { SELECT ?z { ?z :kind 1 } ORDER BY DESC(?z) LIMIT 7 } OPTIONAL { ?f :about ?z } }"


@pytest.mark.parametrize(
    ("pattern", "head", "tail"),
    [
        ("{ ?z :kind ?k OPTIONAL { ?f :about ?z } }", "SELECT *", SORTED),
        ("{ ?z :kind 1 OPTIONAL { ?f :about ?z } }", "SELECT DISTINCT ?z", SORTED),
        ("{ ?z :kind 1 OPTIONAL { ?f :about ?z } }", "SELECT *", " ORDER BY ?z"),
        ("{ ?z :kind 1 OPTIONAL { ?f :about ?z } FILTER(BOUND(?f)) }", "SELECT *", SORTED),
        ("{ ?z :kind 1 OPTIONAL { ?f :about ?z } }", "SELECT ?z (COUNT(*) AS ?n)", " GROUP BY ?z ORDER BY ?z LIMIT 1"),
    ],
)
def test_not_sorted_before_optional(pattern: str, head: str, tail: str) -> None:
    assert planned(pattern, head=head, tail=tail) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "OPTIONAL {", "SELECT * { ?a ?b ?c OPTIONAL { ?c ?d ", "SELECT * WHERE OPTIONAL }",
        "SELECT * { ?a ?b ?c OPTIONAL { ?c ?d ?e . . ?e ?f ?g } }",
        "SELECT * { ?a ?b ?c OPTIONAL { ?c ?d ?e ?f ?g } }",
        "SELECT * { ?a ?b ?c FILTER EXISTS { << ?a ?b ?c >> ?d ?e . ?e ?f ?g } }",
        "SELECT * { ?a ?b ?c {| ?d ?e |} OPTIONAL { ?c ?d ?e . ?e ?f ?g } }",
        "SELECT * { ?a ?b ?c OPTIONAL { SERVICE <http://e> { ?c ?d ?e . ?e ?f ?g } } }",
        "SELECT * { ?a ?b ?c LATERAL { OPTIONAL { ?c ?d ?e . ?e ?f ?g } } }",
        "SELECT * { ?a ?b ?c FILTER(?a<?b&&?c>?d) OPTIONAL { ?c ?d ?e . ?e ?f ?g } }",
        "SELECT * { ?a ?b ?c OPTIONAL { ?c ?\\u0064 ?e . ?e ?f ?g } }",
        "CONSTRUCT WHERE { ?a ?b ?c . ?c ?d ?e } # OPTIONAL",
        'SELECT * { ?a ?b "OPTIONAL { ?x" # EXISTS {\n }',
        "SELECT * { ?a <http://e/IN(OPTIONAL)> ?c . }",
        "INSERT DATA { <a> <b> <c> } # OPTIONAL",
    ],
)  # fmt: skip
def test_queries_without_a_rewrite_are_unchanged(text: str) -> None:
    assert plan_query(text, COUNTS).text == text


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * {" + "{" * 10_000 + " OPTIONAL " + "}" * 10_000 + "}",
        "SELECT * { ?a ?b ?c OPTIONAL {" * 20_000,
        "SELECT * { ?a ?b ?c FILTER(" + "!" * 10_000 + "EXISTS { ?a ?d ?e . ?e ?f ?g }) }",
        "SELECT * { ?a ?b " + "(" * 200_000 + " OPTIONAL ",
        "SELECT * { ?a ?b ?c OPTIONAL { ?c ?d ?e . ?e ?f ?g } }" + " " * 1_000_000,
    ],
)
def test_very_long_or_deep_queries_are_not_parsed(text: str) -> None:
    (change,) = plan_query(text, COUNTS).notes
    assert any(words in change.message for words in ("longer than", "deeper than", "more than"))
    assert plan_query(text, COUNTS).text == text


REST = "?f :about ?z ; :value ?v }"
LARGE = {
    "a star": ("{ ?z :kind :a FILTER EXISTS { ?f :about ?z ", "; :year ?y%d ", "} }"),
    "a star of constants": ("{ ?z :kind :a FILTER EXISTS { ?f :about ?z ; :value 1", ", %d", " } }"),
    "a chain": ("{ ?c0 :rare 1 FILTER EXISTS { ", "?c%d :about ?c%d . ", "} }"),
    "patterns apart": ("{ ?z :kind :a FILTER EXISTS { ?f :about ?z ; :year 1 ", ". ?a%d :about ?b%d ", "} }"),
    "patterns before": ("{ ?z :rare 1 ", ". ?z :member ?m%d ", f"OPTIONAL {{ {REST} }}"),
    "OPTIONALs": ("{ ?z :rare 1 ", "OPTIONAL { ?f%d :about ?z ; :value 1 } ", "}"),
    "OPTIONALs and patterns": ("{ ?z :about ?y ", "OPTIONAL { ?z :kind ?k%d } ?z :rare 1 ", "}"),
    "sorted OPTIONALs": ("{ ?z :rare 1 ", "OPTIONAL { ?f%d :about ?z ; :value 1 } ", "} ORDER BY ?z LIMIT 9"),
    "EXISTS": ("{ ?z :kind :a ", "FILTER EXISTS { ?f%d :year 2024 ; :about ?z }\n", "}"),
    "EXISTS in one filter": ("{ ?z :kind :a FILTER(true ", "|| EXISTS { ?f%d :year 2024 ; :about ?z } ", ") }"),
    "UNION": ("{ ?z :kind :a FILTER EXISTS { ?f :about ?z {} ", "UNION { ?f :year ?y%d } ", "} }"),
    "groups": ("{ ?z :kind :a FILTER EXISTS { ?f :about ?z ; :year 1 ", "{} ", "} }"),
    "groups in EXISTS": (
        "{ ?z :kind :a FILTER EXISTS { ?f :about ?z ",
        "{ ?f :year ?y%d } OPTIONAL { ?f :value ?z } ",
        "} }",
    ),
    "IN": ("{ ?f :about ?z FILTER(?z IN (:a", ", :b%d", ")) FILTER EXISTS { ?g :about ?z ; :value ?v } }"),
    "VALUES": ("{ VALUES ?z { ", ":b%d ", f"}} FILTER EXISTS {{ {REST} }}"),
    "deep": (
        "{ ?z :rare 1 " + "OPTIONAL { ?z :value ?v " * (MAX_PARSED_NESTING - 2),
        "OPTIONAL { ?z :kind ?k%d ; :year 1 } ",
        "}" * (MAX_PARSED_NESTING - 1),
    ),
}
"""Long patterns, by kind: the start, the repeated part, and the end."""


def filled(name: str, length: int = MAX_PARSED_LENGTH, number: int = MAX_PARSED_TOKENS) -> str:
    """Return a query of almost this many code points or tokens."""
    start, piece, end = LARGE[name]
    text, rest = f"{PREFIX}SELECT * {start}", length - len(end)
    number -= sum(1 for _ in iter_tokens(text + end))
    for index in counted_from():
        more = piece.replace("%d", str(index), 1).replace("%d", str(index + 1))
        number -= sum(1 for _ in iter_tokens(more))
        if len(text) + len(more) > rest or number < 0:
            return text + end
        text += more
    raise AssertionError


@pytest.mark.parametrize("name", LARGE)
def test_queries_just_below_the_limits_are_planned(name: str) -> None:
    text = filled(name)
    assert plan_query(text, COUNTS).text != text


@pytest.mark.parametrize(
    ("length", "number"),
    [(MAX_PARSED_LENGTH * 4, MAX_PARSED_TOKENS + 100), (MAX_PARSED_LENGTH + 100, MAX_PARSED_TOKENS * 4)],
)
@pytest.mark.parametrize("name", LARGE)
def test_queries_above_the_limits_are_not_planned(name: str, length: int, number: int) -> None:
    text = filled(name, length, number)
    (change,) = plan_query(text, COUNTS).notes
    assert "longer than" in change.message or "more than" in change.message
    assert plan_query(text, COUNTS).text == text


def test_few_filters_of_a_large_group_are_tried() -> None:
    """Each filter needs the order of all patterns of the group."""
    text = " ".join(f"?f :about ?z{n} FILTER(?z{n} IN (:a))" for n in range(500))
    assert 1 < (planned(f"{{ {text} }}") or "").count("VALUES") < 100


def test_minus_signs_between_numbers_do_not_count_as_nesting() -> None:
    text = f"{{ ?z :rare 1 OPTIONAL {{ ?f :value ?v ; :about ?z FILTER(?v != 1{' - 1' * 45}) }} }}"
    assert planned(text) is not None
    assert "deeper" in reasons(text.replace(" - 1", "", 45).replace("(", "(" + "-" * 45))


def test_the_nesting_limit_is_that_of_the_parser() -> None:
    body = "OPTIONAL { ?z :about ?f . ?f :value ?v "
    deep = f"{PREFIX}SELECT * {{ ?z :rare 1 " + body * MAX_PARSED_NESTING + "}" * MAX_PARSED_NESTING + "}"
    assert "deeper" in plan_query(deep, COUNTS).notes[0].message
    assert len(deep) < MAX_PARSED_LENGTH


def test_the_reason_for_not_rewriting_is_given() -> None:
    assert "not well designed" in reasons("{ ?z :rare ?k OPTIONAL { ?f :about ?z OPTIONAL { ?k :value ?v } } }")
    assert "starts at a bound variable" in reasons("{ ?z :rare 1 OPTIONAL { ?f :about ?y ; :value ?v } }")
    assert "MINUS" in reasons("{ ?z :rare 1 OPTIONAL { ?f :value ?v ; :about ?z MINUS { ?f :rare ?r } } }")
    assert "order" in reasons("{ ?z :kind :a FILTER EXISTS { ?f :year 2024 ; :about ?z } }", None)


def test_each_change_has_its_line() -> None:
    text = f"{PREFIX}\nSELECT * {{ ?z :kind :a\nFILTER EXISTS {{\n ?f :year 2024 ; :about ?z }} }}"
    assert [change.line for change in plan_query(text, None).notes] == [4]


def test_plans_are_cached_up_to_a_limit() -> None:
    plans = PlanCache()
    text = f"{PREFIX}SELECT * {{ ?z :kind :a FILTER EXISTS {{ ?f :year 2024 ; :about ?z }} }}"
    assert plans.plan_for(text, COUNTS) is plans.plan_for(text, COUNTS)
    for number in range(MAX_CACHED_PLANS * 2):
        plans.plan_for(f"{text} # {number}", None)
    assert plans.plan_for("ASK {}", None).text == "ASK {}"
    assert plans.plan_for(text, None).text == plan_query(text, None).text


def test_queries_that_differ_in_entities_share_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = list[str]()
    monkeypatch.setattr(plan_cache, "plan_query", lambda text, *rest: planned.append(text) or plan_query(text, *rest))
    plans = PlanCache()

    def ask(zone: str, kinds: str = "") -> str:
        pattern = f"<{ID}{zone}> :p ?c FILTER EXISTS {{ ?f :year 2024 ; :about ?c }} {kinds}"
        return plans.plan_for(f"{PREFIX}SELECT * {{ {pattern} }}", COUNTS).text

    assert ask("zone/a") == ask("zone/b").replace("zone/b", "zone/a")
    assert len(planned) == 1
    for kinds in (f"FILTER (?c IN (<{ID}a>, <{ID}a>))", f"FILTER (?c IN (<{ID}a>, <{ID}./a>))"):
        before = len(planned)
        assert f"<{ID}zone/c>" in ask("zone/c", kinds)
        assert f"<{ID}zone/d>" in ask("zone/d", kinds)
        assert len(planned) == before + 2


@pytest.mark.parametrize(
    "declared",
    [f"PREFIX id: <{ID}>", f"PREFIX id:<{ID}>", f"PREFIX id: # here\n\t<{ID}>", f"BASE <{ID}> PREFIX id: <>"],
)
def test_a_redeclared_project_prefix_is_respected(declared: str) -> None:
    for text in (
        f"{declared} SELECT * {{ ?x <http://e/p> ?y FILTER (?y = id:z1) }}",
        f"{declared} SELECT * {{ ?x <http://e/p> ?y , <{ID}z1> FILTER (?y IN (id:z1, id:z2)) }}",
        f"{declared} SELECT * {{ ?x ?p ?y FILTER (?y IN (id:z1, <{ID}z1>)) FILTER EXISTS {{ ?y ?z 'z<{ID}z'q>' }} }}",
    ):
        assert PlanCache().plan_for(text, COUNTS).text == plan_query(text, COUNTS).text
    counts = DatasetStatistics(
        9_000, None, None, None, {"http://e/p": PropertyStatistics(9_000, 9_000, 9_000)}, {}, {}, 9_000
    )
    things = [NamedNode(f"{ID}{name}") for name in ("x", "z1")]
    quad = Quad(things[0], NamedNode("http://e/p"), things[1], NamedNode("http://e/g"))
    engine = EmbeddedEngine([quad], statistics=counts, optimizer=PlanningOptimizer())
    assert len(engine.select(f"{declared} SELECT ?x {{ ?x <http://e/p> ?y FILTER (?y IN (id:z1, id:z2)) }}")) == 1


def test_few_plans_of_long_queries_are_cached() -> None:
    plans, text = PlanCache(), filled("deep", MAX_PARSED_LENGTH - 100)
    first = plans.plan_for(text, None)
    assert plans.plan_for(text, None) is first
    for number in range(MAX_CACHED_LONG_PLANS):
        plans.plan_for(f"{text} # {number}", None)
    assert plans.plan_for(text, None) is not first
    assert plans.plan_for(text, None) == first
    assert plans.plan_for(text + " " * MAX_PARSED_LENGTH, None) == QueryPlan(text + " " * MAX_PARSED_LENGTH)


@pytest.mark.parametrize(
    "condition", [f"{left}<?b&&?c>?d" for left in ("EXISTS { ?z :p ?f }", "true", "'x'@en", "1", "(?z)")]
)
def test_an_operator_is_not_taken_for_an_iri(condition: str) -> None:
    """The text from `<` to `>` looks like an IRI, which would hide the variables in it."""
    text = f"{PREFIX}SELECT * {{ ?z :kind :a OPTIONAL {{ ?f :about ?z ; :year ?c ; :value ?d }} FILTER ({condition}) }}"
    found = plan_query(text, COUNTS)
    assert found.text == text
    assert "'<?b&&?c>' at line 1" in found.notes[0].message
    assert small(":z :kind :a .", optimized=True).select(text) == []


def small(data: str, *, optimized: bool = False) -> EmbeddedEngine:
    quads = parse(f"PREFIX : <{E}> {data}".encode(), TRIG)
    if not optimized:
        return EmbeddedEngine(quads)
    quads = list(quads)
    return EmbeddedEngine(quads, "", compute_statistics(EmbeddedEngine(quads)), optimizer=PlanningOptimizer())


def test_errors_quote_the_clients_text() -> None:
    engine = small(":a :p :b .", optimized=True)
    with pytest.raises(QuerySyntaxError, match="line 2, column"):
        engine.select("SELECT * {\n ?a ?b ?c FILTER EXISTS { ?c ?d ?e . ?e ?f ?g } OPTIONAL ?x }")


def test_a_rewrite_that_the_engine_rejects_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = small(":a :p :b .", optimized=True)
    monkeypatch.setattr(PlanCache, "plan_for", lambda *_: QueryPlan("SELECT {"))
    assert len(engine.select("SELECT * { ?a ?b ?c }")) == 1


def test_prebound_variables_give_the_same_rows() -> None:
    text = f"{PREFIX}SELECT ?a ?c {{ ?a :p ?b OPTIONAL {{ ?b :p ?c . ?c :q ?d FILTER(?d = 1) }} }}"
    data = ":a :p :b . :b :p :c, :d . :c :q 1 . :d :q 1 ."
    for bound in (None, {"c": NamedNode(f"{E}d")}, {"a": NamedNode(f"{E}b")}):
        with_, without = (small(data, optimized=on).select(text, bound) for on in (True, False))
        assert Counter(map(as_text, with_)) == Counter(map(as_text, without))


PREDICATES = (":p", ":q", ":p", ":q", ":p/:q", ":p*", "?w")
TERMS = ("?x", "?y", "?z", "?w", "?x", "?y", ":a", ":b", "1")


class Writer:
    """Generates random patterns, valid or not."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.bound = 0

    def triples(self, most: int = 3) -> str:
        return " . ".join(
            f"{self.pick('?x', '?y', '?z', '?w', ':a', '[]')} {self.pick(*PREDICATES)} {self.pick(*TERMS)}"
            for _ in range(self.random.randint(1, most))
        )

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def group(self, depth: int = 0) -> str:
        parts = [self.triples()]
        for _ in range(self.random.randint(0 if depth else 1, 2)):
            parts += [self.part(depth), self.triples(1) * (self.random.random() < 0.2)]
        return f"{{ {' '.join(parts)} }}"

    def part(self, depth: int) -> str:
        if depth > 1:
            return f"FILTER({self.pick(*TERMS)} IN (:a, :b))"
        inner, self.bound = self.group(depth + 1), self.bound + 1
        return self.pick(
            f"OPTIONAL {inner}", f"OPTIONAL {inner}", f"FILTER EXISTS {inner}", f"FILTER NOT EXISTS {inner}",
            f"{inner} UNION {self.group(depth + 1)}", f"GRAPH ?w {inner}", f"MINUS {inner}",
            f"FILTER({self.pick(*TERMS)} = :a)", "VALUES (?x) { (:a) (UNDEF) }", f"BIND(?x AS ?n{self.bound})",
            f"{{ SELECT ?x {inner} }}", "FILTER(?y != '} OPTIONAL {')",
        )  # fmt: skip


def graph(random: Random) -> str:
    lines = (
        f":{random.choice('abc')} :{random.choice('pq')} {random.choice([':a', ':b', ':c', '1'])} ." for _ in range(14)
    )
    return " ".join(line if random.random() < 0.6 else f":{random.choice('ab')} {{ {line} }}" for line in lines)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_random_patterns_have_the_same_rows_when_planned(seed: int, counted: bool) -> None:
    random = Random(seed)  # noqa: S311 - nothing is secret
    engine, text = small(graph(random)), f"{PREFIX}SELECT * {Writer(random).group()}"
    found = plan_query(text, compute_statistics(engine) if counted else None)
    if found.text == text:
        return
    try:
        rows = engine.select(text)
    except QuerySyntaxError:
        return
    assert Counter(map(as_text, engine.select(found.text))) == Counter(map(as_text, rows)), found


def as_text(row: SqlRow) -> str:
    return str(sorted((name, str(term)) for name, term in row.items()))


def test_an_unresolvable_iri_gives_the_same_error_with_planning() -> None:
    text = "BASE <http://e/> SELECT * { ?z ?p <http://[> OPTIONAL { ?z ?q ?v } }"
    assert plan_query(text, None).text == text
    with pytest.raises(QuerySyntaxError) as planned:
        small("", optimized=True).select(text)
    with pytest.raises(QuerySyntaxError) as unplanned:
        small("").select(text)
    assert str(planned.value) == str(unplanned.value)

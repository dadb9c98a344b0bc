"""Planned queries have the same solutions, for many generated queries; the comparison detects planted mistakes.

`python -m tests.engine.planner.test_equivalence 20000 [seed]` compares that many queries and prints what it counted.
"""

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.engine.planner.plan_cache import PlanCache
from kg.engine.planner.rewrite import plan_query
from kg.engine.statistics import DatasetStatistics
from kg.rdf.namespaces import ID
from kg.sparql import tokens
from tests.engine.planner.generated_queries import (
    Comparison,
    Planner,
    QueryCase,
    RandomQuery,
    cases,
    compare,
    sample_cases,
    shrink,
)

NUMBER = 4000
"""Queries of the fixed sample, which takes some seconds."""


def planned(text: str, counts: DatasetStatistics | None) -> str:
    return plan_query(text, counts).text


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases)
def test_planned_queries_have_the_same_rows(case: QueryCase) -> None:
    found = compare(case, planned)
    assert not found.is_different, found


class Tally:
    """Counts comparisons of many queries, and keeps those that differ."""

    def __init__(self, cases: Iterable[QueryCase], planner: Planner = planned) -> None:
        self.counts, self.differing = Counter[str](), list[Comparison]()
        for case in cases:
            found = compare(case, planner)
            self.counts += Counter(self._names(found))
            if found.is_different:
                self.differing.append(shrink(found, planner))

    @staticmethod
    def _names(found: Comparison) -> list[str]:
        names = ["all", found.original.kind] + ["with rows"] * found.has_rows
        if found.is_planned:
            names += ["planned", f"planned: {found.original.kind}"] + ["planned with rows"] * found.has_rows
        return names + ["different"] * found.is_different

    def smallest(self) -> Comparison | None:
        return min(
            self.differing, key=lambda found: len(found.case.query.text) + 40 * len(found.case.data), default=None
        )


@cache
def tally() -> Tally:
    return Tally(sample_cases(NUMBER, 0))


def test_planned_queries_have_the_same_rows_in_a_fixed_sample() -> None:
    assert tally().differing == [], tally().smallest()


def test_the_sample_is_meaningful() -> None:
    """At least a third of the planned queries have rows, and enough queries are planned."""
    counts = tally().counts
    assert counts["planned with rows"] >= counts["planned"] / 3, counts
    assert counts["planned"] >= NUMBER / 20, counts
    assert counts["syntax error"] <= NUMBER / 50, counts


def test_a_shared_plan_equals_the_plan_of_each_query() -> None:
    """Plans do not depend on which of the project's entities a query names."""
    plans, shared = PlanCache(), 0
    for case in sample_cases(NUMBER, 5):
        text = re.sub(r"(?<![\w:])e:([abcgh])\b", rf"<{ID}thing/\1>", case.query.text)
        found = plans.plan_for(text, case.counts).text
        assert found == planned(text, case.counts)
        shared += text != found and ID in text
    assert shared > NUMBER / 50


# Mistakes that a planner could make, which the comparison must detect


def closing(stream: list[tokens.Token], opened: int) -> int:
    """Return the index of the bracket that closes the one at an index."""
    depth = 0
    for index in range(opened, len(stream)):
        depth += (stream[index].text in "({[") - (stream[index].text in ")}]")
        if depth == 0:
            return index
    return len(stream) - 1


def after_optionals(text: str) -> Iterable[tuple[list[tokens.Token], int, int]]:
    """Iterate over the tokens, with the index of each OPTIONAL and of its closing brace, the last first."""
    stream = list(tokens.iter_tokens(text))
    for index in reversed(range(len(stream) - 1)):
        if stream[index].is_word("OPTIONAL") and stream[index + 1].text == "{":
            yield stream, index, closing(stream, index + 1)


def every_optional_lateral(text: str, _: DatasetStatistics | None) -> str:
    opened, closed = set[int](), set[int]()
    for stream, index, end in after_optionals(text):
        opened.add(stream[index].start)
        closed.add(stream[end].start)
    return "".join("LATERAL { " * (at in opened) + sign + " } " * (at in closed) for at, sign in enumerate(text))


def filter_into_optional(text: str, _: DatasetStatistics | None) -> str:
    for stream, _index, end in after_optionals(text):
        following = stream[end + 1 : end + 3]
        if len(following) == 2 and following[0].is_word("FILTER") and following[1].text == "(":
            stop = stream[closing(stream, end + 2)].start + 1
            return f"{text[: stream[end].start]} {text[stream[end].start + 1 : stop]} }} {text[stop:]}"
    return text


def triples_before_optional(text: str, _: DatasetStatistics | None) -> str:
    for stream, index, end in after_optionals(text):
        first = end + 1 + (stream[end + 1].text == ".")
        stop = next(place for place in range(first, len(stream)) if _ends_triples(stream[place]))
        if stop > first + 2:
            start, middle, last = stream[index].start, stream[first].start, stream[stop].start
            dot = "" if stream[index - 1].text in "{}." else " . "
            return f"{text[:start]}{dot} {text[middle:last]} . {text[start:middle]} {text[last:]}"
    return text


def _ends_triples(token: tokens.Token) -> bool:
    return token.text in "{}." or (token.kind == "word" and len(token.text) > 1)


def groups_opened(text: str, _: DatasetStatistics | None) -> str:
    stream, gone = list(tokens.iter_tokens(text)), set[int]()
    for index, token in enumerate(stream[:-1]):
        if token.text == "{" and index and stream[index - 1].text in "{}." and not stream[index + 1].is_word("SELECT"):
            end = closing(stream, index)
            if not any(other.is_word("UNION") for other in stream[end + 1 : end + 2]):
                gone |= {token.start, stream[end].start}
    return "".join(" " if at in gone else sign for at, sign in enumerate(text))


def replacing(pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> Planner:
    return lambda text, _: re.sub(pattern, replacement, text, flags=re.IGNORECASE)


MISTAKES: dict[str, Planner] = {
    "DISTINCT is dropped": replacing(r"\bDISTINCT\b", ""),
    "NOT EXISTS is MINUS": replacing(r"\bFILTER\s+NOT\s+EXISTS\b", "MINUS"),
    "EXISTS is a join": replacing(r"\bFILTER\s+EXISTS\b", ""),
    "EXISTS is LATERAL": replacing(r"\bFILTER\s+EXISTS\b", "LATERAL"),
    "blank nodes are shared": replacing(r"\[\s*\]", "?shared"),
    "a label is a variable": replacing(r"_:b\d+", "?label"),
    "IN is VALUES": replacing(
        r"FILTER\s*\(\s*(\?\w+)\s+IN\s*\(([^()]*)\)\s*\)",
        lambda match: f"VALUES {match[1]} {{ {match[2].replace(',', ' ')} }}",
    ),
    "comments are cut by a pattern": replacing(r"#[^\n]*", ""),
    "OPTIONAL is required": replacing(r"\bOPTIONAL\b", ""),
    "a group is no scope": groups_opened,
    "every OPTIONAL is LATERAL": every_optional_lateral,
    "a filter moves into OPTIONAL": filter_into_optional,
    "triples move before any OPTIONAL": triples_before_optional,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_detected(mistake: str) -> None:
    planner = MISTAKES[mistake]
    found = (compare(case, planner) for case in sample_cases(NUMBER, 0))
    assert any(
        item.is_different and (item.planned_answer.kind != "syntax error" or "comments" in mistake) for item in found
    )


# Hostile texts

PIECES = (
    *("SELECT", "*", "{", "}", "(", ")", "FILTER", "NOT", "EXISTS", "OPTIONAL", "?a", "e:p", "?b", ".", ";", ",", "IN"),
    *("'", '"', '"""', "<", ">", "<http://e/a>", "_:b", "[", "]", "#", "\n", "UNION", "VALUES", "LATERAL", "\\", "<<"),
    *("\\u007D", "\x00", "\ud800", "\u0301", "PREFIX e: <http://e/>", "GRAPH ?g", "BIND", "AS", "||", "&&", "!", "^"),
    *("/", "MINUS"),
)


def steps(text: str) -> int:
    """Count the calls of functions, in Python and in C, that planning a text takes: its cost on any machine."""
    count = 0

    def count_call(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(count_call)
    try:
        planned(text, None)
    finally:
        sys.setprofile(None)
    return count


def assert_alike(text: str) -> None:
    """Assert that a small text has the same answer, or the same error, with and without planning."""
    found = compare(QueryCase(ODD_DATA, RandomQuery(text)), planned)
    assert not found.is_different, found


ODD_DATA = next(sample_cases(1, 7)).data[:8]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40).map(" ".join))
def test_random_texts(text: str) -> None:
    assert_alike(text)
    assert_alike("PREFIX e: <http://e/> SELECT * { ?a e:p ?b " + text)


def mutated(text: str, random: Random) -> str:
    """Remove, move, double or replace a piece of a text."""
    start, end = sorted(random.randrange(len(text) + 1) for _ in range(2))
    end = min(end, start + 12)
    elsewhere = random.randrange(len(text) + 1)
    piece = random.choice(PIECES)
    return random.choice(
        (
            text[:start] + text[end:],
            text[:elsewhere] + text[start:end] + text[elsewhere:],
            text[:start] + piece + text[end:],
            f"{text[:elsewhere]} {piece} {text[elsewhere:]}",
        )
    )


def test_mutated_queries() -> None:
    random = Random(1)  # noqa: S311 - nothing secret
    for case in sample_cases(NUMBER // 2, 1):
        text = mutated(case.query.text, random)
        for _ in range(random.randrange(3)):
            text = mutated(text, random)
        assert_alike(text)


HEAD = "SELECT * { ?a ?b ?c "
LARGE = {
    "braces": "SELECT * " + "{ " * 10_000 + "?a ?b ?c" + " }" * 10_000,
    "optionals": HEAD + "OPTIONAL { ?a ?b ?c " * 10_000 + "} " * 10_001,
    "exists": HEAD + "FILTER NOT EXISTS { ?a ?b ?c " * 10_000 + "} " * 10_001,
    "exists in brackets": f"{HEAD} FILTER {'( EXISTS { ?a ?b ?c FILTER ' * 5_000} ( 1 ) {' } )' * 5_000}",
    "exists side by side": HEAD + "FILTER NOT EXISTS { ?a ?b ?c } " * 30_000 + "}",
    "optionals side by side": HEAD + "OPTIONAL { ?a ?b ?d } " * 45_000 + "}",
    "open braces": "SELECT * " + "{" * 1_000_000,
    "closed braces": "SELECT * { " + "}" * 1_000_000,
    "brackets": HEAD + "FILTER " + "(" * 500_000 + "1" + ")" * 500_000 + " }",
    "triples": "SELECT * { " + "?a ?b ?c . " * 90_000 + "OPTIONAL { ?a ?d ?e } }",
    "members": HEAD + "FILTER (?a IN (" + "<http://e/a>, " * 70_000 + "<http://e/b>)) }",
    "lines": HEAD + "FILTER NOT EXISTS { ?c ?d ?e } }" + "\n" * 1_000_000,
    "comments": HEAD + "FILTER NOT EXISTS { ?c ?d ?e } }" + "# {\n" * 250_000,
    "an open string": HEAD + "FILTER NOT EXISTS { ?c ?d '" + "x" * 1_000_000,
    "open strings": HEAD + "FILTER NOT EXISTS { ?c ?d " + '"""' * 300_001,
    "quotes": HEAD + "FILTER NOT EXISTS { ?c ?d " + "'\n" * 400_000,
    "escapes": HEAD + "FILTER NOT EXISTS { ?c ?d '" + "\\" * 1_000_000,
    "open IRIs": HEAD + "FILTER NOT EXISTS { ?c ?d " + "<" * 1_000_000,
    "a word": HEAD + "FILTER NOT EXISTS { ?c ?d " + "x" * 1_000_000,
    "words": "SELECT " * 140_000,
    "variables": f"SELECT * {{ {' '.join(f'?a{n} ?b{n} ?c{n} .' for n in range(40_000))} OPTIONAL {{ ?a1 ?d ?e }} }}",
    "a chain": f"SELECT * {{ {' . '.join(f'?a{n} <p> ?a{n + 1}' for n in range(40_000))} OPTIONAL {{ ?a1 ?d ?e }} }}",
    "a chain in EXISTS": f"{HEAD} FILTER EXISTS {{ {' . '.join(f'?c{n} <p> ?c{n + 1}' for n in range(40_000))} }} }}",
    "prefixes": "PREFIX e: <http://e/> " * 45_000 + "SELECT * { ?a e:p ?c OPTIONAL { ?a ?d ?e } }",
}


@pytest.mark.parametrize("name", LARGE)
def test_large_texts(name: str) -> None:
    """Planning stops after a few steps; some texts are nested so deeply that the engine's parser would crash."""
    text = LARGE[name]
    assert planned(text, None) == text
    assert steps(text) < len(text) / 100


GROWING_PART = "FILTER NOT EXISTS {{ ?a ?b ?c . ?c <p> ?e{0} }} OPTIONAL {{ ?a <q> ?f{0} . ?f{0} <r> ?g{0} }} "


def test_steps_grow_in_proportion() -> None:
    """Planning twice the text takes about twice the steps."""
    texts = [HEAD + "".join(map(GROWING_PART.format, range(number))) + "}" for number in (100, 200, 400)]
    assert planned(texts[0], None) != texts[0]
    assert all(late < 2.5 * early for early, late in pairwise(map(steps, texts)))


def main(number: int, seed: int = 1) -> int:
    started = time.perf_counter()
    tally = Tally(sample_cases(number, seed))
    lines = [f"{count:8} {name}" for name, count in sorted(tally.counts.items())]
    found = sorted(tally.differing, key=lambda found: len(found.case.query.text))[:5]
    sys.stdout.write("\n".join([*lines, f"{time.perf_counter() - started:8.1f} seconds", *map(str, found), ""]))
    return len(tally.differing)


if __name__ == "__main__":
    sys.exit(min(main(*map(int, sys.argv[1:] or ["20000"])), 1))

"""Expanding a delta gives the same result as running all rules again."""

import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.changes.rules import expand_delta, materialised_engine
from kg.engine.embedded import EmbeddedEngine
from kg.rdf.delta import Delta
from kg.rdf.terms import Literal, NamedNode, Quad
from kg.resources import curated_quads


@functools.cache
def curated() -> tuple[Quad, ...]:
    return tuple(curated_quads())


@functools.cache
def article() -> EmbeddedEngine:
    return materialised_engine(curated())


@functools.cache
def mutable() -> tuple[Quad, ...]:
    """The quads of the source and the vocabularies that rules read."""
    return tuple(
        quad
        for quad in sorted(curated(), key=str)
        if "/graph/source" in str(quad.graph_name)
        or quad.predicate.value.endswith(("prefLabel", "notation", "SymmetricProperty"))
    )


@st.composite
def deltas(draw: st.DrawFn) -> Delta:
    """Deltas that remove quads and add others, with another object of the same predicate or another number."""
    removed = draw(st.lists(st.sampled_from(mutable()), max_size=4, unique=True))
    pattern = draw(st.lists(st.sampled_from(mutable()), max_size=4, unique=True))
    added = set[Quad]()
    for quad in pattern:
        like = [other for other in mutable() if other.predicate == quad.predicate]
        other = draw(st.sampled_from(like))
        number = Literal(str(draw(st.integers(1, 5))), datatype=NamedNode("http://www.w3.org/2001/XMLSchema#decimal"))
        value = number if quad.predicate.value.endswith("/value") and draw(st.booleans()) else other.object
        added.add(Quad(quad.subject, quad.predicate, value, quad.graph_name))
    state = set(curated())
    return Delta(frozenset(added - state), frozenset(set(removed) - added))


def quads_of(engine: EmbeddedEngine) -> set[Quad]:
    return set(engine.quads())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(deltas())
def test_an_expanded_delta_equals_a_full_run_of_the_rules(delta: Delta) -> None:
    assert_equals_full_run(delta)


def assert_equals_full_run(delta: Delta) -> None:
    engine = article()
    before = quads_of(engine)
    whole = expand_delta(engine, delta)
    assert quads_of(engine) == before, "the engine was changed"
    engine.apply(whole)
    try:
        assert quads_of(engine) == quads_of(materialised_engine((set(curated()) - delta.removed) | delta.added))
    finally:
        engine.apply(whole.inverse())
    assert quads_of(engine) == before


@pytest.mark.parametrize("name", ["fdi-attracted", "percent-of-plan", "exports"])
def test_labels_of_derived_figures_follow_the_names_of_indicators(name: str) -> None:
    named = {
        quad
        for quad in mutable()
        if quad.subject == NamedNode(f"https://w3id.org/hpez/id/indicator/{name}") and "@en" in str(quad.object)
    }
    assert named
    assert_equals_full_run(Delta(removed=frozenset(named)))


RENAMED_KINDS = ("period", "zone", "org", "place", "claim")


def renamed(quad: Quad, word: str) -> Quad:
    """Return a quad with a path segment added to the IRIs of entities that rules bind to variables."""

    def rename(term: object) -> object:
        prefixes = tuple(f"https://w3id.org/hpez/id/{kind}/" for kind in RENAMED_KINDS)
        if isinstance(term, NamedNode) and term.value.startswith(prefixes):
            return NamedNode(f"{term.value}/{word}")
        return term

    return Quad(*map(rename, quad))  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["ALMOST", "NODES", "CLAIMS", "LIMITED", "$nodes", "$limit"])
def test_iris_that_contain_a_placeholder_are_not_replaced(word: str) -> None:
    state = {renamed(quad, word) for quad in curated()}
    labels = {quad for quad in state if "/id/period/" in str(quad.subject) and quad.predicate.value.endswith("Label")}
    assert all(quad.subject.value.endswith(word) for quad in labels if isinstance(quad.subject, NamedNode))
    engine = materialised_engine(state)
    whole = expand_delta(engine, Delta(removed=frozenset(labels)))
    assert whole.removed > labels, "derived labels that show a period follow it"
    engine.apply(whole)
    assert quads_of(engine) == quads_of(materialised_engine(state - labels))


def test_an_empty_delta_expands_to_an_empty_delta() -> None:
    assert expand_delta(article(), Delta()) == Delta()

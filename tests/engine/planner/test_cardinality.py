"""Join orders and connected components agree with a naive implementation."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from kg.engine.planner.cardinality import CardinalityEstimator, connected_components
from kg.engine.statistics import DatasetStatistics, PropertyStatistics
from kg.sparql.syntax_tree import TriplePattern, VariableNames, union_of_names

P = "http://e/"
COUNTS = DatasetStatistics(
    100, None, None, None,
    {
        P + "a": PropertyStatistics(90, 30, 6),
        P + "b": PropertyStatistics(90, 90, 3),
        P + "c": PropertyStatistics(0, 0, 0),
    },
    {}, {}, 0,
)  # fmt: skip
NAMES = "uvwxyz"
terms = st.sampled_from([*(f"?{name}" for name in NAMES), "_:l", "<http://e/n>", "1"])


def unit(subject: str, predicate: str, node: str) -> TriplePattern:
    names = frozenset(
        term.removeprefix("?") for term in (subject, predicate, node) if term[:2] == "_:" or term[0] == "?"
    )
    return TriplePattern(f"{subject} {predicate} {node}", names, subject, predicate, node)


singles = st.builds(unit, terms, st.sampled_from([*(f"<{P}{name}>" for name in "abcd"), "?u"]), terms)
wholes = st.frozensets(st.sampled_from(NAMES)).map(lambda names: TriplePattern("[]", names, is_compound=True))
units = st.lists(singles | wholes, max_size=12)
names = st.frozensets(st.sampled_from(NAMES), max_size=2)


def ordered(
    estimates: CardinalityEstimator, units: Sequence[TriplePattern], names: VariableNames
) -> list[TriplePattern]:
    left, found = list(enumerate(units)), list[TriplePattern]()
    while left:
        near = [(place, unit) for place, unit in left if not unit.names or unit.names & names]
        best = min(near or left, key=lambda item: estimates.estimate_matches(item[1], names))
        left.remove(best)
        found.append(best[1])
        names |= best[1].names
    return found


@given(units, names, st.sampled_from([COUNTS, None]))
def test_patterns_with_the_fewest_matches_come_first(
    units: list[TriplePattern], names: VariableNames, counts: DatasetStatistics | None
) -> None:
    estimates = CardinalityEstimator(counts)
    order, expected = estimates.join_order(units, names), ordered(estimates, units, names)
    assert list(map(id, order.triple_patterns)) == list(map(id, expected))
    known = [names.union(*(unit.names for unit in expected[:place])) for place in range(len(expected))]
    assert order.is_connected == all(
        not unit.names or unit.names & near for unit, near in zip(expected, known, strict=True)
    )


def independent(units: Sequence[TriplePattern], names: VariableNames) -> list[list[TriplePattern]]:
    found = list[list[TriplePattern]]()
    for unit in units:
        own = unit.names - names
        met = [part for part in found if own & union_of_names(other.names for other in part)]
        found = [part for part in found if part not in met]
        found.append([*(other for part in met for other in part), unit])
    return found


@given(units, names)
def test_patterns_without_common_variables_are_independent(units: list[TriplePattern], names: VariableNames) -> None:
    assert connected_components(units, names) == independent(units, names)

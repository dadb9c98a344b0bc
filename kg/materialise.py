"""Run the CONSTRUCT rules: what follows from the claims is derived anew, never written by hand."""

from collections.abc import Iterable
from typing import Final

from kg.engine.embedded import EmbeddedEngine
from kg.rdf import NamedNode, Quad, in_graph
from kg.resources import TextFile, rules
from kg.terms import graph_iri

ORDER: Final = ("asserted", "derived", "issues")
"""The graphs that rules fill, in the order in which they build on each other."""


def target_graph(rule: TextFile) -> str:
    """The name of the graph that a rule fills: `derived` for `derived-trade-balance.rq`."""
    return rule.stem.partition("-")[0]


def materialise(engine: EmbeddedEngine, using: Iterable[TextFile] | None = None) -> None:
    """Run all rules over the union of the graphs and add what they construct."""
    chosen = tuple(rules() if using is None else using)
    for name in ORDER:
        made = [
            quad
            for rule in chosen
            if target_graph(rule) == name
            for quad in in_graph(engine.construct(rule.text), NamedNode(graph_iri(name)))
        ]
        engine.extend(made)


def expanded(quads: Iterable[Quad]) -> EmbeddedEngine:
    """A new engine that holds the quads and all that the rules make of them."""
    engine = EmbeddedEngine(quads)
    materialise(engine)
    return engine

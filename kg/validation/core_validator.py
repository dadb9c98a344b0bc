"""Evaluate core constraints with pySHACL."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any, Final

import rdflib

from kg.errors import EngineError, ShapesError
from kg.rdf.rdflib_terms import rdflib_graph, term_to_rdflib
from kg.rdf.terms import Resource, Term, Triple
from kg.validation.pyshacl_patches import (
    PREFIXLESS_SHAPES_GRAPH,
    CachingGraph,
    CachingNamespaceManager,
    DataGraph,
    load_pyshacl,
)
from kg.validation.report import Finding
from kg.validation.report_rdf import findings_from_rdflib

_to_rdflib_cached: Final = lru_cache(maxsize=4096)(term_to_rdflib)


def validate_core(data: rdflib.Graph, shapes: rdflib.Graph) -> list[Finding]:
    """Validate a whole data graph against a shapes graph.

    Raise ShapesError if pySHACL cannot use the shapes, and EngineError if it fails otherwise.
    """
    pyshacl = load_pyshacl()
    with _translated_errors():
        _, report, text = pyshacl.validate(data, shacl_graph=shapes, inference="none", advanced=True)
    if isinstance(report, pyshacl.errors.ValidationFailure):
        raise ShapesError(f"The shapes cannot be evaluated: {report.message}")
    if not isinstance(report, rdflib.Graph):
        raise EngineError(f"The validator gave no report, so nothing is admitted: {text}")
    return list(findings_from_rdflib(report))


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate the errors of pySHACL; ShapesError and EngineError pass unchanged."""
    try:
        yield
    except (ShapesError, EngineError):
        raise
    except load_pyshacl().errors.ReportableRuntimeError as error:
        raise ShapesError(f"The shapes cannot be evaluated: {error.message}") from error
    except Exception as error:
        raise EngineError(f"The validator failed, so nothing is admitted: {error}") from error


class CoreValidator:
    """Validates given focus nodes against given shapes; pySHACL reads the shapes graph once."""

    def __init__(self, shapes: rdflib.Graph) -> None:
        """Take a shapes graph; pySHACL is loaded at first use."""
        self._shapes = shapes
        self._namespaces = CachingNamespaceManager(rdflib_graph(()))

    def preload(self) -> None:
        """Let pySHACL read the shapes now, so that processes forked later share them."""
        _ = self._shapes_by_node

    def validate_pairs(
        self, data: Iterable[Triple], pairs: Iterable[tuple[Resource, Iterable[Term]]]
    ) -> list[list[Finding]]:
        """Validate focus nodes against shapes over some data: return the findings of each (shape, focus nodes) pair.

        Raise ShapesError if pySHACL cannot use the shapes, and EngineError if it fails otherwise.
        """
        load_pyshacl()
        from pyshacl.pytypes import SHACLExecutor  # noqa: PLC0415

        graph, executor = self._build_data_graph(data), SHACLExecutor(advanced_mode=True)
        with _translated_errors():
            return [self._validate_shape(executor, graph, shape, nodes) for shape, nodes in pairs]

    def _validate_shape(
        self,
        executor: Any,  # noqa: ANN401 - pySHACL's own
        graph: rdflib.Graph,
        shape: Resource,
        nodes: Iterable[Term],
    ) -> list[Finding]:
        from pyshacl.validator import Validator  # noqa: PLC0415

        pyshacl_shape = self._shapes_by_node.get(term_to_rdflib(shape))
        if pyshacl_shape is None:  # a node that pySHACL does not regard as a shape constrains nothing
            return []
        _, results = pyshacl_shape.validate(executor, graph, focus=[term_to_rdflib(node) for node in nodes])
        if not results:
            return []
        report, _ = Validator.create_validation_report(PREFIXLESS_SHAPES_GRAPH, conforms=False, results=results)
        return list(findings_from_rdflib(report))

    def _build_data_graph(self, data: Iterable[Triple]) -> rdflib.Graph:
        graph = DataGraph(store="SimpleMemory", bind_namespaces="none")
        graph.namespace_manager = self._namespaces
        for item in data:
            graph.add(
                (_to_rdflib_cached(item.subject), _to_rdflib_cached(item.predicate), _to_rdflib_cached(item.object))
            )
        return graph

    @cached_property
    def _shapes_by_node(self) -> dict[rdflib.term.Node, Any]:
        """PySHACL's shapes by their nodes. Raise ShapesError if pySHACL cannot read the shapes graph."""
        load_pyshacl()
        from pyshacl.shapes_graph import ShapesGraph  # noqa: PLC0415

        graph = CachingGraph(bind_namespaces="none")
        for triple in self._shapes:
            graph.add(triple)
        graph.namespace_manager = CachingNamespaceManager(self._shapes)
        loaded = ShapesGraph(graph)  # adds triples to the graph
        graph.freeze()
        try:
            return {shape.node: shape for shape in loaded.shapes}
        except Exception as error:
            raise ShapesError(f"The shapes cannot be evaluated: {error}") from error

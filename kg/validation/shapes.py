"""Read a shapes graph, refuse what the gate does not support, and split it between pySHACL and the engine.

pySHACL evaluates the core constraints. The engine evaluates an sh:sparql constraint if its shape has targets and no
other shape refers to that shape: rdflib would parse the query again for every focus node. All other SPARQL constraints
stay with pySHACL, so every constraint is evaluated.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import rdflib
from rdflib.namespace import OWL, RDF, SH

from kg.errors import ShapesError
from kg.rdf.io import place_in_graph
from kg.rdf.namespaces import SH as SHACL
from kg.rdf.namespaces import graph_iri
from kg.rdf.rdflib_terms import rdflib_graph, term_from_rdflib, term_to_rdflib
from kg.rdf.terms import Literal, NamedNode, Quad, Resource
from kg.sparql import tokens
from kg.validation.prebinding import bind_shape_variables, prebinding_equals_join
from kg.validation.report import VIOLATION, require_iri, require_resource
from kg.validation.shape_targets import CLASS_TYPES, TARGET_PROPERTIES, prefix_declarations, read_targets

SHAPES_GRAPH: Final = NamedNode(graph_iri("shapes"))
SERVICE_CALL_MESSAGE: Final = "A constraint calls SERVICE; shapes may only look at the data."
SHAPE_REFERENCES: Final = (SH.property, SH.node, SH["not"], SH.qualifiedValueShape)
"""Properties that refer from a shape to another shape."""
SHAPE_LIST_REFERENCES: Final = (SH["and"], SH["or"], SH.xone)
"""Properties that refer from a shape to a list of shapes."""

_NON_CONSTRAINT_PROPERTIES: Final = (
    *TARGET_PROPERTIES,
    SH.severity,
    SH.message,
    SH.name,
    SH.description,
    SH.order,
    SH.group,
)


@dataclass(frozen=True)
class SparqlConstraint:
    """An sh:sparql constraint that the engine evaluates for the focus nodes of its shape."""

    shape: Resource
    constraint: Resource
    select: str
    severity: NamedNode
    messages: tuple[Literal, ...]
    focus_queries: tuple[str, ...]


@dataclass(frozen=True)
class Shapes:
    """A shapes graph, split into the `core_graph` for pySHACL and the `constraints` for the engine."""

    quads: tuple[Quad, ...]
    core_graph: rdflib.Graph = field(repr=False)
    constraints: tuple[SparqlConstraint, ...]

    @property
    def targeted_shapes(self) -> tuple[Resource, ...]:
        """The shapes with targets that pySHACL evaluates."""
        graph = self.core_graph
        targeted = {shape for shape in graph.subjects() if any(read_targets(graph, shape).focus_queries())}
        return tuple(require_resource(term_from_rdflib(shape)) for shape in sorted(targeted, key=str))

    def restrict_targets(self, shapes: Iterable[Resource], constraints: Iterable[SparqlConstraint]) -> "Shapes":
        """Return a copy in which only the given shapes and constraints have targets."""
        retained = {term_to_rdflib(shape) for shape in shapes}
        core = rdflib.Graph(bind_namespaces="none")
        for triple in self.core_graph:
            if triple[0] in retained or not _is_target(triple):
                core.add(triple)
        return Shapes(self.quads, core, tuple(constraints))


def _is_target(triple: tuple[rdflib.term.Node, ...]) -> bool:
    """Whether a triple declares a target, explicitly or by making its subject a class."""
    return triple[1] in TARGET_PROPERTIES or (triple[1] == RDF.type and triple[2] in CLASS_TYPES)


def read_shapes(quads: Iterable[Quad]) -> Shapes:
    """Analyse a shapes graph.

    Raise ShapesError for owl:imports, a SERVICE call in a constraint, a reference to a shape that the graph does not
    define, or a term of the SHACL namespace that SHACL does not define: a misspelt one would constrain nothing.
    """
    placed = tuple(place_in_graph(quads, SHAPES_GRAPH))
    graph = rdflib_graph(placed)
    _refuse_imports(graph)
    _refuse_unknown_terms(graph)
    _refuse_service(graph)
    _refuse_undefined_shapes(graph)
    constraints = tuple(_engine_constraints(graph))
    for item in constraints:
        graph.remove((term_to_rdflib(item.shape), SH.sparql, term_to_rdflib(item.constraint)))
    for shape in {item.shape for item in constraints}:
        if not _has_core_constraints(graph, term_to_rdflib(shape)):
            for target in TARGET_PROPERTIES:
                graph.remove((term_to_rdflib(shape), target, None))
    return Shapes(placed, graph, constraints)


def _refuse_imports(graph: rdflib.Graph) -> None:
    for target in graph.objects(None, OWL.imports):
        raise ShapesError(f"The shapes graph imports <{target}>; send the shapes themselves, nothing is fetched.")


def _refuse_unknown_terms(graph: rdflib.Graph) -> None:
    used = {term for triple in graph for term in triple if isinstance(term, rdflib.URIRef)}
    unknown = sorted(term for term in used if term.startswith(str(SH)) and term not in SH)
    if unknown:
        names = ", ".join("sh:" + term.removeprefix(str(SH)) for term in unknown)
        raise ShapesError(f"SHACL does not define {names}; a misspelt term would constrain nothing.")


def _refuse_service(graph: rdflib.Graph) -> None:
    for predicate in (SH.select, SH.ask, SH.construct, SH.update):
        for text in graph.objects(None, predicate):
            if tokens.find_service_keyword(str(text)) is not None:
                raise ShapesError(SERVICE_CALL_MESSAGE)


def _refuse_undefined_shapes(graph: rdflib.Graph) -> None:
    """Refuse references to shapes that the graph does not define: they would constrain nothing."""
    heads = [head for predicate in SHAPE_LIST_REFERENCES for head in graph.objects(None, predicate)]
    listed = {shape for head in heads for shape in graph.items(head)}
    referenced = {shape for predicate in SHAPE_REFERENCES for shape in graph.objects(None, predicate)}
    undefined = sorted(str(shape) for shape in referenced | listed if (shape, None, None) not in graph)
    if undefined:
        raise ShapesError(f"The shapes graph refers to <{undefined[0]}>, which it does not define.")


def _engine_constraints(graph: rdflib.Graph) -> Iterator[SparqlConstraint]:
    for shape, constraint in graph.subject_objects(SH.sparql):
        focus_queries = tuple(read_targets(graph, shape).focus_queries())
        select = graph.value(constraint, SH.select)
        standalone = focus_queries and not _is_referenced(graph, shape) and (shape, SH.path, None) not in graph
        active = not {(shape, SH.deactivated), (constraint, SH.deactivated)} & set(graph.subject_predicates())
        if select is not None and standalone and active and prebinding_equals_join(str(select)):
            yield _engine_constraint(graph, shape, constraint, str(select), focus_queries)


def _engine_constraint(
    graph: rdflib.Graph, shape: rdflib.term.Node, constraint: rdflib.term.Node, select: str, focus: tuple[str, ...]
) -> SparqlConstraint:
    severity = graph.value(shape, SH.severity)
    terms = {"shapesGraph": f"<{SHAPES_GRAPH.value}>", "currentShape": shape.n3()}
    return SparqlConstraint(
        shape=require_resource(term_from_rdflib(shape)),
        constraint=require_resource(term_from_rdflib(constraint)),
        select=prefix_declarations(graph, constraint) + bind_shape_variables(select, terms),
        severity=VIOLATION if severity is None else require_iri(term_from_rdflib(severity)),
        messages=_messages(graph, constraint) or _messages(graph, shape),
        focus_queries=focus,
    )


def _is_referenced(graph: rdflib.Graph, shape: rdflib.term.Node) -> bool:
    return any((None, predicate, shape) in graph for predicate in (*SHAPE_REFERENCES, RDF.first))


def _has_core_constraints(graph: rdflib.Graph, shape: rdflib.term.Node) -> bool:
    return any(
        str(predicate).startswith(SHACL) and predicate not in _NON_CONSTRAINT_PROPERTIES
        for predicate in graph.predicates(shape)
    )


def _messages(graph: rdflib.Graph, subject: rdflib.term.Node) -> tuple[Literal, ...]:
    terms = (term_from_rdflib(value) for value in graph.objects(subject, SH.message))
    return tuple(sorted((term for term in terms if isinstance(term, Literal)), key=str))

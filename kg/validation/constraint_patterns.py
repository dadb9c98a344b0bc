"""Extract the triple patterns of a SPARQL constraint, by group, with property paths as rdflib's.

Constructs whose dependencies are not analysed raise UnsupportedConstraintError.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import rdflib
from rdflib.namespace import RDF
from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, Path, SequencePath

from kg.rdf.terms import Literal, NamedNode
from kg.sparql import syntax_tree
from kg.sparql.query_parser import parse_query
from kg.sparql.syntax_tree import GroupElement, GroupGraphPattern, TriplePattern
from kg.sparql.token_stream import UnsupportedQueryError

RdflibPath = rdflib.URIRef | Path
PatternTerm = str | NamedNode | Literal
"""The name of a variable, or a constant; every literal is the same empty one."""

ANY_FORWARD_STEP: Final = NegatedPath(RDF.type)
"""One step from subject to object by any predicate, for a variable in the predicate position."""
_ANY_STEP: Final = NegatedPath(RDF.type)
"""One step in either direction by any predicate."""
_SOME_LITERAL: Final = Literal("")
_UNSUPPORTED_PROJECTIONS: Final = frozenset(
    {"*", "COUNT", "SUM", "MIN", "MAX", "AVG", "SAMPLE", "GROUP_CONCAT", "EXISTS", "FROM", "SELECT"}
)


class UnsupportedConstraintError(Exception):
    """The dependencies of a constraint cannot be analysed; the message gives the reason."""


@dataclass(frozen=True)
class PathPattern:
    """A triple pattern; `predicate_variable` is the variable in the predicate position, if there is one."""

    subject: PatternTerm
    path: RdflibPath
    object: PatternTerm
    predicate_variable: str | None = None

    @property
    def end_nodes(self) -> tuple[PatternTerm, PatternTerm]:
        """Its subject and object."""
        return self.subject, self.object


@dataclass
class ConstraintGroup:
    """A group of patterns and the groups nested in it.

    `kind` is main, plain, branch (of a UNION), optional, exists, absent (NOT EXISTS), asked (EXISTS inside an
    expression) or static (in the graph that holds the shapes). The offsets `start` and `end` include the GRAPH keyword.
    """

    kind: str
    start: int
    end: int
    patterns: list[PathPattern] = field(default_factory=list)
    groups: list["ConstraintGroup"] = field(default_factory=list)
    assigned_variables: set[str] = field(default_factory=set)

    def walk(self) -> Iterator["ConstraintGroup"]:
        """Yield this group and all groups nested in it."""
        yield self
        for inner in self.groups:
            yield from inner.walk()

    @property
    def variables(self) -> set[str]:
        """The variables of its own patterns."""
        ends = {node for pattern in self.patterns for node in pattern.end_nodes if isinstance(node, str)}
        return ends | {pattern.predicate_variable for pattern in self.patterns if pattern.predicate_variable}


def parse_constraint_query(text: str, static_graph: str) -> ConstraintGroup:
    """Return the main group of a SELECT query; `static_graph` is the IRI of the shapes graph.

    Raises UnsupportedConstraintError.
    """
    try:
        query = parse_query(text)
    except UnsupportedQueryError as error:
        raise UnsupportedConstraintError(f"a SPARQL text is not understood: {error}") from None
    if query.form != "SELECT" or query.base:
        raise UnsupportedConstraintError(f"a SPARQL text has {'BASE' if query.base else query.form}")
    for token in query.head[1:]:
        if token.text.upper() in _UNSUPPORTED_PROJECTIONS:
            raise UnsupportedConstraintError(f"a SPARQL text selects by {token.text}")
    if query.tail:
        raise UnsupportedConstraintError(f"a SPARQL text has {query.tail[0].text} after its pattern")
    return _constraint_group(query.main, "main", static_graph)


def _constraint_group(source: GroupGraphPattern, kind: str, static_graph: str) -> ConstraintGroup:
    group = ConstraintGroup(kind, source.start, source.end)
    for element in source.elements:
        group.patterns += map(_path_pattern, element.triple_patterns)
        nested_kind = _nested_kind(element, static_graph)
        nested = [_constraint_group(inner, nested_kind, static_graph) for inner in element.groups]
        if element.kind == "graph":
            nested[0].start = element.start
        elif element.kind == "bind":
            group.assigned_variables.add(element.variable)
        group.groups += nested
    return group


def _nested_kind(element: GroupElement, static_graph: str) -> str:
    """Return the kind of the groups in an element."""
    match element.kind:
        case "triples" | "bind":
            return "asked"
        case "filter":
            return {"EXISTS": "exists", "NOT EXISTS": "absent"}.get(element.exists_form, "asked")
        case "optional":
            return "optional"
        case "union":
            return "branch" if len(element.groups) > 1 else "plain"
        case "graph" if element.graph == f"<{static_graph}>":
            return "static"
        case "graph":
            raise UnsupportedConstraintError(f"a SPARQL text reads single graphs: {element.graph}")
    raise UnsupportedConstraintError(f"a SPARQL text has {element.kind.upper()}")


def _path_pattern(pattern: TriplePattern) -> PathPattern:
    if pattern.is_compound:
        raise UnsupportedConstraintError(f"a SPARQL text has a node in brackets: {pattern.text[:80]}")
    subject, object_ = _pattern_term(pattern.subject), _pattern_term(pattern.object)
    if pattern.path is None:
        return PathPattern(subject, ANY_FORWARD_STEP, object_, pattern.predicate[1:])
    return PathPattern(subject, _rdflib_path(pattern.path), object_)


def _pattern_term(term: str) -> PatternTerm:
    if term.startswith("?"):
        return term[1:]
    if term.startswith("_:"):
        return term
    if term[0] in "\"'+-.0123456789" or term in {"true", "false"}:
        return _SOME_LITERAL
    return NamedNode(_absolute_iri(term))


def _absolute_iri(term: str) -> str:
    if not term.startswith("<") or ":" not in term:
        raise UnsupportedConstraintError(f"a SPARQL text names {term}, which is not understood")
    return term[1:-1]


def _rdflib_path(path: syntax_tree.PropertyPath) -> RdflibPath:
    match path:
        case str():
            return rdflib.URIRef(_absolute_iri(path))
        case syntax_tree.InversePath():
            return InvPath(_rdflib_path(path.path))
        case syntax_tree.SequencePath():
            return SequencePath(*map(_rdflib_path, path.parts))
        case syntax_tree.AlternativePath():
            return AlternativePath(*map(_rdflib_path, path.parts))
        case syntax_tree.RepeatedPath():
            return MulPath(_rdflib_path(path.path), path.modifier)  # type: ignore[arg-type] # rdflib lacks the type
        case syntax_tree.NegatedPropertySet():
            return _ANY_STEP

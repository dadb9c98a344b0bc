"""What a change takes away and adds: SPARQL updates, graph-store writes and RDF payloads as deltas.

An update is read by the engine itself, piece by piece: ground data on a scratch store; templates there too, with
IRIs in the place of their variables; patterns as queries. The result is what the engine's own update would do.
"""

import functools
import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryDataset
from kg.errors import InputError, NotFoundError
from kg.rdf.blank_nodes import reuse_blank_node_labels
from kg.rdf.delta import Delta
from kg.rdf.terms import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Term, Triple
from kg.sparql.tokens import line_and_column
from kg.sparql.update_parser import UpdateOperation, parse_operations, replace_variables

GraphName = NamedNode | DefaultGraph
T = TypeVar("T")
Solution = Mapping[str, Term | Triple]


@dataclass(frozen=True)
class SparqlUpdate:
    """A SPARQL 1.1 Update request; `using` are the graphs that the protocol's parameters name, if any."""

    text: str
    using: QueryDataset = field(default_factory=lambda: QueryDataset(union=False))


@dataclass(frozen=True)
class QuadAddition:
    """Quads to add where they are not held yet."""

    quads: tuple[Quad, ...]


@dataclass(frozen=True)
class GraphReplacement:
    """What a graph is to hold, and nothing else; it comes to be, even if it is to be empty."""

    graph: GraphName
    triples: tuple[Triple, ...]


@dataclass(frozen=True)
class MultiGraphReplacement:
    """What several graphs are to hold, and nothing else, all at once; each comes to be, even if it is to be empty.

    The quads are in those graphs.
    """

    graphs: tuple[GraphName, ...]
    quads: tuple[Quad, ...]


@dataclass(frozen=True)
class GraphRemoval:
    """A graph that is to be no more; the unnamed one is emptied."""

    graph: GraphName


@dataclass(frozen=True)
class DeltaPatch:
    """A delta of which that is to be done which is not so already."""

    delta: Delta


ChangeSet = SparqlUpdate | QuadAddition | GraphReplacement | MultiGraphReplacement | GraphRemoval | DeltaPatch

_PLACEHOLDER_TRIPLE: Final = "<urn:x-hpkg:s> <urn:x-hpkg:p> <urn:x-hpkg:o>"
_SOLUTION_MARKER: Final = "urn:x-hpkg:solution"


def compute_delta(engine: EmbeddedEngine, change: ChangeSet) -> Delta:
    """What a change does to what an engine holds; the engine is as it was afterwards, whatever happens.

    Raises QuerySyntaxError and InputError for an update that is none or cannot be made, NotFoundError for a graph
    that is not there to be removed, and what evaluating a pattern raises.
    """
    match change:
        case SparqlUpdate(text, using):
            return _update_delta(engine, text, using)
        case QuadAddition(quads):
            _require_iri_graphs(quads)
            return _delete_and_insert(engine, (), engine.normalize_quads(quads))
        case GraphReplacement(graph, triples):
            quads = tuple(Quad(item.subject, item.predicate, item.object, graph) for item in triples)
            return _replace_graphs(engine, (graph,), quads)
        case MultiGraphReplacement(graphs, quads):
            _require_iri_graphs(quads)
            return _replace_graphs(engine, graphs, quads)
        case GraphRemoval(graph):
            return _remove_graph(engine, graph)
        case DeltaPatch(delta):
            return _effective_part(engine, delta)


def _require_iri_graphs(quads: Iterable[Quad]) -> None:
    if unnamed := next((quad for quad in quads if isinstance(quad.graph_name, BlankNode)), None):
        raise InputError(f"A graph is named by an IRI here, not by a blank node as that of {unnamed.triple}.")


def _delete_and_insert(engine: EmbeddedEngine, deleted: Iterable[Quad], inserted: Iterable[Quad]) -> Delta:
    """Delete and insert; what is both deleted and inserted stays."""
    wanted = frozenset(inserted)
    added = frozenset(quad for quad in wanted if not engine.holds(quad))
    removed = frozenset(quad for quad in deleted if quad not in wanted and engine.holds(quad))
    graphs = {quad.graph_name for quad in added}
    created = frozenset(graph for graph in graphs if isinstance(graph, NamedNode) and not engine.has_graph(graph))
    return Delta(added, removed, created)


def _replace_graphs(engine: EmbeddedEngine, graphs: Iterable[GraphName], quads: Iterable[Quad]) -> Delta:
    """Put quads in the place of all that their graphs hold; blank nodes of which the same was said stay."""
    held = {graph: frozenset(engine.quads_in_graph(graph)) for graph in graphs}
    before = frozenset[Quad]().union(*held.values())
    wanted = reuse_blank_node_labels(engine.normalize_quads(quads), before)
    delta = _delete_and_insert(engine, before - wanted, wanted)
    empty = (graph for graph in held if graph not in delta.created)
    return functools.reduce(Delta.followed_by, (_create_graph(engine, graph) for graph in empty), delta)


def _create_graph(engine: EmbeddedEngine, graph: GraphName) -> Delta:
    new = isinstance(graph, NamedNode) and not engine.has_graph(graph)
    return Delta(created=frozenset({graph})) if new and isinstance(graph, NamedNode) else Delta()


def _remove_graph(engine: EmbeddedEngine, graph: GraphName) -> Delta:
    if not isinstance(graph, NamedNode):
        return Delta(removed=frozenset(engine.quads_in_graph(graph)))
    if not engine.has_graph(graph):
        raise NotFoundError(f"There is no graph {graph} here.")
    return Delta(removed=frozenset(engine.quads_in_graph(graph)), dropped=frozenset({graph}))


def _effective_part(engine: EmbeddedEngine, delta: Delta) -> Delta:
    """What of a delta is not so already; a graph is dropped only if nothing else came into it since."""
    change = _delete_and_insert(engine, engine.normalize_quads(delta.removed), engine.normalize_quads(delta.added))
    created = (graph for graph in delta.created if not engine.has_graph(graph))
    filled = {quad.graph_name for quad in change.added}
    dropped = (
        graph
        for graph in delta.dropped
        if graph not in filled
        and engine.has_graph(graph)
        and all(quad in change.removed for quad in engine.quads_in_graph(graph))
    )
    return Delta(change.added, change.removed, change.created.union(created), frozenset(dropped))


def _update_delta(engine: EmbeddedEngine, text: str, using: QueryDataset) -> Delta:
    """Make the operations one after another, so that each sees what those before it did, and undo them."""
    engine.check_update(text)
    found = parse_operations(text)
    for operation in found:
        if operation.first_keyword == "LOAD":
            line, column = line_and_column(text, operation.tokens[0].start)
            raise InputError(f"line {line}, column {column}: LOAD would fetch from the web, which is not done here.")
    if len(found) == 1:
        return _operation_delta(engine, found[0], using)
    done = _DeltaAccumulator()
    try:
        for operation in found:
            step = _operation_delta(engine, operation, using)
            engine.apply(step)
            done.add(step)
    finally:
        engine.apply(done.delta().inverse())
    return done.delta()


class _DeltaAccumulator:
    """Several deltas as one, as `Delta.then` makes it, without copying what there is for each."""

    def __init__(self) -> None:
        self._quads = set[Quad](), set[Quad]()
        self._graphs = set[NamedNode](), set[NamedNode]()

    def add(self, later: Delta) -> None:
        _accumulate(self._quads, later.added, later.removed)
        _accumulate(self._graphs, later.created, later.dropped)

    def delta(self) -> Delta:
        (added, removed), (created, dropped) = self._quads, self._graphs
        return Delta(frozenset(added), frozenset(removed), frozenset(created), frozenset(dropped))


def _accumulate(sums: tuple[set[T], set[T]], more: frozenset[T], less: frozenset[T]) -> None:
    plus, minus = sums
    back, gone = more & minus, less & plus
    plus |= more - back
    plus -= gone
    minus |= less - gone
    minus -= back


def _operation_delta(engine: EmbeddedEngine, operation: UpdateOperation, using: QueryDataset) -> Delta:
    if operation.starts_with("INSERT", "DATA"):
        return _delete_and_insert(engine, (), _ground_quads(operation, operation.block("DATA") or ""))
    if operation.starts_with("DELETE", "DATA"):
        return _delete_and_insert(engine, _ground_quads(operation, operation.block("DATA") or ""), ())
    if operation.starts_with("DELETE", "WHERE"):
        return _modify(engine, operation, using, operation.block("WHERE") or "", "")
    if operation.first_keyword in _GRAPH_OPERATIONS:
        return _GRAPH_OPERATIONS[operation.first_keyword](engine, operation)
    return _modify(engine, operation, using, operation.block("DELETE") or "", operation.block("INSERT") or "")


def _ground_quads(operation: UpdateOperation, block: str) -> frozenset[Quad]:
    """The quads that stand in a block of data."""
    return EmbeddedEngine.evaluate_ground_update(f"{operation.prologue}\nINSERT DATA {{{block}\n}}")


# Templates


def _modify(
    engine: EmbeddedEngine, operation: UpdateOperation, using: QueryDataset, deleted: str, inserted: str
) -> Delta:
    home = _resolve_graph(operation, next(operation.tokens_after("WITH"), ())[:1])
    deletions, insertions = _QuadTemplate(operation, deleted, home), _QuadTemplate(operation, inserted, home)
    rows = _pattern_solutions(engine, operation, using, home, (deletions, insertions))
    return _delete_and_insert(engine, deletions.instantiate(rows), engine.normalize_quads(insertions.instantiate(rows)))


class _QuadTemplate:
    """Quads with variables."""

    def __init__(self, operation: UpdateOperation, block: str, home: NamedNode | None) -> None:
        text, self._names = replace_variables(block)
        quads = EmbeddedEngine.evaluate_ground_update(f"{operation.prologue}\nINSERT {{{text}\n}} WHERE {{}}")
        self._quads = [_with_default_graph(quad, home) for quad in quads]
        self.has_blank_nodes = any(_is_blank(term) for quad in quads for term in (quad.subject, quad.object))

    @property
    def variables(self) -> frozenset[str]:
        """The variables, without their marks."""
        return frozenset(self._names.values())

    def instantiate(self, rows: Iterable[Solution]) -> set[Quad]:
        """The quads for some solutions, each with blank nodes of its own; what makes no quad is left out."""
        return {quad for row in rows for quad in self._instantiate_row(row)}

    def _instantiate_row(self, row: Solution) -> Iterator[Quad]:
        fresh = dict[str, BlankNode]()
        for quad in self._quads:
            parts = tuple(
                self._term(term, row, fresh) for term in (quad.subject, quad.predicate, quad.object, quad.graph_name)
            )
            if _is_quad(parts):
                yield Quad(*parts)

    def _term(self, term: Any, row: Solution, fresh: dict[str, BlankNode]) -> Any:  # noqa: ANN401 - whatever a quad has
        match term:
            case NamedNode() if term.value in self._names:
                return row.get(self._names[term.value])
            case BlankNode():
                return fresh.setdefault(term.value, BlankNode(uuid.uuid4().hex))
            case Triple():
                parts = [self._term(part, row, fresh) for part in (term.subject, term.predicate, term.object)]
                return Triple(*parts) if _is_triple(parts) else None
        return term


def _with_default_graph(quad: Quad, home: NamedNode | None) -> Quad:
    if home is None or not isinstance(quad.graph_name, DefaultGraph):
        return quad
    return Quad(quad.subject, quad.predicate, quad.object, home)


def _is_triple(parts: Iterable[Any]) -> bool:
    subject, predicate, object_ = parts
    return (
        isinstance(subject, NamedNode | BlankNode)
        and isinstance(predicate, NamedNode)
        and isinstance(object_, NamedNode | BlankNode | Literal | Triple)
    )


def _is_quad(parts: tuple[Any, ...]) -> bool:
    return _is_triple(parts[:3]) and isinstance(parts[3], NamedNode | DefaultGraph)


def _is_blank(term: object) -> bool:
    return isinstance(term, BlankNode) or (
        isinstance(term, Triple) and (_is_blank(term.subject) or _is_blank(term.object))
    )


def _pattern_solutions(
    engine: EmbeddedEngine,
    operation: UpdateOperation,
    using: QueryDataset,
    home: NamedNode | None,
    wanted: tuple[_QuadTemplate, ...],
) -> list[Solution]:
    """The solutions of an operation's pattern for the variables of its templates.

    How often a solution occurs matters only where blank nodes are made.
    """
    default, named = _pattern_dataset(operation, using, home)
    names = sorted(frozenset(itertools.chain.from_iterable(template.variables for template in wanted)))
    distinct = "" if any(template.has_blank_nodes for template in wanted) else "DISTINCT"
    projection = " ".join(f"?{name}" for name in names) or f"(<{_SOLUTION_MARKER}> AS ?solution)"
    text = f"{operation.prologue}\nSELECT {distinct} {projection} WHERE {operation.where_pattern()}"
    return engine.select_with_triple_terms(text, default, named)


def _pattern_dataset(
    operation: UpdateOperation, using: QueryDataset, home: NamedNode | None
) -> tuple[list[NamedNode] | None, list[NamedNode] | None]:
    """The graphs that a pattern sees by default and by name; None for the unnamed one, and for all (section 3.1.3)."""
    clauses = list(operation.tokens_after("USING"))
    if using.is_explicit:
        if clauses or home is not None:
            raise InputError("The request names its graphs by parameters and by USING or WITH; it may do one of them.")
        return [NamedNode(iri) for iri in using.default], [NamedNode(iri) for iri in using.named]
    if not clauses:
        return (None if home is None else [home]), None
    default, named = list[NamedNode](), list[NamedNode]()
    for words in clauses:
        is_named = words[0].is_word("NAMED")
        graph = _resolve_graph(operation, words[1:2] if is_named else words[:1])
        if graph is not None:
            (named if is_named else default).append(graph)
    return default, named


# Graphs


def _resolve_graph(operation: UpdateOperation, words: tuple[Any, ...]) -> NamedNode | None:
    """The graph that a token names, with prefixes and base resolved."""
    if not words:
        return None
    (quad,) = EmbeddedEngine.evaluate_ground_update(
        f"{operation.prologue}\nINSERT DATA {{ GRAPH {words[0].text} {{ {_PLACEHOLDER_TRIPLE} }} }}"
    )
    return quad.graph_name if isinstance(quad.graph_name, NamedNode) else None


def _target_graphs(engine: EmbeddedEngine, operation: UpdateOperation) -> list[GraphName]:
    """The graphs of CLEAR and DROP; raises InputError for one that is not there, unless SILENT."""
    silent = operation.tokens[1].is_word("SILENT")
    words = operation.tokens[2 if silent else 1 :]
    match words[0].text.upper():
        case "DEFAULT":
            return [DefaultGraph()]
        case "NAMED":
            return [*engine.named_graphs()]
        case "ALL":
            return [DefaultGraph(), *engine.named_graphs()]
    graph = _resolve_graph(operation, words[1:2])
    if graph is None or engine.has_graph(graph):
        return [] if graph is None else [graph]
    if silent:
        return []
    raise InputError(f"There is no graph {graph} here; with SILENT that is no error.")


def _clear(engine: EmbeddedEngine, operation: UpdateOperation) -> Delta:
    return Delta(removed=_quads_of_graphs(engine, _target_graphs(engine, operation)))


def _drop(engine: EmbeddedEngine, operation: UpdateOperation) -> Delta:
    graphs = _target_graphs(engine, operation)
    return Delta(
        removed=_quads_of_graphs(engine, graphs),
        dropped=frozenset(graph for graph in graphs if isinstance(graph, NamedNode)),
    )


def _create(engine: EmbeddedEngine, operation: UpdateOperation) -> Delta:
    silent = operation.tokens[1].is_word("SILENT")
    graph = _resolve_graph(operation, operation.tokens[3 if silent else 2 :][:1])
    if graph is None:
        return Delta()
    if engine.has_graph(graph) and not silent:
        raise InputError(f"There is a graph {graph} here already; with SILENT that is no error.")
    return _create_graph(engine, graph)


def _quads_of_graphs(engine: EmbeddedEngine, graphs: Iterable[GraphName]) -> frozenset[Quad]:
    return frozenset(quad for graph in graphs for quad in engine.quads_in_graph(graph))


def _transfer(engine: EmbeddedEngine, operation: UpdateOperation) -> Delta:
    """ADD, COPY and MOVE (sections 3.2.3 to 3.2.5); a source that is not there is an empty one, except to MOVE."""
    silent = operation.tokens[1].is_word("SILENT")
    words = operation.tokens[2 if silent else 1 :]
    to = next(index for index, word in enumerate(words) if word.is_word("TO"))
    source, target = _transfer_endpoint(operation, words[:to]), _transfer_endpoint(operation, words[to + 1 :])
    if source == target:
        return Delta()
    copied = {Quad(quad.subject, quad.predicate, quad.object, target) for quad in engine.quads_in_graph(source)}
    if operation.first_keyword == "ADD":
        return _delete_and_insert(engine, (), copied)
    moved = operation.first_keyword == "MOVE" and isinstance(source, NamedNode)
    if moved and isinstance(source, NamedNode) and not engine.has_graph(source):
        if not silent:
            raise InputError(f"There is no graph {source} here; with SILENT that is no error.")
        moved = False
    gone = _quads_of_graphs(engine, [target]) - copied
    taken = _quads_of_graphs(engine, [source]) if operation.first_keyword == "MOVE" else frozenset[Quad]()
    delta = _delete_and_insert(engine, gone | taken, copied)
    dropped = {source} if moved and isinstance(source, NamedNode) else set[NamedNode]()
    if not copied and isinstance(target, NamedNode) and engine.has_graph(target):
        dropped.add(target)
    return Delta(delta.added, delta.removed, delta.created, frozenset(dropped))


def _transfer_endpoint(operation: UpdateOperation, words: tuple[Any, ...]) -> GraphName:
    """What ADD, COPY and MOVE go from or to: DEFAULT, or an IRI with or without GRAPH."""
    if words[0].is_word("DEFAULT"):
        return DefaultGraph()
    graph = _resolve_graph(operation, words[1:2] if words[0].is_word("GRAPH") else words[:1])
    return DefaultGraph() if graph is None else graph


_GRAPH_OPERATIONS: Final[Mapping[str, Callable[[EmbeddedEngine, UpdateOperation], Delta]]] = {
    "CLEAR": _clear,
    "DROP": _drop,
    "CREATE": _create,
    "ADD": _transfer,
    "COPY": _transfer,
    "MOVE": _transfer,
}

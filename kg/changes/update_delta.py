"""Compute the delta of a SPARQL 1.1 Update request.

The engine itself reads every part of an operation: ground data and templates on a scratch store, the latter with IRIs
in place of their variables; patterns as queries. The result equals that of the engine's own update.
"""

import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from kg.changes.quad_changes import GraphName, create_graph, delete_and_insert, move_from_default_graph
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryDataset
from kg.errors import InputError
from kg.rdf.delta import Delta
from kg.rdf.io import place_in_graph
from kg.rdf.terms import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Term, Triple
from kg.sparql.tokens import Token, line_and_column
from kg.sparql.update_parser import UpdateOperation, parse_operations, replace_variables

T = TypeVar("T")
Solution = Mapping[str, Term | Triple]

_PLACEHOLDER_TRIPLE: Final = "<urn:x-hpkg:s> <urn:x-hpkg:p> <urn:x-hpkg:o>"
_SOLUTION_MARKER: Final = "urn:x-hpkg:solution"


def compute_update_delta(engine: EmbeddedEngine, text: str, using: QueryDataset) -> Delta:
    """Return the delta of an update request. Raises QuerySyntaxError and InputError.

    Each operation sees the effects of the operations before it: they are applied to the engine one after another, and
    undone at the end.
    """
    engine.check_update(text)
    operations = parse_operations(text)
    for operation in operations:
        if operation.first_keyword == "LOAD":
            line, column = line_and_column(text, operation.tokens[0].start)
            raise InputError(f"line {line}, column {column}: LOAD would fetch from the web, which is not done here.")
    if len(operations) == 1:
        return _operation_delta(engine, operations[0], using)
    total = _DeltaAccumulator()
    try:
        for operation in operations:
            step = _operation_delta(engine, operation, using)
            engine.apply(step)
            total.add(step)
    finally:
        engine.apply(total.delta().inverse())
    return total.delta()


class _DeltaAccumulator:
    """Combines deltas like `Delta.followed_by`, but in place, so that a step costs no more as the total grows."""

    def __init__(self) -> None:
        self._quads = set[Quad](), set[Quad]()
        self._graphs = set[NamedNode](), set[NamedNode]()

    def add(self, later: Delta) -> None:
        _accumulate(self._quads, later.added, later.removed)
        _accumulate(self._graphs, later.created, later.dropped)

    def delta(self) -> Delta:
        (added, removed), (created, dropped) = self._quads, self._graphs
        return Delta(frozenset(added), frozenset(removed), frozenset(created), frozenset(dropped))


def _accumulate(total: tuple[set[T], set[T]], added: frozenset[T], removed: frozenset[T]) -> None:
    """Add a step to the total of added and removed items; what a step reverses is in neither set afterwards."""
    total_added, total_removed = total
    restored, withdrawn = added & total_removed, removed & total_added
    total_added |= added - restored
    total_added -= withdrawn
    total_removed |= removed - withdrawn
    total_removed -= restored


def _operation_delta(engine: EmbeddedEngine, operation: UpdateOperation, using: QueryDataset) -> Delta:
    if operation.starts_with("INSERT", "DATA"):
        return delete_and_insert(engine, (), _ground_quads(operation, operation.block("DATA") or ""))
    if operation.starts_with("DELETE", "DATA"):
        return delete_and_insert(engine, _ground_quads(operation, operation.block("DATA") or ""), ())
    if operation.starts_with("DELETE", "WHERE"):
        return _modify(engine, operation, using, operation.block("WHERE") or "", "")
    if operation.first_keyword in _GRAPH_OPERATIONS:
        return _GRAPH_OPERATIONS[operation.first_keyword](engine, operation)
    return _modify(engine, operation, using, operation.block("DELETE") or "", operation.block("INSERT") or "")


def _ground_quads(operation: UpdateOperation, block: str) -> frozenset[Quad]:
    """Return the quads of an INSERT DATA or DELETE DATA block."""
    return EmbeddedEngine.evaluate_ground_update(f"{operation.prologue}\nINSERT DATA {{{block}\n}}")


# Templates


def _modify(
    engine: EmbeddedEngine, operation: UpdateOperation, using: QueryDataset, deleted: str, inserted: str
) -> Delta:
    """Return the delta of DELETE/INSERT WHERE (section 3.1.3); WITH names the default graph of both."""
    default = _resolve_graph(operation, next(operation.tokens_after("WITH"), ())[:1])
    deletions, insertions = _QuadTemplate(operation, deleted, default), _QuadTemplate(operation, inserted, default)
    rows = _pattern_solutions(engine, operation, using, default, (deletions, insertions))
    return delete_and_insert(engine, deletions.instantiate(rows), engine.normalize_quads(insertions.instantiate(rows)))


class _QuadTemplate:
    """The quads of a DELETE or INSERT block, with variables."""

    def __init__(self, operation: UpdateOperation, block: str, default: NamedNode | None) -> None:
        text, self._variables = replace_variables(block)
        quads = EmbeddedEngine.evaluate_ground_update(f"{operation.prologue}\nINSERT {{{text}\n}} WHERE {{}}")
        self._quads = [quad if default is None else move_from_default_graph(quad, default) for quad in quads]
        self.has_blank_nodes = any(_is_blank(term) for quad in quads for term in (quad.subject, quad.object))

    @property
    def variables(self) -> frozenset[str]:
        """The names of the variables, without `?`."""
        return frozenset(self._variables.values())

    def instantiate(self, rows: Iterable[Solution]) -> set[Quad]:
        """Return the quads for solutions; each has fresh blank nodes, and invalid quads are left out."""
        return {quad for row in rows for quad in self._instantiate_row(row)}

    def _instantiate_row(self, row: Solution) -> Iterator[Quad]:
        fresh = dict[str, BlankNode]()
        for quad in self._quads:
            parts = tuple(
                self._term(term, row, fresh) for term in (quad.subject, quad.predicate, quad.object, quad.graph_name)
            )
            if _is_quad(parts):
                yield Quad(*parts)

    def _term(self, term: Any, row: Solution, fresh: dict[str, BlankNode]) -> Any:  # noqa: ANN401 - any term of a quad
        match term:
            case NamedNode() if term.value in self._variables:
                return row.get(self._variables[term.value])
            case BlankNode():
                return fresh.setdefault(term.value, BlankNode(uuid.uuid4().hex))
            case Triple():
                parts = [self._term(part, row, fresh) for part in (term.subject, term.predicate, term.object)]
                return Triple(*parts) if _is_triple(parts) else None
        return term


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
    default: NamedNode | None,
    templates: tuple[_QuadTemplate, ...],
) -> list[Solution]:
    """Return the solutions of an operation's pattern for the variables of its templates.

    Duplicates matter only to templates with blank nodes, which each solution instantiates anew; otherwise DISTINCT.
    """
    default_graphs, named_graphs = _pattern_dataset(operation, using, default)
    names = sorted(frozenset(itertools.chain.from_iterable(template.variables for template in templates)))
    distinct = "" if any(template.has_blank_nodes for template in templates) else "DISTINCT"
    projection = " ".join(f"?{name}" for name in names) or f"(<{_SOLUTION_MARKER}> AS ?solution)"
    text = f"{operation.prologue}\nSELECT {distinct} {projection} WHERE {operation.where_pattern()}"
    return engine.select_with_triple_terms(text, default_graphs, named_graphs)


def _pattern_dataset(
    operation: UpdateOperation, using: QueryDataset, default: NamedNode | None
) -> tuple[list[NamedNode] | None, list[NamedNode] | None]:
    """Return the default graphs and the named graphs of a pattern (section 3.1.3).

    None means the unnamed graph for the former and all named graphs for the latter.
    """
    clauses = list(operation.tokens_after("USING"))
    if using.is_explicit:
        if clauses or default is not None:
            raise InputError("The request names its graphs by parameters and by USING or WITH; it may do one of them.")
        return [NamedNode(iri) for iri in using.default], [NamedNode(iri) for iri in using.named]
    if not clauses:
        return (None if default is None else [default]), None
    default_graphs, named_graphs = list[NamedNode](), list[NamedNode]()
    for tokens in clauses:
        is_named = tokens[0].is_word("NAMED")
        graph = _resolve_graph(operation, tokens[1:2] if is_named else tokens[:1])
        if graph is not None:
            (named_graphs if is_named else default_graphs).append(graph)
    return default_graphs, named_graphs


# Graphs


def _resolve_graph(operation: UpdateOperation, tokens: tuple[Token, ...]) -> NamedNode | None:
    """Return the graph that the first of some tokens names, with prefix and base resolved; None without a token."""
    if not tokens:
        return None
    (quad,) = EmbeddedEngine.evaluate_ground_update(
        f"{operation.prologue}\nINSERT DATA {{ GRAPH {tokens[0].text} {{ {_PLACEHOLDER_TRIPLE} }} }}"
    )
    return quad.graph_name if isinstance(quad.graph_name, NamedNode) else None


def _split_silent(operation: UpdateOperation) -> tuple[bool, tuple[Token, ...]]:
    """Return whether SILENT follows the first keyword, and the tokens after both."""
    silent = operation.tokens[1].is_word("SILENT")
    return silent, operation.tokens[2 if silent else 1 :]


def _target_graphs(engine: EmbeddedEngine, operation: UpdateOperation) -> list[GraphName]:
    """Return the graphs of CLEAR and DROP. Raises InputError for one that does not exist, unless SILENT."""
    silent, tokens = _split_silent(operation)
    match tokens[0].text.upper():
        case "DEFAULT":
            return [DefaultGraph()]
        case "NAMED":
            return [*engine.named_graphs()]
        case "ALL":
            return [DefaultGraph(), *engine.named_graphs()]
    graph = _resolve_graph(operation, tokens[1:2])
    if graph is None or engine.has_graph(graph):
        return [] if graph is None else [graph]
    if silent:
        return []
    raise _missing_graph_error(graph)


def _missing_graph_error(graph: NamedNode) -> InputError:
    return InputError(f"There is no graph {graph} here; with SILENT that is no error.")


def _clear(engine: EmbeddedEngine, operation: UpdateOperation) -> Delta:
    return Delta(removed=_quads_of_graphs(engine, _target_graphs(engine, operation)))


def _drop(engine: EmbeddedEngine, operation: UpdateOperation) -> Delta:
    graphs = _target_graphs(engine, operation)
    return Delta(
        removed=_quads_of_graphs(engine, graphs),
        dropped=frozenset(graph for graph in graphs if isinstance(graph, NamedNode)),
    )


def _create(engine: EmbeddedEngine, operation: UpdateOperation) -> Delta:
    silent, tokens = _split_silent(operation)
    graph = _resolve_graph(operation, tokens[1:2])
    if graph is None:
        return Delta()
    if engine.has_graph(graph) and not silent:
        raise InputError(f"There is a graph {graph} here already; with SILENT that is no error.")
    return create_graph(engine, graph)


def _quads_of_graphs(engine: EmbeddedEngine, graphs: Iterable[GraphName]) -> frozenset[Quad]:
    return frozenset(quad for graph in graphs for quad in engine.quads(graph))


def _transfer(engine: EmbeddedEngine, operation: UpdateOperation) -> Delta:
    """Return the delta of ADD, COPY or MOVE (sections 3.2.3 to 3.2.5).

    A source that does not exist counts as empty; MOVE refuses it, unless SILENT.
    """
    silent, tokens = _split_silent(operation)
    to = next(index for index, token in enumerate(tokens) if token.is_word("TO"))
    source, target = _transfer_endpoint(operation, tokens[:to]), _transfer_endpoint(operation, tokens[to + 1 :])
    if source == target:
        return Delta()
    copied = set(place_in_graph(engine.quads(source), target))
    if operation.first_keyword == "ADD":
        return delete_and_insert(engine, (), copied)
    deleted, dropped = _quads_of_graphs(engine, [target]) - copied, set[NamedNode]()
    if operation.first_keyword == "MOVE":
        deleted |= _quads_of_graphs(engine, [source])
        if isinstance(source, NamedNode) and engine.has_graph(source):
            dropped.add(source)
        elif isinstance(source, NamedNode) and not silent:
            raise _missing_graph_error(source)
    if not copied and isinstance(target, NamedNode) and engine.has_graph(target):
        dropped.add(target)
    delta = delete_and_insert(engine, deleted, copied)
    return Delta(delta.added, delta.removed, delta.created, frozenset(dropped))


def _transfer_endpoint(operation: UpdateOperation, tokens: tuple[Token, ...]) -> GraphName:
    """Return the source or target of ADD, COPY or MOVE: DEFAULT, or an IRI with or without GRAPH."""
    if tokens[0].is_word("DEFAULT"):
        return DefaultGraph()
    graph = _resolve_graph(operation, tokens[1:2] if tokens[0].is_word("GRAPH") else tokens[:1])
    return DefaultGraph() if graph is None else graph


_GRAPH_OPERATIONS: Final[Mapping[str, Callable[[EmbeddedEngine, UpdateOperation], Delta]]] = {
    "CLEAR": _clear,
    "DROP": _drop,
    "CREATE": _create,
    "ADD": _transfer,
    "COPY": _transfer,
    "MOVE": _transfer,
}

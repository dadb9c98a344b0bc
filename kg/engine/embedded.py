"""The engine in this process: pyoxigraph's store in memory."""

import errno
import io
import re
import secrets
import string
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from operator import attrgetter
from typing import IO, Final, cast

import pyoxigraph as ox

from kg.engine import statistics
from kg.engine.columns.cache import ColumnCache
from kg.engine.planner.rewrite import PlanCache, PlanNote, QueryPlan, plan_query
from kg.engine.protocol import (
    UNION_DATASET,
    DatasetStatistics,
    QueryDataset,
    QueryRequest,
    QueryResult,
    ResultKind,
    Row,
)
from kg.errors import (
    EngineError,
    InputError,
    NotAcceptableError,
    NotFoundError,
    ResultTooLargeError,
    ServiceDeniedError,
    UnknownGraphError,
)
from kg.rdf.delta import Delta
from kg.rdf.formats import CSV, JSON, RDF_FORMATS, RESULT_FORMATS, TSV, XML, FormatT, RdfFormat
from kg.rdf.io import serialize_into
from kg.rdf.iris import authority
from kg.rdf.namespaces import BASE
from kg.rdf.terms import DefaultGraph, Literal, NamedNode, Quad, Resource, Term, Triple
from kg.sparql import tokens, update_parser
from kg.sparql.prologue import dataset_clauses, iri_clauses
from kg.sparql.syntax_errors import diagnose

SPOOL_MEMORY: Final = 1024 * 1024
"""Bytes of a result that are kept in memory; what is longer goes into an anonymous file."""

_GRAPH_VARIABLE: Final = re.compile(r"\bGRAPH\s*[?$]", re.IGNORECASE)
_FAILING_OPERATION: Final = "DROP GRAPH <urn:x-hpkg:none>;"
_PARSER_ERROR_POSITION: Final = re.compile(r"error at (\d+):(\d+):")
_UNKNOWN_FUNCTION_ERROR: Final = re.compile(r"custom function (<.*>) is not supported")
_OX_RESULT_FORMATS: Final = {
    JSON: ox.QueryResultsFormat.JSON,
    XML: ox.QueryResultsFormat.XML,
    CSV: ox.QueryResultsFormat.CSV,
    TSV: ox.QueryResultsFormat.TSV,
}
_EngineResult = ox.QuerySolutions | ox.QueryBoolean | ox.QueryTriples


class EmbeddedEngine:
    """An engine that holds its dataset in memory and evaluates in the calling thread."""

    def __init__(
        self,
        quads: Iterable[Quad] = (),
        digest: str = "",
        statistics: DatasetStatistics | None = None,
        *,
        planning: bool = True,
    ) -> None:
        """Hold quads; `digest` names the dataset that they are and `counts` is true of it, as far as known.

        With `planning`, queries are rewritten to equal ones that are answered faster.

        They are added one by one: then neighbours lie side by side in memory, so that a forked cell, which writes to
        what it reads, copies few pages, and no second copy is needed meanwhile. A bulk load does neither.
        """
        self._store = ox.Store()
        self._generation = 0
        self.services: frozenset[str] = frozenset()
        """The servers that queries may call with SERVICE, as `host` or `host:port`."""
        self.digest = digest or uuid.uuid4().hex[:16]
        self._writing = threading.Lock()
        self._statistics = statistics
        self.planning = planning
        self._plans = PlanCache()
        self.columns = ColumnCache(self.select_as_tsv, self._stable_change_number)
        """What is held to count groups from."""
        self._change_number = 0
        """Odd while a change is being made."""
        self._trials = list[bool]()
        """For each change that is being tried, whether it puts a triple into a second graph."""
        for quad in quads:
            self._store.add(quad)

    @property
    def statistics(self) -> DatasetStatistics | None:
        """How much there is, by predicate too; None if nobody has counted the dataset."""
        return self._statistics

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def version(self) -> str:
        return f"{self.digest}-{self._generation}"

    def extend(self, quads: Iterable[Quad]) -> None:
        """Add quads; the generation grows."""
        with self._writing:
            if self._statistics is None:
                self._store.extend(quads)
            else:
                added = self._missing_quads(quads)
                counts = statistics.statistics_after_adding(self._statistics, added, self._has_any_quad)
                with self._invalidating_columns(added):
                    self._store.extend(added)
                    self._statistics = counts
            self._generation += 1

    def apply(self, delta: Delta) -> None:
        """Change what is held without a new generation: for what is tried, undone again, or followed.

        All or nothing, but in two steps: the engine has no transaction over both, so additions, which are one, come
        last, and a reader in another thread may meanwhile miss what a change replaces.
        """
        with (
            self._writing,
            self._invalidating_columns(chain(delta.added, delta.removed)),
            self._rollback_on_error(delta),
        ):
            self._remove_delta(delta)
            if self._statistics is not None:
                self._statistics = statistics.statistics_after_removing(
                    self._statistics, delta.removed, self._has_any_quad
                )
            counts = (
                None
                if self._statistics is None
                else statistics.statistics_after_adding(self._statistics, delta.added, self._has_any_quad)
            )
            self._add_delta(delta)
            self._statistics = counts

    @contextmanager
    def _rollback_on_error(self, delta: Delta) -> Iterator[None]:
        """Let a change be made, and undo what of it was made if that fails."""
        before = self._statistics
        try:
            yield
        except BaseException:
            self._undo_delta(delta)
            self._statistics = before
            raise

    @contextmanager
    def _invalidating_columns(self, quads: Iterable[Quad]) -> Iterator[None]:
        """Let quads be added or removed, and forget what columns hold of their predicates."""
        self._change_number += 1
        try:
            yield
        finally:
            self.columns.invalidate(str(predicate) for predicate in {quad.predicate for quad in quads})
            self._change_number += 1

    def _remove_delta(self, delta: Delta) -> None:
        for quad in delta.removed:
            self._store.remove(quad)
        for graph in delta.dropped:
            self._store.remove_graph(graph)

    def _add_delta(self, delta: Delta) -> None:
        for graph in delta.created:
            self._store.add_graph(graph)
        self._store.extend(delta.added)

    def _undo_delta(self, delta: Delta) -> None:
        """Undo what was done of a change, wherever it stopped."""
        for quad in delta.added:
            self._store.remove(quad)
        for graph in delta.created:
            self._store.remove_graph(graph)
        for graph in delta.dropped:
            self._store.add_graph(graph)
        self._store.extend(delta.removed)

    @contextmanager
    def temporarily_applied(self, delta: Delta) -> Iterator[None]:
        """Let a change be made while the block runs, and then undone; the counts stay those before it."""
        self._trials.append(True)
        try:
            self._trials[-1] = self._apply_uncounted(delta)
            try:
                yield
            finally:
                self._apply_uncounted(delta.inverse())
        finally:
            self._trials.pop()

    def _apply_uncounted(self, delta: Delta) -> bool:
        """Make a change without counting; whether some triple is then in several graphs."""
        with self._writing, self._rollback_on_error(delta):
            self._change_number += 2
            self._remove_delta(delta)
            triples = {quad.triple for quad in delta.added}
            twice = len(triples) < len(delta.added) or any(
                self._has_any_quad(triple.subject, triple.predicate, triple.object) for triple in triples
            )
            self._add_delta(delta)
            return twice

    def apply_commit(self, delta: Delta, generation: int) -> None:
        """Change what is held, to be of a generation from now on."""
        self.apply(delta)
        self._generation = generation

    def holds(self, quad: Quad) -> bool:
        """Whether a graph holds a statement."""
        return quad in self._store

    def has_graph(self, graph: NamedNode) -> bool:
        """Whether there is a named graph, be it empty."""
        return self._store.contains_named_graph(graph)

    def quads_in_graph(self, graph: NamedNode | DefaultGraph) -> Iterator[Quad]:
        """What one graph holds, the unnamed one included."""
        return self._store.quads_for_pattern(None, None, None, graph)

    def quads_with_triple(self, triple: Triple) -> Iterator[Quad]:
        """The statement in each graph that holds it."""
        return self._store.quads_for_pattern(triple.subject, triple.predicate, triple.object, None)

    def quads_with_predicate(self, predicate: NamedNode) -> Iterator[Quad]:
        """The statements of all graphs that have a predicate."""
        return self._store.quads_for_pattern(None, predicate, None, None)

    @staticmethod
    def normalize_quads(quads: Iterable[Quad]) -> frozenset[Quad]:
        """Quads as a store spells them, which writes some literals in another way."""
        store = ox.Store()
        store.extend(quads)
        return frozenset(store)

    @staticmethod
    def evaluate_ground_update(text: str) -> frozenset[Quad]:
        """What an update makes of an empty store; for texts of ground data only."""
        store = ox.Store()
        try:
            store.update(text, base_iri=BASE)
        except (SyntaxError, ValueError, OSError, RuntimeError) as error:
            raise EngineError(f"The update could not be read: {error}") from error
        return frozenset(store)

    def check_update(self, text: str) -> None:
        """Raise QuerySyntaxError for a text that is no update, ServiceDeniedError for a call that is not allowed.

        Nothing of it is ever executed, so LOAD and SERVICE reach nobody. The engine's parser takes declarations only
        before the first operation; where they stand before others, each operation is tried alone.
        """
        said, pieces = _update_parser_error(text), [text]
        if said is not None:
            alone = list(update_parser.isolate_operations(text))
            pieces = alone if len(alone) > 1 else pieces
        for piece in pieces:
            _require_parsed(piece, _update_parser_error)
            self._check_service_calls(piece, _update_parser_error)

    def select_in_graphs(
        self,
        text: str,
        default: Sequence[NamedNode | DefaultGraph] | None,
        named: Sequence[NamedNode] | None,
        bindings: Mapping[str, Term] | None = None,
    ) -> list[Row]:
        """Answer a SELECT query over some graphs: None stands for the unnamed one by default, and for all by name."""
        return [_reject_triple_terms(row) for row in self.select_with_triple_terms(text, default, named, bindings)]

    def select_with_triple_terms(
        self,
        text: str,
        default: Sequence[NamedNode | DefaultGraph] | None,
        named: Sequence[NamedNode] | None,
        bindings: Mapping[str, Term] | None = None,
    ) -> list[Mapping[str, Term | Triple]]:
        """As `solutions`, with triple terms among the values."""
        try:
            found = self._evaluate_planned(
                text,
                lambda planned: self._store.query(
                    planned,
                    base_iri=BASE,
                    default_graph=None if default is None else list(default),
                    named_graphs=None if named is None else list(named),
                    substitutions={ox.Variable(name): term for name, term in (bindings or {}).items()} or None,
                ),
                bound=bool(bindings),
            )
            if not isinstance(found, ox.QuerySolutions):
                raise EngineError("A SELECT query was expected.")
            names = [variable.value for variable in found.variables]
            return [{name: term for name in names if (term := row[name]) is not None} for row in found]
        except SyntaxError as error:
            raise diagnose(text, error.msg, _query_parser_error) from None
        except (ValueError, OSError, RuntimeError) as error:
            raise _evaluation_error(error) from error

    def triples_outside_graph(
        self, subject: Term | None, predicate: NamedNode | None, object_: Term | None, excluded_graph: NamedNode
    ) -> Iterator[Triple]:
        """The triples of all graphs but one with a subject, predicate and object, of which None stands for any."""
        if isinstance(subject, Literal):
            return
        for quad in self._store.quads_for_pattern(subject, predicate, object_, None):
            if quad.graph_name != excluded_graph:
                yield quad.triple

    def graph_has_triple(
        self, subject: Term | None, predicate: NamedNode | None, object_: Term | None, graph: NamedNode
    ) -> bool:
        """Whether a graph has a triple with a subject, predicate and object, of which None stands for any."""
        if isinstance(subject, Literal):
            return False
        return any(True for _ in self._store.quads_for_pattern(subject, predicate, object_, graph))

    def named_graphs(self) -> frozenset[NamedNode]:
        """The named graphs, empty ones included."""
        return frozenset(graph for graph in self._store.named_graphs() if isinstance(graph, NamedNode))

    def _missing_quads(self, quads: Iterable[Quad]) -> list[Quad]:
        """What is not held of some quads, each once and as the store spells it."""
        spelt = ox.Store()
        spelt.extend(quads)
        return [quad for quad in spelt if quad not in self._store]

    def _has_any_quad(
        self, subject: Resource | Triple | None, predicate: NamedNode | None, object_: Term | Triple | None
    ) -> bool:
        return any(True for _ in self._store.quads_for_pattern(subject, predicate, object_))

    def quads(self, graph: NamedNode | None = None) -> Iterator[Quad]:
        return self._store.quads_for_pattern(None, None, None, graph)

    def graph_sizes(self) -> dict[str, int]:
        if self._statistics is not None:
            return dict(self._statistics.graphs)
        counts = self.select("SELECT ?g (COUNT(*) AS ?n) WHERE { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g ORDER BY ?g")
        return {row["g"].value: int(row["n"].value) for row in counts}

    def status(self) -> Mapping[str, object]:
        counts = self._statistics
        triples = len(self._store) if counts is None else counts.unnamed + sum(counts.graphs.values())
        return {"generation": self._generation, "triples": triples}

    def dump(self, graph: NamedNode | DefaultGraph | None, fmt: RdfFormat) -> QueryResult:
        if isinstance(graph, NamedNode) and not self._store.contains_named_graph(graph):
            raise NotFoundError(f"There is no graph {graph} here.")
        return self._spool_result(lambda body: self._write(graph, fmt, body))

    def _write(self, graph: NamedNode | DefaultGraph | None, fmt: RdfFormat, body: IO[bytes]) -> QueryResult:
        quads = self._store.quads_for_pattern(None, None, None, graph)
        if graph is None:
            serialize_into(quads, body, fmt)
        else:
            serialize_into((quad.triple for quad in quads), body, fmt)
        return _finish_result("graph", fmt.media_type, body)

    def evaluate(self, request: QueryRequest) -> QueryResult:
        result = self._evaluate(
            request.text, self._resolve_dataset(request), graphs=self._sorted_named_graphs(request.text)
        )
        return self._spool_result(lambda body: _serialize_result(result, request, body))

    @staticmethod
    def _spool_result(fill: Callable[[IO[bytes]], QueryResult]) -> QueryResult:
        """Let an answer be written whole before anything of it is sent."""
        body: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_MEMORY)  # noqa: SIM115 - the caller closes it
        try:
            return fill(body)
        except BaseException as error:
            body.close()
            if isinstance(error, OSError) and error.errno == errno.EFBIG:
                raise ResultTooLargeError from error
            if isinstance(error, ValueError | OSError | RuntimeError):
                raise EngineError(f"The query stopped: {error}") from error
            raise

    def explain(self, text: str) -> QueryPlan:
        """How a query is planned; raises what `evaluate` raises for a text that is none."""
        return explain(text, self._statistics, planning=self.planning)

    def select(
        self, text: str, bindings: Mapping[str, Term] | None = None, dataset: QueryDataset = UNION_DATASET
    ) -> list[Row]:
        """As the protocol says, with variables of the projection bound beforehand and over other graphs if wanted."""
        result = self._evaluate(text, dataset, bindings)
        if not isinstance(result, ox.QuerySolutions):
            raise EngineError("A SELECT query was expected.")
        names = [variable.value for variable in result.variables]
        return [_row_of_solution(names, solution) for solution in result]

    def construct(self, text: str) -> list[Triple]:
        result = self._evaluate(text, UNION_DATASET)
        if not isinstance(result, ox.QueryTriples):
            raise EngineError("A CONSTRUCT query was expected.")
        return list(result)

    def _check_service_calls(self, text: str, parser_error: Callable[[str], str | None]) -> None:
        """Let a text call only the servers that the operator named; which one a variable means cannot be known.

        A text that does not parse is told as such. `complaint` is what the parser says against a text.
        """
        if not tokens.contains_word_outside_iris(text, "SERVICE"):
            return
        _require_parsed(text, parser_error)
        other = "".join(secrets.choice(string.ascii_lowercase) for _ in "SERVICE")
        if parser_error(tokens.replace_glued_keyword(text, "SERVICE", other)) is not None:
            raise ServiceDeniedError("Write SERVICE as a word of its own, with a space on both sides.")
        for clause in iri_clauses(text, "SERVICE", "SILENT", BASE):
            if clause.iri is None or authority(clause.iri) not in self.services:
                line, column = tokens.line_and_column(text, clause.start)
                target = "a server that only the data name" if clause.iri is None else f"<{clause.iri}>"
                raise ServiceDeniedError(
                    f"line {line}, column {column}: SERVICE would call {target}, which is not allowed here."
                )

    def _resolve_dataset(self, request: QueryRequest) -> QueryDataset:
        """Settle which graphs are seen: the caller's, else those of FROM, else the default."""
        dataset = request.dataset
        if not dataset.is_explicit:
            clauses = dataset_clauses(request.text, BASE)
            dataset = QueryDataset(clauses.default, clauses.named, dataset.union)
        for iri in (*dataset.default, *dataset.named):
            if not self._has_graph_iri(iri):
                _require_parsed(request.text, _query_parser_error)
                raise UnknownGraphError(f"There is no graph <{iri}> here.")
        return dataset

    def _sorted_named_graphs(self, text: str) -> list[Resource] | None:
        """The named graphs for a query with `GRAPH ?variable`: the store's own order of them differs at each start."""
        if _GRAPH_VARIABLE.search(text) is None:
            return None
        return sorted(self._store.named_graphs(), key=attrgetter("value"))

    def _has_graph_iri(self, graph: str) -> bool:
        try:
            return self._store.contains_named_graph(NamedNode(graph))
        except ValueError:  # no absolute IRI
            return False

    def _evaluate(
        self,
        text: str,
        dataset: QueryDataset,
        bindings: Mapping[str, Term] | None = None,
        graphs: list[Resource] | None = None,
    ) -> _EngineResult:
        explicit = dataset.is_explicit
        try:
            named: list[Resource] = [NamedNode(iri) for iri in dataset.named]
            return self._evaluate_planned(
                text,
                lambda planned: self._store.query(
                    planned,
                    base_iri=BASE,
                    use_default_graph_as_union=dataset.union and not explicit,
                    default_graph=[NamedNode(iri) for iri in dataset.default] if explicit else None,
                    named_graphs=named if explicit else graphs,
                    substitutions={ox.Variable(name): term for name, term in (bindings or {}).items()} or None,
                ),
                bound=bool(bindings),
                grouping=dataset.union and not explicit,
            )
        except SyntaxError as error:
            raise diagnose(text, error.msg, _query_parser_error) from None
        except (ValueError, OSError, RuntimeError) as error:
            raise _evaluation_error(error) from error

    def _evaluate_planned(
        self, text: str, ask: Callable[[str], _EngineResult], *, bound: bool, grouping: bool = False
    ) -> _EngineResult:
        """Begin to evaluate a query as it is planned, or as it stands if the planned text does not parse.

        As it stands too with variables `bound` beforehand, which the planner does not know of. With `grouping`, which
        is for queries over everything, its groups may be counted already.
        """
        self._check_service_calls(text, _query_parser_error)
        planned = text if bound else self._planned_text(text, grouping=grouping)
        if planned != text:
            with suppress(SyntaxError):
                return ask(planned)
        return ask(text)

    def _planned_text(self, text: str, *, grouping: bool) -> str:
        counts, before = self._statistics, self._change_number
        if counts is None or not self._may_plan():
            return text
        planned = self._plans.plan_for(text, counts)
        grouped = None
        if grouping and planned.aggregation is not None and self._stable_change_number() is not None:
            grouped = self.columns.grouped_text(planned.aggregation, counts)
        if grouped is None or self._change_number != before or _query_parser_error(text) is not None:
            return planned.text
        return grouped

    def _stable_change_number(self) -> int | None:
        """A number for what is held, by the changes up to it; None while there is no telling."""
        return None if self._change_number % 2 or self._trials else self._change_number

    def select_as_tsv(self, text: str) -> bytes:
        """Answer a SELECT query over everything in TSV, as it is written; raises EngineError where it fails."""
        try:
            found = self._store.query(text, base_iri=BASE, use_default_graph_as_union=True)
            if not isinstance(found, ox.QuerySolutions):
                raise EngineError("A SELECT query was expected.")
            body = io.BytesIO()
            found.serialize(body, ox.QueryResultsFormat.TSV)
            return body.getvalue()
        except (SyntaxError, ValueError, OSError, RuntimeError) as error:
            raise EngineError(f"The columns could not be read: {error}") from error

    def _may_plan(self) -> bool:
        return _reason_not_planned(self._statistics, planning=self.planning) is None and not any(self._trials)


def explain(text: str, statistics: DatasetStatistics | None, *, planning: bool) -> QueryPlan:
    """How an engine that holds a dataset with these counts plans a query, which is not evaluated.

    Raises QuerySyntaxError for a text that is none.
    """
    _require_parsed(text, _query_parser_error)
    why = _reason_not_planned(statistics, planning=planning)
    return plan_query(text, statistics) if why is None else QueryPlan(text, (PlanNote(1, f"left alone: {why}"),))


def _reason_not_planned(statistics: DatasetStatistics | None, *, planning: bool) -> str | None:
    """Why no query is planned: how often the engine counts a triple that two graphs hold hangs on its plan."""
    if not planning:
        return "planning is switched off"
    if statistics is None:
        return "nobody has counted the dataset"
    if statistics.triples != statistics.unnamed + sum(statistics.graphs.values()):
        return "some triples are in several graphs"
    return None


def _evaluation_error(error: Exception) -> InputError | EngineError:
    """What an evaluation that broke off means to the caller."""
    unknown = _UNKNOWN_FUNCTION_ERROR.search(str(error))
    if unknown is not None:
        return InputError(f"There is no function {unknown[1]} here.")
    return EngineError(f"The query could not be evaluated: {error}")


def rows_from_json(data: bytes) -> list[Row]:
    """Read SPARQL Query Results JSON of a SELECT query."""
    solutions = ox.parse_query_results(data, ox.QueryResultsFormat.JSON)
    if not isinstance(solutions, ox.QuerySolutions):
        raise EngineError("Solutions were expected.")
    names = [variable.value for variable in solutions.variables]
    return [_row_of_solution(names, solution) for solution in solutions]


def _row_of_solution(names: list[str], solution: ox.QuerySolution) -> Row:
    return _reject_triple_terms({name: term for name in names if (term := solution[name]) is not None})


def _reject_triple_terms(found: Mapping[str, Term | Triple]) -> Row:
    row = dict[str, Term]()
    for name, term in found.items():
        if isinstance(term, Triple):
            raise EngineError("A triple term of RDF 1.2 cannot be a value here.")
        row[name] = term
    return row


def _serialize_result(
    result: ox.QuerySolutions | ox.QueryBoolean | ox.QueryTriples, request: QueryRequest, body: IO[bytes]
) -> QueryResult:
    if isinstance(result, ox.QueryTriples):
        fmt = _require_acceptable(request.graph, "triples", RDF_FORMATS)
        serialize_into(result, body, fmt)
        return _finish_result("graph", fmt.media_type, body)
    if isinstance(result, ox.QueryBoolean):
        answer = _require_acceptable(
            request.boolean, "a boolean", tuple(fmt for fmt in RESULT_FORMATS if fmt.supports_boolean)
        )
        result.serialize(body, _OX_RESULT_FORMATS[answer])
        return _finish_result("boolean", answer.media_type, body)
    table = _require_acceptable(request.solutions, "solutions", RESULT_FORMATS)
    result.serialize(body, _OX_RESULT_FORMATS[table])
    return _finish_result("solutions", table.media_type, body)


def _finish_result(kind: ResultKind, media_type: str, body: IO[bytes]) -> QueryResult:
    length = body.tell()
    body.seek(0)
    return QueryResult(kind, media_type, body, length)


def _require_acceptable(fmt: FormatT | None, kind: str, offered: tuple[FormatT, ...]) -> FormatT:
    if fmt is None:
        types = tuple(offer.media_type for offer in offered)
        raise NotAcceptableError(f"The result is {kind}; it can be had as {', '.join(types)}.", types)
    return fmt


def _require_parsed(text: str, parser_error: Callable[[str], str | None]) -> None:
    said = parser_error(text)
    if said is not None:
        raise diagnose(text, said, parser_error)


class _ParsedError(Exception):
    """A text has been parsed, so it is not evaluated."""


def _query_parser_error(text: str) -> str | None:
    """What the parser says against a query, which is not evaluated: it might take long, or call a server."""
    try:
        ox.Store().query(text, base_iri=BASE, named_graphs=cast("list[Resource]", _raise_when_parsed()))
    except SyntaxError as error:
        return error.msg
    except _ParsedError:
        return None
    raise EngineError("The query was not stopped before it was tried.")


def _raise_when_parsed() -> Iterator[NamedNode]:
    """Graphs that the engine asks for once a query is parsed."""
    yield from ()
    raise _ParsedError


def _update_parser_error(text: str) -> str | None:
    """What the parser says against an update.

    An operation that fails is put before the first one: the whole is parsed, then nothing behind it is executed.
    """
    first = update_parser.prologue_end(text)
    try:
        ox.Store().update(f"{text[:first]}{_FAILING_OPERATION}{text[first:]}", base_iri=BASE)
    except SyntaxError as error:
        return _correct_error_column(error.msg, text, first)
    except RuntimeError:
        return None
    raise EngineError("The update was not stopped before it was tried.")


def _correct_error_column(said: str, text: str, first: int) -> str:
    """A complaint whose column is that of the text before `_STOP` was put in."""
    place = _PARSER_ERROR_POSITION.match(said)
    line, column = tokens.line_and_column(text, first)
    if place is None or int(place[1]) != line or int(place[2]) < column + len(_FAILING_OPERATION):
        return said
    return f"error at {line}:{int(place[2]) - len(_FAILING_OPERATION)}:{said[place.end() :]}"

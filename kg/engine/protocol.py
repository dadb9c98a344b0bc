"""The protocols of engines and of their optimizer, and the values that they exchange."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO, Final, Literal, Protocol

from kg.engine.statistics import DatasetStatistics
from kg.rdf.formats import RdfFormat, ResultFormat
from kg.rdf.terms import DefaultGraph, NamedNode, Quad, Term, Triple

Row = Mapping[str, Term]
"""One solution: terms by variable name without `?`; unbound variables are absent."""


@dataclass(frozen=True)
class QueryDataset:
    """The RDF dataset of a query (SPARQL 1.1 Protocol, section 2.1.4).

    `default` and `named` are IRIs of graphs that the caller asked for. Without either, the default
    graph is the union of all graphs if `union` is true, else the engine's unnamed graph.
    """

    default: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    union: bool = True

    @property
    def is_explicit(self) -> bool:
        """Whether the caller chose graphs; they override the FROM clauses of the query."""
        return bool(self.default or self.named)


UNION_DATASET: Final = QueryDataset()
"""The union of all graphs, which kg's own queries see."""


@dataclass(frozen=True)
class QueryRequest:
    """A query with the requested format for each kind of result; None where no format is acceptable.

    `timeout` is in seconds and can only shorten the engine's own limit. `is_abandoned` is called while the query
    waits or runs and returns true once the client has gone. `pending_result` completes an evaluation that has
    already started.
    """

    text: str
    dataset: QueryDataset = field(default_factory=QueryDataset)
    solutions: ResultFormat | None = None
    boolean: ResultFormat | None = None
    graph: RdfFormat | None = None
    timeout: float | None = None
    is_abandoned: Callable[[], bool] | None = None
    pending_result: "Callable[[QueryRequest], QueryResult] | None" = None


ResultKind = Literal["solutions", "boolean", "graph"]


@dataclass(frozen=True)
class QueryResult:
    """A complete, serialised result: `body` is at its start and `length` bytes long; the caller closes it."""

    kind: ResultKind
    media_type: str
    body: IO[bytes]
    length: int


class Engine(Protocol):
    """A dataset that answers SPARQL. Methods raise the errors of kg.errors only."""

    @property
    def generation(self) -> int:
        """A number that grows with every change of the dataset."""

    @property
    def version(self) -> str:
        """A token that identifies the state of the dataset, across restarts too; used in entity tags."""

    def evaluate(self, request: QueryRequest) -> QueryResult:
        """Evaluate a query and serialise its result in the format requested for its kind."""

    def dump(self, graph: NamedNode | DefaultGraph | None, fmt: RdfFormat) -> QueryResult:
        """Serialise one graph, or all if `graph` is None; raises NotFoundError for an unknown graph."""

    def status(self) -> Mapping[str, object]:
        """Return figures for the operator by name, at least `generation` and `triples`."""

    def select(self, text: str) -> list[Row]:
        """Evaluate a SELECT query over the union of all graphs."""

    def construct(self, text: str) -> list[Triple]:
        """Evaluate a CONSTRUCT query over the union of all graphs."""

    def quads(self, graph: NamedNode | None = None) -> Iterator[Quad]:
        """Iterate over one named graph, or over all graphs."""

    def graph_sizes(self) -> dict[str, int]:
        """Return the number of triples in each named graph, by IRI, sorted by IRI."""

    def statistics(self) -> DatasetStatistics | None:
        """Return the statistics that the engine maintains; None if it maintains none."""


class OptimizableDataset(Protocol):
    """What an optimizer may ask of the dataset over which a query is evaluated."""

    def statistics(self) -> DatasetStatistics | None:
        """Return the statistics of the dataset; None if they are unknown."""

    def has_shared_triples(self) -> bool:
        """Whether some triple may be in several graphs; then the multiplicity of solutions depends on the plan."""

    def select_as_tsv(self, text: str) -> bytes:
        """Evaluate a SELECT query over the union of all graphs, as it is; raises EngineError where it fails."""


GroupLookup = Callable[[OptimizableDataset], str | None]
"""Returns the text of a query with its groups already computed; None if the engine is to compute them."""


@dataclass(frozen=True)
class PlanNote:
    """What was changed at a line of a query, or left alone, and why."""

    line: int
    message: str


@dataclass(frozen=True)
class QueryPlan:
    """The text to evaluate, notes on how it differs from the client's, and a source of precomputed groups."""

    text: str
    notes: tuple[PlanNote, ...] = ()
    lookup_groups: GroupLookup | None = None


class Optimizer(Protocol):
    """Rewrites queries to equal ones that the embedded engine evaluates faster."""

    def rewrite(self, text: str, dataset: OptimizableDataset, *, is_union: bool) -> str:
        """Return the text to evaluate; `is_union` if the query sees the union of all graphs. Never fails."""

    def explain(self, text: str, statistics: DatasetStatistics | None) -> QueryPlan:
        """Plan a valid query without evaluating it, with notes."""

    def changing(self, quads: Iterable[Quad]) -> AbstractContextManager[None]:
        """Enclose a change of the dataset; `quads` are those that differ between its state before and after.

        The engine encloses every change, also one that it undoes before the context exits.
        """

    def prepare(self, memory: int, statistics: DatasetStatistics | None) -> None:
        """Load what workers will need, before they are forked; each may use `memory` bytes more than this process."""

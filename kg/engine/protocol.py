"""What every engine offers to the rest of kg, whether it runs in this process or elsewhere."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Final, Literal, Protocol

from kg.rdf.formats import RdfFormat, ResultFormat
from kg.rdf.terms import DefaultGraph, NamedNode, Quad, Term, Triple

Row = Mapping[str, Term]
"""One solution: variable names without their mark, unbound variables absent."""


@dataclass(frozen=True)
class QueryDataset:
    """The graphs that a query sees (SPARQL 1.1 Protocol, section 2.1.4).

    `default` and `named` are the graphs that the caller asked for; with neither, the default
    graph is the union of all graphs if `union` is true, else the engine's unnamed graph.
    """

    default: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    union: bool = True

    @property
    def is_explicit(self) -> bool:
        """Whether the caller chose graphs, which then replace what the query's own FROM says."""
        return bool(self.default or self.named)


UNION_DATASET: Final = QueryDataset()
"""All graphs at once, which is what kg's own queries see."""


@dataclass(frozen=True)
class QueryRequest:
    """A query with the format wanted for each kind of result; None where none is acceptable.

    `timeout` is in seconds and can only shorten what the engine allows; `abandoned` says, while the query
    waits or runs, whether nobody wants the answer any more. `begun` finishes an evaluation that was begun before.
    """

    text: str
    dataset: QueryDataset = field(default_factory=QueryDataset)
    solutions: ResultFormat | None = None
    boolean: ResultFormat | None = None
    graph: RdfFormat | None = None
    timeout: float | None = None
    is_abandoned: Callable[[], bool] | None = None
    pending_result: "Callable[[QueryRequest], QueryResult] | None" = None


@dataclass(frozen=True)
class PropertyStatistics:
    """How many triples have a predicate, and how many different subjects and objects they have."""

    triples: int
    subjects: int
    objects: int


@dataclass(frozen=True)
class DatasetStatistics:
    """How much there is in the union of all graphs, where a statement counts once, and in each named graph.

    Properties, classes and graphs are keyed by IRI, in its order. A number is None, and a partition empty, where
    counting would take longer or more memory than a query may.
    """

    triples: int | None
    entities: int | None
    subjects: int | None
    objects: int | None
    properties: Mapping[str, PropertyStatistics]
    classes: Mapping[str, int]
    graphs: Mapping[str, int]
    unnamed: int
    """Triples of the graph without a name."""


ResultKind = Literal["solutions", "boolean", "graph"]


@dataclass(frozen=True)
class QueryResult:
    """A complete, serialised result; `body` stands at its start, is `length` bytes long, and the caller closes it."""

    kind: ResultKind
    media_type: str
    body: IO[bytes]
    length: int


class Engine(Protocol):
    """A dataset that answers SPARQL. Errors: those of kg.errors, never an engine's own."""

    @property
    def generation(self) -> int:
        """A number that grows with every change of the dataset."""

    @property
    def version(self) -> str:
        """A token that differs whenever the dataset does, across restarts too; for ETags."""

    def evaluate(self, request: QueryRequest) -> QueryResult:
        """Answer a query in the format that fits its kind."""

    def dump(self, graph: NamedNode | DefaultGraph | None, fmt: RdfFormat) -> QueryResult:
        """Serialise one graph, or everything where `graph` is None; raises NotFoundError for an unknown graph."""

    def status(self) -> Mapping[str, object]:
        """What the engine tells an operator: numbers by name, at least `generation` and `triples`."""

    def select(self, text: str) -> list[Row]:
        """Answer one of kg's own SELECT queries over the union of all graphs."""

    def construct(self, text: str) -> list[Triple]:
        """Answer one of kg's own CONSTRUCT queries over the union of all graphs."""

    def quads(self, graph: NamedNode | None = None) -> Iterator[Quad]:
        """Iterate over one named graph, or over everything."""

    def graph_sizes(self) -> dict[str, int]:
        """The number of triples in each named graph, by IRI, in the order of the IRIs."""

"""The errors that kg raises, each with a stable code that the HTTP service turns into a problem type.

KgError
├── InputError                  what the caller sent cannot be used
│   ├── RdfSyntaxError          RDF that does not parse (line, column)
│   ├── QuerySyntaxError        SPARQL that does not parse (line, column)
│   ├── UnknownGraphError       a query's dataset names a graph that is not held
│   ├── ServiceDeniedError      a query calls SERVICE, which the operator did not allow
│   ├── UnsupportedFormatError  no parser or serialiser for that media type or file name
│   ├── NotAcceptableError      none of the formats asked for fits the kind of the result
│   ├── ShapesError             a shapes graph that may not or cannot be used
│   └── EvidenceTextError       the text at hand is not the one that the source cites
├── ConflictError               the dataset changed under a change, or a change cannot be made to it as it is
├── PreconditionError           the caller expected another generation
├── ScopeError                  the caller's token does not reach that far
├── JournalError                the journal cannot be written or read; nothing was changed
├── IntegrityError              the journal or a snapshot is not what was once written
├── NotFoundError               nothing is said about that IRI
├── ConfigurationError          a setting or a data folder that cannot be used
├── LimitError                  a job was stopped so that others go on; `retry_after` says when to try again
│   ├── DeadlineError           it ran or waited past its deadline
│   ├── MemoryLimitError        it needed more memory than one job may have
│   ├── ResultTooLargeError     its result is larger than one result may be
│   ├── SpoolFullError          the unread results of all clients together fill the spool
│   ├── QueueFullError          too many jobs were waiting already
│   ├── CellCrashError          the process that ran it ended unexpectedly
│   ├── IndexingError           the index of names is being made
│   └── UnreachableError        the process that holds the graph does not answer
└── EngineError                 the engine or the validator failed; nothing was changed
"""


class KgError(Exception):
    """Root of the tree; `code` names the kind of error for machines and never changes."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(KgError):
    """What the caller sent cannot be used as it is."""

    code = "bad-input"


class PositionedError(InputError):
    """An error at a place in a text; line and column count from 1, or are None where unknown."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column

    def __str__(self) -> str:
        if self.line is None:
            return self.message
        if self.column is None:
            return f"line {self.line}: {self.message}"
        return f"line {self.line}, column {self.column}: {self.message}"


class RdfSyntaxError(PositionedError):
    """RDF that does not parse."""

    code = "rdf-syntax"


class QuerySyntaxError(PositionedError):
    """SPARQL that does not parse."""

    code = "query-syntax"


class UnknownGraphError(InputError):
    """A query's dataset names a graph that is not held here."""

    code = "unknown-graph"


class ServiceDeniedError(InputError):
    """A query calls SERVICE, which the operator did not allow."""

    code = "service-denied"


class UnsupportedFormatError(InputError):
    """No parser or serialiser exists for that media type or file name."""

    code = "unsupported-format"


class NotAcceptableError(InputError):
    """None of the formats asked for fits the kind of the result; `offered` lists media types that do."""

    code = "not-acceptable"

    def __init__(self, message: str, offered: tuple[str, ...]) -> None:
        super().__init__(message)
        self.offered = offered


class ShapesError(InputError):
    """A shapes graph that may not be used (owl:imports, SERVICE) or cannot (an unknown SHACL term)."""

    code = "shapes"


class EvidenceTextError(InputError):
    """The text at hand is not the one that the source cites, or the source is not known."""

    code = "evidence-text"


class ConflictError(KgError):
    """The dataset changed while a change was judged, or it cannot be made to the dataset as it is."""

    code = "conflict"


class PreconditionError(KgError):
    """The caller expected another generation than the one there is."""

    code = "precondition"


class InsufficientScopeError(KgError):
    """The caller's token does not allow what the change would do."""

    code = "scope"


class JournalError(KgError):
    """The journal cannot be written or read at this moment: a full disk, a lock, a read-only folder."""

    code = "journal"


class IntegrityError(KgError):
    """The journal or a snapshot is not what was once written: its hash says so."""

    code = "integrity"


class NotFoundError(KgError):
    """Nothing is said about that IRI."""

    code = "not-found"


class ConfigurationError(KgError):
    """A setting or a data folder that cannot be used."""

    code = "configuration"


class LimitError(KgError):
    """A job was stopped so that others go on; `retry_after` is in seconds, None where trying again is no use."""

    code = "limit"
    text = "The job was stopped."
    retry_after: int | None = 5

    def __init__(self, message: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message or self.text)
        if retry_after not in {None, self.retry_after}:
            self.retry_after = retry_after


class DeadlineError(LimitError):
    """It ran or waited past its deadline."""

    code = "deadline"
    text = "The query ran or waited longer than its time limit and was stopped."


class MemoryLimitError(LimitError):
    """It needed more memory than one job may have."""

    code = "memory-limit"
    text = "The query needed more memory than one query may have and was stopped."


class ResultTooLargeError(LimitError):
    """Its result is larger than one result may be."""

    code = "result-too-large"
    text = "The result is larger than one result may be; ask for less of it, with LIMIT and OFFSET."
    retry_after = None


class SpoolFullError(LimitError):
    """The unread results of all clients together fill the spool."""

    code = "spool-full"
    text = "Too many large results are waiting to be read."


class QueueFullError(LimitError):
    """Too many jobs were waiting already."""

    code = "queue-full"
    text = "Too many queries are waiting already."
    retry_after = 2


class WorkerCrashError(LimitError):
    """The process that ran it ended unexpectedly."""

    code = "crash"
    text = "The process that ran the query ended unexpectedly; no other query was touched."
    retry_after = 1


class IndexingError(LimitError):
    """The index of names is being made, or cannot be used at this moment."""

    code = "indexing"
    text = "The index of names is being made."
    retry_after = 2


class UnreachableError(LimitError):
    """The process that holds the graph does not answer."""

    code = "unreachable"
    text = "The graph cannot be reached at this moment."
    retry_after = 1


class EngineError(KgError):
    """The engine or the validator failed; nothing was changed."""

    code = "engine"

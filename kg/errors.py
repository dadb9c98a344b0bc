"""The errors that kg raises, each with a stable code that the HTTP service maps to a problem type.

KgError
├── InputError                  the caller's input cannot be used
│   ├── RdfSyntaxError          RDF that does not parse (line, column)
│   ├── QuerySyntaxError        SPARQL that does not parse (line, column)
│   ├── UnknownGraphError       a query's dataset names a graph that does not exist
│   ├── ServiceDeniedError      a query calls a SERVICE that the operator does not allow
│   ├── UnsupportedFormatError  no parser or serialiser for a media type or file name
│   ├── NotAcceptableError      no requested format fits the kind of the result
│   ├── ShapesError             a shapes graph that is forbidden or invalid
│   └── EvidenceTextError       a text is not the one that the source cites
├── ConflictError               the dataset changed meanwhile, or a change does not apply to it
├── PreconditionError           the dataset is not in the generation that the caller expects
├── InsufficientScopeError      the caller's token does not allow the change
├── JournalError                the journal cannot be written or read; nothing was changed
├── IntegrityError              the journal or a snapshot does not match its hash
├── NotFoundError               the graph has no statements about an IRI
├── ConfigurationError          a setting or a data folder that cannot be used
├── LimitError                  a job exceeded a limit, or a resource is not available; see `retry_after`
│   ├── DeadlineError           a job ran or waited past its deadline
│   ├── MemoryLimitError        a job needed more memory than its limit
│   ├── ResultTooLargeError     a result exceeds the size limit
│   ├── SpoolFullError          the unread results of all clients fill the spool
│   ├── QueueFullError          too many jobs are waiting
│   ├── WorkerCrashError        the worker that ran a job ended unexpectedly
│   ├── IndexingError           the index of names is being built
│   └── UnreachableError        the process that holds the graph does not respond
└── EngineError                 the engine or the validator failed; nothing was changed
"""


class KgError(Exception):
    """The base of all errors; `code` identifies the kind of error for programs and never changes."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(KgError):
    """The caller's input cannot be used."""

    code = "bad-input"


class PositionedError(InputError):
    """An error at a position in a text; `line` and `column` count from 1, or are None if unknown."""

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
    """A query's dataset names a graph that does not exist."""

    code = "unknown-graph"


class ServiceDeniedError(InputError):
    """A query calls a SERVICE that the operator does not allow."""

    code = "service-denied"


class UnsupportedFormatError(InputError):
    """No parser or serialiser exists for a media type or file name."""

    code = "unsupported-format"


class NotAcceptableError(InputError):
    """No requested format fits the kind of the result; `offered` lists the media types that do."""

    code = "not-acceptable"

    def __init__(self, message: str, offered: tuple[str, ...]) -> None:
        super().__init__(message)
        self.offered = offered


class ShapesError(InputError):
    """A shapes graph has forbidden content (owl:imports, SERVICE) or is invalid (an unknown SHACL term)."""

    code = "shapes"


class EvidenceTextError(InputError):
    """A text is not the one that the source cites, or the source is unknown."""

    code = "evidence-text"


class ConflictError(KgError):
    """The dataset changed while a change was validated, or the change does not apply to the dataset."""

    code = "conflict"


class PreconditionError(KgError):
    """The dataset is not in the generation that the caller expects."""

    code = "precondition"


class InsufficientScopeError(KgError):
    """The caller's token does not allow the change."""

    code = "scope"


class JournalError(KgError):
    """The journal cannot be written or read at the moment: a full disk, a lock, a read-only folder."""

    code = "journal"


class IntegrityError(KgError):
    """The journal or a snapshot does not match its hash, so it is not as it was written."""

    code = "integrity"


class NotFoundError(KgError):
    """The graph has no statements about an IRI."""

    code = "not-found"


class ConfigurationError(KgError):
    """A setting or a data folder that cannot be used."""

    code = "configuration"


class LimitError(KgError):
    """A job exceeded a limit, or a resource is not available at the moment.

    `retry_after` is the number of seconds after which a retry may succeed, or None if a retry is pointless. `text` is
    the default message.
    """

    code = "limit"
    text = "The job was stopped."
    retry_after: int | None = 5

    def __init__(self, message: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message or self.text)
        if retry_after not in {None, self.retry_after}:
            self.retry_after = retry_after


class DeadlineError(LimitError):
    """A job ran or waited past its deadline."""

    code = "deadline"
    text = "The query exceeded its time limit, including the time that it waited, and was stopped."


class MemoryLimitError(LimitError):
    """A job needed more memory than its limit."""

    code = "memory-limit"
    text = "The query exceeded its memory limit and was stopped."


class ResultTooLargeError(LimitError):
    """A result exceeds the size limit."""

    code = "result-too-large"
    text = "The result exceeds the size limit; request parts of it with LIMIT and OFFSET."
    retry_after = None


class SpoolFullError(LimitError):
    """The unread results of all clients fill the spool."""

    code = "spool-full"
    text = "Too many large results are waiting to be read."


class QueueFullError(LimitError):
    """Too many jobs are waiting."""

    code = "queue-full"
    text = "Too many queries are waiting."
    retry_after = 2


class WorkerCrashError(LimitError):
    """The worker that ran a job ended unexpectedly."""

    code = "crash"
    text = "The process that ran the query ended unexpectedly; other queries are not affected."
    retry_after = 1


class IndexingError(LimitError):
    """The index of names is being built, or cannot be used at the moment."""

    code = "indexing"
    text = "The index of names is being built."
    retry_after = 2


class UnreachableError(LimitError):
    """The process that holds the graph does not respond."""

    code = "unreachable"
    text = "The graph cannot be reached at the moment."
    retry_after = 1


class EngineError(KgError):
    """The engine or the validator failed; nothing was changed."""

    code = "engine"

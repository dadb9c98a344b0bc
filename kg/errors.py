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
├── NotFoundError               nothing is said about that IRI
├── ConfigurationError          a setting or a data folder that cannot be used
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


class NotFoundError(KgError):
    """Nothing is said about that IRI."""

    code = "not-found"


class ConfigurationError(KgError):
    """A setting or a data folder that cannot be used."""

    code = "configuration"


class EngineError(KgError):
    """The engine or the validator failed; nothing was changed."""

    code = "engine"

"""Check queries and updates with pyoxigraph's parser, without executing anything of them."""

import re
import secrets
import string
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final, cast

import pyoxigraph as ox

from kg.errors import EngineError, ServiceDeniedError
from kg.rdf.iris import authority
from kg.rdf.namespaces import BASE
from kg.rdf.terms import NamedNode, Resource
from kg.sparql import tokens, update_parser
from kg.sparql.prologue import iri_clauses
from kg.sparql.syntax_errors import diagnose

ParserErrorFinder = Callable[[str], str | None]
"""Returns the parser's error message for a text; None if the text parses."""

_FAILING_OPERATION: Final = "DROP GRAPH <urn:x-hpkg:none>;"
_PARSER_ERROR_POSITION: Final = re.compile(r"error at (\d+):(\d+):")


def check_query_syntax(text: str) -> None:
    """Raise QuerySyntaxError for a text that is not a query."""
    _require_parsed(text, query_parser_error)


def check_update(text: str, services: AbstractSet[str]) -> None:
    """Raise QuerySyntaxError for a text that is not an update, ServiceDeniedError for a SERVICE that is not allowed.

    Nothing of the text is executed, so LOAD and SERVICE send no request. pyoxigraph's parser accepts declarations
    before the first operation only. Where they precede later operations, each operation is checked alone.
    """
    pieces = [text]
    if update_parser_error(text) is not None:
        operations = list(update_parser.isolate_operations(text))
        pieces = operations if len(operations) > 1 else pieces
    for piece in pieces:
        _require_parsed(piece, update_parser_error)
        check_service_calls(piece, services, update_parser_error)


def check_service_calls(text: str, services: AbstractSet[str], parser_error: ParserErrorFinder | None = None) -> None:
    """Raise ServiceDeniedError for a SERVICE whose host is not among `services`, or is a variable.

    Raises QuerySyntaxError for a text with SERVICE that does not parse.
    """
    if not tokens.contains_word_outside_iris(text, "SERVICE"):
        return
    parser_error = parser_error or query_parser_error
    _require_parsed(text, parser_error)
    # The tokenizer must find every SERVICE that the parser finds. With the ones that it may have missed replaced by a
    # random word, the text must still parse; else one of them is a keyword.
    placeholder = "".join(secrets.choice(string.ascii_lowercase) for _ in "SERVICE")
    if parser_error(tokens.replace_glued_keyword(text, "SERVICE", placeholder)) is not None:
        raise ServiceDeniedError("Write SERVICE as a word of its own, with a space on both sides.")
    for clause in iri_clauses(text, "SERVICE", "SILENT", BASE):
        if clause.iri is None or authority(clause.iri) not in services:
            line, column = tokens.line_and_column(text, clause.start)
            target = "a server that only the data name" if clause.iri is None else f"<{clause.iri}>"
            raise ServiceDeniedError(
                f"line {line}, column {column}: SERVICE would call {target}, which is not allowed here."
            )


def _require_parsed(text: str, parser_error: ParserErrorFinder) -> None:
    message = parser_error(text)
    if message is not None:
        raise diagnose(text, message, parser_error)


class _ParsedError(Exception):
    """The text has been parsed; raised to stop before its evaluation."""


def query_parser_error(text: str) -> str | None:
    """Return the parser's error message for a query, which is not evaluated: it might take long, or call a server."""
    try:
        ox.Store().query(text, base_iri=BASE, named_graphs=cast("list[Resource]", _raise_when_parsed()))
    except SyntaxError as error:
        return error.msg
    except _ParsedError:
        return None
    raise EngineError("The query was not stopped before its evaluation.")


def _raise_when_parsed() -> Iterator[NamedNode]:
    """Stand for the named graphs, which pyoxigraph reads once the query is parsed."""
    yield from ()
    raise _ParsedError


def update_parser_error(text: str) -> str | None:
    """Return the parser's error message for an update, of which nothing is executed.

    The text gets a first operation that fails: pyoxigraph parses all operations before it executes the first.
    """
    start = update_parser.prologue_end(text)
    try:
        ox.Store().update(f"{text[:start]}{_FAILING_OPERATION}{text[start:]}", base_iri=BASE)
    except SyntaxError as error:
        return _correct_error_column(error.msg, text, start)
    except RuntimeError:
        return None
    raise EngineError("The update was not stopped before its execution.")


def _correct_error_column(message: str, text: str, start: int) -> str:
    """Return a parser error with its column as in the text without `_FAILING_OPERATION` at `start`."""
    position = _PARSER_ERROR_POSITION.match(message)
    line, column = tokens.line_and_column(text, start)
    if position is None or int(position[1]) != line or int(position[2]) < column + len(_FAILING_OPERATION):
        return message
    return f"error at {line}:{int(position[2]) - len(_FAILING_OPERATION)}:{message[position.end() :]}"

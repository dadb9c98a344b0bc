"""The problem types of the service (RFC 9457): their codes, statuses and English texts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, Self

from kg.rdf.namespaces import BASE
from service.http.i18n import gettext_noop as _
from service.http.i18n import translate

PROBLEM_NAMESPACE: Final = BASE + "problem/"
"""The namespace of the problem types; a type's IRI is this and its code."""


@dataclass(frozen=True)
class ProblemType:
    """A problem type: its status, title, meaning, and advice on what to do, in one language."""

    status: HTTPStatus
    title: str
    meaning: str
    advice: str

    def translated(self, language: str) -> Self:
        """Return the problem type with its texts in another language."""
        title, meaning, advice = (translate(language, text) for text in (self.title, self.meaning, self.advice))
        return replace(self, title=title, meaning=meaning, advice=advice)


_TRY_AGAIN: Final = _("Try again after the seconds that the header Retry-After gives.")
_TELL_THE_OPERATOR: Final = _(
    "Tell the operator of the service the value of `instance`: the log has the cause under it."
)

PROBLEM_TYPES: Final[Mapping[str, ProblemType]] = {
    "bad-request": ProblemType(
        HTTPStatus.BAD_REQUEST,
        _("Bad Request"),
        _(
            "The request breaks the protocol: a parameter is missing, repeated or in the wrong place, or the body "
            "cannot be read."
        ),
        _("Correct what `detail` names; the documentation of the path lists its parameters."),
    ),
    "bad-input": ProblemType(
        HTTPStatus.BAD_REQUEST,
        _("The request cannot be used"),
        _(
            "The request is well-formed but cannot be used, for example because the query is empty, too long or nested "
            "too deeply."
        ),
        _("Change what `detail` names."),
    ),
    "query-syntax": ProblemType(
        HTTPStatus.BAD_REQUEST,
        _("The query does not parse"),
        _("The text is not a valid SPARQL 1.1 query or update; `line` and `column` give the position of the error."),
        _("Look at that place: the usual cause is a missing bracket or an undeclared prefix."),
    ),
    "rdf-syntax": ProblemType(
        HTTPStatus.BAD_REQUEST,
        _("The RDF does not parse"),
        _(
            "The body does not match its content type; `line` and `column` give the position of the error if it is "
            "known. JSON-LD is also refused if it names a remote context."
        ),
        _("Correct the error, or send the content type of the body. Copy a remote JSON-LD context into the document."),
    ),
    "unknown-graph": ProblemType(
        HTTPStatus.BAD_REQUEST,
        _("There is no such graph"),
        _(
            "The dataset of the query names a graph that does not exist here. The service fetches no graphs, and an "
            "empty graph would hide the mistake."
        ),
        _("Choose one of the graphs that /graph lists."),
    ),
    "evidence-text": ProblemType(
        HTTPStatus.BAD_REQUEST,
        _("The text is not the cited one"),
        _("The text has another digest than the text of the source, or the source is unknown."),
        _("Use the text that the source names."),
    ),
    "service-denied": ProblemType(
        HTTPStatus.FORBIDDEN,
        _("SERVICE is not allowed"),
        _("The query calls another endpoint with SERVICE, at a host that the operator has not allowed."),
        _("Query that endpoint yourself and put its results into VALUES, or ask the operator to allow the host."),
    ),
    "not-found": ProblemType(
        HTTPStatus.NOT_FOUND,
        _("There is nothing here"),
        _(
            "The path does not exist, the document is not available in this format, or the graph says nothing about "
            "the entity."
        ),
        _("Find the right name on the start page or with a query."),
    ),
    "method-not-allowed": ProblemType(
        HTTPStatus.METHOD_NOT_ALLOWED,
        _("Method Not Allowed"),
        _("The path does not support this method."),
        _("Use one of the methods in the header Allow."),
    ),
    "not-acceptable": ProblemType(
        HTTPStatus.NOT_ACCEPTABLE,
        _("No acceptable format"),
        _("The response is not available in any of the formats in the header Accept."),
        _("Request one of the formats in `offered`."),
    ),
    "result-too-large": ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        _("The result is too large"),
        _("The query's result exceeds the size limit; no part of it was sent."),
        _("Request smaller parts with LIMIT and OFFSET, or download a dump from /graph."),
    ),
    "request-entity-too-large": ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        _("Request Entity Too Large"),
        _("The body is longer than the service accepts."),
        _("Send it in smaller parts."),
    ),
    "unsupported-format": ProblemType(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        _("The format is not supported"),
        _("The content type is missing, or it is not a supported RDF format."),
        _("Send one of the content types in `detail`, such as text/turtle."),
    ),
    "unsupported-media-type": ProblemType(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        _("Unsupported Media Type"),
        _("The path does not support the content type, or the character set is not UTF-8."),
        _("Send a content type that `detail` names, in UTF-8."),
    ),
    "requested-range-not-satisfiable": ProblemType(
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        _("Requested Range Not Satisfiable"),
        _("The file is shorter than the requested range."),
        _("Request the whole file."),
    ),
    "shapes": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        _("The shapes cannot be used"),
        _(
            "The shapes graph imports another, calls SERVICE, uses a term that SHACL does not define, or is not "
            "well-formed. Nothing was validated."
        ),
        _("Correct the term that `detail` names; put all shapes into one document."),
    ),
    "limit": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        _("The query was stopped"),
        _("The work reached a limit and was stopped to protect other requests."),
        _TRY_AGAIN,
    ),
    "deadline": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        _("The query took too long"),
        _("The query waited or ran longer than its time limit and was stopped. No part of the result was sent."),
        _(
            "Make the query cheaper: join by shared variables, filter early, add LIMIT. If it was fast before, the "
            "service is busy: try again after the seconds in Retry-After."
        ),
    ),
    "memory-limit": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        _("The query needed too much memory"),
        _("The query needed more memory than one query may use and was stopped."),
        _("Sort, group or concatenate less data at a time; look for joins without a shared variable."),
    ),
    "queue-full": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        _("Too many queries are waiting"),
        _("The queue of waiting queries is full."),
        _TRY_AGAIN,
    ),
    "spool-full": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        _("Too many results are waiting to be read"),
        _("Large results that clients have not read yet fill the space reserved for them."),
        _TRY_AGAIN,
    ),
    "crash": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        _("The query's process ended"),
        _("The process that ran the query ended unexpectedly; no other query was affected."),
        _(
            "Try again after the seconds in Retry-After; if the same query fails again, change it and tell the "
            "operator."
        ),
    ),
    "indexing": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        _("The search is being prepared"),
        _("The index of names is being built from the graph, which takes some seconds for a large graph."),
        _TRY_AGAIN,
    ),
    "unreachable": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        _("The graph cannot be reached"),
        _("The process that holds the graph does not respond at the moment; it restarts automatically."),
        _TRY_AGAIN,
    ),
    "refused": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        _("The change was refused"),
        _(
            "With this change, the graph would violate its shapes; nothing was changed. `findings` lists what is "
            "wrong, and where."
        ),
        _(
            "Correct the facts and send them again; `/validate` checks them without a token. The shapes define what is "
            "valid."
        ),
    ),
    "conflict": ProblemType(
        HTTPStatus.CONFLICT,
        _("The change conflicts with the current graph"),
        _(
            "Another change came first, or the commit to revert was already reverted or later changes depend on it; "
            "nothing was changed."
        ),
        _("Look at /commits, and send the change again if it still makes sense."),
    ),
    "precondition": ProblemType(
        HTTPStatus.PRECONDITION_FAILED,
        _("The graph has changed"),
        _("The graph is no longer at the version that the change was made for; nothing was changed."),
        _("Read it again, and send the change with the new ETag in If-Match."),
    ),
    "precondition-failed": ProblemType(
        HTTPStatus.PRECONDITION_FAILED,
        _("The precondition failed"),
        _("If-Match does not match the current representation; nothing was changed."),
        _("Read it again, and send the request with the new ETag."),
    ),
    "scope": ProblemType(
        HTTPStatus.FORBIDDEN,
        _("The token does not allow that"),
        _("The token lacks the permission, or the graph cannot be written directly; nothing was changed."),
        _("`detail` gives the reason; ask the operator for a token for that graph or with the scope admin."),
    ),
    "unauthorized": ProblemType(
        HTTPStatus.UNAUTHORIZED,
        _("A token is needed"),
        _("Writing needs a token that this service knows; nothing was changed."),
        _("Send `Authorization: Bearer TOKEN`; the operator creates one with `hpkg token create NAME`."),
    ),
    "forbidden": ProblemType(
        HTTPStatus.FORBIDDEN,
        _("Forbidden"),
        _("The service does not allow this."),
        _("`detail` gives the reason; ask the operator."),
    ),
    "journal": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        _("The change cannot be recorded"),
        _("The journal cannot be written or read at the moment; nothing was changed, and reads still work."),
        _("Tell the operator what `detail` reports: a full disk, a lock, or a read-only folder."),
    ),
    "integrity": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        _("The history was tampered with"),
        _("The journal is not as it was written: a hash does not match."),
        _TELL_THE_OPERATOR,
    ),
    "engine": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        _("The server failed"),
        _("The engine or the validator failed; nothing was changed."),
        _TELL_THE_OPERATOR,
    ),
    "configuration": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        _("The server failed"),
        _("The service is configured incorrectly."),
        _TELL_THE_OPERATOR,
    ),
    "error": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        _("The server failed"),
        _("The server failed; nothing was changed."),
        _TELL_THE_OPERATOR,
    ),
    "internal-server-error": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        _("Internal Server Error"),
        _("The server failed unexpectedly; nothing was changed."),
        _TELL_THE_OPERATOR,
    ),
}
"""All problem types by code. Codes are stable, because programs distinguish problems by them."""

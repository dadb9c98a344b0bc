"""A client of a running service, for commands with --endpoint."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from kg.changes.changeset import GraphReplacement
from kg.errors import InputError, UnknownGraphError, UnreachableError
from kg.rdf.formats import NQUADS, NTRIPLES
from kg.rdf.io import parse, place_in_graph, serialize
from kg.rdf.terms import NamedNode, Quad
from kg.validation.report import ValidationReport
from kg.validation.report_rdf import report_from_triples

_TIMEOUT: Final = 120.0
"""Seconds to wait for a response."""
_JSON: Final = "application/json"
_NOT_FOUND: Final = 404


@dataclass(frozen=True)
class ServiceResponse:
    """A status code and the JSON content, which for an error is a problem (RFC 9457)."""

    status: int
    content: dict[str, Any]

    @property
    def is_success(self) -> bool:
        """Whether the service did what it was asked to do."""
        return self.status < 400  # noqa: PLR2004 - the first status code of an error

    @property
    def problem(self) -> str:
        """The description of an error."""
        return str(self.content.get("detail") or self.content.get("title", ""))


@dataclass(frozen=True)
class HttpClient:
    """A client of the service at `url`, which sends `token` as its bearer token."""

    url: str
    token: str = ""

    def add(self, data: bytes, media_type: str, *, graph: str | None, message: str, severity: str) -> ServiceResponse:
        """Add RDF through the gate."""
        parameters = {"graph": graph, "message": message, "severity": severity}
        return self._request_json("POST", _path_with_query("/facts", parameters), data, media_type)

    def load(self, change: GraphReplacement, *, message: str, severity: str) -> ServiceResponse:
        """Replace graphs, all at once; a single graph goes by the Graph Store Protocol."""
        options = {"message": message, "severity": severity}
        if len(change.graphs) != 1:
            path, fmt = _path_with_query("/graph", options), NQUADS
            return self._request_json("POST", path, serialize(change.quads, fmt), fmt.media_type)
        (graph,) = change.graphs
        named = {"graph": graph.value} if isinstance(graph, NamedNode) else {"default": "true"}
        path, fmt = _path_with_query("/data", {**named, **options}), NTRIPLES
        return self._request_json("PUT", path, serialize(change.quads, fmt), fmt.media_type)

    def validate(self, quads: Iterable[Quad], *, alone: bool, language: str) -> ValidationReport:
        """Validate RDF against the shapes of the service; raises InputError with the problem that it answers."""
        path = _path_with_query("/validate", {"context": "none" if alone else ""})
        headers = {"Accept": NTRIPLES.media_type, "Accept-Language": language, "Content-Type": NQUADS.media_type}
        report = self._require_success(*self._send("POST", path, serialize(quads, NQUADS), headers))
        return report_from_triples(quad.triple for quad in parse(report, NTRIPLES))

    def quads(self, graph: NamedNode | None) -> list[Quad]:
        """Return the whole dataset, or one graph; raises UnknownGraphError if the service does not hold it."""
        path = "/graph.nq" if graph is None else _path_with_query("/data", {"graph": graph.value})
        status, data = self._send("GET", path, None, {"Accept": NQUADS.media_type})
        if status == _NOT_FOUND and graph is not None:
            raise UnknownGraphError(f"There is no graph {graph} at {self.url}.")
        quads = parse(self._require_success(status, data), NQUADS)
        return quads if graph is None else place_in_graph(quads, graph)

    def revert(self, number: int, message: str) -> ServiceResponse:
        """Undo a commit."""
        return self._request_json("POST", f"/commits/{number}/revert?message={quote(message)}", b"")

    def commits(self, limit: int) -> ServiceResponse:
        """Return the newest commits."""
        return self._request_json("GET", f"/commits?limit={limit}")

    def events(self) -> ServiceResponse:
        """Return the audit events about tokens."""
        return self._request_json("GET", "/audit")

    def _request_json(
        self, method: str, path: str, data: bytes | None = None, media_type: str | None = None
    ) -> ServiceResponse:
        headers = {"Accept": _JSON, "Prefer": "return=representation"}
        if media_type is not None:
            headers["Content-Type"] = media_type
        status, content = self._send(method, path, data, headers)
        return ServiceResponse(status, _parse_json(content))

    def _require_success(self, status: int, data: bytes) -> bytes:
        if ServiceResponse(status, {}).is_success:
            return data
        raise InputError(f"{self.url} answered {status}: {ServiceResponse(status, _parse_json(data)).problem}")

    def _send(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if not self.url.startswith(("http://", "https://")):
            raise InputError(f"{self.url!r} is not the web address of a service.")
        request = urllib.request.Request(self.url.rstrip("/") + path, data, method=method)  # noqa: S310 - checked above
        for name, value in headers.items():
            request.add_header(name, value)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310 - checked above
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except (urllib.error.URLError, OSError) as error:
            raise UnreachableError(f"{self.url} does not answer: {getattr(error, 'reason', error)}") from error


def _path_with_query(path: str, parameters: Mapping[str, str | None]) -> str:
    """Return the path with the parameters that have a value."""
    return f"{path}?{urlencode({name: value for name, value in parameters.items() if value})}"


def _parse_json(data: bytes) -> dict[str, Any]:
    try:
        content = json.loads(data) if data else {}
    except ValueError:
        return {"detail": data[:500].decode("utf-8", "replace")}
    return content if isinstance(content, dict) else {"content": content}

"""A client of a running service: what `hpkg … --endpoint` speaks."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from kg.changes.changeset import MultiGraphReplacement
from kg.errors import InputError, UnknownGraphError, UnreachableError
from kg.rdf.formats import NQUADS, NTRIPLES
from kg.rdf.io import NamedNode, Quad, parse, place_in_graph, serialize
from kg.validation.report import ValidationReport
from kg.validation.report_rdf import report_from_triples

_TIMEOUT: Final = 120.0
_JSON: Final = "application/json"
_NOT_FOUND: Final = 404


@dataclass(frozen=True)
class ServiceResponse:
    """What the service said: a status, and JSON, a problem's included."""

    status: int
    content: dict[str, Any]

    @property
    def is_success(self) -> bool:
        """Whether it did what was asked."""
        return self.status < 400  # noqa: PLR2004 - where HTTP's errors begin


@dataclass(frozen=True)
class HttpClient:
    """Speaks to the service whose home is `url`, in the name of a token."""

    url: str
    token: str = ""

    def add(self, data: bytes, media_type: str, *, graph: str | None, message: str, severity: str) -> ServiceResponse:
        """Add RDF through the gate."""
        parameters = {"graph": graph, "message": message, "severity": severity}
        return self._request_json("POST", _path_with_query("/facts", parameters), data, media_type)

    def load(self, change: MultiGraphReplacement, *, message: str, severity: str) -> ServiceResponse:
        """Put RDF in the place of what some graphs hold, all at once: of one graph as every graph store can."""
        said = {"message": message, "severity": severity}
        if len(change.graphs) != 1:
            return self._request_json(
                "POST", _path_with_query("/graph", said), serialize(change.quads, NQUADS), NQUADS.media_type
            )
        (graph,) = change.graphs
        named = {"graph": graph.value} if isinstance(graph, NamedNode) else {"default": "true"}
        return self._request_json(
            "PUT", _path_with_query("/data", {**named, **said}), serialize(change.quads, NTRIPLES), NTRIPLES.media_type
        )

    def validate(self, quads: Iterable[Quad], *, alone: bool, language: str) -> ValidationReport:
        """Judge RDF by the service's shapes; raises what it says if it does not."""
        path = _path_with_query("/validate", {"context": "none" if alone else ""})
        headers = {"Accept": NTRIPLES.media_type, "Accept-Language": language, "Content-Type": NQUADS.media_type}
        status, data = self._send("POST", path, serialize(quads, NQUADS), headers)
        return report_from_triples(quad.triple for quad in parse(self._require_success(status, data), NTRIPLES))

    def quads(self, graph: NamedNode | None) -> list[Quad]:
        """All that the service holds, or one graph; raises UnknownGraphError if it has none of that name."""
        path = "/graph.nq" if graph is None else _path_with_query("/data", {"graph": graph.value})
        status, data = self._send("GET", path, None, {"Accept": NQUADS.media_type})
        if status == _NOT_FOUND and graph is not None:
            raise UnknownGraphError(f"There is no graph {graph} at {self.url}.")
        found = parse(self._require_success(status, data), NQUADS)
        return found if graph is None else place_in_graph(found, graph)

    def revert(self, number: int, message: str) -> ServiceResponse:
        """Undo a commit."""
        return self._request_json("POST", f"/commits/{number}/revert?message={quote(message)}", b"")

    def commits(self, limit: int) -> ServiceResponse:
        """The newest commits."""
        return self._request_json("GET", f"/commits?limit={limit}")

    def events(self) -> ServiceResponse:
        """What the service's journal notes about tokens."""
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
        """What the service sent, unless it is an error."""
        if ServiceResponse(status, {}).is_success:
            return data
        content = _parse_json(data)
        raise InputError(f"{self.url} answered {status}: {content.get('detail') or content.get('title', '')}")

    def _send(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if not self.url.startswith(("http://", "https://")):
            raise InputError(f"{self.url!r} is no web address of a service.")
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
    """A path with those parameters that say something."""
    return f"{path}?{urlencode({name: value for name, value in parameters.items() if value})}"


def _parse_json(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data) if data else {}
    except ValueError:
        return {"detail": data[:500].decode("utf-8", "replace")}
    return found if isinstance(found, dict) else {"content": found}

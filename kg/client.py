"""A client of a running service, for what changes the graph: what `hpkg … --endpoint` speaks."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from kg.errors import InputError, UnreachableError

_PATIENCE: Final = 120.0
_JSON: Final = "application/json"


@dataclass(frozen=True)
class Answer:
    """What the service said: a status, and JSON, a problem's included."""

    status: int
    content: dict[str, Any]

    @property
    def good(self) -> bool:
        """Whether it did what was asked."""
        return self.status < 400  # noqa: PLR2004 - where HTTP's errors begin


@dataclass(frozen=True)
class Client:
    """Speaks to the service whose home is `url`, in the name of a token."""

    url: str
    token: str = ""

    def add(self, data: bytes, media_type: str, *, graph: str | None, message: str) -> Answer:
        """Add RDF through the gate."""
        parameters = {name: value for name, value in (("graph", graph), ("message", message)) if value}
        return self._ask("POST", f"/facts?{urlencode(parameters)}", data, media_type)

    def revert(self, number: int, message: str) -> Answer:
        """Undo a commit."""
        return self._ask("POST", f"/commits/{number}/revert?message={quote(message)}", b"")

    def commits(self, limit: int) -> Answer:
        """The newest commits."""
        return self._ask("GET", f"/commits?limit={limit}")

    def _ask(self, method: str, path: str, data: bytes | None = None, media_type: str | None = None) -> Answer:
        if not self.url.startswith(("http://", "https://")):
            raise InputError(f"{self.url!r} is no web address of a service.")
        request = urllib.request.Request(self.url.rstrip("/") + path, data, method=method)  # noqa: S310 - checked above
        request.add_header("Accept", _JSON)
        if media_type is not None:
            request.add_header("Content-Type", media_type)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as response:  # noqa: S310 - checked above
                return Answer(response.status, _content(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _content(error.read()))
        except (urllib.error.URLError, OSError) as error:
            raise UnreachableError(f"{self.url} does not answer: {getattr(error, 'reason', error)}") from error


def _content(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data) if data else {}
    except ValueError:
        return {"detail": data[:500].decode("utf-8", "replace")}
    return found if isinstance(found, dict) else {"content": found}

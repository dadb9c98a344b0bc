"""A building block for WSGI middleware (PEP 3333)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse

Headers = list[tuple[str, str]]


def map_headers(start_response: "StartResponse", transform: Callable[[str, Headers], Headers]) -> "StartResponse":
    """Wrap `start_response` so that it sends `transform(status, headers)` as the response headers."""

    def start(status: str, headers: Headers, exc_info: "OptExcInfo | None" = None, /) -> Callable[[bytes], object]:
        return start_response(status, transform(status, headers), exc_info)

    return start

"""Run the WSGI app under granian's RSGI, which reports that a client has disconnected; WSGI cannot.

Requests that the fast path can answer are answered in the event loop; a thread handles every other request, as under
any WSGI server. The environ's `hpkg.abandoned` is a callable that returns whether the client has disconnected. Threads
and memory are bounded: a body beyond the limit is not read, and a long response is sent in pieces as the client reads.
"""

import asyncio
import io
import logging
import queue
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes

from service import FAST_PATH_KEY, create_app
from service.graph_state import ABANDONED_KEY, PENDING_RESULT_KEY
from service.settings import Settings
from service.sparql_fast_path import SparqlFastPath

DISCONNECT_WATCH_DELAY: Final = 0.3
"""Seconds after which a running request is watched for the client's disconnection; most requests end earlier."""
MAX_THREADS: Final = 256

_LOG: Final = logging.getLogger("hpkg.gateway")
_MAX_BUFFERED_BYTES: Final = 1024 * 1024
_BASE_ENVIRON: Final = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "granian",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class RsgiHeaders(Protocol):
    """A request's header fields, in lower case."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Every field line."""


class RsgiScope(Protocol):
    """The request line and connection of a request, as granian describes them."""

    method: str
    path: str
    query_string: str
    scheme: str
    http_version: str
    client: str
    server: str
    authority: str | None
    headers: RsgiHeaders


class RsgiTransport(Protocol):
    """A response that is sent in pieces."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a piece; waits until the client has read enough."""


class RsgiHttpProtocol(Protocol):
    """The operations on a request: read its body, send a response, wait for the client's disconnection."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def client_disconnect(self) -> None: ...
    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...
    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> RsgiTransport: ...


@dataclass(eq=False)
class _PendingRequest:
    """A request that a thread handles."""

    environ: Environ
    protocol: RsgiHttpProtocol
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[None]"
    disconnected: threading.Event = field(default_factory=threading.Event)


class RsgiApplication:
    """An RSGI application around a WSGI one."""

    def __init__(self, app: WsgiApp, fast_path: SparqlFastPath | None, max_body: int) -> None:
        """Run an app and its fast path; a body is read to one byte past `max_body`, so that the app refuses it."""
        self._app = app
        self._fast_path = fast_path
        self._max_body = max_body
        self._jobs: queue.SimpleQueue[_PendingRequest] = queue.SimpleQueue()
        self._idle = 0
        self._started = 0
        self._lock = threading.Lock()

    async def __rsgi__(self, scope: RsgiScope, protocol: RsgiHttpProtocol) -> None:
        """Respond to one request."""
        body = b"" if scope.method in {"GET", "HEAD", "OPTIONS"} else await self._read_body(protocol)
        environ = _wsgi_environ(scope, body)
        reply = None if self._fast_path is None else await self._fast_path.answer(environ)
        if reply is not None:
            protocol.response_bytes(reply.code, reply.headers, reply.body)
            return
        loop = asyncio.get_running_loop()
        pending = _PendingRequest(environ, protocol, loop, loop.create_future())
        pending.environ[ABANDONED_KEY] = pending.disconnected.is_set
        watch = loop.call_later(DISCONNECT_WATCH_DELAY, self._watch_for_disconnect, pending)
        self._jobs.put(pending)
        self._ensure_thread()
        await pending.done
        watch.cancel()

    async def _read_body(self, protocol: RsgiHttpProtocol) -> bytes:
        pieces, length = list[bytes](), 0
        async for piece in protocol:
            length += len(piece)
            pieces.append(piece)
            if length > self._max_body:
                break
        return b"".join(pieces)[: self._max_body + 1]

    @staticmethod
    def _watch_for_disconnect(pending: _PendingRequest) -> None:
        async def until_gone() -> None:
            await pending.protocol.client_disconnect()
            pending.disconnected.set()

        task = pending.loop.create_task(until_gone())
        pending.done.add_done_callback(lambda _: task.cancel())

    def _ensure_thread(self) -> None:
        """Start another thread if none is idle and there may be more."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
                return
            if self._started >= MAX_THREADS:
                return
            self._started += 1
        threading.Thread(target=self._work, name="request", daemon=True).start()

    def _work(self) -> None:
        while True:
            pending = self._jobs.get()
            try:
                self._run_wsgi_app(pending)
            except Exception:  # noqa: BLE001 - the thread must handle the next request
                _LOG.exception("A request failed.")
            finally:
                if PENDING_RESULT_KEY in pending.environ:
                    pending.environ[PENDING_RESULT_KEY].close()
                pending.loop.call_soon_threadsafe(_resolve, pending.done)
            with self._lock:
                self._idle += 1

    def _run_wsgi_app(self, pending: _PendingRequest) -> None:
        head: list[tuple[int, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:  # noqa: ARG001
            head[:] = [(int(status.partition(" ")[0]), headers)]

        pieces = self._app(pending.environ, start_response)
        try:
            iterator = iter(pieces)
            start, rest = _buffer_start(iterator)
            status, headers = head[0]
            if rest is None:
                pending.protocol.response_bytes(status, headers, start)
            else:
                _stream(pending, status, headers, start, rest)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()


def _resolve(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)


def _buffer_start(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes] | None]:
    """Collect at most _MAX_BUFFERED_BYTES; the iterator yields the rest and is None if there is none."""
    collected, length = list[bytes](), 0
    for piece in pieces:
        collected.append(piece)
        length += len(piece)
        if length > _MAX_BUFFERED_BYTES:
            return b"".join(collected), pieces
    return b"".join(collected), None


def _stream(
    pending: _PendingRequest, status: int, headers: list[tuple[str, str]], start: bytes, rest: Iterator[bytes]
) -> None:
    """Send a long response piece by piece, each once the client has read enough of the one before."""
    transport = pending.protocol.response_stream(status, headers)

    def push(piece: bytes) -> None:
        asyncio.run_coroutine_threadsafe(_send_piece(transport, piece), pending.loop).result()

    push(start)
    for piece in rest:
        push(piece)


async def _send_piece(transport: RsgiTransport, piece: bytes) -> None:
    await transport.send_bytes(piece)


def _wsgi_environ(scope: RsgiScope, body: bytes) -> Environ:
    """Make the WSGI environ of a request (PEP 3333): paths percent-decoded, bytes represented as ISO 8859-1 text."""
    path, query = scope.path, scope.query_string
    host, _, port = scope.server.rpartition(":")
    client, _, client_port = scope.client.rpartition(":")
    environ = {
        **_BASE_ENVIRON,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path or not path.isascii() else path,
        "REQUEST_URI": path,
        "QUERY_STRING": query if query.isascii() else query.encode().decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "REMOTE_ADDR": client,
        "REMOTE_PORT": client_port,
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(body),
    }
    for name, value in scope.headers.items():
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    if scope.authority is not None:
        environ.setdefault("HTTP_HOST", scope.authority)
    return environ


def application() -> RsgiApplication:
    """Make the application from the environment; the web server calls this factory in each of its processes."""
    settings = Settings.from_environment()
    app = create_app(settings)
    return RsgiApplication(app, app.extensions.get(FAST_PATH_KEY), settings.max_body)

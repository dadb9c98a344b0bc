"""A load generator over loopback with little overhead: kept-alive raw sockets and preformatted requests.

A request takes the client 20 to 40 µs of processor time (it has measured 27,000 answers a second), so it does not
limit a server written in Python. All servers are measured with the same client. Times are seconds of
`time.perf_counter`.
"""

import re
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlencode, urlsplit

CONNECTIONS: Final = 8
RESULTS: Final = "application/sparql-results+json"
BROKEN: Final = 0
"""The status of a request whose connection the server closed."""

PATIENCE: Final = 150.0
"""Seconds after which a client treats the connection as closed."""

_CHUNK: Final = 256 * 1024
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_PROBLEM: Final = re.compile(rb'"type": *"[^"]*/problem/([^"]+)"')
_RETRY: Final = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
_BODILESS: Final = frozenset({204, 304})


@dataclass
class Load:
    """The result of a load: its duration in seconds, the latency of each answer in seconds, and the answers by outcome.

    An outcome is a status code, with the problem type of the answer if it has one: "200", "503 deadline".
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Return a percentile of the latencies, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]

    def note(self, connection: "Connection", status: int) -> None:
        """Count an answer that is complete now, or a connection that was closed instead."""
        self.latencies.append(time.perf_counter() - connection.began)
        problem = _PROBLEM.search(connection.answer) if status >= 400 else None
        kind = f" {problem[1].decode()}" if problem else ""
        self.outcomes["closed" if status == BROKEN else f"{status}{kind}"] += 1

    def require(self, status: int) -> Self:
        """Raise RuntimeError unless every answer had one status; otherwise the figures mean nothing."""
        if set(self.outcomes) != {str(status)}:
            raise RuntimeError(f"not only {status} was answered: {dict(self.outcomes) or 'nothing was'}")
        return self


class Connection:
    """A kept-alive connection with at most one request at a time."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._address = (str(parts.hostname), int(parts.port or 80))
        self.began = 0.0
        self.open()

    def open(self) -> None:
        """Connect, or reconnect."""
        self.socket = socket.create_connection(self._address, PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""

    def close(self) -> None:
        self.socket.close()

    def send(self, request: bytes) -> None:
        """Send a request and start its latency."""
        self.answer = b""
        self.began = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """Read what has arrived; return the status of a complete answer, or BROKEN if the connection was closed."""
        try:
            data = self.socket.recv(_CHUNK)
        except (ConnectionError, TimeoutError):
            data = b""
        if not data:
            return BROKEN
        self.answer += data
        return _status(self.answer)

    def ask(self, request: bytes) -> int:
        """Send one request, wait for the complete answer, and return its status."""
        self.send(request)
        while (status := self.receive()) is None:
            pass
        return status

    def header(self, name: str) -> str | None:
        """Return a header of the last answer."""
        head = self.answer.partition(b"\r\n\r\n")[0].decode("latin-1")
        fields = (line.partition(":") for line in head.splitlines()[1:])
        return next((value.strip() for key, _, value in fields if key.lower() == name.lower()), None)

    @property
    def turned_away_for(self) -> float:
        """Return the seconds to wait if the last answer says that the queue was full, else 0."""
        found = _RETRY.search(self.answer)
        return float(found[1]) if found and b"queue-full" in self.answer else 0.0


def get(endpoint: str, query: str, **headers: str) -> bytes:
    """Return the bytes of a GET request for a query, with JSON results; underscores in header names become hyphens."""
    parts = urlsplit(endpoint)
    lines = [
        f"GET {parts.path}?{urlencode({'query': query})} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Accept: {RESULTS}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def saturate(endpoint: str, requests: Iterator[bytes], seconds: float, connections: int = CONNECTIONS) -> Load:
    """Keep connections busy for some seconds: each sends its next request as soon as it has an answer."""
    load, poll = Load(), select.epoll()
    opened = [Connection(endpoint) for _ in range(connections)]
    files = {connection.socket.fileno(): connection for connection in opened}
    for file, connection in files.items():
        poll.register(file, select.EPOLLIN)
        connection.send(next(requests))
    start = time.perf_counter()
    while (now := time.perf_counter()) < start + seconds:
        for file, _ in poll.poll(start + seconds - now):
            connection = files[file]
            status = connection.receive()
            if status is None:
                continue
            load.note(connection, status)
            if status == BROKEN:
                raise RuntimeError("the server closed a connection that was to be kept alive")
            connection.send(next(requests))
    load.seconds = time.perf_counter() - start
    for connection in opened:
        connection.close()
    poll.close()
    return load


def paced(endpoint: str, requests: Iterator[bytes], seconds: float, pause: float) -> Load:
    """Send requests one after another over one connection for some seconds, with a pause after each answer."""
    load, connection = Load(), Connection(endpoint)
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        status = connection.ask(next(requests))
        load.note(connection, status)
        if status == BROKEN:
            connection.close()
            connection.open()
        time.sleep(pause)
    load.seconds = time.perf_counter() - start
    connection.close()
    return load


class BackgroundThread:
    """Runs `run` in a thread while the block runs; `run` ends soon after `_ended` is set."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self.run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def run(self) -> None:
        """Do the work."""
        raise NotImplementedError


class Herd(BackgroundThread):
    """Clients that send runaway queries from a thread of this process while the block runs.

    A client whose query was stopped sends the next one at once, so their number is constant. A client that was refused
    because the queue was full waits for the seconds of Retry-After. `load` has their latencies; requests without an
    answer at the end are dropped, as if their clients had disconnected.
    """

    def __init__(self, endpoint: str, request: Callable[[int], bytes], clients: int) -> None:
        """`request` returns the bytes of the n-th request."""
        super().__init__()
        self.load = Load()
        self._endpoint = endpoint
        self._request = request
        self._clients = clients
        self._sent = 0

    def run(self) -> None:
        start = time.perf_counter()
        clients = [Connection(self._endpoint) for _ in range(self._clients)]
        files, due = {client.socket.fileno(): client for client in clients}, dict.fromkeys(clients, 0.0)
        poll = select.epoll()
        for file in files:
            poll.register(file, select.EPOLLIN)
        while not self._ended.is_set():
            self._send(due)
            for file, _ in poll.poll(0.02):
                client = files[file]
                status = client.receive()
                if status is not None:
                    self.load.note(client, status)
                    due[client] = time.perf_counter() + client.turned_away_for
                if status == BROKEN:
                    self._reopen(client, files, poll)
        for client in clients:
            client.close()
        poll.close()
        self.load.seconds = time.perf_counter() - start

    def _send(self, due: dict[Connection, float]) -> None:
        now = time.perf_counter()
        for client in [client for client, moment in due.items() if moment <= now]:
            client.send(self._request(self._sent))
            self._sent += 1
            del due[client]

    @staticmethod
    def _reopen(client: Connection, files: dict[int, Connection], poll: select.epoll) -> None:
        del files[client.socket.fileno()]
        client.close()
        client.open()
        files[client.socket.fileno()] = client
        poll.register(client.socket.fileno(), select.EPOLLIN)


def endless(requests: Sequence[bytes]) -> Iterator[bytes]:
    """Repeat the requests forever."""
    while True:
        yield from requests


def _status(answer: bytes) -> int | None:
    """Return the status of a complete answer; JSON never contains the line that ends a chunked body."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    status, head = int(answer[9:12]), answer[: end + 2]
    length = _LENGTH.search(head)
    if status in _BODILESS:
        whole = True
    elif length is not None:
        whole = len(answer) >= end + 4 + int(length[1])
    else:
        whole = _CHUNKED.search(head) is None or answer.endswith(_LAST_CHUNK)
    return status if whole else None

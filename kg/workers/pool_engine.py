"""The engine that evaluates queries in workers: what a process of the service holds to reach the dispatcher."""

import io
import queue
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Final

from kg.engine.protocol import QueryRequest, QueryResult, Row
from kg.engine.result_writer import rows_from_json
from kg.engine.statistics import DatasetStatistics, statistics_from_json
from kg.errors import EngineError, UnreachableError, WorkerCrashError
from kg.rdf.formats import JSON, NQUADS, NTRIPLES, RdfFormat, ResultFormat
from kg.rdf.io import parse, place_in_graph
from kg.rdf.terms import DefaultGraph, NamedNode, Quad, Triple
from kg.sparql.tokens import query_fingerprint
from kg.workers.dispatcher_folder import SOCKET_FILE, VersionFile
from kg.workers.framing import FramingError, Header, Message, MessageReader, error_from_header, send_message

DEFAULT_GRAPH_NAME: Final = "default"
"""The unnamed graph in a message; an IRI cannot be this string."""
REPLY_GRACE: Final = 8.0
"""Seconds past a deadline after which the dispatcher is assumed to be dead."""
_RESTART_TIMEOUT: Final = 5.0
"""Seconds within which a dispatcher that died is expected to be restarted."""
_RETRY_DELAY: Final = 0.02
"""Seconds between two attempts to reach a dispatcher that is being restarted."""
_CLIENT_CHECK_INTERVAL: Final = 0.2
"""Seconds between two checks whether the client is still connected."""


class DispatcherConnection:
    """A connection to the dispatcher, which carries one job at a time."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.reader = MessageReader(self.socket)
        self.job_count = 0
        self.poller = select.poll()
        self.poller.register(self.socket, select.POLLIN)

    def wait_and_fill(self, seconds: float) -> bool:
        """Wait at most some seconds for data and read it; return False at the end of the connection."""
        return not self.poller.poll(seconds * 1000) or self.reader.fill()


class SpooledFile(io.BufferedReader):
    """The file of a large result; `release` is called with its length when it is closed, to free its spool bytes."""

    def __init__(self, file: int, length: int, release: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(file, "rb"))
        self.seek(0)
        self._length = length
        self._release: Callable[[int], None] | None = release

    def close(self) -> None:
        super().close()
        if self._release is not None:
            release, self._release = self._release, None
            release(self._length)


class PoolEngine:
    """An engine that sends every query to the dispatcher, for a worker to evaluate; thread-safe."""

    def __init__(self, folder: Path, timeout: float) -> None:
        """Reach the dispatcher of a folder; `timeout` is the longest time in seconds that a job may take."""
        self.socket_path = folder / SOCKET_FILE
        self._version = VersionFile(folder)
        self._timeout = timeout
        self._idle: queue.LifoQueue[DispatcherConnection] = queue.LifoQueue()

    @property
    def generation(self) -> int:
        return self._version.read()[0]

    @property
    def version(self) -> str:
        generation, digest = self._version.read()
        return f"{digest}-{generation}"

    def evaluate(self, request: QueryRequest) -> QueryResult:
        if request.pending_result is not None:
            return request.pending_result(request)
        return query_result(*self.call(*query_job(request), request))

    def dump(self, graph: NamedNode | DefaultGraph | None, fmt: RdfFormat) -> QueryResult:
        name = graph.value if isinstance(graph, NamedNode) else None if graph is None else DEFAULT_GRAPH_NAME
        return query_result(*self.call({"op": "dump", "graph": name, "format": fmt.media_type}))

    def select(self, text: str) -> list[Row]:
        with self._evaluate_bytes(text, solutions=JSON) as body:
            return rows_from_json(body.read())

    def construct(self, text: str) -> list[Triple]:
        with self._evaluate_bytes(text, graph=NTRIPLES) as body:
            return [quad.triple for quad in parse(body.read(), NTRIPLES)]

    def quads(self, graph: NamedNode | None = None) -> Iterator[Quad]:
        with self.dump(graph, NQUADS).body as body:
            quads = parse(body.read(), NQUADS)
        yield from quads if graph is None else place_in_graph(quads, graph)

    def graph_sizes(self) -> dict[str, int]:
        return dict(self._call_for_header("sizes")["sizes"])

    def statistics(self) -> DatasetStatistics | None:
        counts = self._call_for_header("counts")["counts"]
        return None if counts is None else statistics_from_json(counts)

    def status(self) -> Mapping[str, object]:
        return {**self._call_for_header("status"), "generation": self.generation}

    def catch_up(self) -> None:
        """Return once every later job sees all commits that the journal has now."""
        self._call_for_header("follow")

    def _call_for_header(self, operation: str) -> Header:
        header, body = self.call({"op": operation})
        body.close()
        return header

    def call(
        self, header: Header, payload: bytes = b"", request: QueryRequest | None = None, timeout: float | None = None
    ) -> tuple[Header, IO[bytes]]:
        """Perform a job; return the header and body of its result. Raises what the job raised.

        The caller closes the body. `timeout` is in seconds and is for a job that is not a query.
        """
        timeout = self.job_timeout(request) if timeout is None else timeout
        message = Message({**header, "timeout": timeout}, payload)
        return self.unwrap_answer(*self._exchange(message, timeout + REPLY_GRACE, request))

    def job_timeout(self, request: QueryRequest | None) -> float:
        """The seconds that a job may take: the request's timeout, if it is shorter than the engine's."""
        requested = None if request is None else request.timeout
        return self._timeout if requested is None else min(requested, self._timeout)

    def unwrap_answer(self, connection: DispatcherConnection, answer: Message) -> tuple[Header, IO[bytes]]:
        """Return the header and body of an answer; raise what the job raised.

        The connection becomes idle at once, or once the file of a large result is closed.
        """
        if answer.file is not None:
            return answer.header, SpooledFile(
                answer.file, answer.header["length"], lambda length: self._release_spool(connection, length)
            )
        self._idle.put(connection)
        if "error" in answer.header:
            raise error_from_header(answer.header["error"])
        return answer.header, io.BytesIO(answer.payload)

    def close(self) -> None:
        """Close the idle connections."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().reader.close()

    def _release_spool(self, connection: DispatcherConnection, length: int) -> None:
        """Report that the file of the last result is closed, and keep the connection for the next job."""
        with suppress(OSError):
            send_message(connection.socket, Message({"op": "release", "bytes": length}))
            self._idle.put(connection)

    def _evaluate_bytes(
        self, text: str, solutions: ResultFormat | None = None, graph: RdfFormat | None = None
    ) -> IO[bytes]:
        return self.evaluate(QueryRequest(text, solutions=solutions, graph=graph)).body

    def _exchange(
        self, message: Message, timeout: float, request: QueryRequest | None
    ) -> tuple[DispatcherConnection, Message]:
        """Send a job and wait for its answer; retry while the dispatcher is being restarted."""
        give_up = time.monotonic() + _RESTART_TIMEOUT
        while True:
            connection = None
            try:
                connection = self._idle_or_new_connection()
                connection.job_count += 1
                send_message(connection.socket, replace(message, header={**message.header, "id": connection.job_count}))
                return connection, await_answer(connection, timeout, request)
            except (ConnectionError, FileNotFoundError) as error:
                if connection is not None:
                    connection.reader.close()
                if time.monotonic() > give_up:
                    raise UnreachableError from error
                time.sleep(_RETRY_DELAY)
            except BaseException:
                if connection is not None:
                    connection.reader.close()
                raise

    def _idle_or_new_connection(self) -> DispatcherConnection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return DispatcherConnection(self.socket_path)


def query_job(request: QueryRequest) -> tuple[Header, bytes]:
    """Encode a query as the header and payload of a job for the dispatcher."""
    return {**query_header(request), "shape": query_fingerprint(request.text)}, request.text.encode()


def query_header(request: QueryRequest) -> Header:
    """Encode everything about a query but its text."""
    dataset = request.dataset
    formats = {"solutions": request.solutions, "boolean": request.boolean, "graph": request.graph}
    return {
        "op": "query",
        "default": dataset.default,
        "named": dataset.named,
        "union": dataset.union,
        "formats": {kind: None if fmt is None else fmt.media_type for kind, fmt in formats.items()},
    }


def query_result(header: Header, body: IO[bytes]) -> QueryResult:
    """Make a result of an answer's header and body."""
    length = header.get("length")
    if length is None:
        length = body.seek(0, io.SEEK_END)
        body.seek(0)
    return QueryResult(header["kind"], header["media_type"], body, length)


def read_answer(
    reader: MessageReader, wait_and_fill: Callable[[float], bool], timeout: float, request: QueryRequest | None
) -> Message | None:
    """Read a message, checking at intervals whether the client still waits; None at the end of the connection.

    `wait_and_fill` waits for the given seconds, reads what has arrived and returns False at the end of the connection.
    Raises UnreachableError once the client has gone, or after `timeout` seconds.
    """
    end = time.monotonic() + timeout
    while (answer := reader.next_message()) is None:
        if request is not None and request.is_abandoned is not None and request.is_abandoned():
            raise UnreachableError("The client went away.")
        if time.monotonic() > end:
            raise UnreachableError
        if not wait_and_fill(_CLIENT_CHECK_INTERVAL):
            return None
    return answer


def await_answer(connection: DispatcherConnection, timeout: float, request: QueryRequest | None) -> Message:
    """Wait for the answer to the connection's last job.

    Raises ConnectionResetError if the dispatcher died before the answer began, and WorkerCrashError if the answer is
    cut off. The response id guards against an answer to an earlier job that was given up.
    """
    try:
        answer = read_answer(connection.reader, connection.wait_and_fill, timeout, request)
    except (FramingError, ValueError) as error:
        raise EngineError(f"The dispatcher's answer cannot be read: {error}") from error
    if answer is None:
        raise WorkerCrashError if connection.reader.is_within_message else ConnectionResetError
    if answer.header.get("id", connection.job_count) != connection.job_count:
        raise EngineError("The response id does not match the request.")
    return answer

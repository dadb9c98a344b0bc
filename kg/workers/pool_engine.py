"""The engine whose queries run in cells: what a process of the service holds to reach the keeper.

The keeper's folder has its socket and a small file with the version of the dataset, mapped into memory, so that
looking whether an answer is still valid costs no message.
"""

import io
import mmap
import os
import queue
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

from kg.engine.protocol import QueryDataset, QueryRequest, QueryResult, Row
from kg.engine.result_writer import rows_from_json
from kg.engine.statistics import DatasetStatistics, statistics_from_json
from kg.errors import EngineError, UnreachableError, WorkerCrashError
from kg.rdf.formats import JSON, NQUADS, NTRIPLES, RdfFormat, ResultFormat
from kg.rdf.io import DefaultGraph, NamedNode, Quad, Triple, parse, place_in_graph
from kg.sparql.tokens import query_fingerprint
from kg.workers.framing import (
    FramingError,
    Header,
    Message,
    MessageReader,
    encode_header,
    error_from_header,
    send_encoded,
    send_message,
)

DEFAULT_GRAPH_NAME: Final = "default"
"""What stands for the unnamed graph in a message; no IRI looks like it."""
SOCKET_FILE: Final = "socket"
VERSION_FILE: Final = "version"

_VERSION_STRUCT: Final = struct.Struct("!Q16s")
_RESTART_TIMEOUT: Final = 5.0
"""Seconds within which a keeper that died is expected to be back."""
_REPLY_GRACE: Final = 8.0
"""Seconds past a deadline after which the keeper itself is taken for dead."""
_CLIENT_CHECK_INTERVAL: Final = 0.2
"""Seconds between two looks whether the client is still there."""


class VersionFile:
    """The dataset's generation and digest, shared between the keeper, which writes, and all who read."""

    def __init__(self, folder: Path) -> None:
        path = folder / VERSION_FILE
        if not path.exists():
            path.write_bytes(bytes(_VERSION_STRUCT.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _VERSION_STRUCT.size)

    def write(self, generation: int, digest: str) -> None:
        """Publish a version; `digest` is 16 ASCII characters at most."""
        _VERSION_STRUCT.pack_into(self._memory, 0, generation, digest.encode("ascii"))

    def read(self) -> tuple[int, str]:
        """The generation and the digest."""
        generation, digest = _VERSION_STRUCT.unpack_from(self._memory)
        return generation, digest.rstrip(b"\0").decode("ascii")


class _DispatcherConnection:
    """One connection to the keeper: a job at a time."""

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

    def wait_readable(self, seconds: float) -> bool:
        """Whether something arrives within some seconds."""
        return bool(self.poller.poll(seconds * 1000))


class _SpooledFile(io.BufferedReader):
    """The file of a long answer; when it is closed, the keeper learns that its bytes are free again."""

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


class WorkerLease:
    """A cell that this process may talk to directly, a job at a time, until it is recalled.

    `channel` leads to the cell, `connection` to the keeper; what arrives on the channel is read with `reader`.
    """

    def __init__(self, connection: _DispatcherConnection, cell: int, file: int) -> None:
        self.connection = connection
        self.worker_pid = cell
        self.channel = socket.socket(fileno=file)
        self.reader = MessageReader(self.channel)
        self.job_count = 0

    def send_query(self, request: QueryRequest) -> None:
        """Begin a job; raises OSError when the lease is over."""
        self.job_count += 1
        send_encoded(
            self.channel, _encode_query_header(request.dataset, *_requested_formats(request)), request.text.encode()
        )

    def release_spool(self, length: int) -> None:
        """Tell the keeper that an answer's file is gone."""
        with suppress(OSError):
            send_message(self.connection.socket, Message({"op": "release", "bytes": length}))

    def close(self) -> None:
        """Give the cell back."""
        self.reader.close()
        self.connection.reader.close()


class PoolEngine:
    """An engine that sends every query to the keeper, which has a cell evaluate it; safe for many threads."""

    def __init__(self, folder: Path, timeout: float) -> None:
        """Reach the keeper of a folder; `timeout` is the longest time in seconds that a job may take."""
        self._path = folder / SOCKET_FILE
        self._version = VersionFile(folder)
        self._timeout = timeout
        self._idle: queue.LifoQueue[_DispatcherConnection] = queue.LifoQueue()

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
        return self._query_result(*self.call(*query_job(request), request))

    def dump(self, graph: NamedNode | DefaultGraph | None, fmt: RdfFormat) -> QueryResult:
        name = graph.value if isinstance(graph, NamedNode) else None if graph is None else DEFAULT_GRAPH_NAME
        return self._query_result(*self.call({"op": "dump", "graph": name, "format": fmt.media_type}))

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
        header, body = self.call({"op": "sizes"})
        body.close()
        return dict(header["sizes"])

    def statistics(self) -> DatasetStatistics | None:
        header, body = self.call({"op": "counts"})
        body.close()
        return None if header["counts"] is None else statistics_from_json(header["counts"])

    def status(self) -> Mapping[str, object]:
        header, body = self.call({"op": "status"})
        body.close()
        return {**header, "generation": self.generation}

    def catch_up(self) -> None:
        """Return when all that the journal has is seen by whoever asks from now on."""
        _, body = self.call({"op": "follow"})
        body.close()

    def call(
        self, header: Header, payload: bytes = b"", request: QueryRequest | None = None, timeout: float | None = None
    ) -> tuple[Header, IO[bytes]]:
        """Have a job done: its answer's header and body, which the caller closes. Raises what the job raised.

        `timeout` is in seconds, for a job that is no query.
        """
        timeout = self.job_timeout(request) if timeout is None else timeout
        message = Message({**header, "timeout": timeout}, payload)
        return self._unwrap_answer(*self._exchange(message, timeout + _REPLY_GRACE, request))

    def job_timeout(self, request: QueryRequest | None) -> float:
        """The seconds that a job may take."""
        wanted = None if request is None else request.timeout
        return self._timeout if wanted is None else min(wanted, self._timeout)

    def _unwrap_answer(self, connection: _DispatcherConnection, answer: Message) -> tuple[Header, IO[bytes]]:
        """Put the connection back, at once or when the answer's file is read, and raise what the job raised."""
        if answer.file is not None:
            return answer.header, _SpooledFile(
                answer.file, answer.header["length"], lambda length: self._release_spool(connection, length)
            )
        self._idle.put(connection)
        if "error" in answer.header:
            raise error_from_header(answer.header["error"])
        return answer.header, io.BytesIO(answer.payload)

    def acquire_lease(self) -> WorkerLease | None:
        """Have a cell leased, if one can be spared. Raises OSError while the keeper is away."""
        connection = _DispatcherConnection(self._path)
        try:
            send_message(connection.socket, Message({"op": "lease"}))
            answer = _await_answer(connection, _REPLY_GRACE, None)
        except BaseException:
            connection.reader.close()
            raise
        if answer.file is None:
            connection.reader.close()
            return None
        return WorkerLease(connection, answer.header["cell"], answer.file)

    def result_of_lease(self, lease: WorkerLease, answer: Message) -> QueryResult:
        """The result that came over a lease; raises what the job raised."""
        if "error" in answer.header:
            raise error_from_header(answer.header["error"])
        if answer.file is None:
            return self._query_result(answer.header, io.BytesIO(answer.payload))
        return self._query_result(
            answer.header, _SpooledFile(answer.file, answer.header["length"], lease.release_spool)
        )

    def hand_over(self, lease: WorkerLease, request: QueryRequest, left: float) -> QueryResult:
        """Let the keeper take over the lease's last job, which has `left` seconds, and await its answer.

        The lease is over then.
        """
        header, payload = query_job(request)
        order = {"op": "adopt", "cell": lease.worker_pid, "number": lease.job_count, "job": {**header, "timeout": left}}
        try:
            send_message(lease.connection.socket, Message(order, payload))
            answer = _await_adopted_job(lease, left + _REPLY_GRACE, request)
        except (ConnectionError, FramingError):
            lease.close()
            return self._query_result(*self.call(header, payload, replace(request, timeout=max(left, 0.001))))
        except BaseException:
            lease.close()
            raise
        lease.reader.close()
        return self._query_result(*self._unwrap_answer(lease.connection, answer))

    def close(self) -> None:
        """Close the connections that are not in use."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().reader.close()

    def _release_spool(self, connection: _DispatcherConnection, length: int) -> None:
        """Tell the keeper that the file of the last answer is gone, and keep the connection for the next job."""
        with suppress(OSError):
            send_message(connection.socket, Message({"op": "release", "bytes": length}))
            self._idle.put(connection)

    def _evaluate_bytes(
        self, text: str, solutions: ResultFormat | None = None, graph: RdfFormat | None = None
    ) -> IO[bytes]:
        return self.evaluate(QueryRequest(text, solutions=solutions, graph=graph)).body

    @staticmethod
    def _query_result(header: Header, body: IO[bytes]) -> QueryResult:
        length = header.get("length")
        if length is None:
            length = body.seek(0, io.SEEK_END)
            body.seek(0)
        return QueryResult(header["kind"], header["media_type"], body, length)

    def _exchange(
        self, message: Message, patience: float, request: QueryRequest | None
    ) -> tuple[_DispatcherConnection, Message]:
        """Send a job and await its answer; while the keeper is being started again, try again."""
        give_up = time.monotonic() + _RESTART_TIMEOUT
        while True:
            connection = None
            try:
                connection = self._idle_or_new_connection()
                connection.job_count += 1
                send_message(connection.socket, replace(message, header={**message.header, "id": connection.job_count}))
                return connection, _await_answer(connection, patience, request)
            except (ConnectionError, FileNotFoundError) as error:
                if connection is not None:
                    connection.reader.close()
                if time.monotonic() > give_up:
                    raise UnreachableError from error
                time.sleep(0.02)
            except BaseException:
                if connection is not None:
                    connection.reader.close()
                raise

    def _idle_or_new_connection(self) -> _DispatcherConnection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return _DispatcherConnection(self._path)


def query_job(request: QueryRequest) -> tuple[Header, bytes]:
    """A query as the header and the payload of a job for the keeper."""
    header = _query_header(request.dataset, *_requested_formats(request))
    return {**header, "shape": query_fingerprint(request.text)}, request.text.encode()


RequestedFormats = tuple[ResultFormat | None, ResultFormat | None, RdfFormat | None]


def _requested_formats(request: QueryRequest) -> RequestedFormats:
    return request.solutions, request.boolean, request.graph


def _query_header(
    dataset: QueryDataset, solutions: ResultFormat | None, boolean: ResultFormat | None, graph: RdfFormat | None
) -> Header:
    formats = {"solutions": solutions, "boolean": boolean, "graph": graph}
    return {
        "op": "query",
        "default": dataset.default,
        "named": dataset.named,
        "union": dataset.union,
        "formats": {kind: None if fmt is None else fmt.media_type for kind, fmt in formats.items()},
    }


@lru_cache(maxsize=256)
def _encode_query_header(
    dataset: QueryDataset, solutions: ResultFormat | None, boolean: ResultFormat | None, graph: RdfFormat | None
) -> bytes:
    """The header of a query as it is sent; few differ."""
    return encode_header(_query_header(dataset, solutions, boolean, graph))


def _await_adopted_job(lease: WorkerLease, patience: float, request: QueryRequest) -> Message:
    """Wait for the keeper's last word about an adopted job: its answer, if it had to begin anew, or that it is done.

    Then the answer comes from the cell. Raises as `_awaited` does.
    """
    keeper, cell = lease.connection.reader, lease.reader
    pending = select.poll()
    pending.register(lease.connection.socket, select.POLLIN)
    pending.register(lease.channel, select.POLLIN)
    end = time.monotonic() + patience
    while (word := keeper.next_message()) is None:
        _check_still_wanted(request, end)
        for file, _ in pending.poll(_CLIENT_CHECK_INTERVAL * 1000):
            if file == lease.channel.fileno():
                if not cell.fill():
                    pending.unregister(lease.channel)
            elif not keeper.fill():
                raise WorkerCrashError if cell.is_within_message else ConnectionResetError
    return word if "done" not in word.header else _read_rest(cell)


def _read_rest(reader: MessageReader) -> Message:
    """An answer that was sent whole, unless its cell died within it."""
    while (answer := reader.next_message()) is None:
        if not reader.fill():
            raise WorkerCrashError
    return answer


def _check_still_wanted(request: QueryRequest | None, end: float) -> None:
    """Raise UnreachableError if nobody wants the answer any more, or the keeper should have given it by now."""
    if request is not None and request.is_abandoned is not None and request.is_abandoned():
        raise UnreachableError("The client went away.")
    if time.monotonic() > end:
        raise UnreachableError


def _await_answer(connection: _DispatcherConnection, patience: float, request: QueryRequest | None) -> Message:
    """Wait for an answer, now and then looking whether anybody still wants it.

    Raises ConnectionError if the keeper died before it began to answer, CellCrashError if the answer broke off.
    """
    end = time.monotonic() + patience
    try:
        while (answer := connection.reader.next_message()) is None:
            _check_still_wanted(request, end)
            if connection.wait_readable(_CLIENT_CHECK_INTERVAL) and not connection.reader.fill():
                if connection.reader.is_within_message:
                    raise WorkerCrashError
                raise ConnectionResetError
    except (FramingError, ValueError) as error:
        raise EngineError(f"The keeper's answer cannot be read: {error}") from error
    if answer.header.get("id", connection.job_count) != connection.job_count:
        raise EngineError("The keeper's answer is none to this question.")
    return answer


def open_listener(folder: Path) -> socket.socket:
    """Open the keeper's socket in a folder that only its owner may enter."""
    path = folder / SOCKET_FILE
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1024)
    os.set_inheritable(listener.fileno(), False)
    return listener

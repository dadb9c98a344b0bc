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
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from kg.engine.embedded import rows_of_json
from kg.engine.protocol import QueryRequest, QueryResult, Row
from kg.engine.wire import Header, Message, Reader, WireError, raised, send
from kg.errors import CellCrashError, EngineError, UnreachableError
from kg.formats import JSON, NQUADS, NTRIPLES, RdfFormat, ResultFormat
from kg.rdf import DefaultGraph, NamedNode, Quad, Triple, in_graph, parse

UNNAMED: Final = "default"
"""What stands for the unnamed graph in a message; no IRI looks like it."""
SOCKET: Final = "socket"
VERSION: Final = "version"

_VERSION: Final = struct.Struct("!Q16s")
_PATIENCE: Final = 5.0
"""Seconds within which a keeper that died is expected to be back."""
_GRACE: Final = 8.0
"""Seconds past a deadline after which the keeper itself is taken for dead."""
_LOOK: Final = 0.2
"""Seconds between two looks whether the client is still there."""


class VersionFile:
    """The dataset's generation and digest, shared between the keeper, which writes, and all who read."""

    def __init__(self, folder: Path) -> None:
        path = folder / VERSION
        if not path.exists():
            path.write_bytes(bytes(_VERSION.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _VERSION.size)

    def write(self, generation: int, digest: str) -> None:
        """Publish a version; `digest` is 16 ASCII characters at most."""
        _VERSION.pack_into(self._memory, 0, generation, digest.encode("ascii"))

    def read(self) -> tuple[int, str]:
        """The generation and the digest."""
        generation, digest = _VERSION.unpack_from(self._memory)
        return generation, digest.rstrip(b"\0").decode("ascii")


class _Connection:
    """One connection to the keeper: a job at a time."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.reader = Reader(self.socket)
        self.pending = select.poll()
        self.pending.register(self.socket, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        """Whether something arrives within some seconds."""
        return bool(self.pending.poll(seconds * 1000))


class _Spooled(io.BufferedReader):
    """The file of a long answer; when it is closed, the keeper learns that its bytes are free again."""

    def __init__(self, file: int, pool: "CellsEngine", connection: _Connection) -> None:
        super().__init__(io.FileIO(file, "rb"))
        self.seek(0)
        self._release: tuple[CellsEngine, _Connection] | None = (pool, connection)

    def close(self) -> None:
        super().close()
        if self._release is not None:
            pool, connection = self._release
            self._release = None
            pool.release(connection)


class CellsEngine:
    """An engine that sends every query to the keeper, which has a cell evaluate it; safe for many threads."""

    def __init__(self, folder: Path, timeout: float) -> None:
        """Reach the keeper of a folder; `timeout` is the longest time in seconds that a job may take."""
        self._path = folder / SOCKET
        self._version = VersionFile(folder)
        self._timeout = timeout
        self._idle: queue.LifoQueue[_Connection] = queue.LifoQueue()

    @property
    def generation(self) -> int:
        return self._version.read()[0]

    @property
    def version(self) -> str:
        generation, digest = self._version.read()
        return f"{digest}-{generation}"

    def evaluate(self, request: QueryRequest) -> QueryResult:
        formats = {"solutions": request.solutions, "boolean": request.boolean, "graph": request.graph}
        header = {
            "op": "query",
            "default": request.dataset.default,
            "named": request.dataset.named,
            "union": request.dataset.union,
            "formats": {kind: None if fmt is None else fmt.media_type for kind, fmt in formats.items()},
        }
        return self._result(*self.call(header, request.text.encode(), request))

    def dump(self, graph: NamedNode | DefaultGraph | None, fmt: RdfFormat) -> QueryResult:
        name = graph.value if isinstance(graph, NamedNode) else None if graph is None else UNNAMED
        return self._result(*self.call({"op": "dump", "graph": name, "format": fmt.media_type}))

    def select(self, text: str) -> list[Row]:
        with self._evaluated(text, solutions=JSON) as body:
            return rows_of_json(body.read())

    def construct(self, text: str) -> list[Triple]:
        with self._evaluated(text, graph=NTRIPLES) as body:
            return [quad.triple for quad in parse(body.read(), NTRIPLES)]

    def quads(self, graph: NamedNode | None = None) -> Iterator[Quad]:
        with self.dump(graph, NQUADS).body as body:
            quads = parse(body.read(), NQUADS)
        yield from quads if graph is None else in_graph(quads, graph)

    def graph_sizes(self) -> dict[str, int]:
        header, body = self.call({"op": "sizes"})
        body.close()
        return dict(header["sizes"])

    def status(self) -> Mapping[str, object]:
        header, body = self.call({"op": "status"})
        body.close()
        return {**header, "generation": self.generation}

    def call(
        self, header: Header, payload: bytes = b"", request: QueryRequest | None = None
    ) -> tuple[Header, IO[bytes]]:
        """Have a job done: its answer's header and body, which the caller closes. Raises what the job raised."""
        wanted = None if request is None else request.timeout
        timeout = self._timeout if wanted is None else min(wanted, self._timeout)
        message = Message({**header, "timeout": timeout}, payload)
        connection, answer = self._exchange(message, timeout + _GRACE, request)
        if "error" in answer.header:
            self._idle.put(connection)
            raise raised(answer.header["error"])
        if answer.file is not None:
            return answer.header, _Spooled(answer.file, self, connection)
        self._idle.put(connection)
        return answer.header, io.BytesIO(answer.payload)

    def close(self) -> None:
        """Close the connections that are not in use."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().reader.close()

    def release(self, connection: _Connection) -> None:
        """Tell the keeper that the file of the last answer is gone, and keep the connection for the next job."""
        with suppress(OSError):
            send(connection.socket, Message({"op": "release"}))
            self._idle.put(connection)

    def _evaluated(self, text: str, solutions: ResultFormat | None = None, graph: RdfFormat | None = None) -> IO[bytes]:
        return self.evaluate(QueryRequest(text, solutions=solutions, graph=graph)).body

    @staticmethod
    def _result(header: Header, body: IO[bytes]) -> QueryResult:
        length = header.get("length")
        if length is None:
            length = body.seek(0, io.SEEK_END)
            body.seek(0)
        return QueryResult(header["kind"], header["media_type"], body, length)

    def _exchange(self, message: Message, patience: float, request: QueryRequest | None) -> tuple[_Connection, Message]:
        """Send a job and await its answer; while the keeper is being started again, try again."""
        give_up = time.monotonic() + _PATIENCE
        while True:
            connection = None
            try:
                connection = self._connection()
                send(connection.socket, message)
                return connection, _awaited(connection, patience, request)
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

    def _connection(self) -> _Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return _Connection(self._path)


def _awaited(connection: _Connection, patience: float, request: QueryRequest | None) -> Message:
    """Wait for an answer, now and then looking whether anybody still wants it.

    Raises ConnectionError if the keeper died before it began to answer, CellCrashError if the answer broke off.
    """
    abandoned = None if request is None else request.abandoned
    end = time.monotonic() + patience
    try:
        while (answer := connection.reader.next()) is None:
            if abandoned is not None and abandoned():
                raise UnreachableError("The client went away.")
            if time.monotonic() > end:
                raise UnreachableError
            if connection.wait(_LOOK) and not connection.reader.fill():
                if connection.reader.within_message:
                    raise CellCrashError
                raise ConnectionResetError
    except (WireError, ValueError) as error:
        raise EngineError(f"The keeper's answer cannot be read: {error}") from error
    return answer


def listening(folder: Path) -> socket.socket:
    """Open the keeper's socket in a folder that only its owner may enter."""
    path = folder / SOCKET
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1024)
    os.set_inheritable(listener.fileno(), False)
    return listener

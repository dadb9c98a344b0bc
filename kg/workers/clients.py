"""The dispatcher's connections to its clients: the processes of the service and the commands that query a graph."""

import selectors
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from kg.workers.framing import Header, Message, MessageReader, send_message
from kg.workers.scheduling import QueuedJob

MIN_SPOOL_BYTES: Final = 1024 * 1024
"""Bytes of spool that must be left for a job to start."""


@dataclass(eq=False)
class Client:
    """A connection with at most one job at a time; `spooled_bytes` is the size of its unread result files."""

    connection: socket.socket
    reader: MessageReader
    job: "Job | None" = None
    spooled_bytes: int = 0


@dataclass(eq=False, kw_only=True)
class Job(QueuedJob):
    """A request of a client.

    `retries` counts the workers that were killed from outside before they sent a result. `adopted_number` is the
    number, within its lease, of a job that a lease holder began and the dispatcher took over; 0 for all others.
    """

    request: Message
    client: Client
    retries: int = 0
    adopted_number: int = 0


class ClientConnections:
    """All connected clients; calls `on_message` for each message and `on_close` once a client is gone."""

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        on_message: Callable[[Client, Message], None],
        on_close: Callable[[Client], None],
    ) -> None:
        self._listener = listener
        self._selector = selector
        self._on_message = on_message
        self._on_close = on_close
        self.clients: set[Client] = set()
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def stop_accepting(self) -> None:
        """Close the listening socket; open connections stay."""
        self._selector.unregister(self._listener)
        self._listener.close()

    def close_inherited(self) -> None:
        """Close all sockets in a forked process, which shares them with the dispatcher."""
        self._listener.close()
        for client in self.clients:
            client.connection.close()

    def reply(self, client: Client, header: Header, file: int | None = None) -> None:
        """Send a message; a client that cannot receive it is dropped."""
        try:
            send_message(client.connection, Message(header, file=file))
        except OSError:
            self.drop(client)

    def finish_job(self, job: Job, header: Header) -> None:
        """Send the outcome of a job, unless its client has another job by now."""
        if job.client.job is job:
            job.client.job = None
            self.reply(job.client, {**header, "id": job.request.header.get("id")})

    def drop(self, client: Client) -> None:
        """Close a connection."""
        if client in self.clients:
            self._selector.unregister(client.connection)
            self.clients.discard(client)
            client.reader.close()
            self._on_close(client)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        client = Client(connection, MessageReader(connection))
        self.clients.add(client)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._read(client))

    def _read(self, client: Client) -> None:
        if client not in self.clients:
            return  # dropped by another event of the same round
        messages, is_open = client.reader.drain()
        try:
            for message in messages:
                self._on_message(client, message)
        except (OSError, ValueError, KeyError):  # the message lacks a field, or has a wrong one
            is_open = False
        if not is_open:
            self.drop(client)


def create_job(client: Client, request: Message) -> Job:
    """Make a request its client's current job; the header has the timeout in seconds."""
    deadline = time.monotonic() + float(request.header["timeout"])
    client.job = Job(
        deadline=deadline, fingerprint=str(request.header.get("shape", "")), request=request, client=client
    )
    return client.job


class SpoolBudget:
    """The bytes of result files that clients have not read yet, against one limit for all clients."""

    def __init__(self, limit_bytes: int, clients: Collection[Client]) -> None:
        self._limit = limit_bytes
        self._clients = clients

    @property
    def used(self) -> int:
        """Bytes of unread result files."""
        return sum(client.spooled_bytes for client in self._clients)

    @property
    def left(self) -> int:
        """Bytes that new result files may have."""
        return self._limit - self.used

    @property
    def is_scarce(self) -> bool:
        """Whether more than half of the limit is used."""
        return self.left < self._limit // 2

    @property
    def is_exhausted(self) -> bool:
        """Whether too little is left for another job to start."""
        return self.left < MIN_SPOOL_BYTES

"""Frame messages between the service, the dispatcher and its workers: a JSON header, a payload and optionally a file.

A message is two big-endian 32-bit lengths, the header as JSON in UTF-8 and the payload. The highest bit of the header's
length is set if an open file descriptor comes with the message (SCM_RIGHTS). All peers are processes that one operator
started on one machine; the permissions of the socket's folder keep other users out.
"""

import json
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from kg import errors
from kg.errors import EngineError, KgError, LimitError, NotAcceptableError, PositionedError

Header = Mapping[str, Any]

MAX_HEADER_BYTES: Final = 1024 * 1024
MAX_PAYLOAD_BYTES: Final = 256 * 1024 * 1024

_LENGTHS: Final = struct.Struct("!II")
_FILE_FLAG: Final = 1 << 31
_READ_SIZE: Final = 64 * 1024
"""Bytes that are read at once; the allocator serves a buffer of this size from the heap, without a system call."""
_to_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ERRORS_BY_CODE: Final = {
    cls.code: cls
    for cls in vars(errors).values()
    if isinstance(cls, type) and issubclass(cls, KgError) and "code" in vars(cls)
}
ERROR_CODES: Final = frozenset(_ERRORS_BY_CODE)
"""The codes of all errors that a job can end with."""


class FramingError(Exception):
    """The peer closed the connection within a message, or sent something that is not a message of this protocol."""


@dataclass(frozen=True)
class Message:
    """A message; the receiver closes the `file` descriptor of a received message."""

    header: Header
    payload: bytes = b""
    file: int | None = None


def encode_header(header: Header) -> bytes:
    """Encode a header as UTF-8 JSON."""
    return _to_json(header).encode()


def send_message(connection: socket.socket, message: Message) -> None:
    """Send a message; blocks until all of it is sent. An open file travels with the first bytes."""
    send_encoded(connection, encode_header(message.header), message.payload, message.file)


def send_encoded(connection: socket.socket, header: bytes, payload: bytes, file: int | None = None) -> None:
    """Send a message whose header `encode_header` has encoded."""
    flag = 0 if file is None else _FILE_FLAG
    data = b"".join((_LENGTHS.pack(len(header) | flag, len(payload)), header, payload))
    sent = 0 if file is None else socket.send_fds(connection, [data], [file])
    connection.sendall(memoryview(data)[sent:] if sent else data)


@lru_cache(maxsize=1024)
def _decode_header(header: bytes) -> Header:
    """Parse a header; cached, since most headers are equal and headers are never modified."""
    parsed: Header = json.loads(header.decode())
    return parsed


class MessageReader:
    """Splits the byte stream of a connection into messages."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._files: list[int] = []

    @property
    def is_within_message(self) -> bool:
        """Whether the buffer holds a part of a message."""
        return bool(self._buffer)

    def drain(self) -> tuple[list[Message], bool]:
        """Read once; return the messages that are complete, and whether the connection is still usable.

        A connection is not usable after its end, after an error of the socket and after a malformed message.
        """
        messages: list[Message] = []
        try:
            is_open = self.fill()
            while (message := self.next_message()) is not None:
                messages.append(message)
        except (OSError, FramingError, ValueError):  # JSON and UTF-8 errors are ValueErrors
            is_open = False
        return messages, is_open

    def fill(self) -> bool:
        """Read once into the buffer; return False at the end of the stream."""
        data, files, _, _ = socket.recv_fds(self._connection, _READ_SIZE, 1)
        self._files += files
        self._buffer += data
        return bool(data)

    def next_message(self) -> Message | None:
        """Remove the next complete message from the buffer, if any; raises FramingError if it is too large."""
        if len(self._buffer) < _LENGTHS.size:
            return None
        marked, payload_length = _LENGTHS.unpack_from(self._buffer)
        header_length = marked & ~_FILE_FLAG
        if header_length > MAX_HEADER_BYTES or payload_length > MAX_PAYLOAD_BYTES:
            raise FramingError("the message is too large")
        start = _LENGTHS.size + header_length
        end = start + payload_length
        if len(self._buffer) < end:
            return None
        header = _decode_header(bytes(self._buffer[_LENGTHS.size : start]))
        payload = bytes(self._buffer[start:end])
        del self._buffer[:end]
        return Message(header, payload, self._files.pop(0) if marked & _FILE_FLAG else None)

    def close(self) -> None:
        """Close the connection, and the received files that no message has handed out."""
        for file in self._files:
            os.close(file)
        self._files.clear()
        self._connection.close()


def error_to_header(error: KgError) -> Header:
    """Encode an error as a header, which `error_from_header` decodes."""
    header: dict[str, Any] = {"code": error.code, "message": error.message}
    if isinstance(error, PositionedError):
        header |= {"line": error.line, "column": error.column}
    if isinstance(error, NotAcceptableError):
        header |= {"offered": error.offered}
    if isinstance(error, LimitError):
        header |= {"retry_after": error.retry_after}
    return header


def error_from_header(header: Header) -> KgError:
    """Decode an error; an unknown code gives an EngineError."""
    cls = _ERRORS_BY_CODE.get(header["code"], EngineError)
    if issubclass(cls, PositionedError):
        return cls(header["message"], header["line"], header["column"])
    if issubclass(cls, NotAcceptableError):
        return cls(header["message"], tuple(header["offered"]))
    if issubclass(cls, LimitError):
        return cls(header["message"], header["retry_after"])
    return cls(header["message"])

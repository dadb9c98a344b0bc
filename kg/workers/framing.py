"""Messages between the service, the keeper and its cells: a JSON header, a payload and perhaps one open file.

A message is eight bytes of lengths, the header in UTF-8 and the payload; the highest bit of the header's length says
that a file comes with it. The peers are processes that one
operator started on one machine; the permissions of the socket's folder keep others out.
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
"""Bytes that are read at once: few enough that the buffer for them comes from the heap."""
_to_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ERRORS_BY_CODE: Final = {
    cls.code: cls
    for cls in vars(errors).values()
    if isinstance(cls, type) and issubclass(cls, KgError) and "code" in vars(cls)
}
ERROR_CODES: Final = frozenset(_ERRORS_BY_CODE)
"""The codes of the errors that a job may end with."""


class FramingError(Exception):
    """The peer ended the connection within a message, or sent none of this protocol's."""


@dataclass(frozen=True)
class Message:
    """What one peer tells another; whoever takes a received `file` descriptor closes it."""

    header: Header
    payload: bytes = b""
    file: int | None = None


def encode_header(header: Header) -> bytes:
    """A header as it is sent."""
    return _to_json(header).encode()


def send_message(connection: socket.socket, message: Message) -> None:
    """Send a whole message, blocking; an open file travels with its first bytes."""
    send_encoded(connection, encode_header(message.header), message.payload, message.file)


def send_encoded(connection: socket.socket, header: bytes, payload: bytes, file: int | None = None) -> None:
    """Send a message whose header is encoded already."""
    flag = 0 if file is None else _FILE_FLAG
    data = b"".join((_LENGTHS.pack(len(header) | flag, len(payload)), header, payload))
    sent = 0 if file is None else socket.send_fds(connection, [data], [file])
    connection.sendall(memoryview(data)[sent:] if sent else data)


@lru_cache(maxsize=1024)
def _decode_header(header: bytes) -> Header:
    """Read a header; most are alike, and nobody changes one."""
    found: Header = json.loads(header.decode())
    return found


class MessageReader:
    """Cuts the stream of a connection into messages, in whatever pieces it arrives."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._files: list[int] = []

    @property
    def is_within_message(self) -> bool:
        """Whether part of a message has been read."""
        return bool(self._buffer)

    def receive_message(self) -> Message | None:
        """Block until a message is whole; None at the end of the stream. Raises WireError within a message."""
        while (message := self.next_message()) is None:
            if not self.fill():
                if self._buffer:
                    raise FramingError("the stream ended within a message")
                return None
        return message

    def fill(self) -> bool:
        """Read once what has arrived, and say whether the stream goes on."""
        data, files, _, _ = socket.recv_fds(self._connection, _READ_SIZE, 1)
        self._files += files
        self._buffer += data
        return bool(data)

    def next_message(self) -> Message | None:
        """Take the next whole message out of what was read; raises WireError for an impossible one."""
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
        """Close the connection and every file that came and was not taken."""
        for file in self._files:
            os.close(file)
        self._files.clear()
        self._connection.close()


def error_to_header(error: KgError) -> Header:
    """An error as a header, from which `raised` makes it again on the other side."""
    header: dict[str, Any] = {"code": error.code, "message": error.message}
    if isinstance(error, PositionedError):
        header |= {"line": error.line, "column": error.column}
    if isinstance(error, NotAcceptableError):
        header |= {"offered": error.offered}
    if isinstance(error, LimitError):
        header |= {"retry_after": error.retry_after}
    return header


def error_from_header(header: Header) -> KgError:
    """The error that a header describes."""
    cls = _ERRORS_BY_CODE.get(header["code"], EngineError)
    if issubclass(cls, PositionedError):
        return cls(header["message"], header["line"], header["column"])
    if issubclass(cls, NotAcceptableError):
        return cls(header["message"], tuple(header["offered"]))
    if issubclass(cls, LimitError):
        return cls(header["message"], header["retry_after"])
    return cls(header["message"])

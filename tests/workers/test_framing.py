import os
import socket
import struct
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg import errors
from kg.errors import KgError, NotAcceptableError, PositionedError, QuerySyntaxError
from kg.workers.framing import FramingError, Message, MessageReader, error_from_header, error_to_header, send_message

headers = st.dictionaries(st.text(max_size=10).filter(lambda key: key != "file"), st.text() | st.integers(), max_size=4)
messages = st.builds(Message, headers, st.binary(max_size=3000))


@given(st.lists(messages, max_size=5), st.integers(1, 50))
def test_messages_are_reassembled_from_any_pieces(sent: list[Message], size: int) -> None:
    near, far = socket.socketpair()
    there, here = socket.socketpair()
    with near, far, there, here:
        data = b""
        for message in sent:
            send_message(near, message)
            data += far.recv(1 << 20)
        reader, received = MessageReader(here), list[Message]()
        for start in range(0, len(data), size):
            there.sendall(data[start : start + size])
            received += reader.drain()[0]
        assert received == sent
        assert not reader.is_within_message


def test_a_file_descriptor_is_sent_with_a_message() -> None:
    near, far = socket.socketpair()
    with near, far, tempfile.TemporaryFile() as file:
        file.write(b"content")
        file.flush()
        send_message(near, Message({"op": "x"}, file=file.fileno()))
        (message,), is_open = MessageReader(far).drain()
        assert is_open
        assert message.file is not None
        assert os.pread(message.file, 10, 0) == b"content"
        os.close(message.file)


def test_the_end_of_the_stream_within_a_message_is_an_error() -> None:
    near, far = socket.socketpair()
    with far:
        with near:
            near.sendall(struct.pack("!II", 10, 0) + b"{")
        reader = MessageReader(far)
        assert reader.drain() == ([], True)
        assert reader.drain() == ([], False)
        assert reader.is_within_message


@pytest.mark.parametrize("malformed", [struct.pack("!II", 2**30, 0), struct.pack("!II", 1, 0) + b"{"])
def test_a_malformed_message_ends_the_connection_after_the_ones_before_it(malformed: bytes) -> None:
    near, far = socket.socketpair()
    with near, far:
        send_message(near, Message({"op": "x"}))
        near.sendall(malformed)
        assert MessageReader(far).drain() == ([Message({"op": "x"})], False)


def test_a_message_that_is_too_large_is_an_error() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.sendall(struct.pack("!II", 2**30, 0))
        reader = MessageReader(far)
        reader.fill()
        with pytest.raises(FramingError):
            reader.next_message()


@pytest.mark.parametrize(
    "cls",
    [
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, KgError) and "code" in vars(cls)
    ],
)
def test_every_error_is_sent_with_its_type(cls: type[KgError]) -> None:
    match cls:
        case _ if issubclass(cls, PositionedError):
            error: KgError = cls("said", 3, 4)
        case _ if issubclass(cls, NotAcceptableError):
            error = cls("said", ("text/turtle",))
        case _:
            error = cls("said")
    again = error_from_header(error_to_header(error))
    assert type(again).code == cls.code
    assert vars(again) == vars(error)


def test_error_codes_are_unique() -> None:
    assert type(error_from_header(error_to_header(QuerySyntaxError("x", 1, 2)))) is QuerySyntaxError

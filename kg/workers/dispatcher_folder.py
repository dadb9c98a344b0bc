"""The folder by which the processes of a service reach the dispatcher: its socket and the version of the dataset.

The version is a small file that is mapped into memory, so that checking whether a cached result is still valid costs
no message.
"""

import mmap
import os
import socket
import struct
from pathlib import Path
from typing import Final

SOCKET_FILE: Final = "socket"
VERSION_FILE: Final = "version"

_VERSION_STRUCT: Final = struct.Struct("!Q16s")


class VersionFile:
    """The generation and digest of the dataset; the dispatcher writes them and all processes read them."""

    def __init__(self, folder: Path) -> None:
        path = folder / VERSION_FILE
        if not path.exists():
            path.write_bytes(bytes(_VERSION_STRUCT.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _VERSION_STRUCT.size)

    def write(self, generation: int, digest: str) -> None:
        """Publish a version; `digest` has at most 16 ASCII characters."""
        _VERSION_STRUCT.pack_into(self._memory, 0, generation, digest.encode("ascii"))

    def read(self) -> tuple[int, str]:
        """Return the generation and the digest."""
        generation, digest = _VERSION_STRUCT.unpack_from(self._memory)
        return generation, digest.rstrip(b"\0").decode("ascii")


def open_listener(folder: Path) -> socket.socket:
    """Listen on the dispatcher's socket in a folder that only its owner may enter."""
    path = folder / SOCKET_FILE
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1024)
    os.set_inheritable(listener.fileno(), False)
    return listener

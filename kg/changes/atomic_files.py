"""Replace files atomically and durably: a reader sees the old content or the new, also after a power failure."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_DEFAULT_MODE: Final = 0o666
"""Permissions of a new file, before the umask is applied."""


@contextlib.contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file beside `path`, which takes its place at the end of the block.

    The block writes the temporary file and closes it. The file is synchronised to the disk before it is renamed, and
    its folder afterwards: without the second step, a power failure may bring the old file back. If anything raises,
    the temporary file is removed. One process must not replace the same file twice at the same time.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        _synchronise(temporary, os.O_RDONLY)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _synchronise(path.parent, os.O_RDONLY | os.O_DIRECTORY)


def write_atomically(path: Path, data: bytes, mode: int = _DEFAULT_MODE) -> None:
    """Replace a file's content; `mode` gives its permissions. Raises OSError."""
    with replace_atomically(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


def _synchronise(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

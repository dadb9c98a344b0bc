"""Atomic file replacement: durable, with the right permissions, and without temporary files after an error."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from kg.changes.atomic_files import replace_atomically, write_atomically
from kg.changes.credentials import CredentialStore

Calls = list[tuple[str, str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Record fsync and rename in the order in which they happen, by the name of the file or folder."""
    recorded: Calls = []
    fsync, replace = os.fsync, Path.replace

    def recording_fsync(descriptor: int) -> None:
        recorded.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def recording_replace(path: Path, target: Path) -> Path:
        recorded.append(("rename", path.name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "replace", recording_replace)
    return recorded


def _revoke(folder: Path) -> str:
    CredentialStore(folder).revoke("a")
    return ".tokens.json"


def _write(folder: Path) -> str:
    write_atomically(folder / "file", b"new")
    return ".file"


@pytest.mark.parametrize("write", [_write, _revoke])
def test_file_and_folder_are_synchronised_around_the_rename(
    tmp_path: Path, calls: Calls, write: Callable[[Path], str]
) -> None:
    CredentialStore(tmp_path).create("a")
    calls.clear()
    temporary = f"{write(tmp_path)}.{os.getpid()}"
    assert calls == [("fsync", temporary), ("rename", temporary), ("fsync", tmp_path.name)]


def test_an_error_keeps_the_old_content_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def replace_and_fail() -> None:
        with replace_atomically(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_and_fail()
    assert [(item.name, item.read_bytes()) for item in tmp_path.iterdir()] == [("file", b"old")]


def test_a_file_gets_the_permissions_that_are_asked_for(tmp_path: Path) -> None:
    write_atomically(tmp_path / "secret", b"", 0o600)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600

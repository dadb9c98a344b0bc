"""When the journal cannot be written, a write fails with the reason and changes nothing, and reads go on."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import requests

from kg.changes.credentials import CredentialStore
from kg.changes.journal import JOURNAL_FILE, Journal
from tests.service.running_service import PLACE_TURTLE, RunningService, run_service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prlimit needs Linux")

Problem = Callable[[requests.Response, int, str], dict[str, object]]
MIB = 1024 * 1024


@contextmanager
def writing(folder: Path) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {CredentialStore(folder / 'data').create('writer')}"
        yield session


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with run_service(tmp_path_factory.mktemp("failing")) as served:
        yield served


@pytest.fixture(scope="module")
def writer(served: RunningService) -> Iterator[requests.Session]:
    with writing(served.data.parent) as session:
        yield session


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold the write lock of the journal, as another SQLite client may."""
    with closing(sqlite3.connect(data / JOURNAL_FILE, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def assert_not_stored(served: RunningService, name: str, before: int) -> None:
    assert served.generation == before
    assert not served.has_place(name)


def large(name: str, megabytes: int) -> bytes:
    """Facts about a place with random content, which the journal cannot compress much."""
    statements = "".join(
        f'<https://w3id.org/hpez/id/place/{name}> <urn:said> "{os.urandom(MIB).hex()}" .' for _ in range(megabytes)
    )
    return (PLACE_TURTLE.format(name=name) + statements).encode()


def add_large(served: RunningService, session: requests.Session, name: str) -> requests.Response:
    headers = {"Content-Type": "text/turtle"}
    return session.post(f"{served.url}/facts", large(name, 2), headers=headers, timeout=60)


def test_a_write_to_a_locked_journal_times_out_and_reads_continue(
    served: RunningService, writer: requests.Session, problem: Problem
) -> None:
    before, key = served.generation, {"Idempotency-Key": '"locked"'}
    with locked(served.data), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(served.add_place, writer, "locked", **key)
        reads = 0
        while not waiting.done():
            assert not served.has_place("locked")
            reads += 1
            time.sleep(0.05)
        found = problem(waiting.result(), 503, "journal")
        assert "locked" in str(found["detail"])
    assert reads > 0
    assert_not_stored(served, "locked", before)
    assert served.add_place(writer, "locked", **key).status_code == 201
    assert (served.generation, served.has_place("locked")) == (before + 1, True)


def test_a_write_waits_for_a_short_lock(served: RunningService, writer: requests.Session) -> None:
    with ThreadPoolExecutor(1) as pool:
        with locked(served.data):
            waiting = pool.submit(served.add_place, writer, "patient")
            time.sleep(0.5)
            assert not waiting.done()
        assert waiting.result().status_code == 201


@contextmanager
def read_only(data: Path) -> Iterator[None]:
    modes = {path: path.stat().st_mode for path in (data, *data.iterdir())}
    try:
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def without_privilege() -> tuple[str, ...]:
    """A command prefix under which file modes apply to root too."""
    if os.geteuid() != 0:
        return ()
    command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    if shutil.which(command[0]) is None or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("root ignores file modes here")
    return command


def test_a_read_only_folder_is_served_and_writes_fail(tmp_path: Path, problem: Problem) -> None:
    prefix = without_privilege()
    with writing(tmp_path) as writer:
        with run_service(tmp_path, *prefix) as served:
            assert served.add_place(writer, "before").status_code == 201
        with read_only(tmp_path / "data"), run_service(tmp_path, *prefix) as served:
            for name in ("first", "second"):
                found = problem(served.add_place(writer, name), 503, "journal")
                assert "read-only" in str(found["detail"])
                assert_not_stored(served, name, 1)
            assert served.has_place("before")
        with run_service(tmp_path, *prefix) as served:
            assert served.add_place(writer, "after").status_code == 201
            assert (served.generation, served.has_place("after")) == (2, True)


def test_a_folder_that_becomes_writable_needs_no_restart(tmp_path: Path) -> None:
    prefix = without_privilege()
    with writing(tmp_path) as writer:
        with run_service(tmp_path, *prefix) as served:
            assert served.add_place(writer, "before").status_code == 201
        with ExitStack() as stack:
            stack.enter_context(read_only(tmp_path / "data"))
            with run_service(tmp_path, *prefix) as served:
                assert served.add_place(writer, "refused").status_code == 503
                stack.close()
                assert served.add_place(writer, "admitted").status_code == 201
                assert (served.generation, served.has_place("admitted")) == (2, True)


def limit_files(served: RunningService, size: int) -> None:
    """Limit the size of files that the service writes, in bytes."""
    for pid in served.process_groups:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_writes_fail_while_the_journal_may_not_grow(
    served: RunningService, writer: requests.Session, problem: Problem
) -> None:
    before = served.generation
    limit_files(served, MIB)
    for name in ("too-large", "too-large-again"):
        found = problem(add_large(served, writer, name), 503, "journal")
        assert "full" in str(found["detail"])
        assert_not_stored(served, name, before)
    limit_files(served, resource.RLIM_INFINITY)
    assert add_large(served, writer, "too-large").status_code == 201
    assert (served.generation, served.has_place("too-large")) == (before + 1, True)
    assert Journal(served.data).verify() == before + 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder whose subfolder `data` is a file system of 24 MiB."""
    data = tmp_path / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(data)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield tmp_path
    finally:
        subprocess.run([*("umount", "-l"), str(data)], check=True)


def test_writes_fail_while_the_disk_is_full(small_disk: Path, problem: Problem) -> None:
    ballast = small_disk / "data" / "ballast"
    with writing(small_disk) as writer, run_service(small_disk) as served:
        assert served.add_place(writer, "before").status_code == 201
        fill(ballast)
        found = problem(add_large(served, writer, "large"), 503, "journal")
        assert "full" in str(found["detail"])
        assert_not_stored(served, "large", 1)
        assert served.has_place("before")
        ballast.unlink()
        assert add_large(served, writer, "large").status_code == 201
        assert (served.generation, served.has_place("large")) == (2, True)
    assert Journal(small_disk / "data").verify() == 2


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return

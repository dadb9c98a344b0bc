"""Shared fixtures: the built graph, the real server as a process, and the article's text if it is available."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import settings

from kg.changes import data_folder
from kg.changes.data_folder import BuiltGraph

START_SECONDS = 60
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
ARTICLE = Path(__file__).parents[2] / "shared" / "article" / "dnhn-94474.txt"


@pytest.fixture(scope="session")
def built() -> BuiltGraph:
    return data_folder.build_graph()


@pytest.fixture(scope="session")
def article() -> bytes:
    if not ARTICLE.is_file():
        pytest.skip("the article's text is not part of the project; it lies beside it on the developers' machines")
    return ARTICLE.read_bytes()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            requests.get(f"{url}/health", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the server did not start: {log.read_text()}")


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Iterator[str]]:
    """Start `hpkg serve` on a free port with its own data folder and the given HPKG_ variables."""

    def started(folder: Path | None = None, **variables: str) -> Iterator[str]:
        folder = folder or tmp_path_factory.mktemp("served")
        port, log = free_port(), folder / "log"
        command = [str(Path(sys.executable).with_name("hpkg")), "serve", "--port", str(port)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--data", str(folder / "data")],
                env={**os.environ, **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)

    return started


@pytest.fixture(scope="session")
def served_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder whose subfolder `data` the server uses."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def server(serve: Callable[..., Iterator[str]], served_folder: Path) -> Iterator[str]:
    """The base URL of a running server with the settings that it has by default."""
    yield from serve(served_folder)

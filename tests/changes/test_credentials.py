import json
import multiprocessing
import os
import stat
import tempfile
from pathlib import Path

import pytest

from kg.changes.credentials import TOKEN_PREFIX, TOKENS_FILE, CredentialStore
from kg.errors import ConfigurationError, InputError, NotFoundError

GRAPHS = ("https://w3id.org/hpez/graph/submission", "urn:mine")


def test_a_token_grants_its_scope_and_graphs(tmp_path: Path) -> None:
    credentials = CredentialStore(tmp_path)
    text = credentials.create("Lê", "write", reversed(GRAPHS))
    found = credentials.authenticate(text)
    assert found is not None
    assert (found.name, found.scope, found.graphs) == ("Lê", "write", GRAPHS)
    assert credentials.list_credentials() == (found,)
    assert text.startswith(TOKEN_PREFIX)
    assert len(text) >= len(TOKEN_PREFIX) + 43


def test_there_are_no_tokens_in_an_empty_folder(tmp_path: Path) -> None:
    credentials = CredentialStore(tmp_path / "none")
    assert credentials.list_credentials() == ()
    assert credentials.authenticate("") is None
    with pytest.raises(NotFoundError):
        credentials.revoke("nobody")


def test_a_token_is_not_stored_in_plain_text(tmp_path: Path) -> None:
    text = CredentialStore(tmp_path).create("a")
    for path in tmp_path.iterdir():
        assert text.removeprefix(TOKEN_PREFIX) not in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text[:-1], lambda text: text + "=", lambda _: "", lambda _: "\ud800"]
)
def test_an_invalid_token_grants_nothing(tmp_path: Path, change: object) -> None:
    credentials = CredentialStore(tmp_path)
    text = credentials.create("a")
    assert credentials.authenticate(change(text)) is None  # type: ignore[operator]


def test_other_processes_see_changes_at_once(tmp_path: Path) -> None:
    serving, steward = CredentialStore(tmp_path), CredentialStore(tmp_path)
    assert serving.list_credentials() == ()
    first, second = steward.create("a"), steward.create("b", "admin")
    assert [item.name for item in serving.list_credentials()] == ["a", "b"]
    steward.revoke("a")
    assert serving.authenticate(first) is None
    found = serving.authenticate(second)
    assert found is not None
    assert (found.name, found.scope, found.graphs) == ("b", "admin", None)
    (tmp_path / TOKENS_FILE).unlink()
    assert serving.authenticate(second) is None


def test_a_revoked_name_can_be_used_for_a_new_token(tmp_path: Path) -> None:
    credentials = CredentialStore(tmp_path)
    first = credentials.create("a")
    with pytest.raises(InputError, match="already"):
        credentials.create("a")
    credentials.revoke("a")
    second = credentials.create("a")
    assert first != second
    assert credentials.authenticate(first) is None


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x1b[31m"])
def test_a_name_must_be_printable_in_a_log(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="name"):
        CredentialStore(tmp_path).create(name)


def test_a_graph_must_be_an_iri(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not an iri"):
        CredentialStore(tmp_path).create("a", graphs=["not an iri"])
    assert CredentialStore(tmp_path).list_credentials() == ()


KEPT = {"name": "a", "scope": "write", "graphs": None, "created": "2026-01-01T00:00:00+00:00", "sha256": "0"}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "null",
        '["a"]',
        json.dumps([{**KEPT, "scope": "everything"}]),
        json.dumps([{**KEPT, "graphs": "urn:g"}]),
        json.dumps([{name: value for name, value in KEPT.items() if name != "graphs"}]),
    ],
)
def test_a_malformed_credentials_file_is_an_error(tmp_path: Path, content: str) -> None:
    credentials = CredentialStore(tmp_path)
    text = credentials.create("a")
    (tmp_path / TOKENS_FILE).write_text(content)
    for reading in (
        credentials.list_credentials,
        lambda: credentials.authenticate(text),
        lambda: credentials.create("b"),
    ):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            reading()
    assert (tmp_path / TOKENS_FILE).read_text() == content


def test_an_error_names_the_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file"):
        CredentialStore(tmp_path / "file" / "data").create("a")


def test_a_full_disk_leaves_the_tokens_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = CredentialStore(tmp_path)
    text = credentials.create("a")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ConfigurationError, match="No space left"):
            credentials.create("b")
    assert credentials.authenticate(text) is not None
    assert not list(tmp_path.glob(f".{TOKENS_FILE}.*"))
    credentials.create("b")


def _create(job: tuple[str, int]) -> str:
    return CredentialStore(Path(job[0])).create(f"token {job[1]}")


def test_tokens_created_concurrently_are_all_stored() -> None:
    with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("fork").Pool(6) as pool:
        texts = pool.map(_create, [(folder, number) for number in range(24)], chunksize=1)
        credentials = CredentialStore(Path(folder))
        assert len(credentials.list_credentials()) == 24
        assert [found and found.name for found in map(credentials.authenticate, texts)] == [
            f"token {number}" for number in range(24)
        ]

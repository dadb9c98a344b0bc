import json
import multiprocessing
import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.changes.credentials import TOKEN_PREFIX, TOKENS_FILE, CredentialStore, Throttle
from kg.errors import ConfigurationError, InputError, NotFoundError

GRAPHS = ("https://w3id.org/hpez/graph/submission", "urn:mine")


def test_a_token_opens_what_it_was_made_for(tmp_path: Path) -> None:
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


def test_a_token_is_kept_nowhere(tmp_path: Path) -> None:
    text = CredentialStore(tmp_path).create("a")
    for path in tmp_path.iterdir():
        assert text.removeprefix(TOKEN_PREFIX) not in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text[:-1], lambda text: text + "=", lambda _: "", lambda _: "\ud800"]
)
def test_another_text_opens_nothing(tmp_path: Path, change: object) -> None:
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


def test_a_name_that_is_free_again_gets_another_token(tmp_path: Path) -> None:
    credentials = CredentialStore(tmp_path)
    first = credentials.create("a")
    with pytest.raises(InputError, match="already"):
        credentials.create("a")
    credentials.revoke("a")
    second = credentials.create("a")
    assert first != second
    assert credentials.authenticate(first) is None


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x1b[31m"])
def test_a_name_must_be_fit_for_a_log(tmp_path: Path, name: str) -> None:
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
def test_a_file_that_is_not_understood_opens_nothing(tmp_path: Path, content: str) -> None:
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


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file"):
        CredentialStore(tmp_path / "file" / "data").create("a")


def test_a_full_disk_leaves_the_tokens_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_tokens_that_are_made_at_once_are_all_kept() -> None:
    with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("fork").Pool(6) as pool:
        texts = pool.map(_create, [(folder, number) for number in range(24)], chunksize=1)
        credentials = CredentialStore(Path(folder))
        assert len(credentials.list_credentials()) == 24
        assert [found and found.name for found in map(credentials.authenticate, texts)] == [
            f"token {number}" for number in range(24)
        ]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_failures_are_slowed_more_and_more() -> None:
    throttle = Throttle(Clock())
    delays = []
    for _ in range(10):
        delays.append(throttle.delay("a"))
        throttle.record_failure("a")
    assert delays == [0, 0, 0, 0, 1, 2, 4, 8, 8, 8]
    assert throttle.delay("b") == 0


def test_who_waits_may_try_again_and_who_passes_is_forgiven() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(5):
        throttle.record_failure("a")
    assert throttle.delay("a") == 2
    clock.now += 1.5
    assert throttle.delay("a") == 0.5
    clock.now += 1
    assert throttle.delay("a") == 0
    throttle.record_failure("a")
    assert throttle.delay("a") == 4
    throttle.record_success("a")
    assert throttle.delay("a") == 0


def test_failures_of_long_ago_do_not_count() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(9):
        throttle.record_failure("a")
    clock.now += 601
    throttle.record_failure("a")
    assert throttle.delay("a") == 0


def test_a_source_that_never_stops_is_still_slowed() -> None:
    throttle = Throttle(Clock())
    for _ in range(2000):
        throttle.record_failure("a")
    assert throttle.delay("a") == 8


def test_only_so_many_sources_are_remembered() -> None:
    throttle = Throttle(Clock())
    for _ in range(5):
        throttle.record_failure("first")
    for _ in range(5):
        throttle.record_failure("again")
    for number in range(9_999):
        throttle.record_failure(str(number))
    assert throttle.delay("first") == 0
    assert throttle.delay("again") == 2


def _fail(path: Path) -> None:
    Throttle(path=path).record_failure("a")


def test_processes_know_of_each_others_failures(tmp_path: Path) -> None:
    path = tmp_path / "failures.db"
    mine = Throttle(path=path)
    assert mine.delay("a") == 0
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(_fail, [path] * 12, chunksize=1)
    assert 7 < mine.delay("a") <= 8
    Throttle(path=path).record_success("a")
    assert mine.delay("a") == 0


def test_who_never_failed_costs_no_writing(tmp_path: Path) -> None:
    path = tmp_path / "failures.db"
    throttle = Throttle(path=path)
    throttle.record_failure("b")
    before = path.stat().st_mtime_ns, path.read_bytes()
    for _ in range(100):
        assert throttle.delay("a") == 0
        throttle.record_success("a")
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_nobody_is_slowed_where_failures_cannot_be_noted(tmp_path: Path) -> None:
    (tmp_path / "failures.db").write_text("no database, but long enough to be taken for one" * 10)
    for throttle in (Throttle(path=tmp_path / "failures.db"), Throttle(path=tmp_path / "no" / "failures.db")):
        for _ in range(9):
            throttle.record_failure("a")
        assert throttle.delay("a") == 0
        throttle.record_success("a")


EVENTS = st.sampled_from(("record_failure", "record_success"))


@given(st.lists(st.tuples(st.sampled_from("abc"), EVENTS, st.floats(0, 20))))
def test_sources_do_not_concern_each_other(events: list[tuple[str, str, float]]) -> None:
    clock = Clock()
    together, alone = Throttle(clock), {name: Throttle(clock) for name in "abc"}
    for source, event, seconds in events:
        clock.now += seconds
        for throttle in (together, alone[source]):
            getattr(throttle, event)(source)
        for name in "abc":
            assert together.delay(name) == alone[name].delay(name)
            assert 0 <= together.delay(name) <= 8

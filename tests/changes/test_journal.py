import contextlib
import json
import multiprocessing
import os
import resource
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.changes import journal as journals
from kg.changes import journal_connection
from kg.changes.commit_rows import CommitDraft, IdempotencyKey, Release, pack_quads, unpack_quads
from kg.changes.journal import BASE_HASH, BASE_MANIFEST, JOURNAL_FILE, Journal
from kg.engine.embedded import EmbeddedEngine
from kg.errors import ConflictError, InputError, IntegrityError, JournalError, NotFoundError
from kg.rdf.delta import Delta
from kg.rdf.terms import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple
from kg.validation.report import VIOLATION, Finding, ValidationReport

UNPRIVILEGED_ID = 65534
REPORT = ValidationReport(
    (
        Finding(
            focus=BlankNode("b0"),
            shape=NamedNode("urn:shape"),
            component=NamedNode("urn:component"),
            severity=VIOLATION,
            path=NamedNode("urn:path"),
            value=Literal("năm", language="vi"),
            messages=(Literal("thiếu nhãn", language="vi"), Literal("no label", language="en")),
        ),
    )
)


def quad(number: int, graph: str = "urn:g") -> Quad:
    return Quad(NamedNode(f"urn:s{number}"), NamedNode("urn:p"), BlankNode(f"b{number}"), NamedNode(graph))


def entry(
    number: int, agent: str = "Lê", *, key: str | None = None, digest: str = "d", reverts: int | None = None
) -> CommitDraft:
    delta = Delta(frozenset({quad(number)}), frozenset({quad(number - 1)} if number > 1 else ()))
    idempotency = None if key is None else IdempotencyKey(agent, key, digest)
    return CommitDraft(agent, f"change {number}", "why not", delta, REPORT, reverts, idempotency)


def filled(folder: Path, count: int = 3) -> Journal:
    journal = Journal(folder)
    for number in range(1, count + 1):
        journal.append(entry(number), number - 1)
    return journal


@contextlib.contextmanager
def open_to_alter(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(folder / JOURNAL_FILE)
    yield connection
    connection.commit()
    connection.close()


def test_a_stored_commit_equals_the_appended_one(tmp_path: Path) -> None:
    whole = CommitDraft(
        "Lê Trung Kiên",
        "thêm\nsố liệu",
        "",
        Delta(
            frozenset({quad(1), Quad(NamedNode("urn:s"), NamedNode("urn:p"), Literal('a\n"b"\\'), DefaultGraph())}),
            frozenset({quad(2)}),
            frozenset({NamedNode("urn:new"), NamedNode("urn:g/khu-kinh-tế")}),
            frozenset({NamedNode("urn:old")}),
        ),
        REPORT,
    )
    written = Journal(tmp_path).append(whole, 0)
    read = Journal(tmp_path).read_commit(1)
    assert read == written
    assert (read.delta, read.report, read.summary.agent, read.summary.message) == (
        whole.delta,
        REPORT,
        whole.agent,
        whole.message,
    )
    assert (read.summary.added, read.summary.removed, read.summary.time.tzinfo) == (2, 1, UTC)


names = st.text("abcxyz019", min_size=1, max_size=8)
nodes = st.builds(lambda name: NamedNode(f"urn:{name}"), names) | st.builds(lambda name: BlankNode(f"b{name}"), names)
literals = (
    st.builds(Literal, st.text())
    | st.builds(lambda text, tag: Literal(text, language=tag), st.text(), st.sampled_from(("vi", "en-gb")))
    | st.builds(lambda text: Literal(text, datatype=NamedNode("urn:datatype")), st.text())
)
statements = st.builds(Triple, nodes, st.builds(lambda name: NamedNode(f"urn:{name}"), names), nodes | literals)
quads = st.builds(
    lambda triple, graph: Quad(triple.subject, triple.predicate, triple.object, graph),
    statements | st.builds(lambda inner: Triple(NamedNode("urn:r"), NamedNode("urn:reifies"), inner), statements),
    st.just(DefaultGraph()) | st.builds(lambda name: NamedNode(f"urn:{name}"), names),
)


@given(st.frozensets(quads, max_size=8))
def test_quads_keep_every_term(stored: frozenset[Quad]) -> None:
    spelt = EmbeddedEngine.normalize_quads(stored)
    assert unpack_quads(pack_quads(spelt)) == spelt


@settings(max_examples=25)
@given(st.lists(st.frozensets(quads, max_size=5), min_size=1, max_size=5))
def test_replaying_commits_gives_the_same_state(changes: list[frozenset[Quad]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        journal, direct = Journal(Path(name)), EmbeddedEngine()
        for number, wanted in enumerate(changes):
            stored = frozenset(direct.quads())
            delta = Delta(
                EmbeddedEngine.normalize_quads(wanted) - stored, stored - EmbeddedEngine.normalize_quads(wanted)
            )
            direct.apply(delta)
            journal.append(CommitDraft("a", "", "", delta, ValidationReport(())), number)
        following = EmbeddedEngine()
        for commit in journal.commits_since(0):
            following.apply_commit(commit.delta, commit.number)
        assert frozenset(following.quads()) == frozenset(direct.quads())
        assert journal.verify() == len(changes)


def test_commits_have_consecutive_numbers_and_chained_hashes(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    commits = list(journal.commits_since(0))
    assert [item.number for item in commits] == [1, 2, 3]
    assert [item.summary.previous for item in commits] == [BASE_HASH, *(item.summary.hash for item in commits[:-1])]
    assert [item.number for item in journal.commits_since(2)] == [3]
    assert (journal.last_number, journal.verify()) == (3, 3)


def test_commits_appended_during_iteration_are_read_too(tmp_path: Path) -> None:
    journal = filled(tmp_path, 1)
    reading = journal.commits_since(0)
    assert next(reading).number == 1
    Journal(tmp_path).append(entry(2), 1)
    assert [item.number for item in reading] == [2]


def test_summaries_are_listed_newest_first(tmp_path: Path) -> None:
    journal = filled(tmp_path, 5)
    assert [item.number for item in journal.list_summaries(None, 2)] == [5, 4]
    assert [item.number for item in journal.list_summaries(4, 10)] == [3, 2, 1]
    assert journal.list_summaries(1, 10) == ()


def test_an_empty_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "folder")
    assert (journal.last_number, journal.base_digest, journal.verify()) == (0, None, 0)
    assert (list(journal.commits_since(0)), journal.list_summaries(None, 5), journal.release_fingerprint) == (
        [],
        (),
        None,
    )
    with pytest.raises(NotFoundError):
        journal.read_commit(1)


@pytest.mark.parametrize("expected", [0, 2, 4])
def test_a_commit_with_a_wrong_expected_generation_is_refused(tmp_path: Path, expected: int) -> None:
    journal = filled(tmp_path)
    with pytest.raises(ConflictError, match="generation 3"):
        journal.append(entry(4), expected)
    assert journal.last_number == 3


def test_a_commit_is_reverted_at_most_once(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    journal.append(entry(4, reverts=2), 3)
    assert (journal.reverted_by(2), journal.reverted_by(1)) == (4, None)
    with pytest.raises(ConflictError, match="by commit 4"):
        journal.append(entry(5, reverts=2), 4)
    assert journal.last_number == 4


def test_a_repeated_request_finds_its_commit(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    made = journal.append(entry(1, key="k", digest="same"), 0)
    assert journal.find_by_key(IdempotencyKey("Lê", "k", "same")) == made
    assert journal.find_by_key(IdempotencyKey("another", "k", "same")) is None
    with pytest.raises(InputError, match="another request"):
        journal.find_by_key(IdempotencyKey("Lê", "k", "different"))
    with pytest.raises(ConflictError):
        journal.append(entry(2, key="k", digest="same"), 1)
    with pytest.raises(InputError):
        journal.append(entry(2, key="k", digest="different"), 1)
    assert journal.last_number == 1


def test_idempotency_keys_expire_after_two_days(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(entry(1, key="old"), 0)
    journal.append(entry(2, key="day"), 1)
    now = datetime.now(UTC)
    with open_to_alter(tmp_path) as connection:
        for key, age in (("old", timedelta(hours=49)), ("day", timedelta(hours=24))):
            connection.execute("UPDATE keys SET time = ? WHERE key = ?", ((now - age).isoformat(), key))
    journal.append(entry(3, key="new"), 2)
    assert journal.find_by_key(IdempotencyKey("Lê", "old", "d")) is None
    assert journal.find_by_key(IdempotencyKey("Lê", "day", "d")) is not None


ALTERED = {
    "time": "2001-01-01T00:00:00+00:00", "agent": "x", "message": "x", "reason": "x",
    "added": pack_quads({quad(9)}), "removed": pack_quads(()), "created": '["urn:x"]', "dropped": '["urn:x"]',
    "report": pack_quads(()), "added_count": 9, "removed_count": 9, "reverts": 1,
    "previous": "0" * 64, "hash": "0" * 64,
}  # fmt: skip


@pytest.mark.parametrize("column", ALTERED)
def test_an_altered_column_is_detected(tmp_path: Path, column: str) -> None:
    journal = filled(tmp_path)
    with open_to_alter(tmp_path) as connection:
        connection.execute(f"UPDATE commits SET {column} = ? WHERE number = 2", (ALTERED[column],))  # noqa: S608
    with pytest.raises(IntegrityError, match="Commit 2"):
        journal.verify()
    with pytest.raises(IntegrityError, match="Commit 2"):
        list(journal.commits_since(0))


@pytest.mark.parametrize("column", ["added", "removed", "report"])
@pytest.mark.parametrize("content", [b"", b"\0", pack_quads(())[:-3]])
def test_content_that_cannot_be_unpacked_is_detected(tmp_path: Path, column: str, content: bytes) -> None:
    journal = filled(tmp_path)
    with open_to_alter(tmp_path) as connection:
        connection.execute(f"UPDATE commits SET {column} = ? WHERE number = 3", (content,))  # noqa: S608
    for reading in (journal.verify, lambda: journal.read_commit(3), lambda: list(journal.commits_since(2))):
        with pytest.raises(IntegrityError, match="Commit 3"):
            reading()
    assert journal.read_commit(2).number == 2


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("DELETE FROM commits WHERE number = 2", 2),
        ("DELETE FROM commits WHERE number = 1", 1),
        ("UPDATE commits SET number = 9 WHERE number = 3", 3),
    ],
)
def test_missing_commits_are_detected(tmp_path: Path, statement: str, first: int) -> None:
    journal = filled(tmp_path)
    with open_to_alter(tmp_path) as connection:
        connection.execute(statement)
    with pytest.raises(IntegrityError, match=f"Commit {first}"):
        journal.verify()
    with pytest.raises(IntegrityError, match=f"Commit {first}"):
        list(journal.commits_since(0))


def test_a_forged_commit_with_a_valid_hash_is_detected(tmp_path: Path) -> None:
    journal, other = filled(tmp_path / "a"), filled(tmp_path / "b", 1)
    other.append(CommitDraft("mallory", "", "", Delta(), ValidationReport(())), 1)
    with open_to_alter(tmp_path / "b") as connection:
        forged = connection.execute("SELECT * FROM commits WHERE number = 2").fetchone()
    with open_to_alter(tmp_path / "a") as connection:
        connection.execute(f"REPLACE INTO commits VALUES ({', '.join('?' * len(forged))})", forged)  # noqa: S608
    with pytest.raises(IntegrityError, match="Commit 3"):
        journal.verify()


def test_a_journal_of_another_dataset_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / BASE_MANIFEST
    manifest.write_text(json.dumps({"sha256": "a" * 64}))
    journal = filled(tmp_path)
    assert journal.base_digest == journal.read_commit(1).summary.previous == "a" * 64
    assert journal.verify() == 3
    manifest.write_text(json.dumps({"sha256": "b" * 64}))
    with pytest.raises(IntegrityError, match="another dataset"):
        journal.verify()


def test_the_first_commit_is_refused_if_the_base_was_rebuilt(tmp_path: Path) -> None:
    manifest = tmp_path / BASE_MANIFEST
    manifest.write_text(json.dumps({"sha256": "a" * 64}))
    journal = Journal(tmp_path)
    manifest.write_text(json.dumps({"sha256": "b" * 64}))
    with pytest.raises(JournalError, match="built anew"):
        journal.append(entry(1), 0)
    assert (journal.last_number, Journal(tmp_path).append(entry(1), 0).summary.previous) == (0, "b" * 64)


def test_audit_events_are_chained(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for event in ("token 'a' was created", "token 'Lê' was created", "token 'a' was revoked"):
        journal.record_event(event)
    assert [event for _, event in journal.events()] == [
        "token 'a' was created",
        "token 'Lê' was created",
        "token 'a' was revoked",
    ]
    assert journal.verify() == 0
    with open_to_alter(tmp_path) as connection:
        connection.execute("DELETE FROM audit WHERE number = 2")
    with pytest.raises(IntegrityError, match="Event 2"):
        journal.verify()


def test_the_newest_release_is_stored_with_its_commit(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    first, second = Release("one", frozenset({quad(1)})), Release("two", frozenset({quad(2)}))
    journal.append(CommitDraft("a", "", "", Delta(), ValidationReport(()), release=first), 0)
    assert journal.read_release() == first
    with pytest.raises(ConflictError):
        journal.append(CommitDraft("a", "", "", Delta(), ValidationReport(()), release=second), 0)
    assert journal.read_release() == first
    journal.adopt_release(second)
    assert (journal.release_fingerprint, journal.read_release(), journal.last_number) == ("two", second, 1)
    with open_to_alter(tmp_path) as connection:
        connection.execute("UPDATE releases SET dataset = x'00'")
    with pytest.raises(IntegrityError, match="release"):
        journal.read_release()


def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_FILE).write_bytes(b"")
    assert filled(tmp_path).verify() == 3


def test_a_file_that_is_not_a_journal_is_reported_as_damaged(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_FILE).write_bytes(b"no database" * 100)
    with pytest.raises(JournalError, match="damaged"):
        Journal(tmp_path)


def _open(folder: str) -> int:
    return Journal(Path(folder)).last_number


def _write(job: tuple[str, int]) -> int:
    folder, count = job
    journal, conflicts = Journal(Path(folder)), 0
    while count:
        try:
            journal.append(entry(os.getpid()), journal.last_number)
            count -= 1
        except ConflictError:
            conflicts += 1
    return conflicts


def test_many_processes_create_one_journal(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(6) as pool:
        for number in range(8):
            assert pool.map(_open, [str(tmp_path / str(number))] * 6, chunksize=1) == [0] * 6


def test_many_processes_write_one_after_another(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(_write, [(str(tmp_path), 15)] * 4, chunksize=1)
    assert Journal(tmp_path).verify() == 60


def test_threads_share_a_journal(tmp_path: Path) -> None:
    journal, made = Journal(tmp_path), list[int]()

    def write() -> None:
        for _ in range(10):
            while True:
                with contextlib.suppress(ConflictError):
                    made.append(journal.append(entry(1), journal.last_number).number)
                    break

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == list(range(1, 41))
    assert journal.verify() == 40


def in_a_fork(work: object) -> None:
    """Run a function in a forked process; an exception in it fails the test."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()  # type: ignore[operator]
            status = 0
        except BaseException as error:  # noqa: BLE001 - the child must not go on with the tests
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_fork_does_not_share_the_connection(tmp_path: Path) -> None:
    journal = filled(tmp_path, 1)

    def work() -> None:
        assert journal.append(entry(2), 1).number == 2
        journal.close()

    in_a_fork(work)
    assert journal.append(entry(3), 2).number == 3
    assert journal.verify() == 3


def test_a_full_disk_changes_nothing_and_reading_continues(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    many = (NamedNode(f"urn:{os.urandom(16).hex()}") for _ in range(20_000))
    big = Delta(frozenset(Quad(node, NamedNode("urn:p"), Literal(""), NamedNode("urn:g")) for node in many))

    def work() -> None:
        size = (tmp_path / f"{JOURNAL_FILE}-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, resource.RLIM_INFINITY))
        with pytest.raises(JournalError, match="the disk is full"):
            journal.append(CommitDraft("a", "", "", big, ValidationReport(())), 3)
        assert journal.verify() == journal.last_number == 3
        assert Journal(tmp_path).last_number == 3
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert journal.append(CommitDraft("a", "", "", big, ValidationReport(())), 3).number == 4

    in_a_fork(work)
    assert journal.verify() == 4


@pytest.mark.parametrize("closed", [True, False])
def test_a_read_only_folder_can_be_read(closed: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        journal = filled(folder)
        if closed:
            journal.close()
            assert not (folder / f"{JOURNAL_FILE}-wal").exists()
        for path in (*folder.iterdir(), folder, folder.parent):
            path.chmod(0o555 if path.is_dir() else 0o444)

        def work() -> None:
            if os.getuid() == 0:
                os.setgid(UNPRIVILEGED_ID)
                os.setuid(UNPRIVILEGED_ID)
            seen = Journal(folder)
            assert (seen.verify(), len(list(seen.commits_since(0)))) == (3, 3)
            with pytest.raises(JournalError, match="read-only"):
                seen.append(entry(4), 3)
            with pytest.raises(JournalError, match="read-only"):
                seen.record_event("x")
            assert seen.last_number == 3

        try:
            in_a_fork(work)
        finally:
            folder.parent.chmod(0o700)
            folder.chmod(0o700)
        assert Journal(folder).append(entry(4), 3).number == 4


def test_a_folder_where_no_journal_can_be_created() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)

        def work() -> None:
            if os.getuid() == 0:
                os.setgid(UNPRIVILEGED_ID)
                os.setuid(UNPRIVILEGED_ID)
            with pytest.raises(JournalError, match="read-only"):
                Journal(Path(name))

        in_a_fork(work)


def test_a_lock_by_another_process_is_reported_and_reading_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_connection, "_BUSY_TIMEOUT", 0.05)
    journal = filled(tmp_path)
    with open_to_alter(tmp_path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            Journal(tmp_path).append(entry(4), 3)
        assert (journal.last_number, journal.verify()) == (3, 3)
        other.execute("ROLLBACK")
    assert journal.append(entry(4), 3).number == 4


def test_an_interrupted_commit_is_rolled_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = filled(tmp_path)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(journals, "decode_summary", interrupt)
        with pytest.raises(KeyboardInterrupt):
            journal.append(entry(4, key="k"), 3)
    assert journal.verify() == 3
    assert journal.append(entry(4, key="k"), 3).number == 4

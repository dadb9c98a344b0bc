"""A writing process is killed at random instants: every answered commit is stored, and no partial one."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kg.changes import data_folder, snapshots
from kg.changes.commit_rows import CommitDraft
from kg.changes.data_folder import BuiltGraph
from kg.changes.journal import Journal, replay
from kg.engine.embedded import EmbeddedEngine
from kg.errors import ConfigurationError, JournalError
from kg.rdf.delta import Delta
from kg.rdf.terms import BlankNode, Literal, NamedNode, Quad
from kg.validation.report import ValidationReport

ROUNDS = 40
SNAPSHOT_ROUNDS = 12
LONGEST = 0.06
"""The longest life of a process after its first answer, in seconds; enough for about a dozen commits."""
GRAPH = NamedNode("urn:written")
VALUE = NamedNode("urn:value")


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same instants and contents every time, nothing is secret


def delta(number: int) -> Delta:
    """Return the delta of a commit: it adds many quads and removes those of the previous commit."""
    return Delta(_quads(number), _quads(number - 1) if number > 1 else frozenset())


def _quads(number: int) -> frozenset[Quad]:
    node = BlankNode(f"b{number}")
    values = seeded(number).sample(range(10**6), 40)
    return frozenset(Quad(node, VALUE, Literal(str(value)), GRAPH) for value in values)


def entry(number: int) -> CommitDraft:
    return CommitDraft("writer", f"commit {number}", "", delta(number), ValidationReport(()))


def killed(work: Callable[[Callable[[int], None]], None], seconds: float) -> list[int]:
    """Run a process, kill it some time after its first answer, and return the numbers that it answered."""
    reading, writing = os.pipe()
    pid = os.fork()

    def report_number(number: int) -> None:
        os.write(writing, f"{number}\n".encode())

    if pid == 0:
        try:
            work(report_number)
        finally:
            os._exit(1)
    os.close(writing)
    try:
        first = os.read(reading, 1024)
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        assert os.WIFSIGNALED(status), "the writer ended by itself"
        said = first + b"".join(iter(lambda: os.read(reading, 65536), b""))
    finally:
        os.close(reading)
    return [int(line) for line in said.split()]


def assert_complete(folder: Path, answered: list[int], before: int) -> int:
    """Assert that the journal has every answered commit, at most one other, and that each is intact."""
    journal = Journal(folder)
    last = journal.verify()
    assert answered == list(range(before + 1, before + 1 + len(answered)))
    assert before + len(answered) <= last <= before + len(answered) + 1
    for commit in journal.commits_since(before):
        assert (commit.delta, commit.summary.message) == (delta(commit.number), f"commit {commit.number}")
    journal.close()
    return last


def test_a_killed_writer_leaves_every_answered_commit_and_no_partial_one(tmp_path: Path) -> None:
    instants, last = seeded(94474), 0

    def write(report_number: Callable[[int], None]) -> None:
        journal = Journal(tmp_path)
        while True:
            number = journal.last_number + 1
            journal.append(entry(number), number - 1)
            report_number(number)

    for _ in range(ROUNDS):
        last = assert_complete(tmp_path, killed(write, instants.uniform(0, LONGEST)), last)
    assert last > ROUNDS
    assert _state(_replayed(EmbeddedEngine(), tmp_path)) == _quads(last)


def test_a_writer_killed_at_its_start_leaves_a_usable_folder(tmp_path: Path) -> None:
    instants = seeded(94474)

    def begin(report_number: Callable[[int], None]) -> None:
        report_number(0)
        while True:
            Journal(tmp_path / "data").close()
            for path in (tmp_path / "data").iterdir():
                path.unlink()

    for _ in range(ROUNDS):
        killed(begin, instants.uniform(0, 0.01))
        journal = Journal(tmp_path / "data")
        number = journal.last_number + 1
        assert journal.append(entry(number), number - 1).number == number
        journal.close()


def test_a_writer_killed_during_a_snapshot_leaves_the_graph_intact(built: BuiltGraph, tmp_path: Path) -> None:
    base = _state(_saved(built, tmp_path))
    instants, last = seeded(94474), 0

    def write(report_number: Callable[[int], None]) -> None:
        engine, journal = data_folder.open_or_build(tmp_path), Journal(tmp_path)
        while True:
            number = engine.generation + 1
            journal.append(entry(number), number - 1)
            engine.apply_commit(delta(number), number)
            report_number(number)
            snapshots.write_snapshot(engine, journal, tmp_path)

    for _ in range(SNAPSHOT_ROUNDS):
        last = assert_complete(tmp_path, killed(write, instants.uniform(0, LONGEST)), last)
        engine = data_folder.load(tmp_path)
        assert engine is not None
        assert engine.generation == last
        assert _state(engine) == base | _quads(last)
    engine = data_folder.open_or_build(tmp_path)
    assert snapshots.write_snapshot(engine, Journal(tmp_path), tmp_path)
    assert len(list(tmp_path.glob("*snapshot-*"))) == 2 * snapshots.SNAPSHOTS_KEPT, (
        "remains of killed writers are removed"
    )


def test_a_full_disk_during_a_snapshot_is_reported_and_leaves_no_file(
    built: BuiltGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, journal = _saved(built, tmp_path), Journal(tmp_path)
    journal.append(entry(1), 0)
    replay(engine, journal)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        snapshots.write_snapshot(engine, journal, tmp_path)
    assert not list(tmp_path.glob("*snapshot-*.nq*"))
    loaded = data_folder.load(tmp_path)
    assert loaded is not None
    assert _state(loaded) == _state(engine)


def _saved(built: BuiltGraph, folder: Path) -> EmbeddedEngine:
    data_folder.save(built, folder)
    return data_folder.open_or_build(folder)


def _replayed(engine: EmbeddedEngine, folder: Path) -> EmbeddedEngine:
    replay(engine, Journal(folder))
    return engine


def _state(engine: EmbeddedEngine) -> frozenset[Quad]:
    return frozenset(engine.quads())


def test_reading_continues_while_writing_fails(
    built: BuiltGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kg.changes.journal_connection._BUSY_TIMEOUT", 0.05)
    engine = _saved(built, tmp_path)
    before, journal, other = _state(engine), Journal(tmp_path), Journal(tmp_path)
    with other._connection.transaction():
        with pytest.raises(JournalError, match="locked"):
            Journal(tmp_path).append(entry(1), 0)
        replay(engine, journal)
        assert data_folder.load(tmp_path) is not None
    assert _state(engine) == before

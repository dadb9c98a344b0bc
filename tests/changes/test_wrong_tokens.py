"""Wrong tokens are recorded in the audit, at a bounded rate."""

from pathlib import Path

import pytest

from kg.changes.journal import Journal
from kg.changes.wrong_tokens import INTERVAL, WrongTokenAudit
from kg.errors import JournalError


def events(folder: Path) -> list[str]:
    return [text for _, text in Journal(folder).events()]


def test_the_first_is_recorded_at_once_and_later_ones_as_a_sum(tmp_path: Path) -> None:
    now = 0.0
    audit = WrongTokenAudit(tmp_path, lambda: now)
    audit.record()
    assert events(tmp_path) == ["1 request with a wrong token"]
    for _ in range(1000):
        audit.record()
    assert len(events(tmp_path)) == 1
    now = INTERVAL
    audit.record()
    audit.record()
    assert events(tmp_path) == ["1 request with a wrong token", "1001 requests with a wrong token"]


def test_a_journal_that_cannot_be_written_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise JournalError("The disk is full.")

    monkeypatch.setattr(Journal, "record_event", full)
    WrongTokenAudit(tmp_path).record()

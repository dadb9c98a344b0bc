"""Commits and their rows in the journal: encoding, decoding, and the hash chain from each commit to the next."""

import hashlib
import io
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kg.errors import IntegrityError
from kg.rdf.delta import Delta
from kg.rdf.formats import NQUADS
from kg.rdf.io import parse_stream, serialize
from kg.rdf.terms import NamedNode, Quad
from kg.validation.report import ValidationReport
from kg.validation.report_json import report_from_json, report_to_json

COMMIT_COLUMNS: Final = (
    "number", "time", "agent", "message", "reason", "added", "removed", "created", "dropped", "report",
    "added_count", "removed_count", "reverts", "previous", "hash",
)  # fmt: skip
SUMMARY_COLUMNS: Final = (
    "number", "time", "agent", "message", "reason", "added_count", "removed_count", "reverts", "previous", "hash",
)  # fmt: skip

SqlRow = dict[str, Any]
"""A row of the table `commits`, by column."""


@dataclass(frozen=True)
class IdempotencyKey:
    """A client's name for a request, so that it can be sent again safely; `digest` covers the whole request."""

    agent: str
    key: str
    digest: str


@dataclass(frozen=True)
class Release:
    """The curated dataset of a release, with its blank nodes as labelled here, and the fingerprint of its files."""

    fingerprint: str
    quads: frozenset[Quad]


@dataclass(frozen=True)
class CommitDraft:
    """A commit before it has a number; `release` is set if it upgrades the dataset to a new release."""

    agent: str
    message: str
    reason: str
    delta: Delta
    report: ValidationReport
    reverts: int | None = None
    key: IdempotencyKey | None = None
    release: Release | None = None


@dataclass(frozen=True)
class CommitSummary:
    """A commit without its content; `time` is in UTC, `added` and `removed` count quads."""

    number: int
    time: datetime
    agent: str
    message: str
    reason: str
    added: int
    removed: int
    reverts: int | None
    previous: str
    hash: str


@dataclass(frozen=True)
class Commit:
    """A commit: its summary, its delta, and the validation report on it."""

    summary: CommitSummary
    delta: Delta
    report: ValidationReport

    @property
    def number(self) -> int:
        """The number of the commit, which is the generation of the dataset after it."""
        return self.summary.number


def encode_commit(draft: CommitDraft, number: int, time: datetime, previous: str) -> SqlRow:
    """Return the row of a commit, with its hash; `previous` is the hash of the commit before it."""
    delta = draft.delta
    row = {
        "number": number,
        "time": time.isoformat(),
        "agent": draft.agent,
        "message": draft.message,
        "reason": draft.reason,
        "added": pack_quads(delta.added),
        "removed": pack_quads(delta.removed),
        "created": _encode_graph_names(delta.created),
        "dropped": _encode_graph_names(delta.dropped),
        "report": zlib.compress(json.dumps(report_to_json(draft.report), ensure_ascii=False).encode()),
        "added_count": len(delta.added),
        "removed_count": len(delta.removed),
        "reverts": draft.reverts,
        "previous": previous,
    }
    return {**row, "hash": _commit_hash(row)}


def decode_commit(row: SqlRow) -> Commit:
    """Return the commit of a row. Raises IntegrityError if its hash does not match."""
    verify_commit(row)
    delta = Delta(
        unpack_quads(row["added"]),
        unpack_quads(row["removed"]),
        _decode_graph_names(row["created"]),
        _decode_graph_names(row["dropped"]),
    )
    return Commit(decode_summary(row), delta, report_from_json(json.loads(zlib.decompress(row["report"]))))


def decode_summary(row: SqlRow) -> CommitSummary:
    """Return the summary of a row that has at least the columns of a summary."""
    values = {name.removesuffix("_count"): row[name] for name in SUMMARY_COLUMNS}
    return CommitSummary(**{**values, "time": datetime.fromisoformat(row["time"])})


def verify_commit(row: SqlRow) -> None:
    """Raise IntegrityError if the hash of a row does not match its content."""
    try:
        intact = row["hash"] == _commit_hash(row)
    except (zlib.error, ValueError) as error:
        raise commit_integrity_error(row["number"]) from error
    if not intact:
        raise commit_integrity_error(row["number"])


def commit_integrity_error(number: int) -> IntegrityError:
    """Return the error for a commit that was altered, removed or inserted."""
    return IntegrityError(f"Commit {number} of the journal is not what was once written.")


def _commit_hash(row: SqlRow) -> str:
    """Hash all columns but the hash itself, with compressed columns unpacked, so that it outlives the compression."""
    return json_digest(
        zlib.decompress(row[name]).decode() if isinstance(row[name], bytes) else row[name]
        for name in COMMIT_COLUMNS
        if name != "hash"
    )


def json_digest(content: Iterable[object]) -> str:
    """Return the hexadecimal SHA-256 of values written as one compact JSON array."""
    text = json.dumps(list(content), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def pack_quads(quads: Iterable[Quad]) -> bytes:
    """Return quads as sorted, zlib-compressed N-Quads; blank nodes keep their labels."""
    return zlib.compress(b"\n".join(sorted(serialize(quads, NQUADS).splitlines())) + b"\n")


def unpack_quads(data: bytes) -> frozenset[Quad]:
    """Return the quads that `pack_quads` packed."""
    return frozenset(parse_stream(io.BytesIO(zlib.decompress(data)), NQUADS))


def _encode_graph_names(graphs: Iterable[NamedNode]) -> str:
    return json.dumps(sorted(graph.value for graph in graphs), ensure_ascii=False)


def _decode_graph_names(names: str) -> frozenset[NamedNode]:
    return frozenset(map(NamedNode, json.loads(names)))

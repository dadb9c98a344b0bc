"""Run the dispatcher of `hpkg serve`: load the graph, register what workers can do with it, and serve jobs.

Run as `python -m kg.workers.main FOLDER` with the settings as JSON on standard input. The line "ready" on standard
output says that jobs are accepted; any other line says why not. The process ends when its standard input does.
"""

import errno
import gc
import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from kg.changes.changeset import Addition, Change
from kg.changes.commit import Judge, LocalProposer, Proposal, placed, propose
from kg.changes.data_folder import open_or_build, own_shapes, snapshot, snapshot_due
from kg.changes.journal import Journal
from kg.engine.counting import counts_to_json
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import Dataset, QueryRequest, QueryResult
from kg.errors import IntegrityError, JournalError, KgError, ResultTooLargeError
from kg.rdf.formats import NQUADS, RDF_FORMATS, RESULT_FORMATS, RdfFormat, ResultFormat
from kg.rdf.io import DefaultGraph, NamedNode, Quad, parse, serialize
from kg.validation import report as findings
from kg.validation import shacl
from kg.validation.incremental import Gate
from kg.validation.report import Report
from kg.views import name_index
from kg.workers import codec
from kg.workers.dispatcher import Chores, House, Keeper
from kg.workers.framing import Header, Message
from kg.workers.pool_engine import UNNAMED, CellsEngine, VersionFile, listening
from kg.workers.worker import INLINE, Answer, Limits, Operation

MIB: Final = 1024 * 1024
READY: Final = "ready"


@dataclass(frozen=True)
class HostSettings:
    """What the keeper is told: the data folder, how many cells, limits in MiB and jobs, whether queries are planned."""

    data: str
    cells: int
    memory_mib: int
    result_mib: int
    spool_mib: int
    waiting: int
    services: tuple[str, ...]
    planning: bool = True

    def to_json(self) -> str:
        """The settings as one line of JSON."""
        return json.dumps(asdict(self))


class HostedProposer:
    """Finds out in a cell what a change would do, where a change that runs wild is stopped like any query."""

    def __init__(self, engine: CellsEngine, timeout: float) -> None:
        """Propose to an engine; `timeout` is the longest time in seconds that a change may take."""
        self._engine = engine
        self._timeout = timeout

    def propose(self, change: Change) -> Proposal:
        """Judge a change as against the current generation."""
        header, payload = codec.of_change(change)
        _, body = self._engine.call({**header, "op": "propose"}, payload, timeout=self._timeout)
        with body:
            return codec.proposal(json.load(body))


class HostedJudge:
    """Judges new facts in a cell, where a shape that runs wild is stopped like any query."""

    def __init__(self, engine: CellsEngine, timeout: float) -> None:
        """Judge with an engine; `timeout` is the longest time in seconds that facts in context may take."""
        self._engine = engine
        self._proposer = HostedProposer(engine, timeout)

    def in_context(self, payload: Iterable[Quad]) -> Report:
        """Judge new facts together with all that is known."""
        return self._proposer.propose(Addition(tuple(map(placed, payload)))).report

    def alone(self, payload: Iterable[Quad]) -> Report:
        """Judge new facts with nothing but the ontology and the vocabularies."""
        return self._report({"op": "judge"}, payload)

    def by_shapes(self, payload: Iterable[Quad], shapes: Iterable[Quad]) -> Report:
        """Judge data by other shapes, without context."""
        data = serialize(payload, NQUADS)
        return self._report({"op": "judge-by", "data_length": len(data)}, data + serialize(shapes, NQUADS))

    def _report(self, header: Header, payload: Iterable[Quad] | bytes) -> Report:
        data = payload if isinstance(payload, bytes) else serialize(payload, NQUADS)
        _, body = self._engine.call(header, data)
        with body:
            return findings.report_from_json(json.load(body))


def operations(engine: EmbeddedEngine, own: Gate, judge: Judge) -> Mapping[str, Operation]:
    """What a cell can do with the graph, on its own copy."""

    def query(header: Header, payload: bytes) -> Answer:
        formats = header["formats"]
        dataset = Dataset(tuple(header["default"]), tuple(header["named"]), header["union"])
        request = QueryRequest(
            payload.decode(),
            dataset,
            _result_format(formats["solutions"]),
            _result_format(formats["boolean"]),
            _rdf_format(formats["graph"]),
        )
        return _answered(engine.evaluate(request))

    def dump(header: Header, _: bytes) -> Answer:
        name, fmt = header["graph"], _rdf_format(header["format"])
        graph = DefaultGraph() if name == UNNAMED else None if name is None else NamedNode(name)
        return _answered(engine.dump(graph, fmt or NQUADS))

    def sizes(_: Header, __: bytes) -> Answer:
        return Answer({"sizes": engine.graph_sizes()})

    def counts(_: Header, __: bytes) -> Answer:
        known = engine.counts
        return Answer({"counts": None if known is None else counts_to_json(known)})

    def propose_change(header: Header, payload: bytes) -> Answer:
        return _plain(codec.of_proposal(propose(engine, own, codec.change(header, payload))))

    def follow(header: Header, payload: bytes) -> Answer:
        engine.follow(codec.delta(json.loads(payload)), header["generation"])
        return Answer({})

    def judge_facts(_: Header, payload: bytes) -> Answer:
        return _reported(judge.alone(parse(payload, NQUADS)))

    def judge_by(header: Header, payload: bytes) -> Answer:
        split = header["data_length"]
        return _reported(judge.by_shapes(parse(payload[:split], NQUADS), parse(payload[split:], NQUADS)))

    return {
        "query": query, "dump": dump, "sizes": sizes, "counts": counts, "judge": judge_facts, "judge-by": judge_by,
        "propose": propose_change, "follow": follow,
    }  # fmt: skip


def _answered(result: QueryResult) -> Answer:
    return Answer({"kind": result.kind, "media_type": result.media_type}, result.body, result.length)


def _reported(report: Report) -> Answer:
    return _plain(findings.report_to_json(report))


def _plain(data: object) -> Answer:
    """Plain data as JSON, with a file behind it where it is long."""
    encoded = json.dumps(data, ensure_ascii=False).encode()
    body: IO[bytes] = tempfile.SpooledTemporaryFile(INLINE)  # noqa: SIM115 - the cell closes it
    try:
        body.write(encoded)
        body.seek(0)
    except OSError as error:
        body.close()
        if error.errno == errno.EFBIG:
            raise ResultTooLargeError from error
        raise
    return Answer({}, body, len(encoded))


def _rdf_format(media_type: str | None) -> RdfFormat | None:
    return next((fmt for fmt in RDF_FORMATS if fmt.media_type == media_type), None)


def _result_format(media_type: str | None) -> ResultFormat | None:
    return next((fmt for fmt in RESULT_FORMATS if fmt.media_type == media_type), None)


def keep(folder: Path, settings: HostSettings) -> None:
    """Load the graph and serve jobs on the socket of a folder until standard input ends."""
    data = Path(settings.data)
    engine = open_or_build(data)
    engine.services, engine.planning = frozenset(settings.services), settings.planning

    def grown() -> None:
        engine.columns.prepare(settings.memory_mib * MIB, engine.counts)

    grown()
    shapes = own_shapes()
    own = Gate(shapes)
    judge = Judge(engine, shapes, LocalProposer(engine, own))
    journal, version = Journal(data), VersionFile(folder)
    version.write(engine.generation, engine.digest)
    gc.collect()
    gc.freeze()  # a cell's collector would write to every object that it inherits, and so copy it
    house = House(
        settings.cells,
        settings.waiting,
        settings.spool_mib * MIB,
        Limits(settings.memory_mib * MIB, settings.result_mib * MIB, connections=bool(settings.services)),
    )
    with listening(folder) as listener:
        keeper = Keeper(
            listener,
            operations(engine, own, judge),
            house,
            engine.status,
            Chores(lambda: _caught_up(engine, journal, version, data, grown), _prepared(own)),
        )
        if name_index.is_wanted(engine, data):
            _apart(lambda: name_index.build(engine, data))
        _say(READY)
        keeper.run(sys.stdin)


def _prepared(own: Gate) -> Iterator[None]:
    """Load pySHACL and analyse the shapes, step by step."""
    shacl.prepare()
    yield
    yield from own.prepare()


def _caught_up(
    engine: EmbeddedEngine, journal: Journal, version: VersionFile, data: Path, grown: Callable[[], None]
) -> Iterator[Message]:
    """Follow the journal; tells each commit as an order to cells, and all who read the version at the end.

    `grown` is called for what follows from how much there is now.
    """
    before = engine.generation
    try:
        for commit in journal.since(before):
            engine.follow(commit.delta, commit.number)
            payload = json.dumps(codec.of_delta(commit.delta), ensure_ascii=False).encode()
            yield Message({"op": "follow", "generation": commit.number}, payload)
    except (JournalError, IntegrityError) as error:
        sys.stderr.write(f"{error}\n")
    if engine.generation != before:
        version.write(engine.generation, engine.digest)
        grown()
        if snapshot_due(engine, data):
            _apart(lambda: snapshot(engine, journal, data))
    if name_index.is_wanted(engine, data):
        _apart(lambda: name_index.build(engine, data))


def _apart(work: Callable[[], object]) -> None:
    """Work in a process of its own, which holds the state of this moment; nobody waits for it."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if os.fork() == 0:
            os.nice(10)
            work()
    except (KgError, OSError, sqlite3.Error) as error:
        sys.stderr.write(f"{error}\n")
    finally:
        os._exit(0)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the settings, then keep the house; an error of kg is said in one line."""
    folder = Path(sys.argv[1])
    given: dict[str, Any] = json.loads(sys.stdin.readline())
    try:
        keep(folder, HostSettings(**given))
    except KgError as error:
        _say(str(error))
        os._exit(1)


if __name__ == "__main__":
    main()

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

from kg.changes.changeset import ChangeSet, QuadAddition
from kg.changes.commit import EngineFactValidator, LocalProposer, Proposal, in_submission_graph, propose
from kg.changes.data_folder import is_snapshot_due, open_or_build, read_project_shapes, write_snapshot
from kg.changes.journal import Journal
from kg.engine.embedded import EmbeddedEngine
from kg.engine.optimizer import default_optimizer
from kg.engine.protocol import QueryDataset, QueryRequest, QueryResult
from kg.engine.statistics import statistics_to_json
from kg.errors import IntegrityError, JournalError, KgError, ResultTooLargeError
from kg.rdf.formats import NQUADS, RDF_FORMATS, RESULT_FORMATS, RdfFormat, ResultFormat
from kg.rdf.io import DefaultGraph, NamedNode, Quad, parse, serialize
from kg.validation import report as findings
from kg.validation import shacl
from kg.validation.incremental import IncrementalValidator
from kg.validation.report import ValidationReport
from kg.views import name_index
from kg.workers import codec
from kg.workers.dispatcher import Dispatcher, Hooks, PoolConfig
from kg.workers.framing import Header, Message
from kg.workers.pool_engine import DEFAULT_GRAPH_NAME, PoolEngine, VersionFile, open_listener
from kg.workers.worker import MAX_INLINE_BYTES, JobResult, Operation, WorkerLimits

MIB: Final = 1024 * 1024
READY_LINE: Final = "ready"


@dataclass(frozen=True)
class DispatcherSettings:
    """The data folder, the number of workers, limits in MiB and jobs, and whether planner and columns are used."""

    data: str
    workers: int
    memory_mib: int
    result_mib: int
    spool_mib: int
    max_queued: int
    services: tuple[str, ...]
    planning: bool = True
    columns: bool = True

    def to_json(self) -> str:
        """The settings as one line of JSON."""
        return json.dumps(asdict(self))


class PoolProposer:
    """Finds out in a cell what a change would do, where a change that runs wild is stopped like any query."""

    def __init__(self, engine: PoolEngine, timeout: float) -> None:
        """Propose to an engine; `timeout` is the longest time in seconds that a change may take."""
        self._engine = engine
        self._timeout = timeout

    def propose(self, change: ChangeSet) -> Proposal:
        """Judge a change as against the current generation."""
        header, payload = codec.encode_change(change)
        _, body = self._engine.call({**header, "op": "propose"}, payload, timeout=self._timeout)
        with body:
            return codec.decode_proposal(json.load(body))


class PoolFactValidator:
    """Judges new facts in a cell, where a shape that runs wild is stopped like any query."""

    def __init__(self, engine: PoolEngine, timeout: float) -> None:
        """Judge with an engine; `timeout` is the longest time in seconds that facts in context may take."""
        self._engine = engine
        self._proposer = PoolProposer(engine, timeout)

    def validate_in_context(self, payload: Iterable[Quad]) -> ValidationReport:
        """Judge new facts together with all that is known."""
        return self._proposer.propose(QuadAddition(tuple(map(in_submission_graph, payload)))).report

    def validate_alone(self, payload: Iterable[Quad]) -> ValidationReport:
        """Judge new facts with nothing but the ontology and the vocabularies."""
        return self._validation_report({"op": "judge"}, payload)

    def validate_with_shapes(self, payload: Iterable[Quad], shapes: Iterable[Quad]) -> ValidationReport:
        """Judge data by other shapes, without context."""
        data = serialize(payload, NQUADS)
        return self._validation_report({"op": "judge-by", "data_length": len(data)}, data + serialize(shapes, NQUADS))

    def _validation_report(self, header: Header, payload: Iterable[Quad] | bytes) -> ValidationReport:
        data = payload if isinstance(payload, bytes) else serialize(payload, NQUADS)
        _, body = self._engine.call(header, data)
        with body:
            return findings.report_from_json(json.load(body))


def worker_operations(
    engine: EmbeddedEngine, project_gate: IncrementalValidator, judge: EngineFactValidator
) -> Mapping[str, Operation]:
    """What a cell can do with the graph, on its own copy."""

    def query(header: Header, payload: bytes) -> JobResult:
        formats = header["formats"]
        dataset = QueryDataset(tuple(header["default"]), tuple(header["named"]), header["union"])
        request = QueryRequest(
            payload.decode(),
            dataset,
            _result_format(formats["solutions"]),
            _result_format(formats["boolean"]),
            _rdf_format(formats["graph"]),
        )
        return _query_job_result(engine.evaluate(request))

    def dump(header: Header, _: bytes) -> JobResult:
        name, fmt = header["graph"], _rdf_format(header["format"])
        graph = DefaultGraph() if name == DEFAULT_GRAPH_NAME else None if name is None else NamedNode(name)
        return _query_job_result(engine.dump(graph, fmt or NQUADS))

    def sizes(_: Header, __: bytes) -> JobResult:
        return JobResult({"sizes": engine.graph_sizes()})

    def counts(_: Header, __: bytes) -> JobResult:
        known = engine.statistics()
        return JobResult({"counts": None if known is None else statistics_to_json(known)})

    def propose_change(header: Header, payload: bytes) -> JobResult:
        return _json_job_result(
            codec.encode_proposal(propose(engine, project_gate, codec.decode_change(header, payload)))
        )

    def follow(header: Header, payload: bytes) -> JobResult:
        engine.apply_commit(codec.decode_delta(json.loads(payload)), header["generation"])
        return JobResult({})

    def judge_facts(_: Header, payload: bytes) -> JobResult:
        return _report_job_result(judge.validate_alone(parse(payload, NQUADS)))

    def judge_by(header: Header, payload: bytes) -> JobResult:
        split = header["data_length"]
        return _report_job_result(
            judge.validate_with_shapes(parse(payload[:split], NQUADS), parse(payload[split:], NQUADS))
        )

    return {
        "query": query, "dump": dump, "sizes": sizes, "counts": counts, "judge": judge_facts, "judge-by": judge_by,
        "propose": propose_change, "follow": follow,
    }  # fmt: skip


def _query_job_result(result: QueryResult) -> JobResult:
    return JobResult({"kind": result.kind, "media_type": result.media_type}, result.body, result.length)


def _report_job_result(report: ValidationReport) -> JobResult:
    return _json_job_result(findings.report_to_json(report))


def _json_job_result(data: object) -> JobResult:
    """Plain data as JSON, with a file behind it where it is long."""
    encoded = json.dumps(data, ensure_ascii=False).encode()
    body: IO[bytes] = tempfile.SpooledTemporaryFile(MAX_INLINE_BYTES)  # noqa: SIM115 - the cell closes it
    try:
        body.write(encoded)
        body.seek(0)
    except OSError as error:
        body.close()
        if error.errno == errno.EFBIG:
            raise ResultTooLargeError from error
        raise
    return JobResult({}, body, len(encoded))


def _rdf_format(media_type: str | None) -> RdfFormat | None:
    return next((fmt for fmt in RDF_FORMATS if fmt.media_type == media_type), None)


def _result_format(media_type: str | None) -> ResultFormat | None:
    return next((fmt for fmt in RESULT_FORMATS if fmt.media_type == media_type), None)


def run_dispatcher(folder: Path, settings: DispatcherSettings) -> None:
    """Load the graph and serve jobs on the socket of a folder until standard input ends."""
    data = Path(settings.data)
    engine = open_or_build(data)
    engine.configure(
        services=settings.services,
        optimizer=default_optimizer(planning=settings.planning, columns=settings.columns),
    )

    def prepare_engine() -> None:
        engine.prepare(settings.memory_mib * MIB)

    prepare_engine()
    shapes = read_project_shapes()
    own = IncrementalValidator(shapes)
    judge = EngineFactValidator(engine, shapes, LocalProposer(engine, own))
    journal, version = Journal(data), VersionFile(folder)
    version.write(engine.generation, engine.digest)
    gc.collect()
    gc.freeze()  # a cell's collector would write to every object that it inherits, and so copy it
    house = PoolConfig(
        settings.workers,
        settings.max_queued,
        settings.spool_mib * MIB,
        WorkerLimits(settings.memory_mib * MIB, settings.result_mib * MIB, allow_connections=bool(settings.services)),
    )
    with open_listener(folder) as listener:
        keeper = Dispatcher(
            listener,
            worker_operations(engine, own, judge),
            house,
            engine.status,
            Hooks(lambda: _catch_up(engine, journal, version, data, prepare_engine), _warm_up_steps(own)),
        )
        if name_index.is_build_needed(engine, data):
            _run_detached(lambda: name_index.build_index(engine, data))
        _print_line(READY_LINE)
        keeper.run(sys.stdin)


def _warm_up_steps(project_gate: IncrementalValidator) -> Iterator[None]:
    """Load pySHACL and analyse the shapes, step by step."""
    shacl.preload_pyshacl()
    yield
    yield from project_gate.prepare()


def _catch_up(
    engine: EmbeddedEngine, journal: Journal, version: VersionFile, data: Path, prepare_engine: Callable[[], None]
) -> Iterator[Message]:
    """Follow the journal; tells each commit as an order to cells, and all who read the version at the end.

    `prepare_engine` is called after the dataset changed.
    """
    before = engine.generation
    try:
        for commit in journal.commits_since(before):
            engine.apply_commit(commit.delta, commit.number)
            payload = json.dumps(codec.encode_delta(commit.delta), ensure_ascii=False).encode()
            yield Message({"op": "follow", "generation": commit.number}, payload)
    except (JournalError, IntegrityError) as error:
        sys.stderr.write(f"{error}\n")
    if engine.generation != before:
        version.write(engine.generation, engine.digest)
        prepare_engine()
        if is_snapshot_due(engine, data):
            _run_detached(lambda: write_snapshot(engine, journal, data))
    if name_index.is_build_needed(engine, data):
        _run_detached(lambda: name_index.build_index(engine, data))


def _run_detached(work: Callable[[], object]) -> None:
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


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the settings, then keep the house; an error of kg is said in one line."""
    folder = Path(sys.argv[1])
    given: dict[str, Any] = json.loads(sys.stdin.readline())
    try:
        run_dispatcher(folder, DispatcherSettings(**given))
    except KgError as error:
        _print_line(str(error))
        os._exit(1)


if __name__ == "__main__":
    main()

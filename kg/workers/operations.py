"""The operations that a worker performs on its copy of the dataset, by the name that a job's header gives."""

import json

from kg.changes.commit import propose
from kg.changes.fact_validation import EngineFactValidator
from kg.engine.embedded import EmbeddedEngine
from kg.engine.protocol import QueryDataset, QueryRequest, QueryResult
from kg.engine.result_writer import spooled_body
from kg.engine.statistics import statistics_to_json
from kg.rdf.formats import NQUADS, RDF_FORMATS, RESULT_FORMATS, RdfFormat, ResultFormat
from kg.rdf.io import parse
from kg.rdf.terms import DefaultGraph, NamedNode
from kg.validation.incremental import IncrementalValidator
from kg.validation.report import ValidationReport
from kg.validation.report_json import report_to_json
from kg.workers import change_codec
from kg.workers.framing import Header
from kg.workers.pool_engine import DEFAULT_GRAPH_NAME
from kg.workers.worker import JobResult, Operation


class WorkerOperations(dict[str, Operation]):
    """The operations by name. Each takes the header and the payload of a job and raises KgError for the client."""

    def __init__(
        self, engine: EmbeddedEngine, project_gate: IncrementalValidator, fact_validator: EngineFactValidator
    ) -> None:
        self._engine = engine
        self._project_gate = project_gate
        self._fact_validator = fact_validator
        super().__init__(
            {
                "query": self.query,
                "dump": self.dump,
                "sizes": self.graph_sizes,
                "counts": self.statistics,
                "judge": self.validate_alone,
                "judge-by": self.validate_with_shapes,
                "propose": self.propose,
                "follow": self.apply_commit,
            }
        )

    def query(self, header: Header, payload: bytes) -> JobResult:
        """Evaluate the query in the payload."""
        formats = header["formats"]
        request = QueryRequest(
            payload.decode(),
            QueryDataset(tuple(header["default"]), tuple(header["named"]), header["union"]),
            _result_format(formats["solutions"]),
            _result_format(formats["boolean"]),
            _rdf_format(formats["graph"]),
        )
        return _query_job_result(self._engine.evaluate(request))

    def dump(self, header: Header, _: bytes) -> JobResult:
        """Serialize one graph or, if the header names none, the dataset."""
        name = header["graph"]
        graph = DefaultGraph() if name == DEFAULT_GRAPH_NAME else None if name is None else NamedNode(name)
        return _query_job_result(self._engine.dump(graph, _rdf_format(header["format"]) or NQUADS))

    def graph_sizes(self, _: Header, __: bytes) -> JobResult:
        """Return the number of triples per named graph."""
        return JobResult({"sizes": self._engine.graph_sizes()})

    def statistics(self, _: Header, __: bytes) -> JobResult:
        """Return the statistics that the engine keeps, or None."""
        known = self._engine.statistics()
        return JobResult({"counts": None if known is None else statistics_to_json(known)})

    def propose(self, header: Header, payload: bytes) -> JobResult:
        """Evaluate and validate a change without applying it."""
        change = change_codec.decode_change(header, payload)
        return _json_job_result(change_codec.encode_proposal(propose(self._engine, self._project_gate, change)))

    def apply_commit(self, header: Header, payload: bytes) -> JobResult:
        """Apply a commit to the worker's copy; the dispatcher orders this, not a client."""
        self._engine.apply_commit(change_codec.decode_delta(json.loads(payload)), header["generation"])
        return JobResult({})

    def validate_alone(self, _: Header, payload: bytes) -> JobResult:
        """Validate N-Quads with only the ontology and the vocabularies as context."""
        return _report_job_result(self._fact_validator.validate_alone(parse(payload, NQUADS)))

    def validate_with_shapes(self, header: Header, payload: bytes) -> JobResult:
        """Validate N-Quads against the shapes that follow them in the payload."""
        split = header["data_length"]
        data, shapes = parse(payload[:split], NQUADS), parse(payload[split:], NQUADS)
        return _report_job_result(self._fact_validator.validate_with_shapes(data, shapes))


def _query_job_result(result: QueryResult) -> JobResult:
    return JobResult({"kind": result.kind, "media_type": result.media_type}, result.body, result.length)


def _report_job_result(report: ValidationReport) -> JobResult:
    return _json_job_result(report_to_json(report))


def _json_job_result(data: object) -> JobResult:
    """Encode plain data as JSON; beyond MAX_INLINE_BYTES it goes to a temporary file."""
    encoded = json.dumps(data, ensure_ascii=False).encode()
    with spooled_body() as body:
        body.write(encoded)
        body.seek(0)
    return JobResult({}, body, len(encoded))


def _rdf_format(media_type: str | None) -> RdfFormat | None:
    return next((fmt for fmt in RDF_FORMATS if fmt.media_type == media_type), None)


def _result_format(media_type: str | None) -> ResultFormat | None:
    return next((fmt for fmt in RESULT_FORMATS if fmt.media_type == media_type), None)

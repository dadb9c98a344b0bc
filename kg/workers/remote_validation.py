"""Validate changes and facts in a worker, where a runaway SHACL shape or rule is stopped like a runaway query."""

import json
from collections.abc import Iterable
from typing import Any

from kg.changes.changeset import ChangeSet, QuadAddition
from kg.changes.commit import Proposal, in_submission_graph
from kg.rdf.formats import NQUADS
from kg.rdf.io import serialize
from kg.rdf.terms import Quad
from kg.validation.report import ValidationReport
from kg.validation.report_json import report_from_json
from kg.workers import change_codec
from kg.workers.framing import Header
from kg.workers.pool_engine import PoolEngine


class PoolProposer:
    """Finds out in a worker what a change would add, remove and violate."""

    def __init__(self, engine: PoolEngine, timeout: float) -> None:
        """Propose to an engine; `timeout` is the longest time in seconds that a change may take."""
        self._engine = engine
        self._timeout = timeout

    def __call__(self, change: ChangeSet) -> Proposal:
        """Evaluate and validate a change against the current generation."""
        header, payload = change_codec.encode_change(change)
        return change_codec.decode_proposal(
            _call_json(self._engine, {**header, "op": "propose"}, payload, self._timeout)
        )


class PoolFactValidator:
    """Validates facts in a worker."""

    def __init__(self, engine: PoolEngine, timeout: float) -> None:
        """Validate with an engine; `timeout` is the longest time in seconds that facts in context may take."""
        self._engine = engine
        self._propose = PoolProposer(engine, timeout)

    def validate_in_context(self, payload: Iterable[Quad]) -> ValidationReport:
        """Validate new facts together with the whole dataset."""
        return self._propose(QuadAddition(tuple(map(in_submission_graph, payload)))).report

    def validate_alone(self, payload: Iterable[Quad]) -> ValidationReport:
        """Validate new facts with only the ontology and the vocabularies as context."""
        return self._validate({"op": "judge"}, serialize(payload, NQUADS))

    def validate_with_shapes(self, payload: Iterable[Quad], shapes: Iterable[Quad]) -> ValidationReport:
        """Validate data against the given shapes, without context."""
        data = serialize(payload, NQUADS)
        return self._validate({"op": "judge-by", "data_length": len(data)}, data + serialize(shapes, NQUADS))

    def _validate(self, header: Header, payload: bytes) -> ValidationReport:
        return report_from_json(_call_json(self._engine, header, payload))


def _call_json(engine: PoolEngine, header: Header, payload: bytes, timeout: float | None = None) -> Any:  # noqa: ANN401 - JSON
    _, body = engine.call(header, payload, timeout=timeout)
    with body:
        return json.load(body)

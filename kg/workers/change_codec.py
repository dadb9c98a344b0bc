"""Encode changes, deltas and proposals as plain data for other processes; blank nodes keep their labels."""

import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kg.changes.changeset import (
    ChangeSet,
    DeltaPatch,
    GraphRemoval,
    GraphReplacement,
    QuadAddition,
    SparqlUpdate,
)
from kg.changes.commit import Proposal
from kg.engine.protocol import QueryDataset
from kg.errors import EngineError
from kg.rdf.delta import Delta
from kg.rdf.formats import NQUADS
from kg.rdf.io import parse_stream, serialize
from kg.rdf.terms import DefaultGraph, NamedNode, Quad
from kg.validation.report_json import report_from_json, report_to_json

JsonObject = Mapping[str, Any]


def encode_change(change: ChangeSet) -> tuple[JsonObject, bytes]:
    """Encode a change as a header and a payload."""
    match change:
        case SparqlUpdate(text, using):
            return {"change": "update", "default": using.default, "named": using.named}, text.encode()
        case QuadAddition(quads):
            return {"change": "addition"}, serialize(quads, NQUADS)
        case GraphReplacement(graphs, quads):
            return {"change": "replacements", "graphs": [_graph_name(graph) for graph in graphs]}, serialize(
                quads, NQUADS
            )
        case GraphRemoval(graph):
            return {"change": "removal", "graph": _graph_name(graph)}, b""
        case DeltaPatch(patch):
            return {"change": "patch"}, json.dumps(encode_delta(patch), ensure_ascii=False).encode()
    raise EngineError(f"{type(change).__name__} cannot be sent to another process")


def decode_change(header: JsonObject, payload: bytes) -> ChangeSet:
    """Decode a change that `encode_change` encoded."""
    match header["change"]:
        case "update":
            using = QueryDataset(tuple(header["default"]), tuple(header["named"]), union=False)
            return SparqlUpdate(payload.decode(), using)
        case "addition":
            return QuadAddition(tuple(_parse_quads(payload)))
        case "replacements":
            return GraphReplacement(tuple(map(_graph_from_name, header["graphs"])), tuple(_parse_quads(payload)))
        case "removal":
            return GraphRemoval(_graph_from_name(header["graph"]))
        case "patch":
            return DeltaPatch(decode_delta(json.loads(payload)))
    raise EngineError(f"{header['change']!r} is not a known kind of change")


def encode_delta(delta: Delta) -> dict[str, Any]:
    """Encode a delta: quads as N-Quads, graphs by IRI."""
    return {
        "added": serialize(delta.added, NQUADS).decode(),
        "removed": serialize(delta.removed, NQUADS).decode(),
        "created": _graph_names(delta.created),
        "dropped": _graph_names(delta.dropped),
    }


def decode_delta(data: JsonObject) -> Delta:
    """Decode a delta that `encode_delta` encoded."""
    return Delta(
        added=frozenset(_parse_quads(data["added"].encode())),
        removed=frozenset(_parse_quads(data["removed"].encode())),
        created=frozenset(map(NamedNode, data["created"])),
        dropped=frozenset(map(NamedNode, data["dropped"])),
    )


def encode_proposal(proposal: Proposal) -> dict[str, Any]:
    """Encode a proposal, with its report as JSON."""
    return {
        "delta": encode_delta(proposal.delta),
        "report": report_to_json(proposal.report),
        "generation": proposal.generation,
        "graphs": sorted(proposal.graphs),
    }


def decode_proposal(data: JsonObject) -> Proposal:
    """Decode a proposal that `encode_proposal` encoded."""
    return Proposal(
        decode_delta(data["delta"]), report_from_json(data["report"]), data["generation"], frozenset(data["graphs"])
    )


def _parse_quads(data: bytes) -> Iterable[Quad]:
    return parse_stream(io.BytesIO(data), NQUADS)


def _graph_name(graph: NamedNode | DefaultGraph) -> str | None:
    return graph.value if isinstance(graph, NamedNode) else None


def _graph_from_name(name: str | None) -> NamedNode | DefaultGraph:
    return DefaultGraph() if name is None else NamedNode(name)


def _graph_names(graphs: Iterable[NamedNode]) -> list[str]:
    return sorted(graph.value for graph in graphs)

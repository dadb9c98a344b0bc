"""Changes, deltas and proposals as plain data, to travel between processes; blank nodes keep their names."""

import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kg.changes.changeset import Addition, Change, Patch, Removal, Replacement, Replacements, Update
from kg.changes.commit import Proposal
from kg.engine.protocol import Dataset, Delta
from kg.errors import EngineError
from kg.rdf.formats import NQUADS
from kg.rdf.io import DefaultGraph, NamedNode, Quad, read, serialize
from kg.validation.report import report_from_json, report_to_json

Plain = Mapping[str, Any]


def of_change(change: Change) -> tuple[Plain, bytes]:
    """A change as a header and a payload."""
    match change:
        case Update(text, using):
            return {"change": "update", "default": using.default, "named": using.named}, text.encode()
        case Addition(quads):
            return {"change": "addition"}, serialize(quads, NQUADS)
        case Replacement(graph, triples):
            unplaced = [Quad(item.subject, item.predicate, item.object) for item in triples]
            return {"change": "replacement", "graph": _name(graph)}, serialize(unplaced, NQUADS)
        case Replacements(graphs, quads):
            return {"change": "replacements", "graphs": [_name(graph) for graph in graphs]}, serialize(quads, NQUADS)
        case Removal(graph):
            return {"change": "removal", "graph": _name(graph)}, b""
        case Patch(patch):
            return {"change": "patch"}, json.dumps(of_delta(patch), ensure_ascii=False).encode()
    raise EngineError(f"{type(change).__name__} is no change that can be sent")


def change(header: Plain, payload: bytes) -> Change:
    """The change that `of_change` made plain."""
    match header["change"]:
        case "update":
            using = Dataset(tuple(header["default"]), tuple(header["named"]), union=False)
            return Update(payload.decode(), using)
        case "addition":
            return Addition(tuple(_quads(payload)))
        case "replacement":
            return Replacement(_graph(header["graph"]), tuple(quad.triple for quad in _quads(payload)))
        case "replacements":
            return Replacements(tuple(map(_graph, header["graphs"])), tuple(_quads(payload)))
        case "removal":
            return Removal(_graph(header["graph"]))
        case "patch":
            return Patch(delta(json.loads(payload)))
    raise EngineError(f"{header['change']!r} is no change")


def of_delta(delta: Delta) -> dict[str, Any]:
    """A delta as plain data: quads as N-Quads, graphs by name."""
    return {
        "added": serialize(delta.added, NQUADS).decode(),
        "removed": serialize(delta.removed, NQUADS).decode(),
        "created": _names(delta.created),
        "dropped": _names(delta.dropped),
    }


def delta(data: Plain) -> Delta:
    """The delta that `of_delta` made plain."""
    return Delta(
        added=frozenset(_quads(data["added"].encode())),
        removed=frozenset(_quads(data["removed"].encode())),
        created=frozenset(map(NamedNode, data["created"])),
        dropped=frozenset(map(NamedNode, data["dropped"])),
    )


def of_proposal(proposal: Proposal) -> dict[str, Any]:
    """A proposal as plain data."""
    return {
        "delta": of_delta(proposal.delta),
        "report": report_to_json(proposal.report),
        "generation": proposal.generation,
        "graphs": sorted(proposal.graphs),
    }


def proposal(data: Plain) -> Proposal:
    """The proposal that `of_proposal` made plain."""
    return Proposal(
        delta(data["delta"]), report_from_json(data["report"]), data["generation"], frozenset(data["graphs"])
    )


def _quads(data: bytes) -> Iterable[Quad]:
    return read(io.BytesIO(data), NQUADS)


def _name(graph: NamedNode | DefaultGraph) -> str | None:
    return graph.value if isinstance(graph, NamedNode) else None


def _graph(name: str | None) -> NamedNode | DefaultGraph:
    return DefaultGraph() if name is None else NamedNode(name)


def _names(graphs: Iterable[NamedNode]) -> list[str]:
    return sorted(graph.value for graph in graphs)

"""Serialise deltas as RDF Patch (application/rdf-patch): a text with one line per added or deleted quad."""

from collections.abc import Iterable, Iterator
from typing import Final

from kg.rdf.delta import Delta
from kg.rdf.formats import NQUADS
from kg.rdf.io import serialize
from kg.rdf.terms import Quad

RDF_PATCH_MEDIA_TYPE: Final = "application/rdf-patch"


def serialize_rdf_patch(delta: Delta, identity: str, previous: str | None) -> str:
    """Serialise a delta as one transaction.

    Blank nodes are written as `<_:label>`, which RDF Patch reads as the store's own blank nodes. `identity` and
    `previous` are the IRIs of this patch and of the one before it, for the header.
    """
    return "".join(f"{line}\n" for line in _patch_lines(delta, identity, previous))


def _patch_lines(delta: Delta, identity: str, previous: str | None) -> Iterator[str]:
    yield f"H id <{identity}> ."
    if previous is not None:
        yield f"H prev <{previous}> ."
    yield "TX ."
    yield from (f"D {line}" for line in _quad_lines(delta.removed))
    yield from (f"A {line}" for line in _quad_lines(delta.added))
    yield "TC ."


def _quad_lines(quads: Iterable[Quad]) -> list[str]:
    lines = serialize(quads, NQUADS).splitlines()  # on bytes: str.splitlines also splits at U+2028
    return sorted(" ".join(map(_patch_term, _split_terms(line.decode()))) for line in lines)


def _split_terms(line: str) -> Iterator[str]:
    """Split a line of N-Quads at the spaces outside literals."""
    start, quoted, escaped = 0, False, False
    for index, character in enumerate(line):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == " " and not quoted:
            yield line[start:index]
            start = index + 1
    yield line[start:]


def _patch_term(text: str) -> str:
    return f"<{text}>" if text.startswith("_:") else text

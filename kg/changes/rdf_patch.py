"""RDF Patch: a delta as a text of lines that add and delete quads, application/rdf-patch."""

from collections.abc import Iterable, Iterator
from typing import Final

from kg.rdf.delta import Delta
from kg.rdf.formats import NQUADS
from kg.rdf.io import serialize
from kg.rdf.terms import Quad

RDF_PATCH_MEDIA_TYPE: Final = "application/rdf-patch"


def serialize_rdf_patch(delta: Delta, identity: str, previous: str | None) -> str:
    """Write a delta as one transaction; blank nodes are written as `<_:name>`, so that they are those of the store.

    `identity` and `previous` are IRIs of this patch and of the one before it, for the header.
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
    lines = serialize(quads, NQUADS).splitlines()  # of bytes: a text has more ends of lines than N-Quads have
    return sorted(" ".join(map(_patch_term, _split_terms(line.decode()))) for line in lines)


def _split_terms(line: str) -> Iterator[str]:
    """Cut a line of N-Quads at the spaces that stand outside literals."""
    start, quoted, escaped = 0, False, False
    for index, sign in enumerate(line):
        if escaped:
            escaped = False
        elif sign == "\\":
            escaped = True
        elif sign == '"':
            quoted = not quoted
        elif sign == " " and not quoted:
            yield line[start:index]
            start = index + 1
    yield line[start:]


def _patch_term(text: str) -> str:
    return f"<{text}>" if text.startswith("_:") else text

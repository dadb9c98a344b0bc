"""A picture of a thing among its neighbours: where each box and line is; pure, and drawn by a template."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_NEIGHBOURS: Final = 12
"""Neighbours on a picture."""
WIDTH: Final = 780
_BOX_WIDTH: Final = 236
_BOX_HEIGHT: Final = 48
_ROW_HEIGHT: Final = 60
_CENTRE_WIDTH: Final = 188
_MARGIN: Final = 10
_NARROW_WIDTH: Final = 350
_TRUNK_X: Final = 16
_INDENT: Final = 46
_NARROW_LETTERS: Final = 36
_LETTERS: Final = 28
"""Letters that a neighbour's box holds in a line."""
_CENTRE_LETTERS: Final = 20
_CENTRE_LINES: Final = 4


@dataclass(frozen=True)
class Neighbour:
    """One end of a relation: its name and IRI, the relation in words, and whether it points from there to the thing."""

    iri: str
    name: str
    relation: str
    inward: bool


@dataclass(frozen=True)
class NeighbourBox:
    """A neighbour as drawn: the corner of its box, its texts as they fit, and the line to the thing."""

    neighbour: Neighbour
    x: int
    y: int
    name: str
    relation: str
    line: tuple[int, int, int, int]


@dataclass(frozen=True)
class GraphPicture:
    """A whole picture: its size and that of a box, the thing's own box with its lines of text, and the neighbours.

    `trunk` is a line without direction from which those to the neighbours branch off, where there is one.
    """

    width: int
    height: int
    box_width: int
    trunk: tuple[int, int, int, int] | None
    title: tuple[str, ...]
    centre: tuple[int, int, int, int]
    boxes: tuple[NeighbourBox, ...]


def layout_wide(title: str, neighbours: Sequence[Neighbour]) -> GraphPicture | None:
    """Place up to MOST neighbours left and right of a thing; None where there are fewer than two."""
    shown = neighbours[:MAX_NEIGHBOURS]
    if len(shown) < 2:  # noqa: PLR2004 - a picture of one line says nothing
        return None
    rows = (len(shown) + 1) // 2
    lines = _wrap_title(title)
    tall = 20 * len(lines) + 24
    height = max(rows * _ROW_HEIGHT, tall) + 2 * _MARGIN
    middle = height // 2
    centre = ((WIDTH - _CENTRE_WIDTH) // 2, middle - tall // 2, _CENTRE_WIDTH, tall)
    boxes = tuple(_wide_box(number, neighbour, len(shown), centre, middle) for number, neighbour in enumerate(shown))
    return GraphPicture(WIDTH, height, _BOX_WIDTH, None, lines, centre, boxes)


def layout_narrow(title: str, neighbours: Sequence[Neighbour]) -> GraphPicture | None:
    """The same for a narrow screen: the neighbours one below the other, beneath the thing."""
    shown = neighbours[:MAX_NEIGHBOURS]
    if len(shown) < 2:  # noqa: PLR2004 - as above
        return None
    lines = _wrap_title(title)
    tall = 20 * len(lines) + 24
    ys = [tall + 16 + number * _ROW_HEIGHT for number in range(len(shown))]
    boxes = tuple(_narrow_box(neighbour, y) for neighbour, y in zip(shown, ys, strict=True))
    trunk = (_TRUNK_X, tall, _TRUNK_X, ys[-1] + _BOX_HEIGHT // 2)
    return GraphPicture(
        _NARROW_WIDTH,
        ys[-1] + _ROW_HEIGHT,
        _NARROW_WIDTH - _INDENT,
        trunk,
        lines,
        (1, 1, _NARROW_WIDTH - 2, tall),
        boxes,
    )


def _narrow_box(neighbour: Neighbour, y: int) -> NeighbourBox:
    here, there = (_INDENT, y + _BOX_HEIGHT // 2), (_TRUNK_X, y + _BOX_HEIGHT // 2)
    line = (*here, *there) if neighbour.inward else (*there, *here)
    name, relation = truncate(neighbour.name, _NARROW_LETTERS), truncate(neighbour.relation, _NARROW_LETTERS + 4)
    return NeighbourBox(neighbour, _INDENT, y, name, relation, line)


def _wide_box(
    number: int, neighbour: Neighbour, count: int, centre: tuple[int, int, int, int], middle: int
) -> NeighbourBox:
    left = number % 2 == 0
    rows = (count + 1) // 2 if left else count // 2
    x = 0 if left else WIDTH - _BOX_WIDTH
    y = middle - rows * _ROW_HEIGHT // 2 + (number // 2) * _ROW_HEIGHT + (_ROW_HEIGHT - _BOX_HEIGHT) // 2
    here, there = (_BOX_WIDTH, centre[0]) if left else (x, centre[0] + centre[2])
    inner = max(centre[1] + 10, min(centre[1] + centre[3] - 10, y + _BOX_HEIGHT // 2))
    start, end = (here, y + _BOX_HEIGHT // 2), (there, inner)
    line = (*start, *end) if neighbour.inward else (*end, *start)
    return NeighbourBox(
        neighbour, x, y, truncate(neighbour.name, _LETTERS), truncate(neighbour.relation, _LETTERS + 4), line
    )


def truncate(text: str, letters: int) -> str:
    """A text with … where it has more letters."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def _wrap_title(text: str) -> tuple[str, ...]:
    lines, words = list[str](), text.split()
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= _CENTRE_LETTERS:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    kept = [truncate(line, _CENTRE_LETTERS) for line in lines[:_CENTRE_LINES]]
    if len(lines) > _CENTRE_LINES:
        kept[-1] = truncate(f"{kept[-1]}{'…' * _CENTRE_LETTERS}", min(_CENTRE_LETTERS, len(kept[-1]) + 1))
    return tuple(kept)

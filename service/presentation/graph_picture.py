"""The layout of a picture of an entity and its neighbours as plain data: where each box and line is.

`resource/graph_picture.html` draws the SVG.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.presentation.display_values import shorten

MAX_NEIGHBOURS: Final = 12
"""Maximum number of neighbours in a picture."""
_MIN_NEIGHBOURS: Final = 2
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
"""Letters that fit in a line of a neighbour's box."""
_CENTRE_LETTERS: Final = 20
_CENTRE_LINES: Final = 4


@dataclass(frozen=True)
class Neighbour:
    """The other end of a relation; `inward` says that the relation points from the neighbour to the entity."""

    iri: str
    name: str
    relation: str
    inward: bool


@dataclass(frozen=True)
class NeighbourBox:
    """A drawn neighbour: the top left corner of its box, its shortened texts, and the arrow (x1, y1, x2, y2)."""

    neighbour: Neighbour
    x: int
    y: int
    name: str
    relation: str
    line: tuple[int, int, int, int]


@dataclass(frozen=True)
class GraphPicture:
    """A complete picture; `centre` is the entity's own box (x, y, width, height) with the lines of `title`.

    In a narrow picture, `trunk` (x1, y1, x2, y2) is the line from which the arrows to the neighbours branch off.
    """

    width: int
    height: int
    box_width: int
    trunk: tuple[int, int, int, int] | None
    title: tuple[str, ...]
    centre: tuple[int, int, int, int]
    boxes: tuple[NeighbourBox, ...]


def layout_pictures(title: str, neighbours: Sequence[Neighbour]) -> tuple[GraphPicture, GraphPicture] | None:
    """Return a picture of up to MAX_NEIGHBOURS for wide and one for narrow screens; None for fewer than two."""
    shown = neighbours[:MAX_NEIGHBOURS]
    if len(shown) < _MIN_NEIGHBOURS:
        return None
    lines = _wrap_title(title)
    return _wide_picture(lines, shown), _narrow_picture(lines, shown)


def _wide_picture(title: tuple[str, ...], neighbours: Sequence[Neighbour]) -> GraphPicture:
    """Place neighbours left and right of the entity in turn."""
    rows, centre_height = (len(neighbours) + 1) // 2, _title_height(title)
    height = max(rows * _ROW_HEIGHT, centre_height) + 2 * _MARGIN
    middle = height // 2
    centre = ((WIDTH - _CENTRE_WIDTH) // 2, middle - centre_height // 2, _CENTRE_WIDTH, centre_height)
    boxes = (_wide_box(number, item, len(neighbours), centre, middle) for number, item in enumerate(neighbours))
    return GraphPicture(WIDTH, height, _BOX_WIDTH, None, title, centre, tuple(boxes))


def _narrow_picture(title: tuple[str, ...], neighbours: Sequence[Neighbour]) -> GraphPicture:
    """Place neighbours in a column below the entity."""
    centre_height = _title_height(title)
    centre = (1, 1, _NARROW_WIDTH - 2, centre_height)
    ys = [centre_height + 16 + number * _ROW_HEIGHT for number in range(len(neighbours))]
    boxes = tuple(_narrow_box(neighbour, y) for neighbour, y in zip(neighbours, ys, strict=True))
    trunk = (_TRUNK_X, centre_height, _TRUNK_X, ys[-1] + _BOX_HEIGHT // 2)
    height, box_width = ys[-1] + _ROW_HEIGHT, _NARROW_WIDTH - _INDENT
    return GraphPicture(_NARROW_WIDTH, height, box_width, trunk, title, centre, boxes)


def _title_height(title: tuple[str, ...]) -> int:
    return 20 * len(title) + 24


def _narrow_box(neighbour: Neighbour, y: int) -> NeighbourBox:
    box_end, trunk_end = (_INDENT, y + _BOX_HEIGHT // 2), (_TRUNK_X, y + _BOX_HEIGHT // 2)
    line = (*box_end, *trunk_end) if neighbour.inward else (*trunk_end, *box_end)
    name, relation = shorten(neighbour.name, _NARROW_LETTERS), shorten(neighbour.relation, _NARROW_LETTERS + 4)
    return NeighbourBox(neighbour, _INDENT, y, name, relation, line)


def _wide_box(
    number: int, neighbour: Neighbour, count: int, centre: tuple[int, int, int, int], middle: int
) -> NeighbourBox:
    is_left = number % 2 == 0
    rows = (count + 1) // 2 if is_left else count // 2
    x = 0 if is_left else WIDTH - _BOX_WIDTH
    y = middle - rows * _ROW_HEIGHT // 2 + (number // 2) * _ROW_HEIGHT + (_ROW_HEIGHT - _BOX_HEIGHT) // 2
    box_x, centre_x = (_BOX_WIDTH, centre[0]) if is_left else (x, centre[0] + centre[2])
    centre_y = max(centre[1] + 10, min(centre[1] + centre[3] - 10, y + _BOX_HEIGHT // 2))
    box_end, centre_end = (box_x, y + _BOX_HEIGHT // 2), (centre_x, centre_y)
    line = (*box_end, *centre_end) if neighbour.inward else (*centre_end, *box_end)
    name, relation = shorten(neighbour.name, _LETTERS), shorten(neighbour.relation, _LETTERS + 4)
    return NeighbourBox(neighbour, x, y, name, relation, line)


def _wrap_title(text: str) -> tuple[str, ...]:
    """Break a title into at most _CENTRE_LINES lines; the last one ends in … if words are missing."""
    lines, words = list[str](), text.split()
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= _CENTRE_LETTERS:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    shown = [shorten(line, _CENTRE_LETTERS) for line in lines[:_CENTRE_LINES]]
    if len(lines) > _CENTRE_LINES:
        shown[-1] = shorten(f"{shown[-1]}{'…' * _CENTRE_LETTERS}", min(_CENTRE_LETTERS, len(shown[-1]) + 1))
    return tuple(shown)

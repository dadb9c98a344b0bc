"""The picture of a neighbourhood: nothing overlaps, nothing runs out."""

from itertools import combinations, pairwise

import pytest

from service.presentation.graph_picture import (
    MAX_NEIGHBOURS,
    WIDTH,
    Neighbour,
    NeighbourBox,
    layout_narrow,
    layout_wide,
)

LONG = "Ban Quản lý Khu kinh tế Hải Phòng và các khu công nghiệp trên địa bàn thành phố Hải Phòng"


def neighbours(count: int, name: str = LONG) -> list[Neighbour]:
    return [Neighbour(f"urn:{n}", f"{n} {name}", "xúc tiến đầu tư tại", n % 3 == 0) for n in range(count)]


def overlap(first: NeighbourBox, second: NeighbourBox) -> bool:
    return abs(first.x - second.x) < 236 and abs(first.y - second.y) < 48


@pytest.mark.parametrize("count", [2, 3, 7, 12, 40])
def test_boxes_lie_apart_and_within(count: int) -> None:
    found = layout_wide(LONG, neighbours(count))
    assert found is not None
    assert len(found.boxes) == min(count, MAX_NEIGHBOURS)
    assert not [pair for pair in combinations(found.boxes, 2) if overlap(*pair)]
    for box in found.boxes:
        assert 0 <= box.x <= WIDTH - 236
        assert 0 <= box.y <= found.height - 48
        assert len(box.name) <= 28
    assert len(found.title) <= 4
    assert max(map(len, found.title)) <= 20
    assert found.title[-1].endswith("…")


def test_lines_lead_from_who_does_to_what_it_is_done_to() -> None:
    found = layout_wide("A", [Neighbour("urn:in", "B", "r", True), Neighbour("urn:out", "C", "r", False)])
    assert found is not None
    inward, outward = found.boxes
    assert inward.line[0] == 236
    assert outward.line[2] == WIDTH - 236


@pytest.mark.parametrize("count", [0, 1])
def test_few_neighbours_need_no_picture(count: int) -> None:
    assert layout_wide("A", neighbours(count)) is None


@pytest.mark.parametrize("count", [2, 12, 40])
def test_on_a_narrow_screen_they_stand_in_a_column(count: int) -> None:
    found = layout_narrow(LONG, neighbours(count))
    assert found is not None
    assert len(found.boxes) == min(count, MAX_NEIGHBOURS)
    assert all(later.y - box.y >= 48 for box, later in pairwise(found.boxes))
    assert found.boxes[0].y > found.centre[1] + found.centre[3]
    assert found.boxes[-1].y + 48 <= found.height
    assert all(box.x + found.box_width <= found.width for box in found.boxes)
    inward, outward = found.boxes[0].line, found.boxes[1].line
    assert inward[0] > inward[2]
    assert outward[0] < outward[2]
    assert layout_narrow(LONG, neighbours(1)) is None

"""Pictures of an entity and its neighbours: boxes do not overlap and lie within the picture."""

from itertools import combinations, pairwise

import pytest

from service.presentation.graph_picture import (
    MAX_NEIGHBOURS,
    WIDTH,
    GraphPicture,
    Neighbour,
    NeighbourBox,
    layout_pictures,
)

LONG = "Ban Quản lý Khu kinh tế Hải Phòng và các khu công nghiệp trên địa bàn thành phố Hải Phòng"


def neighbours(count: int, name: str = LONG) -> list[Neighbour]:
    return [Neighbour(f"urn:{n}", f"{n} {name}", "xúc tiến đầu tư tại", n % 3 == 0) for n in range(count)]


def pictures(title: str, shown: list[Neighbour]) -> tuple[GraphPicture, GraphPicture]:
    found = layout_pictures(title, shown)
    assert found is not None
    return found


def overlap(first: NeighbourBox, second: NeighbourBox) -> bool:
    return abs(first.x - second.x) < 236 and abs(first.y - second.y) < 48


@pytest.mark.parametrize("count", [2, 3, 7, 12, 40])
def test_boxes_do_not_overlap(count: int) -> None:
    found, _ = pictures(LONG, neighbours(count))
    assert len(found.boxes) == min(count, MAX_NEIGHBOURS)
    assert not [pair for pair in combinations(found.boxes, 2) if overlap(*pair)]
    for box in found.boxes:
        assert 0 <= box.x <= WIDTH - 236
        assert 0 <= box.y <= found.height - 48
        assert len(box.name) <= 28
    assert len(found.title) <= 4
    assert max(map(len, found.title)) <= 20
    assert found.title[-1].endswith("…")


def test_arrows_follow_the_direction_of_the_relation() -> None:
    found, _ = pictures("A", [Neighbour("urn:in", "B", "r", True), Neighbour("urn:out", "C", "r", False)])
    inward, outward = found.boxes
    assert inward.line[0] == 236
    assert outward.line[2] == WIDTH - 236


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_neighbours_give_no_picture(count: int) -> None:
    assert layout_pictures("A", neighbours(count)) is None


@pytest.mark.parametrize("count", [2, 12, 40])
def test_a_narrow_picture_is_one_column(count: int) -> None:
    _, found = pictures(LONG, neighbours(count))
    assert len(found.boxes) == min(count, MAX_NEIGHBOURS)
    assert all(later.y - box.y >= 48 for box, later in pairwise(found.boxes))
    assert found.boxes[0].y > found.centre[1] + found.centre[3]
    assert found.boxes[-1].y + 48 <= found.height
    assert all(box.x + found.box_width <= found.width for box in found.boxes)
    inward, outward = found.boxes[0].line, found.boxes[1].line
    assert inward[0] > inward[2]
    assert outward[0] < outward[2]

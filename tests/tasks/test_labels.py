"""Labels as near to their places as the room allows, found by brute force."""

import itertools
from itertools import pairwise

import pytest
from matplotlib.text import Text

from recurra.tasks.charts import chart
from recurra.tasks.labels import label_ends, label_points, spread


@pytest.mark.parametrize(
    "places", [[3.0], [0.0, 10.0], [1.0, 1.0], [5.0, 1.0, 1.0], [0.0, 1.0, 2.0, 9.0], [4.0, 4.0, 0.0, 5.0]]
)
def test_spread_is_the_nearest_arrangement_with_gaps(places):
    found = spread(places, 2.0)
    assert all(after - before >= 2 - 1e-9 for before, after in pairwise(sorted(found)))
    cost = sum((a - b) ** 2 for a, b in zip(found, places, strict=True))
    grid = [step / 2 for step in range(-8, 26)]
    for other in itertools.product(grid, repeat=len(places)) if len(places) < 4 else ():
        ordered = sorted(range(len(places)), key=lambda i: (places[i], i))
        if all(other[b] - other[a] >= 2 for a, b in pairwise(ordered)):
            assert sum((a - b) ** 2 for a, b in zip(other, places, strict=True)) >= cost - 1e-9


def test_spread_keeps_the_order_and_what_has_room():
    assert spread([0.0, 1.0, 2.0, 9.0], 2.0) == pytest.approx([-1.0, 1.0, 3.0, 9.0])
    assert spread([9.0, 0.0], 2.0) == [9.0, 0.0]


def test_names_of_crowded_points_cover_neither_each_other_nor_points(tmp_path):
    points = {f"model {number}": (100.0 + number % 3, 2.0 + 0.004 * number) for number in range(6)} | {
        "far": (200.0, 3.0)
    }
    with chart(tmp_path / "points.png") as axes:
        for point in points.values():
            axes.plot(*point, "o")
        label_points(axes, points, ["black"] * len(points))
        boxes = [Text.get_window_extent(text) for text in axes.texts]
        assert [text.get_text() for text in axes.texts] == list(points)
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        for point in axes.transData.transform([*points.values()]):
            assert not any(box.contains(*point) for box in boxes)


def test_names_of_lines_that_end_alike_stand_apart(tmp_path):
    with chart(tmp_path / "lines.png") as axes:
        axes.plot([0, 1], [0, 1])
        label_ends(axes, {"one": (1.0, 0.50), "two": (1.0, 0.51), "three": (1.0, 0.5)}, ["black"] * 3)
        axes.figure.draw_without_rendering()
        boxes = [Text.get_window_extent(text) for text in axes.texts]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))

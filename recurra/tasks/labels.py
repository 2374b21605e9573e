"""Names written beside lines and points of a chart, so that none lies on another."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Mapping[str, tuple[float, float]]
SIZE = 9.0  # of the letters, in points
OFFSETS = [(8, 0), (-8, 0), (0, 12), (0, -12)]  # of a name from its point, in points, the best first
OFFSETS += [(x, sign * y) for y in (12, 25, 38) for sign in (1, -1) for x in (8, -8)]


def spread(places: Sequence[float], gap: float) -> list[float]:
    """The places nearest to ``places`` (least squares, in the same order) that lie at least ``gap`` apart.

    Places less than ``gap`` apart become a block around their mean; blocks that meet are joined (pool adjacent
    violators: Barlow, Bartholomew, Bremner and Brunk 1972).
    """
    order = np.argsort(places, kind="stable")
    blocks: list[tuple[float, int]] = []  # mean of what its places would be without the gaps, and how many
    for place in np.asarray(places, dtype=float)[order] - gap * np.arange(len(order)):
        blocks.append((place, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (before, many), (after, few) = blocks[-2:]
            blocks[-2:] = [((before * many + after * few) / (many + few), many + few)]
    settled = np.repeat([mean for mean, _ in blocks], [count for _, count in blocks]) + gap * np.arange(len(order))
    result = np.empty(len(order))
    result[order] = settled
    return result.tolist()


def label_ends(axes: "Axes", ends: Points, colours: Sequence[str]) -> None:
    """Names in a column right of the axes, each near the height of its line's end and joined to it."""
    _lay_out(axes)
    heights = [axes.transData.transform(end)[1] / axes.figure.dpi * 72 for end in ends.values()]
    for (name, end), colour, height, place in zip(
        ends.items(), colours, heights, spread(heights, 1.3 * SIZE), strict=True
    ):
        axes.annotate(
            name,
            (1.0, end[1]),
            xycoords=axes.get_yaxis_transform(),
            xytext=(18, place - height),
            textcoords="offset points",
            verticalalignment="center",
            fontsize=SIZE,
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkB": 4},
        )


def label_points(axes: "Axes", points: Points, colours: Sequence[str]) -> None:
    """Each name beside its point, at the first of some places where it covers no point, name or axis."""
    from matplotlib.transforms import Bbox

    _lay_out(axes)
    half = SIZE / 2 * axes.figure.dpi / 72
    taken = [
        Bbox.from_bounds(x - half, y - half, 2 * half, 2 * half)
        for x, y in axes.transData.transform([*points.values()])
    ]
    for number, ((name, point), colour) in enumerate(zip(points.items(), colours, strict=True)):
        others = taken[:number] + taken[number + 1 :]
        for places_left, (x, y) in reversed(list(enumerate(reversed(OFFSETS)))):
            text = axes.annotate(
                name,
                point,
                xytext=(x, y),
                textcoords="offset points",
                horizontalalignment={-1: "right", 0: "center", 1: "left"}[np.sign(x)],
                verticalalignment="center",
                fontsize=SIZE,
                color=colour,
            )
            box = text.get_window_extent()
            if places_left and (box.count_overlaps(others) or box.x0 < axes.bbox.x0):
                text.remove()
            else:
                taken.append(box)
                break


def _lay_out(axes: "Axes") -> None:
    """Settle where the axes lie in the figure, and with it where data lie in dots."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()

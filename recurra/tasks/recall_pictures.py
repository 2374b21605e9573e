"""Pictures of associative memories: recall over time, and recall against the number of patterns."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.analysis.hopfield import LoadPoint, spread
from recurra.files import replacing
from recurra.tasks.charts import COLOURS, GREY, chart
from recurra.tasks.recall import Outcome, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS, FRAMES = 6, 6
"""Cues and moments of a picture, at most."""


def draw_recall(
    path: Path, trace: Trace, outcomes: Sequence[Outcome], stored: np.ndarray, shape: tuple[int, ...], unit: str
) -> Path:
    """A row of frames for each cue, from the cue to what it came to, then the stored pattern; below, the energies.

    Args:
        trace: of no more than ``ROWS`` cues.
        stored: (P, N).
        shape: of a pattern; one of one axis is folded into lines.
        unit: of the trace's times.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    last = len(trace.times) - 1
    # most happens early
    moments = [0, *sorted({round(float(moment)) for moment in np.geomspace(1, last, FRAMES - 1)})] if last else [0]
    rows, columns = trace.states.shape[1], len(moments) + 1
    width = max(1.15 * columns + 1.2, 5.0)
    figure = Figure(figsize=(width, 1.2 * rows + 3.0), dpi=144, layout="constrained")
    subfigures: Any = figure.subfigures(2, 1, height_ratios=[1.2 * rows + 0.4, 2.6])
    above, below = subfigures
    grid = above.subplots(rows, columns, squeeze=False)
    bound = max(np.abs(trace.states).max(), np.abs(stored).max())
    for row in range(rows):
        frames = [trace.states[moment, row] for moment in moments] + [stored[outcomes[row].pattern]]
        for axes, frame in zip(grid[row], frames, strict=True):
            _draw_frame(axes, frame, shape, bound)
        grid[row][0].set_ylabel(_short(outcomes[row].cue), fontsize=8)
    for axes, moment in zip(grid[0][1:-1], moments[1:], strict=True):
        axes.set_title(f"{unit}: {trace.times[moment]:.3g}", fontsize=8)
    grid[0][0].set_title("cue", fontsize=8)
    grid[0][-1].set_title("most like", fontsize=8)
    axes = below.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    for row in range(rows):
        came_to = _short(outcomes[row].came_to.partition(": ")[0])
        label = f"{_short(outcomes[row].cue)} → {came_to}, m = {outcomes[row].overlap:.2f}"
        axes.plot(trace.times, trace.energies[:, row], color=COLOURS[row], marker="." if last < 60 else "", label=label)
    axes.set_xlabel(unit)
    axes.set_ylabel("energy")
    axes.legend(frameon=False, fontsize=8)
    with replacing(path) as part:
        FigureCanvasAgg(figure).print_png(part)
    return path


def _draw_frame(axes: "Axes", values: np.ndarray, shape: tuple[int, ...], bound: float) -> None:
    if len(shape) == 1:
        side = ceil(len(values) ** 0.5)
        folded = np.full(side * ceil(len(values) / side), np.nan)
        folded[: len(values)] = values
        image = folded.reshape(-1, side)
    else:
        image = values.reshape(shape[0], -1)
    axes.imshow(image, cmap="gray", vmin=-bound, vmax=bound)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(GREY)


def _short(name: str) -> str:
    return (name if len(name) <= 20 else f"…{name[-19:]}").replace("$", r"\$")


def draw_capacity(
    path: Path, curves: dict[str, list[LoadPoint]], *, title: str, capacity: tuple[float, str] | None = None
) -> Path:
    """The share of wrong units against patterns for each unit, a line and its standard error for each name.

    Args:
        capacity: a load to mark, and what it is called.
    """
    with chart(path) as axes:
        for (name, points), colour in zip(curves.items(), COLOURS, strict=False):
            means, errors = zip(*(spread(point.wrong) for point in points), strict=True)
            loads = [point.load for point in points]
            axes.errorbar(
                loads,
                [100 * value for value in means],
                [100 * value for value in errors],
                color=colour,
                label=name,
                marker=".",
                capsize=2,
            )
        if capacity is not None:
            axes.axvline(capacity[0], color=GREY, linestyle="--", label=capacity[1])
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("patterns for each unit, P/N")
        axes.set_ylabel("wrong units, %")
        axes.set_title(title, loc="left")
        axes.legend(frameon=False)
    return path

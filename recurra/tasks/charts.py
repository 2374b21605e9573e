"""Charts that every task draws alike."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.files import replacing
from recurra.tasks.labels import label_ends, label_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, GREY, ORANGE = "#3465a4", "#b8bcc2", "#ce5c00"
MOST_LABELS = 40
"""Of a picture of confusions."""

COLOURS = (BLUE, ORANGE, "#4e9a06", "#a4243b", "#75507b", "#2e8b8b", "#8f5902", "#555753", "#c17d11", "#d36086")


@contextmanager
def chart(path: Path, *, width: float = 7.0, height: float = 4.2) -> "Iterator[Axes]":
    """Axes whose drawing is written to ``path`` as PNG; sizes in inches, at 144 dots each."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=144, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    yield axes
    with replacing(path) as part:
        FigureCanvasAgg(figure).print_png(part)


def draw_learning_curve(path: Path, metrics: list[dict[str, Any]], *, unit: str) -> Path:
    """Training loss and validation score against updates, from the records of ``metrics.jsonl``.

    Args:
        unit: of the loss; a score in another one has an axis of its own, at the right.
    """
    validations = [record for record in metrics if "validation" in record]
    other = next((record["unit"] for record in validations if record["unit"] != unit), None)
    with chart(path) as axes:
        right = axes.twinx() if other else axes
        lines = []
        for name, colour, where in (("loss", GREY, axes), ("validation", BLUE, right)):
            points = [(record["update"], record[name]) for record in metrics if name in record]
            if points:
                label = "training (running mean)" if name == "loss" else name
                marker = "." if len(points) < 60 else ""
                lines += where.plot(*zip(*points, strict=True), color=colour, label=label, marker=marker)
        axes.set_xlabel("updates")
        axes.set_ylabel(unit)
        if other:
            right.set_ylabel(other, color=BLUE)
            right.spines["top"].set_visible(False)
        axes.set_title("Learning curve", loc="left")
        right.legend(handles=lines, frameon=False, loc="center right" if other else "best")
    return path


def draw_bars(path: Path, values: dict[str, float], *, title: str, unit: str, own: str | None = None) -> Path:
    """One bar a name; that of ``own``, or every one where it is not given, in the model's colour."""
    colours = [BLUE if own in (None, name) else GREY for name in values]
    with chart(path, height=1.4 + 0.45 * len(values)) as axes:
        bars = axes.barh(range(len(values)), list(values.values()), color=colours, height=0.65)
        axes.set_yticks(range(len(values)), list(values), parse_math=False)
        axes.bar_label(bars, fmt="%.4g", padding=4)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlabel(unit)
        axes.set_title(title, loc="left")
    return path


def confusions(given: Sequence[str], predicted: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The labels that occur, sorted, and how often each given one, a row, was called what, the columns.

    Of more than ``MOST_LABELS`` the rarest are left out.
    """
    names, numbers = np.unique([*given, *predicted], return_inverse=True)
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (numbers[: len(given)], numbers[len(given) :]), 1)
    kept = np.sort(np.argsort(-counts.sum(1), kind="stable")[:MOST_LABELS])
    return names[kept].tolist(), counts[np.ix_(kept, kept)]


def draw_confusion(path: Path, given: Sequence[str], predicted: Sequence[str], *, title: str) -> Path:
    """How often each given label, a row, was called what, the columns: shades are parts of a row."""
    labels, counts = confusions(given, predicted)
    size = min(14.0, 2.5 + 0.42 * len(labels))
    parts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with chart(path, width=size + 0.8, height=size) as axes:
        axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
        if len(labels) <= 30:
            for row, column in zip(*np.nonzero(counts), strict=True):
                colour = "white" if parts[row, column] > 0.5 else "black"
                text = f"{counts[row, column]:,}"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=6)
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=8, parse_math=False)
        axes.set_yticks(range(len(labels)), labels, fontsize=8, parse_math=False)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("given")
        axes.set_title(title, loc="left")
    return path


def better(higher: bool) -> str:
    """What a title says of the direction of a score."""
    return "higher is better" if higher else "lower is better"


def draw_score_by_time(path: Path, curves: dict[str, list[tuple[float, float]]], *, unit: str, higher: bool) -> Path:
    """Validation score against seconds of training, one line a name; a single point goes on as a level line."""
    end = max(seconds for points in curves.values() for seconds, _ in points)
    with chart(path, width=8.0, height=5.0) as axes:
        for points, colour in zip(curves.values(), _colours(curves), strict=True):
            level = len(points) == 1
            seconds, values = zip(*points, *([(end, points[0][1])] if level else []), strict=True)
            style = {"linestyle": "--", "linewidth": 1.2} if level else {"linewidth": 1.8}
            first = [0] if level else None
            axes.plot(seconds, values, color=colour, marker=".", markevery=first, clip_on=False, **style)
        ends = {name: points[-1] if len(points) > 1 else (end, points[0][1]) for name, points in curves.items()}
        axes.set_xlim(0, end)
        label_ends(axes, ends, _colours(curves))
        axes.set_xlabel("seconds of training")
        axes.set_ylabel(unit)
        axes.set_title(f"Validation score over time ({better(higher)})", loc="left")
    return path


def draw_score_by_size(path: Path, sizes: dict[str, tuple[int, float]], *, name: str, unit: str, higher: bool) -> Path:
    """Score against the number of parameters, one labelled point a name."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    with chart(path, width=8.0, height=5.0) as axes:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_minor_locator(NullLocator())
        for point, colour in zip(sizes.values(), _colours(sizes), strict=True):
            axes.plot(*point, "o", color=colour, markersize=7)
        axes.margins(0.15)
        axes.set_xlabel("parameters (an n-gram's: the n-grams stored)")
        axes.set_ylabel(f"{name} ({unit})")
        axes.set_title(f"{name[0].upper()}{name[1:]} on the test part ({better(higher)})", loc="left")
        label_points(axes, sizes, _colours(sizes))
    return path


def _colours(names: Collection[str]) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(len(names))]

"""Charts that every task draws alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, GREY, ORANGE = "#3465a4", "#b8bcc2", "#ce5c00"


@contextmanager
def chart(path: Path, *, width: float = 7.0, height: float = 4.2) -> "Iterator[Axes]":
    """Axes whose drawing is written to ``path`` as PNG; sizes in inches, at 144 dots each."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    yield axes
    with replacing(path) as part:
        FigureCanvasAgg(figure).print_png(part)


def draw_learning_curve(path: Path, metrics: list[dict[str, Any]], *, unit: str) -> Path:
    """Training loss and validation score against updates, from the records of ``metrics.jsonl``."""
    with chart(path) as axes:
        for name, colour in (("loss", GREY), ("validation", BLUE)):
            points = [(record["update"], record[name]) for record in metrics if name in record]
            if points:
                label = "training (running mean)" if name == "loss" else name
                axes.plot(*zip(*points, strict=True), color=colour, label=label, marker="." if len(points) < 60 else "")
        axes.set_xlabel("updates")
        axes.set_ylabel(unit)
        axes.set_title("Learning curve", loc="left")
        axes.legend(frameon=False)
    return path


def draw_bars(path: Path, values: dict[str, float], *, title: str, unit: str) -> Path:
    """One bar a name, the last of them the model itself."""
    with chart(path, height=1.4 + 0.45 * len(values)) as axes:
        bars = axes.barh(list(values), list(values.values()), color=[GREY] * (len(values) - 1) + [BLUE], height=0.65)
        axes.bar_label(bars, fmt="%.4g", padding=4)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlabel(unit)
        axes.set_title(title, loc="left")
    return path

"""The results as a picture: how fast each contender is beside torch.nn."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.bench.contenders import OURS
from recurra.files import replacing
from recurra.tasks.charts import BLUE, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = {
    "recurra.nn": ("o", "#7aa6da"),
    "torch.nn cell": ("x", "#555753"),
    "onnxruntime": ("o", ORANGE),
    "jax": ("D", "#4e9a06"),
}
_PANELS = {"inference, and one streaming step": ("inference", "streaming"), "training": ("training",)}


def draw_speeds(path: Path, document: dict[str, Any]) -> Path:
    """Bars of Recurra's speed over torch.nn's on a logarithmic axis, a mark for every other peer, one row an entry."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    entries = [entry for entry in document["entries"] if {"torch.nn", OURS} <= entry["contenders"].keys()]
    panels = {title: found for title, modes in _PANELS.items() if (found := [e for e in entries if e["mode"] in modes])}
    rows = max(map(len, panels.values()), default=1)
    figure = Figure(figsize=(6.2 * max(len(panels), 1), 1.7 + 0.34 * rows), dpi=120, layout="constrained")
    for number, (title, found) in enumerate(panels.items(), 1):
        _draw_panel(figure.add_subplot(1, len(panels), number), title, found)
    threads = f"{document['threads']} thread" + "s" * (document["threads"] > 1)
    figure.suptitle(
        f"Speed over torch.nn, float32, {threads}, {document['machine']['processor']} (right of 1 is faster)",
        fontsize=11,
    )
    if panels:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    with replacing(path) as part:
        FigureCanvasAgg(figure).print_png(part)
    return path


def _draw_panel(axes: "Axes", title: str, entries: list[dict[str, Any]]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    entries = sorted(entries, key=lambda entry: ("lstm", "gru", "elman").index(entry["cell"]))
    ratios = [_over_torch(entry) for entry in entries]
    ours = [ratio[OURS] for ratio in ratios]
    # a bar goes from 1 to its ratio: length is then the same for twice as fast and half as fast
    axes.barh(
        range(len(entries)),
        [ratio - 1 for ratio in ours],
        left=1,
        height=0.62,
        color=BLUE,
        label="Recurra",
    )
    for row, ratio in enumerate(ours):
        axes.text(1.01, row, f"{ratio:.2f}×", transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=BLUE)
    for name, (marker, colour) in MARKS.items():
        points = [(ratio[name], row) for row, ratio in enumerate(ratios) if name in ratio]
        if points:
            axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=5, label=name, zorder=3)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(entries)), [_label(entry) for entry in entries], fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    left, right = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if right / left < 200 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title.capitalize(), loc="left")


def _over_torch(entry: dict[str, Any]) -> dict[str, float]:
    seconds = {name: found["seconds"]["median"] for name, found in entry["contenders"].items()}
    return {name: seconds["torch.nn"] / value for name, value in seconds.items() if name != "torch.nn"}


def _label(entry: dict[str, Any]) -> str:
    name = {"lstm": "LSTM", "gru": "GRU", "elman": "Elman"}[entry["cell"]]
    return f"{name}  {entry['shape'].replace('B', ' B').replace('H', ' H')}"

"""The results as a picture: how fast each contender is beside torch.nn."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.bench.contenders import OURS
from recurra.bench.entry import Entry, Way
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
NAMES = {"lstm": "LSTM", "gru": "GRU", "elman": "Elman"}
_PANELS = {"inference, and one streaming step": ("inference", "streaming"), "training": ("training",)}


def draw_speeds(path: Path, document: dict[str, Any]) -> Path:
    """Bars of Recurra's speed over torch.nn's on a logarithmic axis, a mark for every other peer, one row an entry.

    Each precision has a row of panels. Beside a bar stand its length and the share of the roofline.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    entries = [
        entry
        for entry in document["entries"]
        if {"torch.nn", OURS} <= entry["contenders"].keys() and _is_plain(entry, document)
    ]
    precisions = list(dict.fromkeys(entry["precision"] for entry in entries))
    titles = [title for title, modes in _PANELS.items() if any(entry["mode"] in modes for entry in entries)]
    panels = {
        (precision, title): [e for e in entries if e["precision"] == precision and e["mode"] in _PANELS[title]]
        for precision in precisions
        for title in titles
    }
    rows = max(map(len, panels.values()), default=1)
    height, width = 0.9 + len(precisions) * (0.8 + 0.3 * rows), 6.4 * max(len(titles), 1)
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    for number, ((precision, title), found) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(len(precisions), len(titles), number)
        _draw_panel(axes, f"{precision}: {title}", found)
    legend = "right of 1 is faster; in figures: times as fast, and Recurra's share of the roofline"
    figure.suptitle(f"Speed over torch.nn, {heading(document)}\n{legend}", fontsize=11)
    # every contender once, whichever panels it is in
    handles = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles), frameon=False)
    with replacing(path) as part:
        FigureCanvasAgg(figure).print_png(part)
    return path


def _is_plain(entry: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether it is of one layer and direction, with the threads of the whole."""
    return Entry.from_json(entry).way == Way(entry["precision"], document["threads"])


def heading(document: dict[str, Any]) -> str:
    """With how many threads, and where."""
    return f"{document['threads']} thread{'s' * (document['threads'] > 1)}, {document['machine']['processor']}"


def _draw_panel(axes: "Axes", title: str, entries: list[dict[str, Any]]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    entries = sorted(entries, key=lambda entry: list(NAMES).index(entry["cell"]))
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
    for row, (ratio, entry) in enumerate(zip(ours, entries, strict=True)):
        share = entry["contenders"][OURS]["roofline_share"]
        label = f"{ratio:.2f}×  {share:.0%}"
        axes.text(1.01, row, label, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=BLUE)
    for name, (marker, colour) in MARKS.items():
        points = [(ratio[name], row) for row, ratio in enumerate(ratios) if name in ratio]
        if points:
            axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=5, label=name, zorder=3)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(entries)), [_label(entry) for entry in entries], fontsize=9)
    axes.set_ylim(len(entries) - 0.4, -0.6)
    axes.margins(x=0.12)
    left, right = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if right / left < 200 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left")


def _over_torch(entry: dict[str, Any]) -> dict[str, float]:
    seconds = {name: found["seconds"]["median"] for name, found in entry["contenders"].items()}
    return {name: seconds["torch.nn"] / value for name, value in seconds.items() if name != "torch.nn"}


def _label(entry: dict[str, Any]) -> str:
    return f"{NAMES[entry['cell']]}  {entry['shape'].replace('B', ' B').replace('H', ' H')}"

"""The results as heat maps: Recurra beside the fastest peer, and its share of the roofline."""

from collections.abc import Callable
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from recurra.bench.chart import NAMES, heading
from recurra.bench.contenders import OURS
from recurra.bench.entry import Entry
from recurra.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

Place = tuple[int, int, int]
"""Of an entry: its row, the group of columns, and the column in it; each is drawn in the order of the numbers."""

Rows = dict[int, float]
"""Where each row is drawn, from above."""

Columns = dict[tuple[int, int], float]
"""Where each column of a group is drawn, from the left."""

_MOST = 4.0
"""Times as fast, or as slow, from which on the colour stays the same."""


class _Layout(NamedTuple):
    """Where entries stand; what is written beside rows, above groups and below columns; inches of a column."""

    place: Callable[[Entry], Place]
    row: Callable[[int], str]
    group: Callable[[int], str]
    column: Callable[[int], str]
    across: str
    column_width: float


class _Map(NamedTuple):
    """Numbers of one cell in one kind of mode."""

    title: str
    over_peer: dict[Place, float]
    roofline_share: dict[Place, float]


def draw_grid(path: Path, document: dict[str, Any]) -> list[Path]:
    """A picture for every precision: widths by batch sizes within steps, for each cell and mode.

    Where there are several precisions, the name of each is put after the stem of ``path``.
    """
    layout = _Layout(
        place=lambda entry: (-entry.shape.H, entry.shape.T, entry.shape.B),
        row=lambda below: f"H{-below}",
        group=lambda steps: f"T{steps}",
        column=str,
        across="batch size B, in blocks of T steps",
        column_width=0.33,
    )
    precisions = list(dict.fromkeys(entry["precision"] for entry in document["entries"])) or ["float32"]
    paths = {name: path.with_stem(f"{path.stem}_{name}") if len(precisions) > 1 else path for name in precisions}
    for precision, own in paths.items():
        entries = [entry for entry in document["entries"] if entry["precision"] == precision]
        _draw(own, f"Recurra in {precision}, {heading(document)}", _maps(entries, layout), layout)
    return list(paths.values())


def draw_ways(path: Path, document: dict[str, Any]) -> Path:
    """Ways (precision, threads, layers, directions) by shapes, for each cell and mode."""
    entries = [Entry.from_json(entry) for entry in document["entries"]]
    ways, shapes = (list(dict.fromkeys(found)) for found in ([e.way for e in entries], [e.shape for e in entries]))
    layout = _Layout(
        place=lambda entry: (ways.index(entry.way), 0, shapes.index(entry.shape)),
        row=lambda number: str(ways[number]),
        group=lambda _: "",
        column=lambda number: "T{} B{}\nH{}".format(*shapes[number]),
        across="",
        column_width=0.8,
    )
    _draw(path, f"Recurra, {document['machine']['processor']}", _maps(document["entries"], layout), layout)
    return path


def _maps(entries: list[dict[str, Any]], layout: _Layout) -> list[_Map]:
    """For each cell one of its inference, single steps with it, and one of its training."""
    maps = {
        (cell, kind): _Map(f"{name}, {kind}", {}, {})
        for cell, name in NAMES.items()
        for kind in ("inference", "training")
    }
    for found in entries:
        entry, peer = Entry.from_json(found), found["fastest_peer"]
        if entry.cell not in NAMES or entry.mode == "streaming-paused" or OURS not in found["contenders"]:
            continue
        known, place = maps[entry.cell, "training" if entry.training else "inference"], layout.place(entry)
        known.over_peer[place] = nan if peer is None else found["speedups"][peer]["median"]
        known.roofline_share[place] = found["contenders"][OURS]["roofline_share"]
    return [known for known in maps.values() if known.over_peer]


def _draw(path: Path, title: str, maps: list[_Map], layout: _Layout) -> None:
    """A row of two panels for each map, and below them what the colours mean."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.figure import Figure

    ratios = ScalarMappable(LogNorm(1 / _MOST, _MOST), colormaps["RdBu"])
    shares = ScalarMappable(Normalize(0, 1), colormaps["YlGn"])
    # all maps have the same rows and columns, so that places can be found again from one to the next
    places = sorted({place for known in maps for place in known.over_peer}) or [(0, 0, 0)]
    rows, columns = _rows(places), _columns(places)
    heights = [0.24 * len(rows) + 1.0] * len(maps) + [0.6]
    width = max(9.0, 2 * (layout.column_width * len(columns) + 0.9))
    figure = Figure(figsize=(width, sum(heights) + 0.5), dpi=110, layout="constrained")
    *parts, below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for known, part in zip(maps, parts, strict=True):
        left, right = part.subplots(1, 2)
        _label(left, f"{known.title}: times as fast as the fastest peer", rows, columns, layout)
        _fill(left, known.over_peer, rows, columns, ratios, _times)
        _label(right, "share of the roofline", rows, columns, layout)
        _fill(right, known.roofline_share, rows, columns, shares, "{:.0%}".format)
    _explain(below, ratios, shares)
    figure.suptitle(title, fontsize=12)
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)


def _fill(
    axes: "Axes", values: dict[Place, float], rows: Rows, columns: Columns, colours: Any, write: Callable[[float], str]
) -> None:
    """A square for every place that has a number, with the number in it."""
    from matplotlib.patches import Rectangle

    for (row, group, column), value in values.items():
        x, y = columns[group, column], rows[row]
        colour = "#d0d0d0" if isnan(value) else colours.to_rgba(value)
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.6))
        if not isnan(value):
            ink = "white" if sum(colour[:3]) < 1.4 else "black"
            axes.text(x + 0.5, y + 0.52, write(value), ha="center", va="center", fontsize=6.5, color=ink)


def _label(axes: "Axes", title: str, rows: Rows, columns: Columns, layout: _Layout) -> None:
    for group in sorted({group for group, _ in columns}):
        inside = [x for (of, _), x in columns.items() if of == group]
        axes.text(sum(inside) / len(inside) + 0.5, -0.15, layout.group(group), ha="center", va="bottom", fontsize=8)
    axes.set_xlim(0, max(columns.values()) + 1)
    axes.set_ylim(max(rows.values()) + 1, 0)
    axes.set_xticks([x + 0.5 for x in columns.values()], [layout.column(of) for _, of in columns], fontsize=7)
    axes.set_yticks([y + 0.5 for y in rows.values()], [layout.row(row) for row in rows], fontsize=8)
    axes.set_xlabel(layout.across, fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", fontsize=10, pad=21 if layout.across else 6)


def _explain(part: "SubFigure", ratios: Any, shares: Any) -> None:
    left, right = part.subplots(1, 2)
    bar = part.colorbar(ratios, cax=left, orientation="horizontal", extend="both")
    bar.set_ticks([1 / 4, 1 / 2, 1, 2, 4], labels=["¼×", "½×", "as fast", "2×", "4×"])
    bar.ax.minorticks_off()
    bar.set_label("times as fast as the fastest peer", fontsize=8)
    bar = part.colorbar(shares, cax=right, orientation="horizontal")
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0%", "25%", "50%", "75%", "100%"])
    bar.set_label("share of the roofline", fontsize=8)


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 9.995 else f"{ratio:.0f}"


def _rows(places: list[Place]) -> Rows:
    return {row: number for number, row in enumerate(sorted({row for row, _, _ in places}))}


def _columns(places: list[Place]) -> Columns:
    """A little room is between groups."""
    found = sorted({(group, column) for _, group, column in places})
    groups = sorted({group for group, _ in found})
    return {key: number + 0.3 * groups.index(key[0]) for number, key in enumerate(found)}

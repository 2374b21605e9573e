"""Pictures: that they can be drawn from any results, and that the numbers stand where they belong."""

import pytest
from matplotlib.figure import Figure

from recurra.bench.chart import draw_speeds
from recurra.bench.heat import draw_grid, draw_ways
from tests.bench.test_results import entry_of

SOME = [entry_of(), entry_of("gru", mode="training"), entry_of("jordan", peers={}), entry_of("elman", peers={})]
BOTH = [*SOME, entry_of(precision="bfloat16"), entry_of(precision="bfloat16", layers=2), entry_of(threads=2)]


def document(entries):
    return {"entries": entries, "threads": 1, "machine": {"processor": "abacus"}}


@pytest.fixture
def drawn(monkeypatch):
    """Every text of the pictures drawn, panel by panel."""
    panels = []

    class Spy(Figure):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            panels.append(self)

    monkeypatch.setattr("matplotlib.figure.Figure", Spy)
    return panels


@pytest.mark.parametrize("draw", [draw_speeds, draw_grid, draw_ways])
@pytest.mark.parametrize("entries", [[], SOME, BOTH])
def test_a_picture_of_any_results(tmp_path, draw, entries):
    found = draw(tmp_path / "speeds.png", document(entries))
    paths = found if isinstance(found, list) else [found]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths) and set(tmp_path.iterdir()) == set(paths)


def test_bars_of_each_precision_and_of_nothing_but_the_plain_way(tmp_path, drawn):
    draw_speeds(tmp_path / "speeds.png", document(BOTH))
    texts = [[text.get_text() for text in axes.texts] for axes in drawn[0].axes]
    assert texts == [["2.00×  50%"], ["2.00×  50%"], ["2.00×  50%"], []]


def test_a_heat_map_has_widths_from_above_and_batch_sizes_within_steps(tmp_path, drawn):
    entries = [
        entry_of(shape=shape, ours=1 / over_torch, peers={"torch.nn": 1.0})
        for shape, over_torch in (("T9B2H4", 1.0), ("T3B20H4", 2.0), ("T3B2H8", 3.0), ("T3B2H4", 25.0))
    ]
    draw_grid(tmp_path / "grid.png", document(entries))
    left, right = drawn[0].axes[:2]
    assert [label.get_text() for label in left.get_yticklabels()] == ["H8", "H4"]
    assert [label.get_text() for label in left.get_xticklabels()] == ["2", "20", "2"]
    written = {text.get_text(): text.get_position() for text in left.texts}
    assert written["3.00"][0] == written["25"][0] < written["2.00"][0] < written["1.00"][0]
    assert written["3.00"][1] < written["25"][1] == written["2.00"][1]
    assert written["T3"][0] < written["T9"][0]
    assert {text.get_text() for text in right.texts} == {"50%", "100%", "150%", "1250%", "T3", "T9"}


def test_no_two_texts_overlap(tmp_path, drawn):
    shapes = [f"T{T}B{B}H{H}" for T in (1, 35, 4000) for B in (1, 64, 128) for H in (64, 128, 1024)]
    entries = [
        entry_of(cell, shape, mode, ours=1.5, precision=precision)
        for cell in ("lstm", "gru", "elman")
        for shape in shapes
        for mode in (("streaming",) if shape.startswith("T1B") else ("inference", "training"))
        for precision in ("float32", "bfloat16")
    ]
    six = [f"T{T}B64H512" for T in (100, 200, 300, 400, 512, 1000)]
    ways = [entry_of("lstm", shape, layers=layers) for shape in six for layers in (1, 2, 3)]
    draw_grid(tmp_path / "grid.png", document(entries))
    draw_ways(tmp_path / "ways.png", document(ways))
    draw_speeds(tmp_path / "speeds.png", document(entries))
    for figure in drawn:
        for axes in figure.findobj(lambda artist: hasattr(artist, "get_xticklabels")):
            texts = [*axes.texts, axes.title, axes._left_title, axes.xaxis.label, *axes.get_yticklabels()]
            texts += axes.get_xticklabels() if axes.get_xscale() == "linear" else []
            boxes = [text.get_window_extent() for text in texts if text.get_text()]
            overlaps = sum(box.count_overlaps(boxes) - 1 for box in boxes)
            assert overlaps == 0, axes.get_title("left")

"""Shares of a fused LSTM's speed, by hand; and of cells of one's own."""

import pytest

from recurra.bench import cell_speed
from recurra.bench.cell_speed import measure_cells
from recurra.bench.shapes import Shape
from recurra.cells import CELLS, Jordan
from recurra.commands.cells import load_cell
from recurra.errors import BadInput
from tests.commands.test_cells import OWN


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def test_shares_by_hand(monkeypatch):
    seconds = {"recurra": [1.0, 1.0], " torch.nn": [2.0, 4.0], " recurra": [1.0, 3.0], "jordan recurra": [4.0, 4.0]}
    monkeypatch.setattr(cell_speed, "alternate", lambda calls, pairs: {label: seconds[label] for label in calls})
    found = measure_cells({"jordan": Jordan}, Shape(3, 2, 4), "training", 2)
    row = found["cells"]["jordan"]
    assert row["flops"] == 3 * 2 * 6 * 3 * 16
    work = 3 / 8  # Jordan's three matrices, the LSTM's eight
    assert row["share_of_torch_lstm"]["median"] == pytest.approx(work * (2 / 4 + 4 / 4) / 2)
    assert row["share_of_recurra_lstm"]["median"] == pytest.approx(work * (1 / 4 + 3 / 4) / 2)


def test_every_cell_of_the_library_is_measured():
    found = measure_cells(CELLS, Shape(2, 2, 4), "training", 2)
    assert found["cells"].keys() == CELLS.keys()
    assert all(row["share_of_torch_lstm"]["median"] > 0 for row in found["cells"].values())


@pytest.mark.parametrize("mode", ["inference", "training", "streaming"])
def test_a_cell_of_ones_own(own, mode):
    shape = Shape(1 if mode == "streaming" else 3, 2, 4)
    found = measure_cells({"Own": load_cell(f"{own}:Own")}, shape, mode, 2, beside=("eager loop",))
    row = found["cells"]["Own"]
    assert {"recurra", "eager loop", "share_of_recurra_lstm", "share_of_torch_lstm"} < row.keys()
    assert row["flops"] == (3 if mode == "training" else 1) * 2 * shape.T * 2 * 4 * 8


def test_a_step_that_does_not_fit(own):
    with pytest.raises(BadInput, match="cell 'Narrowing'"):
        measure_cells({"Narrowing": load_cell(f"{own}:Narrowing")}, Shape(3, 2, 4), "inference", 2)

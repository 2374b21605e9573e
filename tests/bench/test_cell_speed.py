"""Shares of a fused LSTM's speed, by hand; and cells from a user's own file."""

import pytest

from recurra.bench import cell_speed
from recurra.bench.cell_speed import load_cell, measure_cells
from recurra.bench.shapes import Shape
from recurra.cells import CELLS, Jordan
from recurra.errors import BadInput

OWN = """
from dataclasses import dataclass
import torch
from torch import nn


@dataclass
class Setting:
    size: "int"


class Own(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.size = Setting(hidden_size).size
        self.W = nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.size)

    def forward(self, x, h):
        return torch.tanh(self.W(torch.cat([x, h], 1)))


class Short(Own):
    def __init__(self, size):
        super().__init__(size, size)


class Narrowing(Own):
    def forward(self, x, h):
        return super().forward(x, h)[:, 1:]
"""


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


def test_a_cell_of_the_library():
    assert load_cell("jordan") is Jordan


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("jordn", "did you mean 'jordan'?"),
        ("none.py:Own", "none.py: no such file"),
        ("own.txt:Own", "not a Python file"),
        ("broken.py:Own", "broken.py: cannot be imported: SyntaxError"),
        ("raising.py:Own", "raising.py: cannot be imported: ZeroDivisionError"),
        ("own.py:Ow", "did you mean 'Own'?"),
        ("own.py:Setting", "must be a subclass of torch.nn.Module"),
        ("own.py:torch", "must be a subclass of torch.nn.Module"),
        ("own.py:Short", "Short(input_size, hidden_size) must build the cell: too many positional arguments"),
    ],
)
def test_what_cannot_be_loaded(own, monkeypatch, where, said):
    monkeypatch.chdir(own.parent)
    (own.parent / "own.txt").write_text("text")
    (own.parent / "broken.py").write_text("def")
    (own.parent / "raising.py").write_text("1 / 0")
    with pytest.raises(BadInput) as error:
        load_cell(where)
    assert said in str(error.value)


def test_a_step_that_does_not_fit(own):
    with pytest.raises(BadInput, match="cell 'Narrowing'"):
        measure_cells({"Narrowing": load_cell(f"{own}:Narrowing")}, Shape(3, 2, 4), "inference", 2)

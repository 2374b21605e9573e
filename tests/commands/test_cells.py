"""Cells from the library and from a user's own file."""

import pytest

from recurra.cells import Jordan
from recurra.commands.cells import explain_cell, load_cell
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


class Branching(Own):
    def forward(self, x, h):
        return super().forward(x, h) if h.sum() < 1 else h
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


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


def test_what_cannot_take_a_step(own):
    with pytest.raises(BadInput, match="cell 'Narrowing' of 4 inputs and 5 units: "):
        explain_cell("Narrowing", load_cell(f"{own}:Narrowing"), 4, 5)

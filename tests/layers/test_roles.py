"""The roles of weights, spelt out for every cell and for whole models."""

import pytest
import torch
from torch import nn

from recurra.cells import CELLS, LSTM, Elman
from recurra.layers import CRF, LearntState, Recurrent, Stack, Zoneout
from recurra.layers.roles import cells, recurrent_layers, weights_by_role
from recurra.models.language_model import LanguageModel

BY_ROLE = {
    "elman": ("h.W_x", "h.W_h", "h.b"),
    "jordan": ("h.W_x", "W_yh h.W_h", "b_y h.b"),
    "layer-norm-lstm": ("W_x", "W_h", "b norm_s.bias"),
    "lstmp": ("f.W_x g.W_x i.W_x o.W_x", "W_hm f.W_h g.W_h i.W_h o.W_h", "f.b g.b i.b o.b"),
    "peephole-lstm": (
        "f.W_x g.W_x i.W_x o.W_x",
        "f.W_h f.p g.W_h i.W_h i.p o.W_h o.p",
        "f.b g.b i.b o.b",
    ),
    "indrnn": ("h.weight", "u", "h.bias"),
    "min-gru": ("g.weight z.weight", "", "g.bias z.bias"),
    "recurrent-highway": (
        "g.W_x t.W_x",
        "g.W_h inner_g.0.W_h inner_g.1.W_h inner_t.0.W_h inner_t.1.W_h t.W_h",
        "g.b inner_g.0.b inner_g.1.b inner_t.0.b inner_t.1.b t.b",
    ),
    "sru": ("f.weight g.weight h.weight r.weight", "v_f v_r", "f.bias r.bias"),
    "lru": ("B_im B_re D", "", ""),
}


def named(model: nn.Module, role: str) -> str:
    return " ".join(sorted(weight.name for weight in weights_by_role(model) if weight.role == role))


@pytest.mark.parametrize("name", BY_ROLE)
def test_cells(name: str) -> None:
    cell = CELLS[name](3, 4)
    assert tuple(named(cell, role) for role in ("input", "recurrent", "bias")) == BY_ROLE[name]
    wrapped = Recurrent(Zoneout(cell, 0.1))
    assert cells(wrapped) == [cell]
    assert tuple(len(named(wrapped, role).split()) for role in ("input", "recurrent", "bias")) == tuple(
        len(names.split()) for names in BY_ROLE[name]
    )


@pytest.mark.parametrize("module", [nn.LSTM(3, 4), nn.GRUCell(3, 4), Recurrent(nn.LSTMCell(3, 4))])
def test_modules_of_torch(module: nn.Module) -> None:
    found = {weight.name.rpartition(".")[2].removesuffix("_l0"): weight for weight in weights_by_role(module)}
    roles = {name: weight.role for name, weight in found.items()}
    assert roles == {"weight_ih": "input", "weight_hh": "recurrent", "bias_ih": "bias", "bias_hh": "bias"}
    gates = found["weight_hh"].blocks()
    assert torch.equal(torch.cat(gates), found["weight_hh"].parameter) and {block.shape for block in gates} == {(4, 4)}


def test_a_model() -> None:
    layers = [Recurrent(cell, initial_state=LearntState(cell)) for cell in (LSTM(4, 4), Elman(4, 4))]
    model = LanguageModel(7, 4, Stack(*layers), 4, tied=True)
    assert named(model, "embedding") == "embedding.weight"  # and the softmax's matrix, which is the same
    assert named(model, "output") == "" and "output.bias" in named(model, "bias")
    assert recurrent_layers(model) == layers and "start" not in " ".join(w.name for w in weights_by_role(model))
    untied = LanguageModel(7, 4, Stack(*layers), 4)
    assert named(untied, "output") == "output.weight"


def test_the_sums_of_a_crf_are_no_recurrent_layer() -> None:
    model = nn.ModuleList([Recurrent(LSTM(2, 3)), CRF(3)])
    assert recurrent_layers(model) == [model[0]]
    assert named(model[1], "recurrent") == "" == named(model[1], "input")

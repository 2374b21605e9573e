"""How the weights of a task's network begin."""

import pytest
import torch

from recurra.errors import BadInput
from recurra.layers.roles import weights_by_role
from recurra.tasks.language_model.config import Config
from recurra.tasks.layers import make_layers
from recurra.tasks.program_execution.config import Config as ProgramConfig
from recurra.tasks.program_execution.task import build

SMALL = {"hidden_size": 6, "layers": 2}


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_every_layer_and_direction(direction):
    config = Config(**SMALL, start="orthogonal", start_scale=2.0, chrono=30)
    layers, _ = make_layers(config, 5, direction, torch.nn.Identity())
    found = [weight for weight in weights_by_role(layers) if weight.role == "recurrent"]
    assert len(found) == 4 * 2 * (1 + (direction == "both"))
    for weight in found:
        torch.testing.assert_close(weight.parameter @ weight.parameter.T, 4 * torch.eye(6))
    kept = [p for name, p in layers.named_parameters() if name.endswith("f.b")]
    assert all((bias.exp() >= 1).all() and (bias.exp() <= 29).all() and bias.unique().numel() > 1 for bias in kept)


def test_a_range_for_all_weights_leaves_what_begins_otherwise():
    options = dict(start="identity", forget_bias=2.5, initial_range=0.01)
    model = build(ProgramConfig(**SMALL, **options, cell="lstm"))
    named = dict(model.named_parameters())
    W_h = [p for name, p in named.items() if name.endswith("W_h")]
    b_f = [p for name, p in named.items() if name.endswith("f.b")]
    assert len(W_h) == 8 and all(torch.equal(p, torch.eye(6)) for p in W_h)
    assert len(b_f) == 2 and all(p.eq(2.5).all() for p in b_f)
    assert all(p.abs().max() <= 0.01 for name, p in named.items() if not name.endswith(("W_h", "f.b")))
    normed = dict(build(ProgramConfig(**SMALL, **options, cell="layer-norm-lstm")).named_parameters())
    gains = [p for name, p in normed.items() if "norm" in name and name.endswith("weight")]
    assert len(gains) == 6 and all(p.eq(1).all() for p in gains)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cell": "min-gru", "start": "orthogonal"}, "--start orthogonal: MinGRU: has no square matrix"),
        ({"cell": "elman", "forget_bias": 1.0}, "--forget-bias 1: Elman: has no gate that keeps"),
        ({"cell": "irnn", "chrono": 20}, "--chrono 20: IRNN: has no gate that keeps"),
        ({"chrono": 20, "forget_bias": 1.0}, "--chrono 20 sets the biases of gates too; leave out --forget-bias"),
        ({"start_scale": 0.9}, "--start-scale 0.9: the cell's own start has no scale"),
    ],
)
def test_what_a_cell_cannot_begin_with(options, said):
    with pytest.raises(BadInput) as caught:
        make_layers(Config(**SMALL, **options), 5, "forward", torch.nn.Identity())
    assert said in str(caught.value)

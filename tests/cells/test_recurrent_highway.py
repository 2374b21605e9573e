import numpy as np
import pytest
import torch
from torch import nn

from recurra.cells import ElmanState, RecurrentHighway
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import arrays, outputs_and_state, randomised, sigma


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_equals_a_numpy_loop(depth):
    rng, cell = np.random.default_rng(0), randomised(RecurrentHighway(3, 5, depth=depth))
    w, x, s = arrays(cell), rng.normal(size=(2, 7, 3)), rng.normal(size=(2, 5))
    outputs, (last,) = outputs_and_state(cell, x, [s])
    for t in range(7):
        for layer in range(depth):
            H, T = (f"inner_{k}.{layer - 1}" if layer else k for k in "gt")
            seen = {k: x[:, t] @ w[f"{k}.W_x"].T if layer == 0 else 0.0 for k in "gt"}
            new = np.tanh(seen["g"] + s @ w[f"{H}.W_h"].T + w[f"{H}.b"])
            transform = sigma(seen["t"] + s @ w[f"{T}.W_h"].T + w[f"{T}.b"])
            s = new * transform + s * (1 - transform)
        np.testing.assert_allclose(outputs[:, t], s, atol=1e-12)
    np.testing.assert_allclose(last, s, atol=1e-12)


def test_gates_wide_open_at_depth_one_leave_torchs_rnn():
    torch.manual_seed(0)
    cell = RecurrentHighway(3, 5, depth=1, transform_bias=1000.0).to(torch.float64)
    peer = nn.RNN(3, 5, batch_first=True, dtype=torch.float64)
    weights = {"weight_ih_l0": cell.g.W_x, "weight_hh_l0": cell.g.W_h, "bias_ih_l0": cell.g.b}
    peer.load_state_dict(weights | {"bias_hh_l0": torch.zeros(5)})
    x = torch.randn(2, 20, 3, dtype=torch.float64)
    torch.testing.assert_close(Recurrent(cell)(x)[0], peer(x)[0], rtol=0, atol=1e-12)


def test_shut_gates_carry_the_state_exactly_through_every_layer():
    start = ElmanState(torch.randn(2, 5))
    _, last = Recurrent(RecurrentHighway(3, 5, depth=4, transform_bias=-1000.0))(torch.randn(2, 100, 3), start)
    assert torch.equal(last.h, start.h)


def test_every_layer_starts_carrying_and_there_is_at_least_one():
    cell = RecurrentHighway(2, 3, depth=4)
    assert all((t.b == -2.0).all() for t in (cell.t, *cell.inner_t)) and len(cell.inner_t) == 3
    assert not any(g.b.any() for g in (cell.g, *cell.inner_g))
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        RecurrentHighway(2, 3, depth=0)

import math

import numpy as np
import pytest
import torch

from recurra.cells import SRU, SRUState
from recurra.layers import Recurrent, Stack
from tests.cells.helpers import arrays, fill, outputs_and_state, randomised, scalar, sigma


@pytest.mark.parametrize("hidden_size", [5, 3], ids=["W x on the highway", "x on the highway"])
def test_equals_a_numpy_loop(hidden_size):
    rng, cell = np.random.default_rng(0), randomised(SRU(3, hidden_size, highway_bias=-0.5))
    w, x, c = arrays(cell), rng.normal(size=(2, 7, 3)), rng.normal(size=(2, hidden_size))
    outputs, (last,) = outputs_and_state(cell, x, [c])
    assert ("h.weight" in w) == (hidden_size == 5)
    for t in range(7):
        f, r = (sigma(x[:, t] @ w[f"{k}.weight"].T + w[f"v_{k}"] * c + w[f"{k}.bias"]) for k in "fr")
        c = f * c + (1 - f) * (x[:, t] @ w["g.weight"].T)
        passed = x[:, t] @ w["h.weight"].T if hidden_size == 5 else x[:, t]
        h = r * c + (1 - r) * passed * np.sqrt(1 + 2 * np.exp(-0.5))
        np.testing.assert_allclose(outputs[:, t], h, atol=1e-12)
    np.testing.assert_allclose(last, c, atol=1e-12)


def test_one_step_is_the_hand_computed_number():
    cell = fill(SRU(1, 1), f_weight=math.log(3), v_r=-math.log(3) / 5, g_weight=6.0)  # f 0.75, r 0.25
    x, c = scalar(1.0, 5.0)
    h, state = cell(x, SRUState(c))
    assert state.c.item() == pytest.approx(0.75 * 5 + 0.25 * 6, abs=1e-14)
    assert h.item() == pytest.approx(0.25 * 5.25 + 0.75 * math.sqrt(3), abs=1e-14)


def test_noise_keeps_its_variance_through_new_layers():
    """Section 3.2 of the paper: without the correction α the variance falls to about a third in the first layer."""
    torch.manual_seed(0)
    stack = Stack(*(Recurrent(SRU(200, 200)) for _ in range(4)))
    outputs, _ = stack(torch.randn(4, 50, 200))
    assert outputs[:, 20:].var().item() == pytest.approx(1, abs=0.35)


def test_highway_bias_is_where_the_gates_start():
    assert (SRU(2, 3, highway_bias=-3.0).r.bias == -3).all() and not SRU(2, 3, highway_bias=-3.0).f.bias.any()

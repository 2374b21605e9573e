import math

import numpy as np
import pytest
import torch

from recurra.cells import LSTMState, OriginalLSTM
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import arrays, fill, outputs_and_state, randomised, scalar, sigma


@pytest.mark.parametrize(("g_name", "phi_g"), [("tanh", np.tanh), ("sigmoid", sigma)])
@pytest.mark.parametrize(("s_name", "phi_s"), [("tanh", np.tanh), ("identity", lambda s: s)])
def test_equals_a_numpy_loop(g_name, phi_g, s_name, phi_s):
    rng, cell = np.random.default_rng(0), OriginalLSTM(3, 5, input_activation=g_name, output_activation=s_name)
    w, x = arrays(randomised(cell)), rng.normal(size=(2, 7, 3))
    h, s = rng.normal(size=(2, 2, 5))
    outputs, last = outputs_and_state(cell, x, [h, s])
    for t in range(7):
        g, i, o = (x[:, t] @ w[f"{k}.W_x"].T + h @ w[f"{k}.W_h"].T + w[f"{k}.b"] for k in "gio")
        s = phi_g(g) * sigma(i) + s
        h = phi_s(s) * sigma(o)
        np.testing.assert_allclose(outputs[:, t], h, atol=1e-12)
    np.testing.assert_allclose(last, [h, s], atol=1e-12)


def test_one_step_is_the_hand_computed_number():
    x, h, s = scalar(1.0, 0.0, 1.0)
    drives = {"g_b": math.log(3), "i_W_x": -math.log(3), "o_b": 0.0}  # φ_g: tanh 0.8, sigmoid 0.75; i 0.25; o 0.5
    for phi_g, want in {"tanh": 1.2, "sigmoid": 1.1875}.items():
        cell = fill(OriginalLSTM(1, 1, input_activation=phi_g, output_activation="identity"), **drives)
        y, state = cell(x, LSTMState(h, s))
        assert state.s.item() == pytest.approx(want, abs=1e-15) and y.item() == pytest.approx(want / 2, abs=1e-15)
    y, _ = fill(OriginalLSTM(1, 1), **drives)(x, LSTMState(h, s))
    assert y.item() == pytest.approx(math.tanh(1.2) / 2, abs=1e-15)


def test_the_carousel_keeps_its_value_exactly_while_the_input_gate_is_shut():
    cell = OriginalLSTM(2, 3)
    torch.nn.init.constant_(cell.i.b, -1000.0)
    start = LSTMState(torch.zeros(2, 3), torch.randn(2, 3))
    _, state = Recurrent(cell)(torch.randn(2, 1000, 2), start)
    assert torch.equal(state.s, start.s)


def test_the_carousel_weighs_exactly_one():
    """With the paths through the gates cut, as the paper cuts them, an error comes back unchanged over 1000 steps."""
    cell, s = OriginalLSTM(2, 3), torch.randn(2, 3, requires_grad=True)
    state = LSTMState(torch.zeros(2, 3), s)
    for x in torch.randn(1000, 2, 2):
        _, state = cell(x, LSTMState(state.h.detach(), state.s))
    (gradient,) = torch.autograd.grad(state.s.sum(), s)
    assert torch.equal(gradient, torch.ones(2, 3))

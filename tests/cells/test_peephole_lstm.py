import math

import numpy as np
import pytest
import torch
from torch import nn

from recurra.cells import LSTMState, PeepholeLSTM, from_torch
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import arrays, fill, outputs_and_state, randomised, scalar, sigma

LN3 = math.log(3)


def test_equals_a_numpy_loop():
    rng, cell = np.random.default_rng(0), randomised(PeepholeLSTM(3, 5))
    w, x = arrays(cell), rng.normal(size=(2, 7, 3))
    h, s = rng.normal(size=(2, 2, 5))
    outputs, last = outputs_and_state(cell, x, [h, s])
    for t in range(7):
        g, i, f, o = (x[:, t] @ w[f"{k}.W_x"].T + h @ w[f"{k}.W_h"].T + w[f"{k}.b"] for k in "gifo")
        s = np.tanh(g) * sigma(i + w["i.p"] * s) + s * sigma(f + w["f.p"] * s)
        h = np.tanh(s) * sigma(o + w["o.p"] * s)
        np.testing.assert_allclose(outputs[:, t], h, atol=1e-12)
    np.testing.assert_allclose(last, [h, s], atol=1e-12)


def test_one_step_is_the_hand_computed_number():
    cell = fill(PeepholeLSTM(1, 1), g_b=LN3, i_p=LN3, f_p=-LN3, o_p=LN3 / 0.85)  # g 0.8, i 0.75, f 0.25
    x, h, s = scalar(0.0, 0.0, 1.0)
    y, state = cell(x, LSTMState(h, s))
    assert state.s.item() == pytest.approx(0.85, abs=1e-15)  # so that o, which sees it, is 0.75
    assert y.item() == pytest.approx(0.75 * math.tanh(0.85), abs=1e-15)


def test_without_peepholes_it_is_the_lstm_of_torch():
    torch.manual_seed(0)
    peer = nn.LSTM(3, 5, batch_first=True, dtype=torch.float64)
    cell = PeepholeLSTM(3, 5).to(torch.float64)
    cell.load_state_dict(from_torch(peer).state_dict(), strict=False)
    for gate in (cell.i, cell.f, cell.o):
        nn.init.zeros_(gate.p)
    x = torch.randn(2, 20, 3, dtype=torch.float64)
    torch.testing.assert_close(Recurrent(cell)(x)[0], peer(x)[0], rtol=0, atol=1e-12)


def test_forget_gates_start_open():
    assert (PeepholeLSTM(2, 3).f.b == 1.0).all() and (PeepholeLSTM(2, 3, forget_bias=2.5).f.b == 2.5).all()

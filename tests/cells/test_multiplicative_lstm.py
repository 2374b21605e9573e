import numpy as np
import torch
from torch import nn

from recurra.cells import MultiplicativeLSTM, from_torch
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import arrays, outputs_and_state, randomised, sigma


def test_equals_a_numpy_loop():
    rng, cell = np.random.default_rng(0), randomised(MultiplicativeLSTM(3, 5))
    w, x = arrays(cell), rng.normal(size=(2, 7, 3))
    h, s = rng.normal(size=(2, 2, 5))
    outputs, last = outputs_and_state(cell, x, [h, s])
    for t in range(7):
        m = (x[:, t] @ w["W_mx"].T) * (h @ w["W_mh"].T)
        g, i, f, o = (x[:, t] @ w[f"{k}.W_x"].T + m @ w[f"{k}.W_h"].T + w[f"{k}.b"] for k in "gifo")
        s = np.tanh(g) * sigma(i) + s * sigma(f)
        h = np.tanh(s) * sigma(o)
        np.testing.assert_allclose(outputs[:, t], h, atol=1e-12)
    np.testing.assert_allclose(last, [h, s], atol=1e-12)


def test_where_the_input_multiplies_by_one_it_is_the_lstm_of_torch():
    torch.manual_seed(0)
    peer = nn.LSTM(3, 5, batch_first=True, dtype=torch.float64)
    cell = MultiplicativeLSTM(3, 5).to(torch.float64)
    cell.load_state_dict(from_torch(peer).state_dict(), strict=False)
    with torch.no_grad():
        cell.W_mx.zero_()[:, 0] = 1.0
        nn.init.eye_(cell.W_mh)
    x = torch.randn(2, 20, 3, dtype=torch.float64)
    x[:, :, 0] = 1.0
    torch.testing.assert_close(Recurrent(cell)(x)[0], peer(x)[0], rtol=0, atol=1e-12)


def test_forget_gates_start_open():
    cell = MultiplicativeLSTM(2, 3, forget_bias=2.5)
    assert (cell.f.b == 2.5).all() and not any(gate.b.any() for gate in (cell.g, cell.i, cell.o))

"""minGRU and minLSTM: every output is a weighted sum of the candidates, by weights known in closed form."""

import numpy as np
import pytest
import torch

from recurra.cells import ElmanState, MinGRU, MinLSTM
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import arrays, fill, outputs_and_state, randomised, scalar, sigma


def weighted_sums(keep, enter, g, h):
    """h_t = h ∏ keep + Σ_s enter_s g_s ∏_{s < u ≤ t} keep_u, each product multiplied out anew; all (B, T, H)."""
    steps = range(g.shape[1])
    return np.stack(
        [
            h * keep[:, : t + 1].prod(axis=1)
            + sum(enter[:, s] * g[:, s] * keep[:, s + 1 : t + 1].prod(axis=1) for s in range(t + 1))
            for t in steps
        ],
        axis=1,
    )


def drives(cell, x):
    w = arrays(cell)
    return [x @ w[f"{name}.weight"].T + w[f"{name}.bias"] for name, _ in cell.named_children()]


def test_min_gru_equals_its_closed_form():
    rng, cell = np.random.default_rng(0), randomised(MinGRU(3, 5))
    x, h = rng.normal(size=(2, 7, 3)), rng.normal(size=(2, 5))
    z, g = drives(cell, x)
    outputs, (last,) = outputs_and_state(cell, x, [h])
    want = weighted_sums(1 - sigma(z), sigma(z), g, h)
    np.testing.assert_allclose(outputs, want, atol=1e-12)
    np.testing.assert_allclose(last, want[:, -1], atol=1e-12)


def test_min_lstm_equals_its_closed_form():
    rng, cell = np.random.default_rng(0), randomised(MinLSTM(3, 5))
    x, h = rng.normal(size=(2, 7, 3)), rng.normal(size=(2, 5))
    f, i, g = drives(cell, x)
    f, i = sigma(f), sigma(i)
    outputs, (last,) = outputs_and_state(cell, x, [h])
    want = weighted_sums(f / (f + i), i / (f + i), g, h)
    np.testing.assert_allclose(outputs, want, atol=1e-12)
    np.testing.assert_allclose(last, want[:, -1], atol=1e-12)


def test_one_step_is_the_hand_computed_number():
    x, h = scalar(1.0, 4.0)
    gru = fill(MinGRU(1, 1), z_weight=np.log(3), g_bias=8.0)  # z 0.75
    assert gru(x, ElmanState(h))[0].item() == pytest.approx(7.0, abs=1e-14)
    lstm = fill(MinLSTM(1, 1), f_weight=-np.log(3), i_bias=np.log(3), g_bias=8.0)  # f 0.25, i 0.75
    assert lstm(x, ElmanState(h))[0].item() == pytest.approx(7.0, abs=1e-14)


@pytest.mark.parametrize("drive", [-1000.0, 1000.0])
def test_two_gates_shut_or_open_alike_share_evenly(drive):
    """f / (f + i) as it is written would be 0 / 0 for shut gates: σ(-1000) is 0 even in float64."""
    cell = fill(MinLSTM(1, 1), f_bias=drive, i_bias=drive, g_bias=8.0).to(torch.float32)
    h, _ = cell(torch.zeros(1, 1), ElmanState(torch.full((1, 1), 4.0)))
    assert h.item() == 6.0
    h.backward()
    assert all(weight.grad.isfinite().all() for weight in cell.parameters())


def test_shut_gates_keep_the_state_exactly():
    x, start = torch.randn(2, 100, 3), ElmanState(torch.randn(2, 5))
    gru, lstm = MinGRU(3, 5), MinLSTM(3, 5, forget_bias=1000.0)
    torch.nn.init.constant_(gru.z.bias, -1000.0)
    torch.nn.init.constant_(lstm.i.bias, -1000.0)
    for cell in (gru, lstm):
        assert torch.equal(Recurrent(cell)(x, start)[1].h, start.h)


def test_forget_gates_start_open():
    assert (MinLSTM(2, 3).f.bias == 1.0).all() and (MinLSTM(2, 3, forget_bias=2.5).f.bias == 2.5).all()

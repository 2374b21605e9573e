import numpy as np
import pytest
import torch

from recurra.cells import SLSTM
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import arrays, fill, outputs_and_state, randomised, sigma


def test_equals_the_paper_without_its_stabiliser():
    """Equations 8 to 14, exponentials as they stand; the cell's c and n are these divided by exp(m)."""
    rng, cell = np.random.default_rng(0), randomised(SLSTM(3, 5))
    w, x, h = arrays(cell), rng.normal(size=(2, 7, 3)), rng.normal(size=(2, 5))
    c, n, m = rng.normal(size=(2, 5)), rng.uniform(0.5, 2, size=(2, 5)), rng.normal(size=(2, 5))
    outputs, last = outputs_and_state(cell, x, [h, c, n, m])
    c, n = c * np.exp(m), n * np.exp(m)
    for t in range(7):
        z, i, f, o = (x[:, t] @ w[f"{k}.W_x"].T + h @ w[f"{k}.W_h"].T + w[f"{k}.b"] for k in "gifo")
        c = sigma(f) * c + np.exp(i) * np.tanh(z)
        n = sigma(f) * n + np.exp(i)
        h = sigma(o) * c / n
        np.testing.assert_allclose(outputs[:, t], h, atol=1e-12)
    scale = np.exp(last[3])
    np.testing.assert_allclose([last[0], last[1] * scale, last[2] * scale], [h, c, n], rtol=1e-12)


def test_the_initial_state_is_c_and_n_at_zero():
    rng, cell = np.random.default_rng(0), randomised(SLSTM(3, 5))
    w, x = arrays(cell), rng.normal(size=(2, 3))
    h, _ = cell(torch.from_numpy(x), cell.initial_state(2))
    z, o = (x @ w[f"{k}.W_x"].T + w[f"{k}.b"] for k in "go")
    np.testing.assert_allclose(h.detach().numpy(), sigma(o) * np.tanh(z), atol=1e-15)  # c / n = z, whatever the gate


@pytest.mark.parametrize("drive", [-1000.0, -80.0, 0.0, 1000.0])
def test_open_forget_gates_leave_the_mean_whatever_the_size_of_the_input_gates(drive):
    torch.manual_seed(0)
    cell = fill(SLSTM(1, 1), i_b=drive, f_b=1000.0, g_W_x=1.0, o_b=1000.0).to(torch.float32)
    x = torch.randn(2, 30, 1)
    outputs, _ = Recurrent(cell)(x)
    mean = torch.tanh(x).cumsum(1) / torch.arange(1, 31).view(1, 30, 1)
    torch.testing.assert_close(outputs, mean, rtol=0, atol=1e-6)
    outputs.sum().backward()
    assert all(weight.grad.isfinite().all() for weight in cell.parameters())


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_large_gates_overflow_neither_forwards_nor_backwards(scale):
    torch.manual_seed(0)
    cell = randomised(SLSTM(3, 5)).to(torch.float32)
    outputs, state = Recurrent(cell)(scale * torch.randn(4, 50, 3))
    assert outputs.abs().max() <= 1 and all(leaf.isfinite().all() for leaf in state)
    outputs.sum().backward()
    assert all(weight.grad.isfinite().all() for weight in cell.parameters())


def test_forget_gates_start_open():
    assert (SLSTM(2, 3).f.b == 1.0).all() and (SLSTM(2, 3, forget_bias=2.5).f.b == 2.5).all()

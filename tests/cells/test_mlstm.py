import numpy as np
import pytest
import torch

from recurra.cells import MLSTM
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import arrays, outputs_and_state, randomised, sigma


def drives(cell, x):
    """q, k, v, o, î and the forget gate of every step."""
    w = arrays(cell)
    q, k, v, o, i, f = (x @ w[f"{name}.weight"].T + w[f"{name}.bias"] for name in "qkvoif")
    return q, k / np.sqrt(k.shape[-1]), v, sigma(o), i, sigma(f)


@pytest.fixture
def cell():
    torch.manual_seed(0)
    return randomised(MLSTM(3, 5))


def test_equals_the_paper_without_its_stabiliser(cell):
    """Equations 19 to 27, exponentials as they stand; the cell's C and n are these divided by exp(m)."""
    rng = np.random.default_rng(0)
    x, C, n = rng.normal(size=(2, 7, 3)), rng.normal(size=(2, 5, 5)), rng.normal(size=(2, 5))
    m = rng.uniform(0, 1, size=(2, 1))
    outputs, last = outputs_and_state(cell, x, [C, n, m])
    C, n = C * np.exp(m)[:, :, None], n * np.exp(m)
    bounds = 0
    for t, (q, k, v, o, i, f) in enumerate(zip(*(np.moveaxis(a, 1, 0) for a in drives(cell, x)), strict=True)):
        C = f[:, :, None] * C + np.exp(i)[:, :, None] * np.einsum("bv,bk->bvk", v, k)
        n = f * n + np.exp(i) * k
        norm = np.abs(np.einsum("bk,bk->b", n, q))
        bounds += (norm < 1).sum()
        h = o * np.einsum("bvk,bk->bv", C, q) / np.maximum(norm, 1)[:, None]
        np.testing.assert_allclose(outputs[:, t], h, atol=1e-12)
    scale = np.exp(last[2])
    np.testing.assert_allclose(last[0] * scale[:, :, None], C, atol=1e-12)
    np.testing.assert_allclose(last[1] * scale, n, atol=1e-12)
    assert 0 < bounds < 14  # both sides of the maximum were tried


def test_equals_attention_with_decaying_weights(cell):
    """The parallel form, appendix A.3: weight exp(î_s) ∏_{s < u ≤ t} f_u on q_t · k_s, no state at all."""
    x = np.random.default_rng(1).normal(size=(2, 12, 3))
    q, k, v, o, i, f = drives(cell, x)
    log_decay = np.cumsum(np.log(f[..., 0]), axis=1)
    weights = np.tril(np.exp(log_decay[:, :, None] - log_decay[:, None, :] + i[:, None, :, 0]))
    scores = weights * (q @ k.transpose(0, 2, 1))
    want = o * (scores @ v) / np.maximum(np.abs(scores.sum(axis=2, keepdims=True)), 1)
    start = [np.zeros((2, 5, 5)), np.zeros((2, 5)), np.zeros((2, 1))]
    np.testing.assert_allclose(outputs_and_state(cell, x, start)[0], want, atol=1e-12)


def test_recalls_what_was_stored_under_each_key():
    """Orthogonal keys of length one: a query gets the value of its own, and of no other, back."""
    cell = MLSTM(8, 4, forget_bias=1000.0).to(torch.float64)
    pick = torch.eye(8, dtype=torch.float64)
    with torch.no_grad():
        for weight in cell.parameters():
            weight.zero_()
        cell.k.weight.copy_(2 * pick[:4])  # √H = 2
        cell.v.weight.copy_(pick[4:])
        cell.q.weight.copy_(pick[:4])
        cell.o.bias.fill_(1000.0)
        cell.f.bias.fill_(1000.0)
    values = torch.randn(1, 4, 4, dtype=torch.float64)
    keys = torch.eye(4, dtype=torch.float64).expand(1, 4, 4)
    _, state = Recurrent(cell)(torch.cat([keys, values], dim=-1))
    with torch.no_grad():
        cell.i.bias.fill_(-1000.0)  # nothing more is stored
    recalled, _ = Recurrent(cell)(torch.cat([keys, torch.zeros_like(values)], dim=-1), state)
    torch.testing.assert_close(recalled, values, rtol=0, atol=1e-14)


@pytest.mark.parametrize("drive", [-1000.0, 1000.0])
def test_large_input_gates_reach_their_limits(cell, drive):
    """Shut, nothing comes out; wide open, the bound of one no longer counts and their size cancels."""
    x = np.random.default_rng(2).normal(size=(2, 12, 3))
    cell.i.weight.data.zero_()
    cell.i.bias.data.fill_(drive)
    q, k, v, o, _, f = drives(cell, x)
    log_decay = np.cumsum(np.log(f[..., 0]), axis=1)
    scores = np.tril(np.exp(log_decay[:, :, None] - log_decay[:, None, :])) * (q @ k.transpose(0, 2, 1))
    want = o * (scores @ v) / np.abs(scores.sum(axis=2, keepdims=True)) if drive > 0 else np.zeros_like(v)
    start = [np.zeros((2, 5, 5)), np.zeros((2, 5)), np.zeros((2, 1))]
    np.testing.assert_allclose(outputs_and_state(cell, x, start)[0], want, atol=1e-10)


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_large_gates_overflow_neither_forwards_nor_backwards(cell, scale):
    for gate in (cell.i, cell.f):
        gate.weight.data.mul_(scale)
    layer, x = Recurrent(cell.to(torch.float32)), torch.randn(4, 50, 3)
    outputs, state = layer(x)
    assert outputs.isfinite().all() and all(leaf.isfinite().all() for leaf in state)
    outputs.sum().backward()
    assert all(weight.grad.isfinite().all() for weight in cell.parameters())


def test_the_forget_gate_starts_open():
    assert MLSTM(2, 3).f.bias.item() == 3.0 and MLSTM(2, 3, forget_bias=2.5).f.bias.item() == 2.5

import numpy as np
import torch

from recurra.cells import LayerNormLSTM
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import arrays, outputs_and_state, randomised, sigma


def normalised(a):
    """Mean zero and variance one over the features, with the 1e-5 under the root that torch has."""
    centred = a - a.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)


def test_equals_a_numpy_loop():
    rng, cell = np.random.default_rng(0), randomised(LayerNormLSTM(3, 5))
    w, x = arrays(cell), rng.normal(size=(2, 7, 3))
    h, s = rng.normal(size=(2, 2, 5))
    outputs, last = outputs_and_state(cell, x, [h, s])
    for t in range(7):
        drives = normalised(x[:, t] @ w["W_x"].T) * w["norm_x.weight"]
        drives += normalised(h @ w["W_h"].T) * w["norm_h.weight"] + w["b"]
        g, i, f, o = np.split(drives, 4, axis=1)
        s = np.tanh(g) * sigma(i) + s * sigma(f)
        h = np.tanh(normalised(s) * w["norm_s.weight"] + w["norm_s.bias"]) * sigma(o)
        np.testing.assert_allclose(outputs[:, t], h, atol=1e-12)
    np.testing.assert_allclose(last, [h, s], atol=1e-12)


def test_the_scale_of_a_weight_matrix_does_not_matter():
    """Section 5.1 of the paper; up to the 1e-5 under the root, next to which the drives are made large."""
    torch.manual_seed(0)
    cell, x = LayerNormLSTM(3, 5).to(torch.float64), torch.randn(2, 20, 3, dtype=torch.float64)
    with torch.no_grad():
        cell.W_x.mul_(1e4)
        cell.W_h.mul_(1e6)
        once = Recurrent(cell)(x)[0]
        cell.W_x.mul_(7)
        cell.W_h.mul_(0.3)
        again = Recurrent(cell)(x)[0]
    torch.testing.assert_close(again, once, rtol=0, atol=1e-8)


def test_forget_gates_start_open():
    g, i, f, o = LayerNormLSTM(2, 3, forget_bias=2.5).b.chunk(4)
    assert (f == 2.5).all() and not any(part.any() for part in (g, i, o))

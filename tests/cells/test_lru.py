import numpy as np
import pytest
import torch

from recurra.cells import LRU
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import arrays, outputs_and_state


def complex_weights(cell):
    """λ, the scaled B, C and D, all complex128."""
    w = arrays(cell)
    scaled = np.exp(w["gamma"])[:, None] * (w["B_re"] + 1j * w["B_im"])
    return np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"])), scaled, w["C_re"] + 1j * w["C_im"], w["D"]


@pytest.fixture
def cell():
    torch.manual_seed(0)
    return LRU(3, 5, output_size=4).to(torch.float64)


def test_equals_a_complex_loop(cell):
    rng, (decay, B, C, D) = np.random.default_rng(0), complex_weights(cell)
    x, (h_re, h_im) = rng.normal(size=(2, 7, 3)), rng.normal(size=(2, 2, 5))
    outputs, last = outputs_and_state(cell, x, [h_re, h_im])
    h = h_re + 1j * h_im
    for t in range(7):
        h = decay * h + x[:, t] @ B.T
        np.testing.assert_allclose(outputs[:, t], (h @ C.T).real + x[:, t] @ D.T, atol=1e-12)
    np.testing.assert_allclose(last, [h.real, h.imag], atol=1e-12)


def test_is_a_convolution_with_the_powers_of_lambda(cell):
    rng, (decay, B, C, D) = np.random.default_rng(0), complex_weights(cell)
    x = rng.normal(size=(2, 30, 3))
    kernel = np.einsum("on,kn,ni->koi", C, decay ** np.arange(30)[:, None], B).real
    kernel[0] += D
    want = [np.einsum("koi,bki->bo", kernel[: t + 1], x[:, t::-1]) for t in range(30)]
    np.testing.assert_allclose(outputs_and_state(cell, x, np.zeros((2, 2, 5)))[0], np.stack(want, axis=1), atol=1e-12)


def test_starts_uniform_on_the_ring():
    """Uniform by area: |λ|² is uniform between the squared radii, and the angle up to the largest."""
    torch.manual_seed(0)
    cell = LRU(1, 20_000, output_size=1, r_min=0.6, r_max=0.9, max_phase=1.5)
    decay, *_ = complex_weights(cell)
    square, angle = np.abs(decay) ** 2, np.angle(decay)
    assert square.min() >= 0.36 - 1e-6 and square.max() <= 0.81 + 1e-6 and angle.min() >= 0 and angle.max() <= 1.5
    np.testing.assert_allclose([square.mean(), square.std()], [0.585, 0.45 / 12**0.5], atol=0.005)
    np.testing.assert_allclose([angle.mean(), angle.std()], [0.75, 1.5 / 12**0.5], atol=0.015)


def test_noise_of_variance_one_keeps_every_unit_at_variance_one():
    torch.manual_seed(0)
    with torch.no_grad():
        trajectory = Recurrent(LRU(20, 50, r_min=0.8, r_max=0.95)).trajectory(torch.randn(20, 500, 20))
    h_re, h_im = (part[:, 100:] for part in trajectory.states)
    assert (h_re**2 + h_im**2).mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("r_min", "r_max"), [(0.0, 0.9), (0.9, 0.5), (0.5, 1.0)])
def test_radii_out_of_range_are_refused(r_min, r_max):
    with pytest.raises(ValueError, match="0 < r_min < r_max < 1"):
        LRU(2, 3, r_min=r_min, r_max=r_max)


def test_sizes():
    assert LRU(2, 3).output_size == 3
    with pytest.raises(ValueError, match="output_size must be at least 1, got 0"):
        LRU(2, 3, output_size=0)

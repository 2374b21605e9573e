import numpy as np
import pytest
import torch

from recurra.cells import IRNN, ElmanState
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import arrays, fill, outputs_and_state, randomised, scalar


def test_equals_a_numpy_loop():
    rng, cell = np.random.default_rng(0), randomised(IRNN(3, 5))
    w, x, h = arrays(cell), rng.normal(size=(2, 7, 3)), rng.normal(size=(2, 5))
    outputs, (last,) = outputs_and_state(cell, x, [h])
    for t in range(7):
        h = np.maximum(0, x[:, t] @ w["h.W_x"].T + h @ w["h.W_h"].T + w["h.b"])
        np.testing.assert_allclose(outputs[:, t], h, atol=1e-12)
    np.testing.assert_allclose(last, h, atol=1e-12)


def test_one_step_is_the_hand_computed_number():
    cell = fill(IRNN(1, 1), h_W_x=2.0, h_W_h=0.5, h_b=-1.0)
    plus, minus, h = scalar(1.0, -1.0, 3.0)
    assert cell(plus, ElmanState(h))[0].item() == 2.5
    assert cell(minus, ElmanState(h))[0].item() == 0.0


def test_starts_as_le_et_al_have_it():
    torch.manual_seed(0)
    cell = IRNN(100, 100)
    assert torch.equal(cell.h.W_h, torch.eye(100)) and not cell.h.b.any()
    assert cell.h.W_x.std().item() == pytest.approx(0.001, rel=0.05)
    assert torch.equal(IRNN(2, 3, identity_scale=0.01).h.W_h, 0.01 * torch.eye(3))


def test_untrained_it_keeps_its_value_and_its_gradient():
    start = ElmanState(torch.rand(2, 4, requires_grad=True))
    outputs, _ = Recurrent(IRNN(1, 4))(torch.zeros(2, 150, 1), start)
    assert torch.equal(outputs[:, -1], start.h)
    (gradient,) = torch.autograd.grad(outputs[:, -1].sum(), start.h)
    assert torch.equal(gradient, torch.ones(2, 4))

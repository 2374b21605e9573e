import numpy as np
import pytest
import torch

from recurra.cells import Jordan, JordanState
from recurra.errors import BadInput
from tests.cells.helpers import arrays, fill, outputs_and_state, randomised, scalar, sigma


@pytest.mark.parametrize(("name", "phi"), [("tanh", np.tanh), ("sigmoid", sigma)])
def test_equals_a_numpy_loop(name, phi):
    rng = np.random.default_rng(0)
    cell = randomised(Jordan(3, 5, output_size=4, self_weight=0.3, activation="tanh", output_activation=name))
    w, x, c = arrays(cell), rng.normal(size=(2, 7, 3)), rng.normal(size=(2, 4))
    outputs, (last,) = outputs_and_state(cell, x, [c])
    for t in range(7):
        h = np.tanh(x[:, t] @ w["h.W_x"].T + c @ w["h.W_h"].T + w["h.b"])
        y = phi(h @ w["W_yh"].T + w["b_y"])
        c = 0.3 * c + y
        np.testing.assert_allclose(outputs[:, t], y, atol=1e-12)
    np.testing.assert_allclose(last, c, atol=1e-12)


def test_two_steps_of_linear_units_are_the_hand_computed_numbers():
    cell = Jordan(1, 1, self_weight=0.25, activation="identity", output_activation="identity")
    fill(cell, h_W_x=2.0, h_W_h=3.0, h_b=1.0, W_yh=0.5, b_y=-1.0)
    one, zero, start = scalar(1.0, 0.0, 0.0)
    y, state = cell(one, JordanState(start))  # h = 3
    assert (y.item(), state.c.item()) == (0.5, 0.5)
    y, state = cell(zero, state)  # h = 2.5
    assert (y.item(), state.c.item()) == (0.25, 0.375)


def test_the_context_forgets_an_output_by_its_self_weight():
    """With nothing going out, what is left of one output after k steps is μ^k of it."""
    cell = fill(Jordan(1, 2, self_weight=0.5))
    state = JordanState(torch.ones(1, 2, dtype=torch.float64))
    for _ in range(10):
        _, state = cell(torch.zeros(1, 1, dtype=torch.float64), state)
    assert (state.c == 0.5**10).all()


def test_what_cannot_be_is_refused():
    for self_weight in (-0.1, 1.0):
        with pytest.raises(ValueError, match="self_weight must be"):
            Jordan(1, 1, self_weight=self_weight)
    with pytest.raises(ValueError, match="output_size must be at least 1, got 0"):
        Jordan(1, 1, output_size=0)
    with pytest.raises(BadInput, match="did you mean 'tanh'"):
        Jordan(1, 1, output_activation="tan")

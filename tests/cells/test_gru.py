import math

import numpy as np
import pytest

from recurra.cells import GRU, GRUState
from recurra.errors import BadInput
from tests.cells.helpers import arrays, fill, outputs_and_state, randomised, scalar, sigma

LN3 = math.log(3)


def test_reset_before_equals_a_numpy_loop():
    rng, cell = np.random.default_rng(0), randomised(GRU(3, 5, reset="before"))
    w, x, h = arrays(cell), rng.normal(size=(2, 7, 3)), rng.normal(size=(2, 5))
    outputs, (last,) = outputs_and_state(cell, x, [h])
    for t in range(7):
        r, z = (sigma(x[:, t] @ w[f"{k}.W_x"].T + h @ w[f"{k}.W_h"].T + w[f"{k}.b"]) for k in "rz")
        candidate = np.tanh(x[:, t] @ w["g.W_x"].T + (r * h) @ w["g.W_h"].T + w["g.b"])
        h = z * h + (1 - z) * candidate
        np.testing.assert_allclose(outputs[:, t], h, atol=1e-12)
    np.testing.assert_allclose(last, h, atol=1e-12)


def test_one_step_is_the_hand_computed_number():
    """r 0.5, z 0.75 and, by either way, g 0.8; h = 0.8 · 0.25 + 2 · 0.75."""
    x, h = scalar(1.0, 2.0)
    before = fill(GRU(1, 1, reset="before"), z_b=LN3, g_W_h=LN3)
    after = fill(GRU(1, 1, reset="after"), z_b=LN3, g_W_h=LN3 / 2, b_gh=LN3)
    for cell in (before, after):
        assert cell(x, GRUState(h))[0].item() == pytest.approx(1.7, abs=1e-15)


def test_an_unknown_placement_names_the_nearest():
    with pytest.raises(BadInput, match="did you mean 'before'"):
        GRU(1, 1, reset="befor")

"""Layers of random cells beside the cells' own loops; benchmarks/random_cells.py does the same for ten thousand."""

import random

import pytest
import torch

from recurra.layers import Recurrent
from tests.recurrence.parity import by_reference, difference, everything, problem
from tests.recurrence.random_cells import random_cell

BOUNDS = {torch.float64: 1e-13, torch.float32: 2e-5}
"""Of benchmarks/random_cells.py; test_random_cells.py says why a hundredfold rounding is right."""


def bound(layer, dtype):
    """Torch's gradient of hardsigmoid is 1/6 to seven digits only, in float64 too."""
    return max(BOUNDS[dtype], 1e-7 if "hardsigmoid" in str(layer.cell) else 0.0)


def values(layer, result):
    outputs, state = result
    return [outputs, *layer.cell.unpacked(state)]


FOUND = (5533, 6828, 7876)
"""Seeds of the benchmark that once failed: a maximum that is two states, a number computed before the loop, an edge."""


@pytest.mark.parametrize("seed", [*(10**6 + seed for seed in range(40)), *FOUND])
def test_a_random_cell_gives_what_its_own_loop_does(seed, monkeypatch):
    """In training and without gradients. Other seeds than those of the benchmark, which begin at 0."""
    monkeypatch.setattr("recurra.recurrence.fused.gathers", lambda *_: seed // 2 % 2 == 0)
    draw, dtype = random.Random(seed), list(BOUNDS)[seed % 2]
    layer = Recurrent(random_cell(draw).to(dtype))
    given = problem(layer, layer.cell.input_size, draw, dtype)
    fused, want = (everything(layer, given, run) for run in (layer(*given), by_reference(layer, given)))
    assert layer.explain().path == "cpu", layer.explain()
    assert difference(fused, want) <= bound(layer, dtype), layer.cell
    with torch.no_grad():
        fused, want = (values(layer, run) for run in (layer(*given), by_reference(layer, given)))
    assert difference(fused, want) <= bound(layer, dtype), layer.cell

"""Cells of torchrecurrent that are hard to compile, and what makes them so, beside their own loops."""

import random

import pytest
import torch

pytest.importorskip("torchrecurrent")

from recurra.layers import Recurrent  # noqa: E402
from tests.recurrence.foreign import foreign_layer  # noqa: E402
from tests.recurrence.lowering import Step  # noqa: E402
from tests.recurrence.parity import by_reference, difference, everything, problem  # noqa: E402


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("TGRUCell", 1e-13),  # its state is the input before, which only products after the loop read
        ("IntersectionRNNCell", 1e-13),  # its output reads the old state after the loop
        ("tauGRUCell", 1e-13),  # a product with zeros that have no batch in them
        ("SGUCell", 1e-6),  # torch's gradient of hardsigmoid is 1/6 to seven digits only, in float64 too
        ("coRNNCell", 1e-13),
    ],
)
def test_a_layer_is_its_cells_own_loop(name, bound):
    layer = foreign_layer(name, 8, 8, torch.float64)
    draw = random.Random(0)
    for _ in range(3):
        given = problem(layer, 8, draw, torch.float64)
        found = everything(layer, given, layer(*given))
        assert difference(found, everything(layer, given, by_reference(layer, given))) <= bound
    assert layer.explain().path == "cpu"


CONSTANT = {
    "in the loop": lambda s, x, h: torch.tanh(torch.ones_like(h) @ s.W + x + h @ s.U),
    "after it": lambda s, x, h: (torch.ones_like(h) @ s.W + h @ s.U, torch.tanh(x + h)),
    "by itself": lambda s, x, h: (torch.ones_like(h) @ s.W + h, torch.tanh(x + h)),
}


@pytest.mark.parametrize("name", CONSTANT)
def test_products_with_numbers_by_themselves(name):
    torch.manual_seed(0)
    weights = {"W": torch.randn(8, 8).double(), "U": torch.randn(8, 8).double()}
    layer = Recurrent(Step(CONSTANT[name], **weights), lambda rows: torch.zeros(rows, 8, dtype=torch.float64))
    draw = random.Random(0)
    for _ in range(3):
        given = problem(layer, 8, draw, torch.float64)
        found = everything(layer, given, layer(*given))
        assert difference(found, everything(layer, given, by_reference(layer, given))) <= 1e-13
    assert layer.plans.found[-1].fault is None

"""That the random cells are what comparisons need: repeatable, of every kind, recurrent, well conditioned."""

import math
import random
from collections import Counter

import torch

from recurra.layers.recurrent import Recurrent
from tests.recurrence.parity import Problem, by_reference, difference, everything, problem
from tests.recurrence.random_cells import ELEMENTWISE, PARAMETERS, PRODUCTS, ROWWISE, random_cell

CELLS = [random_cell(random.Random(seed)) for seed in range(300)]


def results(seed, dtype):
    layer = Recurrent(random_cell(random.Random(seed)).to(dtype))
    given = problem(layer, layer.cell.input_size, random.Random(seed), dtype)
    return everything(layer, given, by_reference(layer, given))


def test_a_seed_is_a_cell_whatever_torch_drew_before():
    torch.manual_seed(1)
    one = random_cell(random.Random(7))
    torch.manual_seed(2)
    assert str(random_cell(random.Random(7))) == str(one)
    assert all(
        torch.equal(a, b) for a, b in zip(random_cell(random.Random(7)).parameters(), one.parameters(), strict=True)
    )
    assert str(random_cell(random.Random(8))) != str(one)


def test_every_form_and_container_occurs():
    forms = Counter(each.form for cell in CELLS for each in cell.instructions)
    assert not ({*ELEMENTWISE, *ROWWISE, *PARAMETERS, *PRODUCTS} - forms.keys())
    assert {cell.container for cell in CELLS} == {"tensor", "tuple", "list", "dict", "record"}
    uses = [Counter(name for each in cell.instructions for name in each.names) for cell in CELLS]
    assert sum(max(each.values(), default=0) > 1 for each in uses) > len(CELLS) / 4


def test_most_cells_remember():
    """The last state depends on the first in at least two of three."""
    remembering = 0
    for cell in CELLS:
        state = [torch.randn(2, width, requires_grad=True) for width in cell.widths]
        given = Problem(torch.randn(2, 3, cell.input_size), cell.packed(state), None, None)
        _, last = by_reference(Recurrent(cell), given)
        total = sum(leaf.sum() for leaf in cell.unpacked(last)) + sum(0 * leaf.sum() for leaf in state)
        remembering += any(g.any() for g in torch.autograd.grad(total, state))
    assert remembering > len(CELLS) * 2 / 3


def test_float32_is_as_near_to_float64_as_its_digits_allow():
    """What the bounds on other paths rest on: no cell here makes more of a rounding than a hundredfold."""
    worst = max(difference(results(seed, torch.float32), results(seed, torch.float64)) for seed in range(100))
    assert 1e-8 < worst < 100 * torch.finfo(torch.float32).eps


def test_a_difference_is_seen_in_any_place():
    base = results(3, torch.float64)
    for k in range(len(base)):
        changed = [each.clone() for each in base]
        changed[k].view(-1)[-1] += 1e-3 * changed[k].abs().max().clamp(min=1)
        assert abs(difference(changed, base) - 1e-3) < 1e-9
        changed[k].view(-1)[-1] = math.nan
        assert math.isnan(difference(changed, base))

"""Products that a step takes slices of: nothing is multiplied twice, and what is used whole stays whole."""

import random

import pytest
import torch
from torch.nn import functional as F

from recurra.cells import GRU, LayerNormLSTM
from recurra.recurrence.program import Product, Reduce
from recurra.recurrence.state import map_state
from tests.recurrence.lowering import Step, equal, lowered, multiplications
from tests.recurrence.random_cells import random_cell

pytestmark = pytest.mark.usefixtures("double")

B, T, H = 3, 4, 6


def products(program):
    """Where the results of each product lie in its matrix, by weight."""
    found = {}
    for node in program.nodes:
        if isinstance(node, Product):
            found.setdefault(node.index, []).append(str(node.columns if node.transposed else node.rows))
    return [sorted(places, key=lambda place: int(place.split(":")[0])) for places in found.values()]


def test_a_stacked_product_that_is_normalised_whole_is_computed_in_its_four_parts():
    cell = LayerNormLSTM(5, H)
    state = map_state(torch.randn_like, cell.initial_state(B))
    step = equal(cell, torch.randn(B, T, 5), state, rtol=1e-9)
    assert products(step.program) == [["0:6", "6:12", "12:18", "18:24"]] * 2


SLICED = {
    # what a step does with the product z (B, 12) and the state h, and where z is cut
    "halves and the sum": (lambda s, z, h: sum(z.chunk(2, 1)) * z.sum(1, True), "0:6 6:12"),
    "halves and the largest": (lambda s, z, h: sum(z.chunk(2, 1)) * z.amax(1, True), "0:6 6:12"),
    "halves of what follows from it": (
        lambda s, z, h: sum(torch.tanh(z).chunk(2, 1)) + F.softmax(z, 1) @ s.V,
        "0:6 6:12",
    ),
    "slices that overlap": (lambda s, z, h: z[:, :6].sum(1, True) * z[:, 4:10].amax(1, True), "0:4 4:6 6:10"),
    "one slice": (lambda s, z, h: z[:, 3:9] * (z * z).mean(1, True), "0:3 3:9 9:12"),
    "a slice of the matrix": (lambda s, z, h: z.exp().mean(1, True) - h @ s.W[2:8].t(), "0:2 2:8 8:12"),
    "another product": (lambda s, z, h: z[:, :6] + torch.tanh(z) @ s.V, "0:6 6:12"),
    "used whole": (lambda s, z, h: F.layer_norm(z, (12,)) @ s.V, "0:12"),
    "used in parts": (lambda s, z, h: z[:, :6] * z[:, 6:], "0:6 6:12"),
}


@pytest.mark.parametrize("turned", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("name", SLICED)
def test_every_row_of_a_matrix_is_multiplied_once(name, turned):
    function, places = SLICED[name]
    W = torch.randn(H, 12).t() if turned else torch.randn(12, H)

    def step(self, x, h):
        return torch.tanh(function(self, h @ self.W.t(), h) + x)

    found = equal(Step(step, W=W, V=torch.randn(12, H)), torch.randn(B, T, H), torch.randn(B, H), rtol=1e-9)
    assert products(found.program)[0] == places.split()


def test_a_state_that_is_cut_with_its_product():
    """The state is the whole, the output a part; the state's next product is of both parts."""
    cell = Step(lambda self, x, h: ((z := torch.tanh(x + h @ self.W.t()))[:, 2:], z), W=torch.randn(H, H))
    step = equal(cell, torch.randn(B, T, H), torch.randn(B, H), rtol=1e-9)
    assert step.program.states == (2, 4) and products(step.program) == [["0:2", "0:2", "2:6", "2:6"]]


def test_largest_and_sum_of_parts_need_one_reduction_each():
    cell = Step(lambda self, x, h: (z := x @ self.W.t())[:, :4] * z.amax(1, True) + z[:, 2:] + h, W=torch.randn(H, H))
    step = equal(cell, torch.randn(B, T, H), torch.randn(B, 4), rtol=1e-9)
    assert sum(isinstance(node, Reduce) for node in step.program.nodes) == 3


def test_a_gru_is_cut_at_its_gates_alone():
    cell = GRU(5, H)
    step = lowered(cell, torch.randn(B, T, 5), map_state(torch.randn_like, cell.initial_state(B)))
    assert {place for places in products(step.program) for place in places} <= {"0:6", "6:12", "12:18"}


def test_random_cells_multiply_nothing_twice():
    for seed in range(150):
        cell = random_cell(random.Random(seed)).double()
        state = cell.packed([torch.randn(B, width) for width in cell.widths])
        program = lowered(cell, torch.randn(B, T, cell.input_size), state).program
        assert max(multiplications(program).values(), default=1) == 1, seed

"""Sizes: as they are written, and what they cost by hand and by torch's own count."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from recurra.bench.entry import Entry
from recurra.bench.problem import make_problem
from recurra.bench.shapes import COARSE, GRID, SHAPES, Shape, flops, parse_shapes, sequence_bytes
from recurra.bench.torch_peers import eager_loop
from recurra.cells import CELLS
from recurra.errors import BadInput

BY_HAND = {
    "lstm": 4 * (3 * 3 + 3 * 3),
    "peephole-lstm": 4 * (3 * 3 + 3 * 3),  # a peephole is a vector
    "gru": 3 * (3 * 3 + 3 * 3),
    "elman": 3 * 3 + 3 * 3,
    "jordan": 3 * 3 + 3 * 3 + 3 * 3,  # and from the hidden layer to the output
}


def test_shapes_are_read_as_they_are_written():
    assert parse_shapes("T100B32H256, t1b1h8") == (Shape(100, 32, 256), Shape(1, 1, 8))
    assert parse_shapes(",".join(map(str, SHAPES))) == SHAPES
    assert parse_shapes("grid") == GRID and len(set(GRID)) == 6**3
    assert set(GRID) > COARSE and len(COARSE) == 3**3


@pytest.mark.parametrize("text", ["", "100", "T1B1", "T0B1H1", "T1B1H1,", "T1B1H1x", "T-1B1H1"])
def test_other_words_are_refused(text):
    with pytest.raises(BadInput, match="T100B32H256"):
        parse_shapes(text)


def test_a_single_step_is_streamed_and_never_trained():
    assert Shape(2, 1, 4).modes == ("inference", "training")
    assert Shape(1, 1, 4).modes == ("streaming", "streaming-paused")
    assert Shape(1, 2, 4).modes == ("streaming",)


@pytest.mark.parametrize("name", BY_HAND)
def test_operations_by_hand(name):
    cell, shape = CELLS[name](3, 3), Shape(T=5, B=2, H=3)
    assert flops(cell, shape, "inference") == 2 * 2 * 5 * BY_HAND[name]
    assert flops(cell, shape, "training") == 3 * 2 * 2 * 5 * BY_HAND[name]


@pytest.mark.parametrize("name", ["lstm", "gru", "elman"])
def test_operations_as_torch_counts_them(name):
    shape = Shape(T=5, B=2, H=3)
    for mode in shape.modes:
        problem = make_problem(Entry(name, shape, mode), CELLS[name])
        with FlopCounterMode(display=False) as counter:
            eager_loop(problem).call()
        # the first state needs no gradient: torch leaves out one step's product with W_h
        spared = 2 * shape.B * BY_HAND[name] // 2 if mode == "training" else 0
        assert counter.get_total_flops() + spared == flops(problem.cell, shape, mode)


def test_bytes_by_hand():
    with torch.device("meta"):
        cell, wide = CELLS["lstm"](3, 3), CELLS["lstm"](6, 3)
    shape = Shape(T=5, B=2, H=3)
    assert sequence_bytes(cell, shape, "inference") == 4 * 10 * (3 + 3)
    # x twice and its gradient, outputs and their gradient, the gradients of four gates out and in
    assert sequence_bytes(cell, shape, "training") == 4 * 10 * (3 * 3 + 2 * 3 + 2 * 12)
    assert sequence_bytes(wide, shape, "training", width=2) == 4 * 10 * (3 * 6 + 2 * 3) + 2 * 10 * 2 * 12

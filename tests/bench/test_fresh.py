"""First calls and peaks of memory, against amounts that are known."""

import pytest
import torch

from recurra.bench.fresh import first_call, peak_of, peak_training_memory
from recurra.bench.shapes import Shape


@pytest.mark.parametrize("mebibytes", [64, 160])
def test_the_peak_of_what_is_allocated_and_freed_again(mebibytes):
    found = peak_of(lambda: torch.ones(mebibytes, 2**18).sum())
    assert found == pytest.approx(mebibytes * 2**20, rel=0.1)


def test_training_keeps_at_least_its_outputs_and_gradients():
    shape = Shape(T=200, B=32, H=128)
    sequence = 4 * shape.T * shape.B * shape.H
    # outputs, the gradient of x, and the four gates' values; nobody needs ten times as much
    assert 5 * sequence < peak_training_memory("torch.nn", "lstm", shape, 1) < 60 * sequence
    assert peak_training_memory("torch.nn", "jordan", Shape(2, 2, 4), 1) is None


def test_a_first_call_is_one_in_a_process_that_has_not_called_yet():
    found = first_call("elman", Shape(3, 2, 4), 1)
    assert found["first"] > 2 * found["later"] > 0

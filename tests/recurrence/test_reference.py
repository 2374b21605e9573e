from typing import NamedTuple

import pytest
import torch
from torch import nn

from recurra.recurrence.reference import initial_state, run, take_step


class Trace(NamedTuple):
    total: torch.Tensor
    count: torch.Tensor


class Nested(nn.Module):
    """Running sum and count of its input in every kind of container; the output is their quotient."""

    def forward(self, x, state):
        (total, [count]), last = state["trace"], state["last"]
        total, count = total + x, count + 1
        return total / count + last, {"trace": Trace(total, [count]), "last": x}


def start_of(rows, value=0.0):
    def leaf():
        return torch.full((rows, 2), value, dtype=torch.float64)

    return {"trace": Trace(leaf(), [leaf()]), "last": leaf()}


class StateIsResult(nn.Module):
    def forward(self, x, state):
        return Trace(state[0] + x, state[1] + 1)


def test_nested_state_with_lengths_and_resets_equals_counting_by_hand():
    torch.manual_seed(0)
    x = torch.rand(3, 5, 2, dtype=torch.float64)
    lengths = torch.tensor([5, 0, 3])
    reset = torch.tensor([[0, 0, 1, 0, 1], [1, 1, 1, 1, 1], [1, 0, 0, 0, 1]]).bool()
    steps = list(run(Nested(), x, start_of(3, 2.0), start_of(3, 0.5), lengths=lengths, reset=reset))
    for row in range(3):
        total = count = last = torch.full((2,), 2.0, dtype=torch.float64)
        for t, step in enumerate(steps):
            output = torch.zeros(2, dtype=torch.float64)
            if t < lengths[row]:
                if reset[row, t]:
                    total = count = last = torch.full((2,), 0.5, dtype=torch.float64)
                total, count = total + x[row, t], count + 1
                output, last = total / count + last, x[row, t]
            assert torch.equal(step.output[row], output)
            assert torch.equal(step.state["trace"].total[row], total)
            assert torch.equal(step.state["trace"].count[0][row], count)
            assert torch.equal(step.state["last"][row], last)


def test_inputs_may_be_a_nesting_of_sequences():
    class Sum(nn.Module):
        def forward(self, x, state):
            return state + x["a"] * x["b"][0]

    a, b = torch.rand(2, 4, 3), torch.rand(2, 4, 3)
    *_, last = run(Sum(), {"a": a, "b": [b]}, torch.zeros(2, 3), None)
    torch.testing.assert_close(last.state, (a * b).sum(1))


def test_a_result_nested_like_the_state_is_the_state_and_its_first_tensor_the_output():
    ones = torch.ones(2, 1)
    step = take_step(StateIsResult(), ones, (ones, ones * 5))
    assert step.output is step.state.total
    assert step.output.tolist() == [[2.0], [2.0]] and step.state.count.tolist() == [[6.0], [6.0]]


def test_a_result_of_another_nesting_is_refused_and_shown():
    class Lossy(nn.Module):
        def forward(self, x, state):
            return x, state["h"]

    with pytest.raises(
        TypeError, match=r"Lossy .*given dict\(h=Tensor, s=Tensor\) and returned tuple\(Tensor, Tensor\)"
    ):
        take_step(Lossy(), torch.ones(1, 1), {"h": torch.ones(1, 1), "s": torch.ones(1, 1)})


def test_torch_cells_start_at_zeros_of_their_own_type():
    h, c = initial_state(nn.LSTMCell(2, 3, dtype=torch.float64), 4)
    assert h.dtype == torch.float64 and torch.equal(h, torch.zeros(4, 3, dtype=torch.float64)) and torch.equal(c, h)
    assert torch.equal(initial_state(nn.GRUCell(2, 3), 4), torch.zeros(4, 3))


def test_a_cell_without_a_start_is_told_how_to_get_one():
    with pytest.raises(TypeError, match=r"StateIsResult has no initial_state\(batch_size\): give it one"):
        initial_state(StateIsResult(), 1)

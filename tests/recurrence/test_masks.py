"""Masks written into programs, against the reference's own meaning of lengths and resets."""

from collections import namedtuple

import pytest
import torch
from torch import nn

from recurra.recurrence import reference
from recurra.recurrence.interpret import interpret
from recurra.recurrence.masks import with_lengths, with_reset
from recurra.recurrence.parse import parse
from recurra.recurrence.ragged import within
from tests.recurrence.programs import CELLS, gru, inputs, lstm, trajectories

STEPS, ROWS = 6, 4
LENGTHS = torch.tensor([6, 0, 1, 4])
RESET = torch.tensor([[0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 1], [0, 0, 1, 1, 0, 1]]).bool()
PROGRAMS = {"lstm": lstm(), "gru": gru("before"), "trajectories": trajectories(), "two of all": CELLS["broadcast"]}


class Interpreted(nn.Module):
    """A program as a cell: its inputs side by side, likewise its outputs."""

    def __init__(self, program, rows, weights):
        super().__init__()
        self.program, self.rows, self.weights = program, rows, weights

    def forward(self, x, state):
        sequences = [part[None] for part in x.split(self.program.sequences, dim=1)]
        found = interpret(self.program, sequences, list(state), self.rows, self.weights, steps=1)
        return torch.cat([output[0] for output in found.outputs], dim=1), type(state)(*found.states)


def by_reference(program, given, starts, lengths, reset):
    State = namedtuple("State", [f"s{k}" for k in range(len(program.states))])
    x = torch.cat(given.sequences, dim=2).transpose(0, 1)
    cell = Interpreted(program, given.rows, given.weights)
    steps = list(reference.run(cell, x, State(*given.states), State(*starts), lengths=lengths, reset=reset))
    return torch.stack([step.output for step in steps]), steps[-1].state


def by_masks(program, given, starts, lengths, reset):
    masked, sequences, rows = program, [*given.sequences], [*given.rows]
    if reset is not None:
        masked, rows = with_reset(masked), [*rows, *starts]
        reset = reset if lengths is None else reset & within(lengths, STEPS)
        sequences.append(reset.double().T[:, :, None])
    if lengths is not None:
        masked = with_lengths(masked)
        sequences.append(within(lengths, STEPS).double().T[:, :, None])
    assert parse(masked.text) == masked
    found = interpret(masked, sequences, given.states, rows, given.weights)
    return torch.cat(found.outputs, dim=2), found.states


@pytest.mark.parametrize("reset", [None, RESET], ids=["no reset", "reset"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["no lengths", "lengths"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_masks_mean_what_the_reference_does(name, lengths, reset):
    program = PROGRAMS[name]
    given = inputs(program, STEPS, ROWS)
    starts = inputs(program, STEPS, ROWS, seed=1).states
    outputs, states = by_masks(program, given, starts, lengths, reset)
    want, last = by_reference(program, given, starts, lengths, reset)
    torch.testing.assert_close(outputs, want, rtol=0, atol=1e-14)
    for one, other in zip(states, last, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


def test_numbers_past_the_end_or_before_a_reset_reach_nothing():
    program = lstm()
    given = inputs(program, STEPS, ROWS)
    for row, length in enumerate(LENGTHS):
        given.sequences[0][length:, row] = torch.nan
    starts = inputs(program, STEPS, ROWS, seed=1).states
    outputs, states = by_masks(program, given, starts, LENGTHS, RESET)
    assert all(tensor.isfinite().all() for tensor in (outputs, *states))
    given.states[0][1] = torch.nan  # its first step is a reset
    given.sequences[0][:, 1] = 0.5
    outputs, states = by_masks(program, given, starts, None, RESET)
    assert outputs[:, 1].isfinite().all() and states[1][1].isfinite().all()


def test_what_masks_add_comes_last():
    program = lstm()
    both = with_lengths(with_reset(program))
    assert both.sequences == (*program.sequences, 1, 1) and both.rows == (*program.rows, *program.states)
    assert (both.states, both.weights) == (program.states, program.weights)

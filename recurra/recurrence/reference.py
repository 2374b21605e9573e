"""The ground truth: a cell called step by step. Lengths, resets and the start of a sequence are defined here, once."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from recurra.recurrence.state import State, choose, map_state, same_structure, tensors

Cell = nn.Module
"""One step: ``forward(x, state) -> (output, state)``, or ``-> state``, whose first tensor is then the output."""


class Step(NamedTuple):
    """What one step leaves behind."""

    output: Tensor
    state: State


def take_step(cell: Cell, x: Any, state: State) -> Step:
    """One step of any cell. A result that nests like the state *is* the state; its first tensor is the output."""
    result = cell(x, state)
    if same_structure(result, state):
        return Step(next(tensors(result)), result)
    if isinstance(result, tuple) and len(result) == 2 and same_structure(result[1], state):
        return Step(*result)
    raise TypeError(
        f"{type(cell).__name__} must return (output, state) or a state nested like the one it was given, got {result!r}"
    )


def initial_state(cell: Cell, batch_size: int) -> State:
    """The cell's own start: its ``initial_state(batch_size)``, or zeros for the cells of ``torch.nn``.

    Raises:
        TypeError: the cell does not say how it starts.
    """
    start: Callable[[int], State] | None = getattr(cell, "initial_state", None)
    if start is not None:
        return start(batch_size)
    if isinstance(cell, nn.RNNCellBase):
        zeros = cell.weight_hh.new_zeros(batch_size, cell.hidden_size)
        return (zeros, zeros) if isinstance(cell, nn.LSTMCell) else zeros
    raise TypeError(
        f"{type(cell).__name__} has no initial_state(batch_size): give it one, pass a state, "
        "or build Recurrent(cell, initial_state=...)"
    )


def run(
    cell: Cell,
    inputs: Any,
    state: State,
    start: State,
    *,
    lengths: Int[Tensor, " B"] | None = None,
    reset: Bool[Tensor, "B T"] | None = None,
) -> Iterator[Step]:
    """Run ``cell`` over a batch of sequences, yielding every step.

    Args:
        inputs: a tensor ``(batch, time, ...)``, or a nesting of them; a step gets its slice of each.
        state: where each row begins.
        start: where a row goes back to before a step at which ``reset`` holds; the gradient to its past stops there.
        lengths: steps of each row; past its end a row's state stays as it was and its output is zero.
    """
    for t in range(next(tensors(inputs)).shape[1]):
        if reset is not None:
            state = choose(reset[:, t], start, state)
        step = take_step(cell, map_state(lambda sequence, t=t: sequence[:, t], inputs), state)
        if lengths is not None:
            running = t < lengths
            step = Step(choose(running, step.output, torch.zeros_like(step.output)), choose(running, step.state, state))
        state = step.state
        yield step

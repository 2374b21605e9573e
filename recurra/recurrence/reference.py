"""The ground truth: a cell called step by step. Lengths, resets and the start of a sequence are defined here, once."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from recurra.recurrence.ragged import blank_padding, within
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import State, choose, map_state, same_structure, tensors, time_steps

Cell = nn.Module
"""One step: ``forward(x, state) -> (output, state)``, or ``-> state``, whose first tensor is then the output."""


class Step(NamedTuple):
    """What one step leaves behind."""

    output: Tensor
    state: State


def take_step(cell: Cell, x: Any, state: State) -> Step:
    """One step of any cell. A result that nests like the state *is* the state; its first tensor is the output.

    Raises:
        TypeError: the cell's result is neither.
    """
    result = cell(x, state)
    if same_structure(result, state):
        return Step(next(tensors(result)), result)
    if isinstance(result, tuple) and len(result) == 2 and same_structure(result[1], state):
        return Step(*result)
    raise TypeError(
        f"{type(cell).__name__} must return (output, state) or a state, nested like the state it was given: "
        f"it was given {outline(state)} and returned {outline(result)}"
    )


def outline(state: Any) -> str:
    """How a state nests, for error messages: ``LSTMState(Tensor, Tensor)``."""
    kind = type(state).__name__
    if isinstance(state, dict):
        return kind + "(" + ", ".join(f"{key}={outline(value)}" for key, value in state.items()) + ")"
    if isinstance(state, tuple | list):
        return kind + "(" + ", ".join(map(outline, state)) + ")"
    return kind


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


def step_inputs(cell: Cell, x: Tensor, lengths: Tensor | None = None) -> Any:
    """What the cell's steps receive of the sequences ``x``: the cell's own ``inputs(x)`` where it has one, else ``x``.

    A nesting of tensors ``(batch, time, ...)``, computed once before the loop: masks of dropout are drawn here. They
    find zeros past each row's end.
    """
    prepare: Callable[[Tensor], Any] | None = getattr(cell, "inputs", None)
    return x if prepare is None else prepare(blank_padding(x, lengths))


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
        lengths: steps of each row; past its end a row's state stays as it was (a reset there does nothing) and its
            output is zero.
    """
    running = None if lengths is None else within(lengths, next(tensors(inputs)).shape[1])
    if reset is not None and running is not None:
        reset = reset & running
    for t, x in enumerate(time_steps(inputs)):
        if reset is not None:
            state = choose(reset[:, t], start, state)
        step = take_step(cell, x, state)
        if running is not None:
            output = choose(running[:, t], step.output, torch.zeros_like(step.output))
            step = Step(output, choose(running[:, t], step.state, state))
        state = step.state
        yield step


def answer(cell: Cell, request: Request) -> Result:
    """A whole call, by :func:`run`."""
    inputs, state, start, lengths, reset, trajectory, _ = request
    inputs = map_state(lambda leaf: blank_padding(leaf, lengths), inputs)
    steps = list(run(cell, inputs, state, start, lengths=lengths, reset=reset))
    outputs = torch.stack([step.output for step in steps], dim=1)
    if not trajectory:
        return Result(outputs, steps[-1].state, None)
    states = map_state(lambda *leaves: torch.stack(leaves, dim=1), *(step.state for step in steps))
    return Result(outputs, steps[-1].state, states)

"""A lowered step run by the interpreter, beside the cell run by the reference."""

from collections import Counter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.recurrence import reference
from recurra.recurrence.guard import fetch
from recurra.recurrence.interpret import interpret
from recurra.recurrence.lower import Lowered, lower
from recurra.recurrence.program import Product, Program
from recurra.recurrence.state import map_state, tensors, time_steps
from recurra.recurrence.trace import trace


class Run(NamedTuple):
    """Outputs (B, T, ...), last states, and the gradients of everything that has one."""

    outputs: Tensor
    states: list[Tensor]
    gradients: list[Tensor]


class Step(nn.Module):
    """A cell of one function ``(self, x, h) -> h`` and some tensors: parameters where they are floats, else buffers."""

    def __init__(self, function: Any, **given: Any) -> None:
        super().__init__()
        self.function = function
        for name, value in given.items():
            is_parameter = isinstance(value, Tensor) and value.is_floating_point()
            setattr(self, name, nn.Parameter(value) if is_parameter else value)

    def forward(self, x: Any, h: Any) -> Any:
        return self.function(self, x, h)


def lowered(cell: nn.Module, x: Any, state: Any) -> Lowered:
    return lower(trace(cell, next(iter(time_steps(x))), state))


def by_reference(cell: nn.Module, x: Any, state: Any) -> Run:
    def run(x: Any, state: Any, parameters: list[Tensor]) -> Run:
        steps = list(reference.run(cell, x, state, None))
        last = list(tensors(steps[-1].state))
        return _with_gradients(torch.stack([step.output for step in steps], 1), last, x, state, parameters)

    return run(_leaves(x), _leaves(state), list(cell.parameters()))


def by_program(cell: nn.Module, x: Any, state: Any, step: Lowered | None = None) -> Run:
    step = step or lowered(cell, x, state)
    x, state = _leaves(x), _leaves(state)
    inputs, states = list(tensors(x)), list(tensors(state))
    batch, time = inputs[0].shape[:2]
    dtype = step.trace.dtype
    flat = [leaf.reshape(batch, time, -1).transpose(0, 1).to(dtype) for leaf in inputs]
    rows = [leaf.reshape(batch, -1) for leaf in states]
    sequences = [flat[part.leaf][..., part.start : part.start + part.width] for part in step.sequences]
    starts = [rows[part.leaf][..., part.start : part.start + part.width] for part in step.states]
    weights = step.weights({name: fetch(cell, name) for name in step.parameters})
    assert [tuple(weight.shape) for weight in weights] == list(step.program.weights)
    result = interpret(step.program, sequences, starts, [], weights, time)
    outputs = torch.cat(result.outputs, -1).transpose(0, 1).reshape(batch, time, *step.output_shape)
    ends = []
    for leaf, shape in enumerate(step.state_shapes):
        pieces = [s for s, part in zip(result.states, step.states, strict=True) if part.leaf == leaf]
        ends.append(torch.cat(pieces, 1).reshape(batch, *shape))
    return _with_gradients(outputs, ends, x, state, list(cell.parameters()))


def equal(cell: nn.Module, x: Any, state: Any, rtol: float = 1e-11, atol: float = 1e-12) -> Lowered:
    """Compare both in everything, float64; the lowered step."""
    step = lowered(cell, x, state)
    expected, found = by_reference(cell, x, state), by_program(cell, x, state, step)
    assert found.outputs.shape == expected.outputs.shape
    torch.testing.assert_close(found, expected, rtol=rtol, atol=atol, equal_nan=True)
    assert max(multiplications(step.program).values(), default=1) == 1
    return step


def multiplications(program: Program) -> Counter[Any]:
    """How often each element of a matrix is multiplied by each value."""
    return Counter(
        (node.index, row, column, node.transposed, node.operand)
        for node in program.nodes
        if isinstance(node, Product)
        for row in range(node.rows.start, node.rows.start + node.rows.size)
        for column in range(node.columns.start, node.columns.start + node.columns.size)
    )


def _leaves(nested: Any) -> Any:
    return map_state(lambda leaf: leaf.detach().requires_grad_(leaf.is_floating_point()), nested)


def _with_gradients(outputs: Tensor, last: list[Tensor], x: Any, state: Any, parameters: list[Tensor]) -> Run:
    wanted = [leaf for leaf in (*tensors(x), *tensors(state), *parameters) if leaf.requires_grad]
    loss = sum((end * torch.cos(end.detach() + 1)).sum() for end in (outputs, *last))
    gradients: Any = [None] * len(wanted)
    if isinstance(loss, Tensor) and loss.requires_grad:
        gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
    filled = [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, gradients, strict=True)]
    return Run(outputs.detach(), [end.detach() for end in last], filled)

"""A layer, by whatever path it runs, beside its cell's own loop: outputs, last state and every gradient."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.layers.recurrent import Recurrent
from recurra.recurrence import reference
from recurra.recurrence.ragged import blank_padding
from recurra.recurrence.state import State, map_state, tensors


class Problem(NamedTuple):
    """What a layer is called with."""

    x: Tensor
    state: State | None
    lengths: Tensor | None
    reset: Tensor | None


def problem(layer: Recurrent, input_size: int, random: Any, dtype: torch.dtype) -> Problem:
    """Up to six steps of up to five rows; a state, lengths and resets as often as not."""
    generator = torch.Generator().manual_seed(random.randrange(2**32))
    batch, steps = random.randint(1, 5), random.randint(1, 6)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    state = map_state(lambda leaf: draw(*leaf.shape), layer.initial_state(batch))
    lengths = torch.randint(0, steps + 1, (batch,), generator=generator)
    reset = torch.rand(batch, steps, generator=generator) < 0.3
    x = draw(batch, steps, input_size)
    return Problem(x, *(random.choice([None, each]) for each in (state, lengths, reset)))


def by_reference(layer: Recurrent, given: Problem) -> tuple[Tensor, State]:
    """What a call of ``layer`` means."""
    x, state, lengths, reset = given
    start = layer.initial_state(len(x))
    inputs = reference.step_inputs(layer.cell, blank_padding(x, lengths))
    state = start if state is None else state
    steps = list(reference.run(layer.cell, inputs, state, start, lengths=lengths, reset=reset))
    return torch.stack([step.output for step in steps], dim=1), steps[-1].state


def everything(layer: Recurrent, given: Problem, result: tuple[Tensor, State]) -> list[Tensor]:
    """Outputs, last state, and the gradients of x, state and parameters for a loss that weighs every element its own
    way."""
    results = [result[0], *tensors(result[1])]
    weights = [torch.linspace(-1, 1, each.numel(), dtype=each.dtype).view(each.shape) for each in results]
    leaves = [given.x, *(() if given.state is None else tensors(given.state)), *layer.parameters()]
    total = sum((each * weight).sum() for each, weight in zip(results, weights, strict=True))
    zero = sum(0 * leaf.sum() for leaf in leaves)
    return [each.detach() for each in results] + list(torch.autograd.grad(total + zero, leaves))


def difference(one: list[Tensor], other: list[Tensor]) -> float:
    """The largest, each tensor's by its own largest element, or by 1 where that is smaller; NaN where any is."""

    def relative(a: Tensor, b: Tensor) -> float:
        return ((a - b).abs().max() / b.abs().max().clamp(min=1)).item()

    found = [relative(a.double(), b.double()) for a, b in zip(one, other, strict=True) if b.numel()]
    return torch.tensor(found, dtype=torch.float64).max().item()

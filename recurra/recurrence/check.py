"""The first use of a program: is it what the cell does? Compared on a few steps of the user's own numbers."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from recurra.recurrence import reference
from recurra.recurrence.guard import named_tensors
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import map_state, tensors

ROWS, STEPS = 2, 3
BOUNDS = {torch.float32: 1e-4, torch.float64: 1e-6}
"""How far the two may differ, relative to the larger of 1 and the largest value compared. Rounding alone stays well
below; a wrong equation does not. (Torch's gradient of hardsigmoid is 1/6 to seven digits only, in float64 too.)"""


def disagreement(cell: nn.Module, request: Request, fused: Callable[[Request], Result], gradients: bool) -> str | None:
    """What differs between the compiled loop and the reference on the first rows and steps of ``request``.

    Both go three steps from where the reference stands after three: from zeros, half of a step would not be seen.
    """
    with torch.set_grad_enabled(gradients), torch.autograd.set_multithreading_enabled(False):
        tiny = _tiny(request)
        ahead = reference.answer(cell, tiny)
        tiny = tiny._replace(state=map_state(lambda leaf: _like(leaf, leaf.requires_grad), ahead.state))
        wanted = [leaf for leaf in chain(tensors(tiny.inputs), tensors(tiny.state)) if leaf.requires_grad]
        wanted += [tensor for _, tensor in named_tensors(cell) if tensor.requires_grad]
        results = []
        for way in (lambda given: reference.answer(cell, given), fused):
            values = _values(way(tiny))
            results.append([*values, *(_gradients(values, wanted) if gradients else [])])
    for one, other in zip(*[[value.detach() for value in values] for values in results], strict=True):
        scale = max(1.0, float(one.nan_to_num(0.0, 0.0, 0.0).abs().max())) if one.numel() else 1.0
        bound = BOUNDS[one.dtype] * scale
        if one.shape != other.shape or not torch.allclose(one, other, rtol=0.0, atol=bound, equal_nan=True):
            return "its compiled loop and its own steps give different numbers"
    return None


def _tiny(request: Request) -> Request:
    """The first rows and steps, cut off from whatever computed them."""
    steps = min(STEPS, next(tensors(request.inputs)).shape[1])

    def start(leaf: Tensor | None) -> Any:
        return None if leaf is None else _like(leaf[:ROWS], leaf.requires_grad)

    def sequence(leaf: Tensor) -> Tensor:
        return _like(leaf[:ROWS, :steps], leaf.requires_grad)

    return request._replace(
        inputs=map_state(sequence, request.inputs),
        state=map_state(start, request.state),
        start=None if request.start is None else map_state(start, request.start),
        lengths=None if request.lengths is None else request.lengths[:ROWS].clamp(max=steps),
        reset=None if request.reset is None else request.reset[:ROWS, :steps],
    )


def _like(leaf: Tensor, requires_grad: bool) -> Tensor:
    return leaf.detach().clone().requires_grad_(requires_grad and leaf.is_floating_point())


def _values(result: Result) -> list[Tensor]:
    every = [] if result.states is None else tensors(result.states)
    return [result.outputs, *tensors(result.state), *every]


def _gradients(values: list[Tensor], wanted: list[Tensor]) -> list[Tensor]:
    """Of a sum in which no two elements have the same weight."""
    used = [value for value in values if value.requires_grad]
    # a number by itself: torch imports a quarter of a second's worth of modules to look at gradients it is given
    total = sum(
        ((value * torch.linspace(-1, 1, value.numel(), dtype=value.dtype).view_as(value)).sum() for value in used),
        start=torch.zeros(()),
    )
    found = torch.autograd.grad(total, wanted, allow_unused=True) if used else [None] * len(wanted)
    return [torch.zeros_like(one) if grad is None else grad for one, grad in zip(wanted, found, strict=True)]

"""The first use of a program: is it what the cell does? Compared on a few steps of the user's own numbers."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from recurra.recurrence import reference
from recurra.recurrence.cpu.room import marked
from recurra.recurrence.guard import named_tensors
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import map_state, tensors

ROWS, STEPS = 2, 3
BOUNDS = {torch.float32: 1e-4, torch.float64: 1e-6}
"""How far the two may differ, relative to the larger of 1 and the largest value compared. Rounding alone stays well
below; a wrong equation does not. (Torch's gradient of hardsigmoid is 1/6 to seven digits only, in float64 too.)"""


def disagreement(cell: nn.Module, request: Request, fused: Callable[[Request], Result], gradients: bool) -> str | None:
    """What differs between the compiled loop and the reference on the first rows and steps of ``request``.

    Both go three steps from where the reference stands after three: from zeros, half of a step would not be seen. Where
    the two sides of a branch meet, rounding may choose either: numbers at which the reference differs from itself by
    rounding alone say nothing, and others nearby are compared.
    """

    def by_reference(given: Request) -> Result:
        return reference.answer(cell, given)

    def agree(
        one: Callable[[Request], Result], first: Request, other: Callable[[Request], Result], second: Request
    ) -> bool:
        sides = (_results(cell, way, given, gradients) for way, given in ((one, first), (other, second)))
        return all(map(_same, *sides))

    with torch.set_grad_enabled(gradients), torch.autograd.set_multithreading_enabled(False), marked():
        tiny = _tiny(request)
        tiny = tiny._replace(state=map_state(lambda leaf: _like(leaf, leaf.requires_grad), by_reference(tiny).state))
        if agree(by_reference, tiny, fused, tiny):
            return None
        on_edge = not agree(by_reference, tiny, by_reference, _moved(tiny, 4 * torch.finfo(_dtype(tiny)).eps))
        nearby = [_moved(tiny, distance) for distance in (0.01, 0.02)]
        if on_edge and all(agree(by_reference, given, fused, given) for given in nearby):
            return None
    return "its compiled loop and its own steps give different numbers"


def _results(cell: nn.Module, way: Callable[[Request], Result], given: Request, gradients: bool) -> list[Tensor]:
    """What comes of a call, and the gradients of all that has one."""
    values = _values(way(given))
    if not gradients:
        return values
    wanted = [leaf for leaf in chain(tensors(given.inputs), tensors(given.state)) if leaf.requires_grad]
    wanted += [tensor for _, tensor in named_tensors(cell) if tensor.requires_grad]
    return [value.detach() for value in (*values, *_gradients(values, wanted))]


def _same(one: Tensor, other: Tensor) -> bool:
    scale = max(1.0, float(one.nan_to_num(0.0, 0.0, 0.0).abs().max())) if one.numel() else 1.0
    bound = BOUNDS[one.dtype] * scale
    return one.shape == other.shape and torch.allclose(one, other, rtol=0.0, atol=bound, equal_nan=True)


def _moved(request: Request, distance: float) -> Request:
    """The request with other numbers about so far away, the same every time."""
    draw = torch.Generator().manual_seed(0)

    def move(leaf: Tensor) -> Tensor:
        if not leaf.is_floating_point():
            return leaf
        noise = torch.randn(leaf.shape, generator=draw, dtype=leaf.dtype)
        return _like(leaf + distance * noise, leaf.requires_grad)

    return request._replace(inputs=map_state(move, request.inputs), state=map_state(move, request.state))


def _dtype(request: Request) -> torch.dtype:
    return next(leaf.dtype for leaf in tensors(request.state) if leaf.is_floating_point())


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

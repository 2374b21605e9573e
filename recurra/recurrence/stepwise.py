"""Long sequences in little memory by the reference: each segment is run again, by PyTorch's own checkpoints."""

from collections.abc import Iterator
from math import ceil, sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from recurra.recurrence import reference
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import map_state, tensors

ROOTS = 2
"""Steps of a segment, in square roots of the steps of a sequence."""


class _Steps(nn.Module):
    """A cell called step by step, as a module whose parameters can be given."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, request: Request) -> Result:
        return reference.answer(self.cell, request)


def answer(cell: nn.Module, request: Request) -> Result:
    """A whole call by the reference, of which each segment but the last is run again for its gradient."""
    steps = next(tensors(request.inputs)).shape[1]
    length = ceil(steps / max(1, round(sqrt(steps) / ROOTS)))
    pieces = list(_cut(request, steps, length))
    module, state, whole = _Steps(cell), request.state, None
    for begin, piece in zip(range(0, steps, length), pieces, strict=True):
        given = piece._replace(state=state)
        # the gradient comes to the last one first: what it needs would be forgotten and found again at once
        result = reference.answer(cell, given) if piece is pieces[-1] else _run_again(module, given)
        series = result.outputs, () if result.states is None else result.states
        if whole is None:
            whole = map_state(lambda part: _room(part, steps), series)
        whole = map_state(lambda series, part, begin=begin: _Put.apply(series, part, begin), whole, series)
        state = result.state
    assert whole is not None
    outputs, states = whole
    return Result(outputs, state, states if request.trajectory else None)


def _cut(request: Request, steps: int, length: int) -> Iterator[Request]:
    """The segments of a call; the states are those of the first."""
    # split, not indexing: the gradient of all segments is then one concatenation
    parts = zip(*(leaf.split(length, dim=1) for leaf in tensors(request.inputs)), strict=True)
    for begin, inputs in zip(range(0, steps, length), map(iter, parts), strict=True):
        size = min(length, steps - begin)
        yield request._replace(
            inputs=map_state(lambda _, inputs=inputs: next(inputs), request.inputs),
            lengths=None if request.lengths is None else (request.lengths - begin).clamp(0, size),
            # of its own: the caller may fill it anew before the gradient comes
            reset=None if request.reset is None else request.reset[:, begin : begin + size].clone(),
        )


def _run_again(module: _Steps, piece: Request) -> Result:
    """Run a segment that remembers its tensors alone."""
    parameters = dict(module.named_parameters())
    nest = piece.inputs, piece.state, () if piece.start is None else piece.start, list(parameters.values())

    def run(*leaves: Tensor) -> Result:
        remaining = iter(leaves)
        inputs, state, start, weights = map_state(lambda _: next(remaining), nest)
        given = piece._replace(inputs=inputs, state=state, start=piece.start and start)
        return functional_call(module, dict(zip(parameters, weights, strict=True)), (given,))

    # as arguments of their own tensors are known again: one that has been edited since is an error
    return checkpoint(run, *tensors(nest), use_reentrant=False)


def _room(part: Tensor, steps: int) -> Tensor:
    """For the series ``(B, T, ...)`` of which this is a part, laid out like it."""
    batch, _, *features = part.shape
    if part.is_contiguous():
        return part.new_empty(batch, steps, *features)
    return part.new_empty(steps, batch, *features).transpose(0, 1)


class _Put(torch.autograd.Function):
    """A part written where it belongs, in place: a concatenation would hold every part twice."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, part: Tensor, begin: int) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.where = begin, part.shape[1]
        ctx.mark_dirty(whole)
        whole.narrow(1, *ctx.where).copy_(part)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, Tensor | None, None]:
        return gradient, None if gradient is None else gradient.narrow(1, *ctx.where), None

"""Long sequences in little memory: of a call only the states between segments are kept, and each segment is run again
when the gradient comes back through it (Chen et al. 2016, arXiv:1604.06174)."""

from collections.abc import Callable, Iterator
from itertools import chain
from math import ceil, sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from recurra.recurrence import paths, reference
from recurra.recurrence.explain import Explanation
from recurra.recurrence.fused import Plans, run_fused, run_recipe, variant
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import map_state, tensors
from recurra.recurrence.trace import NotFused

ROOTS = 16
"""Steps of a segment, in square roots of the steps of a sequence. Shorter ones remember less; each takes some
milliseconds beside its arithmetic."""


def segment_steps(steps: int) -> int:
    """How many of ``steps`` steps make a segment; the last one may have a few less."""
    return ceil(steps / max(1, round(sqrt(steps) / ROOTS)))


def answer(cell: nn.Module, plans: Plans, request: Request) -> Result:
    """A whole call. Where no gradient is wanted, in a graph that is being captured and within transforms of
    ``torch.func`` it is the ordinary one."""
    if not _runs_again(cell, request):
        return paths.answer(cell, plans, request)
    steps = next(tensors(request.inputs)).shape[1]
    length = segment_steps(steps)
    pieces = list(_cut(request, steps, length))
    if len(pieces) == 1:
        return paths.answer(cell, plans, request)
    way = _compiled(cell, plans, pieces[0]) or _by_steps(cell)
    state, whole = request.state, None
    for begin, piece in zip(range(0, steps, length), pieces, strict=True):
        given = piece._replace(state=state)
        # the gradient comes to the last one first: what it needs would be forgotten and found again at once
        result = way.run(given, way.weights) if piece is pieces[-1] else _run_again(way, given)
        series = result.outputs, () if result.states is None else result.states
        if whole is None:
            whole = map_state(lambda part: _room(part, steps), series)
        whole = map_state(lambda series, part, begin=begin: _Put.apply(series, part, begin), whole, series)
        state = result.state
    assert whole is not None
    outputs, states = whole
    return Result(outputs, state, states if request.trajectory else None)


def explained(explanation: Explanation) -> Explanation:
    """The explanation of a layer that remembers segments."""
    line = f"  segments    in training, of {ROOTS} sqrt(T) steps: the states between them are kept, and each runs twice"
    return explanation._replace(text=f"{explanation.text}\n{line}")


def _runs_again(cell: nn.Module, request: Request) -> bool:
    """Whether something would be remembered for a gradient, and running again can replace it."""
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return False  # transforms do not know hooks on what is saved
    given = request.inputs, request.state, () if request.start is None else request.start
    return any(tensor.requires_grad for tensor in chain(tensors(given), cell.parameters()))


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


class Way(NamedTuple):
    """How every segment of a call is run, the second time as the first.

    Args:
        run: on a segment and the weights.
        weights: as they are at the call; a module may have others by the time of the gradient.
        draws: whether random numbers may be drawn.
    """

    run: Callable[[Request, list[Tensor]], Result]
    weights: list[Tensor]
    draws: bool


def _compiled(cell: nn.Module, plans: Plans, piece: Request) -> Way | None:
    """By the compiled loop, which is found and checked before anything is run twice."""
    if paths.obstacle([*tensors(piece.inputs), *tensors(piece.state)]) is not None:
        return None
    plan = plans.find(cell, piece)
    lowered, weights = plan.lowered, plan.weights
    if lowered is None or weights is None or plan.fault is not None:
        return None
    program = variant(lowered.program, piece.lengths is not None, piece.reset is not None, piece.trajectory)
    try:
        if (program, True) not in plan.checked:
            run_fused(plan, cell, piece)
    except NotFused:
        return None
    how, structure = plan.recipes[program], lowered.trace.structure
    return Way(lambda given, values: run_recipe(how, values, given, structure), weights.read(), False)


class _Steps(nn.Module):
    """A cell called step by step, as a module whose parameters can be given."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, request: Request) -> Result:
        return reference.answer(self.cell, request)


def _by_steps(cell: nn.Module) -> Way:
    """By the reference."""
    steps = _Steps(cell)
    parameters = dict(steps.named_parameters())

    def run(given: Request, weights: list[Tensor]) -> Result:
        return functional_call(steps, dict(zip(parameters, weights, strict=True)), (given,))

    return Way(run, list(parameters.values()), True)


def _run_again(way: Way, piece: Request) -> Result:
    """Run a segment that remembers its tensors alone."""
    nest = piece.inputs, piece.state, () if piece.start is None else piece.start, way.weights

    def run(*leaves: Tensor) -> Result:
        given = iter(leaves)
        inputs, state, start, weights = map_state(lambda _: next(given), nest)
        return way.run(piece._replace(inputs=inputs, state=state, start=piece.start and start), weights)

    # as arguments of their own tensors are known again: one that has been edited since is an error
    return checkpoint(run, *tensors(nest), use_reentrant=False, preserve_rng_state=way.draws)


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

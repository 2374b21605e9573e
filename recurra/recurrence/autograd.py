"""The operator under autograd: its gradient, gradients of gradients, and forward mode."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.recurrence.brief import Brief, brief_of
from recurra.recurrence.cpu.room import is_marked
from recurra.recurrence.dual import closed, is_forward, moved, opened
from recurra.recurrence.operator import (
    Kept,
    Lists,
    kept_of,
    library,
    plainly,
    run_backward,
    run_forward,
    wanted_of,
)
from recurra.recurrence.packing import Packing
from recurra.recurrence.training import program_of


class Call(NamedTuple):
    """What `run` is given."""

    program: str
    sequences: Sequence[Tensor]
    states: Sequence[Tensor]
    rows: Sequence[Tensor]
    weights: Sequence[Tensor]
    steps: int
    outputs: int
    packing: Packing | None = None


Ran = tuple[list[Tensor], list[Tensor]]
"""What it gives: outputs and last states."""


def run(
    program: str,
    sequences: Sequence[Tensor],
    states: Sequence[Tensor],
    rows: Sequence[Tensor],
    weights: Sequence[Tensor],
    steps: int,
    outputs: int,
    packing: Packing | None = None,
) -> Ran:
    """Run the program of this text over ``steps`` steps, at least one: ``outputs`` outputs ``(T, B, width)``, and the
    last states. Gradients flow to every input that requires one.

    With the ``packing`` of a ragged batch, which no captured graph takes, sequences and outputs are packed.

    Raises:
        ValueError: gradients are wanted, and weights are kept as int8.
    """
    lists = list(sequences), list(states), list(rows), list(weights)
    if is_forward() and (duals := opened(program_of(program), *lists)) is not None:
        both, last = run(*duals, steps, 2 * len(program_of(program).outputs), packing)
        return closed(both)[:outputs], closed(last)
    wanted = wanted_of(lists)
    if torch.compiler.is_compiling():
        found = torch.ops.recurra.run.default(*lists, steps, program, wanted)
    elif wanted:
        kept, like = kept_of(lists, steps, program, wanted, packing), [*states, *sequences][0]
        flat = [*sequences, *states, *rows, *weights]
        known = packing is None and not is_marked()
        brief = brief_of(program, wanted, steps, like.shape[-2], like.dtype) if known else None
        ran = None if brief is None else run_brief(brief, kept, flat)
        found = list(_Loop.apply(kept, None, lists, *flat)) if ran is None else ran
    else:
        found = run_forward(*lists, steps, program, wanted, packing)
    return found[:outputs], found[outputs : outputs + len(states)]


def run_brief(brief: Brief, kept: Kept, flat: Sequence[Tensor]) -> list[Tensor] | None:
    """The outputs and last states of a call with these tensors; None where they are not what ``brief`` stands for."""
    found = brief.forward(flat)
    return None if found is None else list(_Loop.apply(kept, brief, found, *flat))


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    *lists, steps, program, wanted = inputs
    ctx.kept = kept_of(tuple(lists), steps, program, wanted)
    ctx.save_for_backward(*ctx.kept.saved(lists, output))


def _backward(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    kept = ctx.kept
    lists, remembered, given = kept.opened(ctx.saved_tensors, gradients)
    if torch.is_grad_enabled():
        return *backward_twice(kept, lists, given, remembered), None, None, None
    in_graph = torch.ops.recurra.run_backward.default
    compute: Any = in_graph if torch.compiler.is_compiling() else partial(run_backward, packing=kept.packing)
    return *kept.dealt(compute(given, *lists, remembered, kept.steps, kept.program, kept.wanted)), None, None, None


def backward_twice(
    kept: Kept, lists: Lists, gradients: list[Tensor], remembered: list[Tensor] | None = None
) -> list[list[Tensor | None]]:
    """The gradients as a graph of their own, for second derivatives.

    Args:
        remembered: as of `run_backward`; without it the forward half runs again.
    """
    flat = [tensor for tensors in lists for tensor in tensors]
    return kept.dealt(_Gradient.apply(kept, remembered, *flat, *gradients))


class _Gradient(torch.autograd.Function):
    """The gradients of a call, from its tensors and the gradients u of its results.

    Taken back, with v for what arrives at them, it is u H v of the call's second derivatives H: the gradient of u J v,
    where J v is the tangent along v, which a program computes like any other.
    """

    @staticmethod
    def forward(ctx: Any, kept: Kept, remembered: list[Tensor] | None, *given: Tensor) -> Any:
        lists, u = kept.parted(given)
        if remembered is None:
            remembered = run_forward(*lists, *kept.how)
            del remembered[kept.last]
        ctx.kept = kept
        ctx.save_for_backward(*given)
        ctx.set_materialize_grads(False)
        return tuple(run_backward(u, *lists, remembered, *kept.how))

    @staticmethod
    def backward(ctx: Any, *v: Tensor | None) -> Any:
        kept: Kept = ctx.kept
        with torch.enable_grad():
            # one tensor may have been given twice: each alias gets the gradient of its own place
            given = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
            lists, u = kept.parted(given)
            tangents = _tangents(kept, lists, kept.dealt(v))
        needed = [tensor for tensor in given[: len(given) - len(u)] if tensor.requires_grad]
        pairs = [(one, other) for one, other in zip(tangents, u, strict=True) if one.requires_grad]
        found: Iterator[Tensor | None] = iter([None] * len(needed))
        again = torch.is_grad_enabled()
        if needed and pairs:
            values, weights = zip(*pairs, strict=True)
            found = iter(torch.autograd.grad(values, needed, weights, create_graph=again, allow_unused=True))
        of_lists = [next(found) if tensor.requires_grad else None for tensor in given[: len(given) - len(u)]]
        return None, None, *of_lists, *(each if again else each.detach() for each in tangents)


def _tangents(kept: Kept, lists: Lists, directions: Sequence[Sequence[Tensor | None]]) -> list[Tensor]:
    """Of a call's outputs and last states."""
    outputs = len(program_of(kept.program).outputs)
    duals = moved(program_of(kept.program), lists, directions)
    ran, last = run(*duals, kept.steps, 2 * outputs, kept.packing)
    return [*ran[outputs:], *last[kept.lengths[1] :]]


class _Loop(torch.autograd.Function):
    """The operator without the dispatcher, whose handling of lists takes longer than many a loop."""

    @staticmethod
    def forward(ctx: Any, kept: Kept, brief: Brief | None, given: Any, *flat: Tensor) -> Any:
        """``given``: the call's lists; or, of a ``brief`` call, what its forward has given."""
        output = given if brief is not None else run_forward(*given, *kept.how)
        ctx.kept, ctx.brief, last = kept, brief, kept.last
        ctx.save_for_backward(*flat, *output[: last.start], *output[last.stop :])
        ctx.set_materialize_grads(False)
        return tuple(output[: last.stop])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        found = None
        if ctx.brief is not None and not torch.is_grad_enabled():
            with plainly():
                found = ctx.brief.backward(ctx.saved_tensors, gradients)
        if found is None:
            *lists, _, _, _ = _backward(ctx, list(gradients))
            found = [gradient for gradients in lists for gradient in gradients]
        return None, None, None, *found


torch.library.register_autograd("recurra::run", _backward, setup_context=_setup_context, lib=library)

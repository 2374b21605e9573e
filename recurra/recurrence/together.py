"""Several calls that do not need each other's results as one node of autograd, whose loops, forward and backward, run
side by side where that is faster."""

from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

from recurra.recurrence.autograd import Call, Ran, backward_twice, run
from recurra.recurrence.brief import brief_of
from recurra.recurrence.cpu import pool
from recurra.recurrence.cpu.execute import Prepared, prepare
from recurra.recurrence.cpu.together import execute_together, side_by_side
from recurra.recurrence.dual import is_forward
from recurra.recurrence.operator import (
    Kept,
    Lists,
    backward_job,
    backward_results,
    forward_job,
    forward_results,
    kept_of,
    plainly,
    wanted_of,
)


def run_together(calls: Sequence[Call]) -> list[Ran]:
    """What `run` gives for each call."""
    alone = torch.compiler.is_compiling() or is_forward()
    if 1 < len(calls) <= pool.threads() and not alone and not all(map(_is_brief, calls)):
        found = _side_by_side(calls)
        if found is not None:
            return found
    return [run(*call) for call in calls]


def _is_brief(call: Call) -> bool:
    """Whether running a call by itself takes less than preparing it to run beside another."""
    lists = list(call.sequences), list(call.states), list(call.rows), list(call.weights)
    like, wanted = [*lists[1], *lists[0]][0], wanted_of(lists)
    packed = not wanted or call.packing is not None
    return not packed and brief_of(call.program, wanted, call.steps, like.shape[-2], like.dtype) is not None


def _side_by_side(calls: Sequence[Call]) -> list[Ran] | None:
    """The same; None where they had better run one after the other."""
    kept, every = [], []
    for call in calls:
        lists = list(call.sequences), list(call.states), list(call.rows), list(call.weights)
        kept.append(kept_of(lists, call.steps, call.program, wanted_of(lists), call.packing))
        every.append(lists)
    trained = [each.wanted != "" for each in kept]
    if any(trained) and not all(trained):
        return None  # of a node of autograd all results have a gradient
    jobs = [
        prepare(forward_job(lists, each.steps, each.program, each.wanted, each.packing))
        for each, lists in zip(kept, every, strict=True)
    ]
    if not side_by_side(jobs):
        return None
    if all(trained):
        flat = iter(_Loops.apply(kept, every, jobs, *_flat(every)))
        results = [list(islice(flat, each.last.stop)) for each in kept]
    else:
        results = _forward(kept, jobs)
    states = [len(call.states) for call in calls]
    return [
        (each[: call.outputs], each[call.outputs :][:count])
        for each, call, count in zip(results, calls, states, strict=True)
    ]


def _flat(every: Sequence[Lists]) -> list[Tensor]:
    return [tensor for lists in every for tensors in lists for tensor in tensors]


def _forward(kept: Sequence[Kept], jobs: Sequence[Prepared]) -> list[list[Tensor]]:
    with plainly():
        outcomes = execute_together(jobs)
    return [forward_results(outcome, each.program, each.wanted) for outcome, each in zip(outcomes, kept, strict=True)]


class _Loops(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kept: list[Kept], every: list[Lists], jobs: list[Prepared], *flat: Tensor) -> Any:
        results = _forward(kept, jobs)
        saved = [each.saved(lists, found) for each, lists, found in zip(kept, every, results, strict=True)]
        ctx.kept, ctx.lengths = kept, list(map(len, saved))
        ctx.save_for_backward(*chain(*saved))
        ctx.set_materialize_grads(False)
        return tuple(chain(*(found[: each.last.stop] for each, found in zip(kept, results, strict=True))))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        saved, coming = iter(ctx.saved_tensors), iter(gradients)
        parts: list[Part] = []
        needed = []
        for kept, length in zip(ctx.kept, ctx.lengths, strict=True):
            tensors, its = list(islice(saved, length)), list(islice(coming, kept.last.stop))
            needed.append(any(gradient is not None for gradient in its))
            if needed[-1]:
                parts.append((kept, *kept.opened(tensors, its)))
        found = iter(_backward_twice(parts) if torch.is_grad_enabled() else _backward(parts))
        every = [next(found) if its else [None] * sum(kept.lengths) for kept, its in zip(ctx.kept, needed, strict=True)]
        return None, None, None, *chain(*every)


Part = tuple[Kept, Lists, list[Tensor], list[Tensor]]
"""A call, its tensors, what it remembered, and the gradients of its results."""


def _backward_twice(parts: Sequence[Part]) -> list[list[Tensor | None]]:
    return [list(chain(*backward_twice(kept, lists, given, remembered))) for kept, lists, remembered, given in parts]


def _backward(parts: Sequence[Part]) -> list[list[Tensor | None]]:
    jobs = [
        prepare(backward_job(given, lists, remembered, kept.steps, kept.program, kept.wanted, kept.packing))
        for kept, lists, remembered, given in parts
    ]
    with plainly():
        outcomes = execute_together(jobs)
    return [
        list(chain(*kept.dealt(backward_results(outcome, lists, kept.program, kept.wanted))))
        for outcome, (kept, lists, _, _) in zip(outcomes, parts, strict=True)
    ]

"""Long sequences in little memory: of a call only the states between segments are kept, and each segment is run again
when the gradient comes back through it (Chen et al. 2016, arXiv:1604.06174)."""

from collections.abc import Sequence
from itertools import chain
from math import ceil, sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.recurrence import autograd, paths, stepwise
from recurra.recurrence.autograd import Ran, backward_twice
from recurra.recurrence.cpu.room import room
from recurra.recurrence.dual import is_forward
from recurra.recurrence.explain import Explanation
from recurra.recurrence.fused import Plans
from recurra.recurrence.operator import (
    Lists,
    kept_of,
    run_backward,
    run_forward,
    wanted_of,
)
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import tensors
from recurra.recurrence.training import program_of, training_of

LEAST, PASSES = 4 << 20, 4
"""Segments remember at least so many bytes, and so many times the weights: shorter ones cost more time than theirs."""


def answer(cell: nn.Module, plans: Plans, request: Request) -> Result:
    """A whole call. Where no gradient is wanted, in a graph that is being captured and within transforms of
    ``torch.func`` it is the ordinary one."""
    if not _runs_again(cell, request):
        return paths.answer(cell, plans, request)
    result = paths.by_loop(cell, plans, request, run)
    return stepwise.answer(cell, request) if result is None else result


def explained(explanation: Explanation) -> Explanation:
    """The explanation of a layer that remembers segments."""
    line = "  segments    in training: the states between them are kept, and each runs twice"
    return explanation._replace(text=f"{explanation.text}\n{line}")


def _runs_again(cell: nn.Module, request: Request) -> bool:
    """Whether something would be remembered for a gradient, and running again can replace it."""
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    if torch._C._functorch.peek_interpreter_stack() is not None or is_forward():
        return False  # neither knows what to make of a segment
    given = request.inputs, request.state, () if request.start is None else request.start
    return any(tensor.requires_grad for tensor in chain(tensors(given), cell.parameters()))


def run(
    program: str,
    sequences: Sequence[Tensor],
    states: Sequence[Tensor],
    rows: Sequence[Tensor],
    weights: Sequence[Tensor],
    steps: int,
    outputs: int,
    packing: None = None,
) -> Ran:
    """`autograd.run` that remembers the states between segments alone, of rows that are not packed."""
    lists = list(sequences), list(states), list(rows), list(weights)
    wanted = wanted_of(lists)
    if not wanted or (length := segment_steps(steps, *_bytes(program, wanted, lists))) == steps:
        return autograd.run(program, *lists, steps, outputs)
    how = Cut(program, wanted, steps, length)
    found = list(_Segments.apply(how, lists, *(tensor for tensors in lists for tensor in tensors)))
    return found[:outputs], found[outputs:]


def _bytes(program: str, wanted: str, lists: Lists) -> tuple[int, int, int]:
    """Of a state, of what each step remembers, and below which that of a segment is not worth cutting."""
    sequences, states, _, weights = lists
    like = next(iter([*states, *sequences]))
    row = like.shape[-2] * like.element_size()
    remembered = max(1, sum(training_of(program, wanted).adjoint.backward.sequences))
    # a segment reads all weights some times beside its steps: packs them, adds to their gradients
    least = max(LEAST, PASSES * sum(weight.nbytes for weight in weights))
    return row * sum(program_of(program).states), row * remembered, least


def segment_steps(steps: int, state: int, remembered: int, least: int) -> int:
    """How many of ``steps`` steps make a segment; the last one may have a few less.

    Of T steps in segments of L, T / L states are kept and L steps remembered at a time: least where the two are equal.

    Args:
        state: bytes of a state.
        remembered: bytes that a step remembers.
        least: bytes that a segment may remember in any case.
    """
    length = max(sqrt(steps * state / remembered), least / remembered)
    return ceil(steps / max(1, round(steps / length)))


class Cut(NamedTuple):
    """A call in segments: the texts as of `operator.run_forward`, all steps, and those of a segment."""

    program: str
    wanted: str
    steps: int
    length: int

    def parts(self) -> list[slice]:
        return [slice(begin, min(begin + self.length, self.steps)) for begin in range(0, self.steps, self.length)]


class _Segments(torch.autograd.Function):
    """The operator, with what its gradient needs of every step computed again segment by segment."""

    @staticmethod
    def forward(ctx: Any, how: Cut, lists: Lists, *flat: Tensor) -> Any:
        sequences, states, rows, weights = lists
        step, parts = program_of(how.program), how.parts()
        like = next(iter([*states, *sequences]))
        batch = like.shape[-2]
        outputs = [room(like, how.steps, batch, step.nodes[node].width) for node in step.outputs]
        # in one piece: small tensors that stay between large ones that go are what an allocator cannot close up
        starts = [room(like, len(parts) + 1, batch, width) for width in step.states]
        _put(starts, 0, states)
        for number, part in enumerate(parts):
            cut, begin = [each[part] for each in sequences], [each[number] for each in starts]
            found = run_forward(cut, begin, rows, weights, part.stop - part.start, how.program, "")
            _put(outputs, part, found[: len(outputs)])
            _put(starts, number + 1, found[len(outputs) :])
            del found
        ctx.how, ctx.lengths = how, [len(tensors) for tensors in lists]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*flat, *starts)
        return *outputs, *(each[-1].clone() for each in starts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        saved = iter(ctx.saved_tensors)
        sequences, states, rows, weights = ([next(saved) for _ in range(length)] for length in ctx.lengths)
        lists, step = (sequences, states, rows, weights), program_of(ctx.how.program)
        like = next(iter([*states, *sequences]))
        batch = like.shape[-2]
        shapes: list[tuple[int, ...]] = [(ctx.how.steps, batch, step.nodes[node].width) for node in step.outputs]
        shapes += [(batch, width) for width in step.states]
        given = [
            like.new_zeros(1).expand(shape) if gradient is None else gradient
            for gradient, shape in zip(gradients, shapes, strict=True)
        ]
        if torch.is_grad_enabled():
            kept = kept_of(lists, ctx.how.steps, ctx.how.program, ctx.how.wanted)
            found = [gradient for part in backward_twice(kept, lists, given) for gradient in part]
        else:
            found = _gradients(ctx.how, lists, list(saved), given)
        return None, None, *found


def _put(wholes: list[Tensor], where: slice | int, parts: list[Tensor]) -> None:
    for whole, part in zip(wholes, parts, strict=True):
        whole[where] = part


def _gradients(how: Cut, lists: Lists, starts: list[Tensor], gradients: list[Tensor]) -> list[Tensor | None]:
    """The gradients of sequences, states, rows and weights, from the last segment to the first.

    Args:
        starts: the states where each segment begins.
        gradients: of the outputs and the last states.
    """
    sequences, states, rows, weights = lists
    flags = training_of(how.program, how.wanted).wanted
    outputs = len(gradients) - len(states)
    series = [_room_like(each) if flag else None for each, flag in zip(sequences, flags.sequences, strict=True)]
    carried = [each.clone(memory_format=torch.contiguous_format) for each in gradients[outputs:]]
    constants = zip([*rows, *weights], (*flags.rows, *flags.weights), strict=True)
    sums = [torch.zeros_like(each) if flag else None for each, flag in constants]
    wanted, totals = ([each for each in every if each is not None] for every in (series, sums))
    for number, part in reversed([*enumerate(how.parts())]):
        begin = [each[number] for each in starts]
        given = [*(each[part] for each in gradients[:outputs]), *carried]
        found = _of_segment(how, ([each[part] for each in sequences], begin, rows, weights), given)
        _put(wanted, part, found[: len(wanted)])
        _put(carried, slice(None), found[len(wanted) :][: len(states)])
        for total, each in zip(totals, found[len(wanted) + len(states) :], strict=True):
            total += each
        del found
    return [*series, *carried, *sums]


def _of_segment(how: Cut, lists: Lists, gradients: list[Tensor]) -> list[Tensor]:
    """The gradients of one segment, which is run again; what it remembers is forgotten here."""
    outputs, states, steps = len(program_of(how.program).outputs), len(lists[1]), len(lists[0][0])
    found = run_forward(*lists, steps, how.program, how.wanted)
    del found[outputs : outputs + states]
    return run_backward(gradients, *lists, found, steps, how.program, how.wanted)


def _room_like(sequence: Tensor) -> Tensor:
    """For the gradient of a sequence ``(T, B, width)``, in its own layout: no copy is made of it then."""
    steps, batch, width = sequence.shape
    if sequence.transpose(0, 1).is_contiguous():
        return room(sequence, batch, steps, width).transpose(0, 1)
    return room(sequence, steps, batch, width)
